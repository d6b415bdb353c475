//! JSON Schemas of the documents, for editors.
//!
//! Owns the shape alone. What a schema cannot say (conditions, the range of a duration, names that must differ) is told by
//! [`crate::Policy::parse`], which is the judge; a schema never refuses what it takes, as long as values
//! have their type (a number where a text belongs is taken by the parser). The tests hold the two
//! together, field by field.

/// The schema of `kind: Policy`, draft 7.
pub const POLICY: &str = include_str!("../schemas/Policy.json");

/// The schema of `kind: PolicyTest`, draft 7.
pub const POLICY_TEST: &str = include_str!("../schemas/PolicyTest.json");
