//! What would a candidate policy have decided? Evaluated beside the policy in force, recorded where it differs, and never
//! heard: whatever happens here, the decision stands.

use std::panic::{AssertUnwindSafe, catch_unwind};

use lockgate_core::{Action, Decision, ShadowFacts, Subject};
use lockgate_policy::{Facts, differences};

use crate::gateway::Gateway;

/// The candidate's verdict where it differs from `decision`.
pub(super) fn differing(
    gateway: &Gateway,
    subject: &Subject,
    cluster: &str,
    action: &Action,
    facts: &Facts<'_>,
    decision: &Decision,
) -> Option<ShadowFacts> {
    let candidate = gateway.shadow.load_full()?;
    // The same pure function that has just decided; a candidate that finds a fault in it must not cost the request.
    let decided = catch_unwind(AssertUnwindSafe(|| candidate.decide(subject, cluster, action, facts)));
    let Ok(other) = decided else {
        gateway.metrics.shadow_error();
        tracing::error!(revision = candidate.short_revision(), "the candidate policy could not be evaluated");
        return None;
    };
    let differs = differences(decision, &other);
    if differs.is_empty() {
        return None;
    }
    gateway.metrics.shadow_differed(decision.effect.as_str(), other.effect.as_str());
    Some(ShadowFacts {
        effect: other.effect,
        rule: other.rule,
        policy_revision: other.policy_revision,
        differs: differs.into_iter().map(str::to_owned).collect(),
    })
}
