//! What does the policy say? Pure: the newest policy, the subject, the action and its facts.

use lockgate_policy::Facts;

use super::{Decided, Understood};
use crate::gateway::Gateway;

pub(super) fn decide(gateway: &Gateway, understood: Understood) -> Decided {
    let decision = decision(gateway, &understood);
    let mut understood = understood;
    understood.log.decided(&decision);
    Decided { understood, decision }
}

/// The decision as of now; asked again when a hold ends (invariant 12).
pub(super) fn decision(gateway: &Gateway, understood: &Understood) -> lockgate_core::Decision {
    let facts = Facts {
        options: &understood.options,
        object: understood.object.as_ref(),
        environment: understood.upstream.cluster().environment.as_str(),
    };
    gateway.policy.load().decide(
        &understood.caller.subject,
        understood.upstream.cluster().name.as_str(),
        &understood.action,
        &facts,
    )
}
