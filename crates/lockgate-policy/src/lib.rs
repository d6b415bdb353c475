//! Compiles policy documents and decides.
