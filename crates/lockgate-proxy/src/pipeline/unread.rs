//! A client that waits for `100 Continue` before it sends its body is told no at once where no body could change that.

use http::header::{self, HeaderMap};
use lockgate_auth::Authenticated;
use lockgate_core::DecidedBy;
use lockgate_policy::Facts;
use lockgate_store::CallLog;
use lockgate_wire::{RequestInfo, Target, options};

use super::{Refusal, classify, summary};
use crate::gateway::Gateway;
use crate::upstream::Upstream;

/// The refusal of a request on its URL alone, noted in its record; nothing when the body is to be read.
pub(super) fn refusal(
    gateway: &Gateway,
    log: &mut CallLog,
    caller: &Authenticated,
    upstream: &Upstream,
    (info, target, headers): (&RequestInfo, &Target, &HeaderMap),
) -> Option<Refusal> {
    headers.get(header::EXPECT)?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    // What is wrong with them is told once the body is there.
    let options = options::effective(info, target, content_type, None).ok()?;
    let action = classify::action(info, &options, None);
    let cluster = upstream.cluster();
    let facts =
        Facts { environment: cluster.environment.as_str(), now: Some(gateway.clock().now()), ..Facts::new(&options) };
    let policy = gateway.policy.load();
    let decision = policy.denies_any_body(&caller.subject, cluster.name.as_str(), &action, &facts)?;
    log.arrival().action = Some(action.clone());
    let environment = cluster.environment.clone();
    log.decided_by(&decision, DecidedBy { policy: policy.provenance().cloned(), environment, ..DecidedBy::default() });
    let words = summary::in_words(&action, &options);
    Some(Refusal::Denied(Box::new(decision), words, cluster.name.clone()))
}
