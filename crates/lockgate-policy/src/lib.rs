//! Compiles policy documents and decides.
//!
//! Owns what a policy means: ordered rules in the shape of Kubernetes RBAC, of which the first that matches decides
//! ([`Policy`]), and the risk class of a request ([`risk`]). Pure: no clock, no IO; the same inputs give the same
//! decision, so that a decision can be explained and simulated later.
//!
//! Refuses to know: tokens, HTTP, the store. Start at [`Policy::parse`] and [`Policy::decide`], which tells
//! how a request on a collection is decided: its answer could hold objects of several rules.

pub mod change;
mod condition;
mod decide;
mod difference;
mod document;
mod entry;
mod error;
mod explain;
mod matching;
mod order;
mod outlook;
mod pattern;
mod policy;
mod reader;
pub mod risk;
pub mod schema;
pub mod test;
mod unknown;
mod view;
mod vocabulary;
pub mod yaml;

pub use decide::Facts;
pub use difference::differences;
pub use entry::nameable;
pub use error::PolicyError;
pub use explain::{ConditionTrace, ExplainedCluster, Explanation, RuleOutcome, RuleTrace};
pub use matching::Mismatch;
pub use outlook::{Depends, Exception, Outlook, Question};
pub use policy::{Policy, Preset};
pub use unknown::{ByLabels, ByObject};
pub use view::{Item, Needs, View};

/// The `apiVersion` of the documents.
pub const API_VERSION: &str = "lockgate.dev/v1";

/// Largest policy document, in bytes.
pub const POLICY_BYTES_MAX: usize = 1024 * 1024;

/// The annotation by which a document names its author.
pub const AUTHOR_ANNOTATION: &str = "lockgate.dev/author";

/// Most rules in a policy.
pub const RULES_MAX: usize = 2_000;

/// Most cases in a test document.
pub const TEST_CASES_MAX: usize = 2_000;

/// Most entries in any one list of a rule.
pub const LIST_ENTRIES_MAX: usize = 1_000;
