//! Child calls: reads that Lockgate makes for a held request, as the agent, with a record of their own. They may be
//! refused but never ask, and their raw answers are secret.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use lockgate_core::{
    Arrival, DecidedBy, Effect, Options, Origin, Outcome, RequestFacts, ResponseFacts, Secret, Source, Verb,
};
use lockgate_policy::View;
use lockgate_store::{CanonicalRequest, RequestBody, admit};
use lockgate_wire::request_info::RequestInfo;
use lockgate_wire::target::Target;

use super::{Refusal, Understood, approve, observe};
use crate::gateway::Gateway;
use crate::sieve;
use crate::upstream::Flow;

/// Largest object that is read for a preview; the API server stores none above 3 MiB.
const OBJECT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What stands at the target now. For a subresource: the object that it belongs to.
pub(super) struct Live {
    /// Its UID; `None` when the request names no single object, or creates one.
    pub(super) uid: Option<String>,
    /// The object itself. Never shown: its values are not masked.
    pub(super) object: Option<serde_json::Value>,
}

/// What is known of the target before the verdict.
pub(super) enum Observed {
    /// Nobody needed to know.
    NotRead,
    /// This stands there.
    Live(Live),
    /// Why it cannot be read, or that nothing stands there: what to say if a human has to see it.
    Refused(Refusal),
}

/// Of what the rules tell apart by labels or content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sees {
    WhatIsGiven,
    /// To know whether to ask.
    WhatAsksToo,
}

impl Live {
    const NOTHING: Self = Self { uid: None, object: None };
}

/// Whether the request is about one object that could be there already.
pub(super) fn names_an_object(understood: &Understood) -> bool {
    object_path(understood).is_some()
}

/// Reads the target of a request that names one object. A target that does not exist is refused as the cluster would.
pub(super) async fn target(gateway: &Gateway, understood: &Understood) -> Result<Live, Refusal> {
    match object_path(understood) {
        // Its labels or content were part of the verdict: they are again.
        _ if understood.info.verb.is_read() && observe::old_object(understood).is_some() => {
            object_of_read(gateway, understood).await
        }
        Some(path) => live(gateway, understood, &path, Sees::WhatIsGiven).await,
        None => Ok(Live::NOTHING),
    }
}

/// Reads the object that a read of one object is for, if the rules give it or ask for it.
pub(super) async fn object_of_read(gateway: &Gateway, understood: &Understood) -> Result<Live, Refusal> {
    match path_without_subresource(&understood.info) {
        Some(path) => live(gateway, understood, &path, Sees::WhatAsksToo).await,
        None => Ok(Live::NOTHING),
    }
}

async fn live(gateway: &Gateway, understood: &Understood, path: &str, sees: Sees) -> Result<Live, Refusal> {
    let (status, object) = read(gateway, understood, path, sees).await?;
    match status {
        StatusCode::OK => {
            let object: serde_json::Value =
                serde_json::from_slice(object.expose()).map_err(|_| Refusal::PreviewUnreadable)?;
            let uid = object.pointer("/metadata/uid").and_then(serde_json::Value::as_str).map(str::to_owned);
            uid.map(|uid| Live { uid: Some(uid), object: Some(object) }).ok_or(Refusal::PreviewUnreadable)
        }
        // An apply may create it: then there is nothing to pin, and a UID that appears later asks anew.
        StatusCode::NOT_FOUND if understood.info.verb == Verb::Patch => Ok(Live::NOTHING),
        StatusCode::NOT_FOUND => Err(Refusal::TargetNotFound {
            resource: understood.action.resource.clone(),
            group: understood.action.api_group.clone(),
            name: understood.action.name.clone().unwrap_or_default(),
        }),
        status => Err(Refusal::PreviewRefused { status: status.as_u16() }),
    }
}

/// The path of the object itself: a subresource's parent. `None` for collections and creates.
fn object_path(understood: &Understood) -> Option<String> {
    let info = &understood.info;
    info.name.as_ref()?;
    // A read changes nothing: there is nothing to pin and nothing to compare.
    if info.verb.is_read() {
        return None;
    }
    let subresource_create = info.verb == Verb::Create && info.subresource.is_some();
    if info.verb == Verb::Create && !subresource_create {
        return None;
    }
    path_without_subresource(info)
}

fn path_without_subresource(info: &RequestInfo) -> Option<String> {
    let path = info.path.as_str();
    match &info.subresource {
        None => Some(path.to_owned()),
        Some(subresource) => {
            let (object, _) = path.rsplit_once(&format!("/{subresource}"))?;
            Some(object.to_owned())
        }
    }
}

/// One read on behalf of `parent`, admitted and recorded like any other call.
async fn read(
    gateway: &Gateway,
    parent: &Understood,
    path: &str,
    sees: Sees,
) -> Result<(StatusCode, Secret<Vec<u8>>), Refusal> {
    let cluster = parent.upstream.cluster().name.as_str();
    let full = format!("/clusters/{cluster}{path}");
    let target = Target::parse(&full).map_err(Refusal::NotCanonical)?;
    let info = RequestInfo::of("GET", &target).map_err(Refusal::NotUnderstood)?;
    let options = Options::default();
    let action = super::classify::action(&info, &options, None);
    let facts = lockgate_policy::Facts {
        environment: parent.upstream.cluster().environment.as_str(),
        four_eyes: parent.upstream.cluster().four_eyes,
        now: Some(gateway.clock().now()),
        ..lockgate_policy::Facts::new(&options)
    };
    let policy = gateway.policy.load_full();
    let decision = policy.decide_observing(&parent.caller.subject, cluster, &action, &facts);
    let view = policy.view(&parent.caller.subject, cluster, &action, &facts, &decision);
    let view = match sees {
        Sees::WhatIsGiven => view,
        Sees::WhatAsksToo => view.map(View::with_what_asks),
    };
    let mut log = gateway.store.call(
        gateway.store.new_audit_id(),
        Arrival {
            origin: Origin::Preview,
            parent_id: Some(parent.log.audit_id()),
            subject: Some(parent.caller.subject.clone()),
            source: Source { ip: parent.peer, user_agent: "lockgate preview".into() },
            cluster: cluster.to_owned(),
            method: "GET".into(),
            request_uri: full,
            action: Some(action),
            options,
            request: RequestFacts::default(),
        },
    );
    let environment = parent.upstream.cluster().environment.clone();
    log.decided_by(&decision, DecidedBy { policy: policy.provenance().cloned(), shadow: None, environment });
    let permit = match admit(&decision, None) {
        Ok(permit) if decision.effect == Effect::Allow => permit,
        _ => {
            let why = decision.reasons.join("; ");
            let refused = log.refuse(403, "Forbidden", &why, None).await?;
            tracing::debug!(audit_id = %refused.audit_id(), "a preview is not allowed");
            return Err(Refusal::PreviewNotAllowed(why));
        }
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let request =
        CanonicalRequest { method: Method::GET, target: path.to_owned(), headers, body: RequestBody::empty() };
    let ticket = log.open(permit, request, parent.caller.subject.name()).await?;
    let identity = approve::identity(&parent.caller.subject);
    match parent.upstream.send(ticket, &identity, Flow::Bounded).await {
        Err((receipt, error)) => {
            receipt.abort(Outcome::Failed, error.to_string(), ResponseFacts::default()).await?;
            Err(Refusal::Upstream(cluster.to_owned(), error))
        }
        Ok(exchange) => {
            let status = exchange.response.status();
            let body = Limited::new(exchange.response.into_body(), OBJECT_BYTES_MAX).collect().await;
            let Ok(body) = body else {
                let reason = "the object could not be read whole".to_owned();
                exchange.receipt.abort(Outcome::Failed, reason, ResponseFacts::default()).await?;
                return Err(Refusal::PreviewUnreadable);
            };
            let bytes = body.to_bytes();
            let hides = |mut view: View| {
                let object: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
                !object.is_some_and(|object| sieve::shows(&mut view, &object, gateway.clock().as_ref()))
            };
            let hidden = status.is_success() && view.is_some_and(hides);
            // What the agent may not see is not there, for the agent.
            let status = if hidden { StatusCode::NOT_FOUND } else { status };
            let facts =
                ResponseFacts { status: status.as_u16(), bytes: bytes.len() as u64, masked: 0, hidden: hidden.into() };
            exchange.receipt.close(status.as_u16(), facts).await?;
            Ok((status, Secret::new(bytes.to_vec())))
        }
    }
}
