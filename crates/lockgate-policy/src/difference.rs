//! Where two verdicts on one request differ in substance. The name of a rule is not substance.

use lockgate_core::{Decision, Effect};

/// What differs: `effect`; `terms`, who is asked and how; `obligations`, what goes with a request that may pass. Empty:
/// the caller and the approvers would notice nothing.
pub fn differences(one: &Decision, other: &Decision) -> Vec<&'static str> {
    if one.effect != other.effect {
        return vec!["effect"];
    }
    let mut found = Vec::new();
    if one.terms != other.terms {
        found.push("terms");
    }
    if one.effect != Effect::Deny && one.obligations != other.obligations {
        found.push("obligations");
    }
    found
}
