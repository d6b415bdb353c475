//! Durable truth, and the proofs that something is durable.
