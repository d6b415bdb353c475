//! What does the policy say? Pure: the newest policy, the subject, the action and its facts.

use lockgate_policy::{Facts, Policy};

use super::{Decided, Understood, shadow};
use crate::gateway::Gateway;

pub(super) fn decide(gateway: &Gateway, understood: Understood) -> Decided {
    let policy = gateway.policy.load();
    let facts = facts(gateway, &understood);
    let decision = by(&policy, &understood, &facts);
    let shadow = shadow::differing(
        gateway,
        &understood.caller.subject,
        understood.upstream.cluster().name.as_str(),
        &understood.action,
        &facts,
        &decision,
    );
    let mut understood = understood;
    understood.log.decided_by(&decision, policy.provenance().cloned(), shadow);
    Decided { understood, decision }
}

/// The decision as of now; asked again when a hold ends (invariant 12).
pub(super) fn decision(gateway: &Gateway, understood: &Understood) -> lockgate_core::Decision {
    by(&gateway.policy.load(), understood, &facts(gateway, understood))
}

fn by(policy: &Policy, understood: &Understood, facts: &Facts<'_>) -> lockgate_core::Decision {
    policy.decide(&understood.caller.subject, understood.upstream.cluster().name.as_str(), &understood.action, facts)
}

fn facts<'u>(gateway: &Gateway, understood: &'u Understood) -> Facts<'u> {
    let cluster = understood.upstream.cluster();
    Facts {
        object: understood.object.as_ref(),
        environment: cluster.environment.as_str(),
        four_eyes: cluster.four_eyes,
        now: Some(gateway.clock().now()),
        ..Facts::new(&understood.options)
    }
}
