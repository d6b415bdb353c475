//! CEL: compile, bound, evaluate.
//!
//! Owns the one place where an expression written by an operator becomes a program: claim mappings
//! (`claims.sub`) and policy conditions (`when:`). The `cel` crate has neither a cost limit nor a guard of its own stack,
//! so an expression is accepted only when [`lint`] has shown that its cost is bounded *before* anything evaluates it.
//!
//! Refuses to know: tokens, policies, Kubernetes. Start at [`Expression::compile`].

mod data;
mod error;
mod expression;
mod lazy;
mod lint;
mod types;

pub use data::{Datum, Field};
pub use error::{EvaluationError, ExpressionError, Fault, distance};
pub use expression::{Bindings, Expression, Variable};
pub use types::Type;

/// Longest expression, in bytes of UTF-8. Kept small because the parser recurses.
pub const EXPRESSION_BYTES_MAX: usize = 1024;

/// Deepest nesting of parentheses, calls and lists that the parser follows.
pub const PARSER_DEPTH_MAX: u16 = 20;

/// Deepest syntax tree: the evaluator recurses once a level.
pub const TREE_DEPTH_MAX: usize = 32;

/// Most nodes in a syntax tree, macros expanded.
pub const TREE_NODES_MAX: usize = 400;

/// Longest list and largest map over which an expression with a loop (`all`, `exists`, `map`, …) is evaluated.
pub const LOOP_ITEMS_MAX: usize = 1_000;

/// Deepest nesting of the data that an expression sees.
pub const DATA_DEPTH_MAX: usize = 64;

/// Longest pattern of `matches`, in bytes. It has to be written out in the expression.
pub const PATTERN_BYTES_MAX: usize = 256;

/// Largest pattern of `matches` once compiled, in bytes.
pub const PATTERN_SIZE_BYTES_MAX: usize = 256 * 1024;
