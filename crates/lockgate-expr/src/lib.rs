//! CEL: compile, bound, evaluate.
