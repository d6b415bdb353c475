//! Child calls: reads that Lockgate makes for a held request, as the agent, with a record of their own. They may be
//! refused but never ask, and their raw answers are secret.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use lockgate_core::{
    Arrival, DecidedBy, Effect, MaskProfile, Options, Origin, Outcome, RequestFacts, ResponseFacts, Secret, Source,
    Verb,
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
    /// The object as it was read.
    pub(super) read: Option<Read>,
}

/// An object as it was read, and how the agent would see it.
pub(super) struct Read {
    pub(super) bytes: Secret<Vec<u8>>,
    pub(super) mask: MaskProfile,
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
    const NOTHING: Self = Self { uid: None, object: None, read: None };
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
        Some(path) => live(gateway, understood, &path, sees(&understood.info)).await,
        None => Ok(Live::NOTHING),
    }
}

/// Reads the object that a read of one object is for, or of a part of it, if the rules give it or ask for it.
pub(super) async fn object_of_read(gateway: &Gateway, understood: &Understood) -> Result<Live, Refusal> {
    match path_of_object(&understood.info) {
        Some(path) => live(gateway, understood, &path, Sees::WhatAsksToo).await,
        None => Ok(Live::NOTHING),
    }
}

async fn live(gateway: &Gateway, understood: &Understood, path: &str, sees: Sees) -> Result<Live, Refusal> {
    let (status, read) = read(gateway, understood, path, sees).await?;
    match status {
        StatusCode::OK => {
            let object: serde_json::Value =
                serde_json::from_slice(read.bytes.expose()).map_err(|_| Refusal::PreviewUnreadable)?;
            let uid = object.pointer("/metadata/uid").and_then(serde_json::Value::as_str).map(str::to_owned);
            let live = |uid| Live { uid: Some(uid), object: Some(object), read: Some(read) };
            uid.map(live).ok_or(Refusal::PreviewUnreadable)
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
    path_of_object(info)
}

/// The path of the object itself, whatever part of it the request is about; what stands behind `proxy` is no part of it.
fn path_of_object(info: &RequestInfo) -> Option<String> {
    info.name.as_ref()?;
    let root = if info.api_group.is_empty() { 2 } else { 3 };
    let is_namespaces = info.api_group.is_empty() && info.resource == "namespaces";
    let place = if info.namespace.is_some() && !is_namespaces { 2 } else { 0 };
    let segments: Vec<&str> = info.path.split('/').collect();
    // The empty text before the first slash; resource and name.
    segments.get(..1 + root + place + 2).map(|segments| segments.join("/"))
}

/// What is looked at for the verdict alone may be what the rules ask for. What changes an object shows the caller what it
/// changes, in the ticket's words: only what is given.
const fn sees(info: &RequestInfo) -> Sees {
    if info.verb.is_read() || info.stream.is_session() { Sees::WhatAsksToo } else { Sees::WhatIsGiven }
}

/// The object that a request of this kind would be about, for who asks on behalf of `parent` what would become of it; `None`:
/// there is none that the caller may see.
pub(super) async fn object_asked_about(
    gateway: &Gateway,
    parent: &Understood,
    info: &RequestInfo,
) -> Result<Option<serde_json::Value>, Refusal> {
    let Some(path) = path_of_object(info) else { return Ok(None) };
    let (status, object) = read(gateway, parent, &path, sees(info)).await?;
    match status {
        StatusCode::OK => {
            serde_json::from_slice(object.bytes.expose()).map(Some).map_err(|_| Refusal::PreviewUnreadable)
        }
        StatusCode::NOT_FOUND => Ok(None),
        status => Err(Refusal::PreviewRefused { status: status.as_u16() }),
    }
}

/// Another object of the kind that a create is about, if it is there and the caller may see it.
pub(super) async fn beside(gateway: &Gateway, parent: &Understood, name: &str) -> Result<Option<Read>, Refusal> {
    let path = format!("{}/{name}", parent.info.path);
    let (status, read) = read(gateway, parent, &path, Sees::WhatIsGiven).await?;
    match status {
        StatusCode::OK => Ok(Some(read)),
        StatusCode::NOT_FOUND => Ok(None),
        status => Err(Refusal::PreviewRefused { status: status.as_u16() }),
    }
}

/// The version of an API group that its cluster prefers.
pub(super) async fn preferred_version(
    gateway: &Gateway,
    parent: &Understood,
    group: &str,
) -> Result<Option<String>, Refusal> {
    let (status, answer) = read(gateway, parent, &format!("/apis/{group}"), Sees::WhatIsGiven).await?;
    let answer: Option<serde_json::Value> =
        serde_json::from_slice(answer.bytes.expose()).ok().filter(|_| status.is_success());
    let version = answer.as_ref().and_then(|answer| answer.pointer("/preferredVersion/version")?.as_str());
    let is_plain = |version: &&str| !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_alphanumeric());
    Ok(version.filter(is_plain).map(str::to_owned))
}

/// One read on behalf of `parent`, admitted and recorded like any other call.
async fn read(gateway: &Gateway, parent: &Understood, path: &str, sees: Sees) -> Result<(StatusCode, Read), Refusal> {
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
    log.decided_by(&decision, DecidedBy { policy: policy.provenance().cloned(), environment, ..DecidedBy::default() });
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
            let facts = ResponseFacts {
                status: status.as_u16(),
                bytes: bytes.len() as u64,
                hidden: hidden.into(),
                ..ResponseFacts::default()
            };
            exchange.receipt.close(status.as_u16(), facts).await?;
            Ok((status, Read { bytes: Secret::new(bytes.to_vec()), mask: decision.obligations.mask }))
        }
    }
}
