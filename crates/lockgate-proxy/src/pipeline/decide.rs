//! What does the policy say? Pure: the newest policy, the subject, the action and its facts.

use lockgate_core::{Action, DecidedBy, Decision};
use lockgate_policy::{Facts, Policy};

use super::{Decided, Understood, observe, shadow};
use crate::gateway::Gateway;

pub(super) fn decide(gateway: &Gateway, understood: Understood) -> Decided {
    let policy = gateway.policy.load();
    let facts = facts(gateway, &understood);
    let mut decision = by(&policy, &understood, &understood.action, &facts);
    decision.reasons.extend(understood.unreadable.clone());
    let shadow = shadow::differing(
        gateway,
        &understood.caller.subject,
        understood.upstream.cluster().name.as_str(),
        &understood.action,
        &facts,
        &decision,
    );
    let mut understood = understood;
    let environment = understood.upstream.cluster().environment.clone();
    let by = DecidedBy { policy: policy.provenance().cloned(), shadow, environment };
    understood.log.decided_by(&decision, by);
    Decided { understood, decision }
}

/// The decision as of now; asked again when a hold ends (invariant 12).
pub(super) fn decision(gateway: &Gateway, understood: &Understood) -> Decision {
    decision_on(gateway, understood, &understood.action)
}

/// The decision as if the request were `action`: with another class of risk.
pub(super) fn decision_on(gateway: &Gateway, understood: &Understood, action: &Action) -> Decision {
    by(&gateway.policy.load(), understood, action, &facts(gateway, understood))
}

/// Whether the policy looks at the live object for a request like this.
pub(super) fn needs_old_object(gateway: &Gateway, understood: &Understood) -> bool {
    let cluster = understood.upstream.cluster().name.as_str();
    let (subject, facts) = (&understood.caller.subject, facts(gateway, understood));
    gateway.policy.load().needs_old_object(subject, cluster, &understood.action, &facts)
}

fn by(policy: &Policy, understood: &Understood, action: &Action, facts: &Facts<'_>) -> Decision {
    policy.decide(&understood.caller.subject, understood.upstream.cluster().name.as_str(), action, facts)
}

fn facts<'u>(gateway: &Gateway, understood: &'u Understood) -> Facts<'u> {
    let cluster = understood.upstream.cluster();
    Facts {
        object: understood.object.as_ref(),
        old_object: observe::old_object(understood),
        environment: cluster.environment.as_str(),
        four_eyes: cluster.four_eyes,
        now: Some(gateway.clock().now()),
        ..Facts::new(&understood.options)
    }
}
