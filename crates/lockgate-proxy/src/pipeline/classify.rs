//! What would it do? One canonical reading of the request, used by every later stage (invariants 5 and 11).

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::{Bytes, BytesMut};
use http::Method;
use http::header::{self, HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use lockgate_core::limit::REQUEST_BODY_BYTES_MAX;
use lockgate_core::{Action, Options, RequestFacts, Risk, Stream, Verb};
use lockgate_policy::risk;
use lockgate_store::RequestBody;
use lockgate_wire::channel::{Offer, Upgrade};
use lockgate_wire::{RequestInfo, Target, body, options};

use super::preview::Observed;
use super::{Arrived, Handshake, Identified, Refusal, Stop, Transport, Understood, UnreadBody, unread};
use crate::gateway::Gateway;
use crate::session;
use crate::upstream::Upstream;

pub(super) async fn classify(gateway: &Gateway, identified: Identified) -> Result<Understood, Stop> {
    let Identified { mut log, arrived, target, caller } = identified;
    let Arrived { conn, method, headers, body: unread_body, upgrade, gone, .. } = arrived;
    let peer = conn.peer.ip();
    let known = by_its_head(gateway, &target, &method, &headers);
    let (upstream, info, wanted) = match known {
        Ok(known) => known,
        Err(refusal) => return Err(Stop::refuse(log, refusal)),
    };
    if let Some(refusal) = unread::refusal(gateway, &mut log, &caller, &upstream, (&info, &target, &headers)) {
        return Err(Stop::refuse(log, refusal));
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let read = async {
        let bytes = read_body(gateway, &headers, unread_body).await?;
        let object = match info.stream {
            Stream::Proxy => None,
            _ => body::decode(content_type, &bytes, &gateway.protobuf).map_err(Refusal::NotUnderstood)?,
        };
        Ok::<_, Refusal>((bytes, object))
    };
    let (bytes, object) = match read.await {
        Ok(read) => read,
        Err(refusal) => return Err(Stop::refuse(log, refusal)),
    };
    log.arrival().request = facts(&headers, &bytes, &info, object.as_ref());
    let options = options::effective(&info, &target, content_type, object.as_ref())
        .and_then(|options| body::check_write(&info, &options, object.as_ref()).map(|()| options));
    let options = match options {
        Ok(options) => options,
        Err(error) => return Err(Stop::refuse(log, Refusal::NotUnderstood(error))),
    };
    let action = action(&info, &options, object.as_ref());
    log.arrival().action = Some(action.clone());
    log.arrival().options = options.clone();
    let transport = match (wanted, upgrade) {
        (Some(Wanted::WebSocket(headers, offer)), Some(client)) => {
            Transport::WebSocket(Handshake { client, headers, offer })
        }
        (Some(Wanted::Spdy), _) => Transport::Spdy,
        (Some(Wanted::WebSocket(..)), None) | (None, _) => Transport::Plain,
    };
    let body = RequestBody::whole(bytes);
    Ok(Understood {
        log,
        caller,
        upstream,
        info,
        action,
        options,
        method,
        target,
        headers,
        body,
        object,
        observed: Observed::NotRead,
        may_create: false,
        reviewed: None,
        unreadable: None,
        restoring: None,
        unrestorable: None,
        view: None,
        review: None,
        beyond: false,
        transport,
        gone,
        peer,
    })
}

/// What is known before a byte of the body is read: the cluster, what is asked for, and how the answer is to flow.
fn by_its_head(
    gateway: &Gateway,
    target: &Target,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(Arc<Upstream>, RequestInfo, Option<Wanted>), Refusal> {
    let upstream = gateway
        .clusters
        .get(target.cluster())
        .ok_or_else(|| Refusal::UnknownCluster { name: target.cluster().to_owned() })?;
    refuse_ambiguous_headers(headers)?;
    let info = RequestInfo::of(method.as_str(), target).map_err(Refusal::NotUnderstood)?;
    let wanted = wanted_transport(headers, &info)?;
    Ok((Arc::clone(upstream), info, wanted))
}

/// Headers on which two parsers could disagree, and headers that ask for another identity or method.
fn refuse_ambiguous_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(header::CONTENT_LENGTH) && headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Refusal::Ambiguous("both Content-Length and Transfer-Encoding"));
    }
    if headers.get_all(header::HOST).iter().count() > 1 {
        return Err(Refusal::Ambiguous("more than one Host header"));
    }
    // It says what the body is: one reader takes the first, another the last, a third what it can make of the bytes.
    let mut content_types = headers.get_all(header::CONTENT_TYPE).iter();
    if content_types.next().is_some_and(|value| value.to_str().is_err()) || content_types.next().is_some() {
        return Err(Refusal::Ambiguous("a Content-Type that is not one line of ASCII"));
    }
    for name in headers.keys() {
        let name = name.as_str();
        if name.starts_with("impersonate-") {
            return Err(Refusal::Impersonation);
        }
        if name.starts_with("x-http-method") || name == "x-method-override" {
            return Err(Refusal::Ambiguous("a method override header"));
        }
    }
    Ok(())
}

/// Which protocol the client wants to switch to.
enum Wanted {
    WebSocket(HeaderMap, Offer),
    Spdy,
}

/// Only sessions may switch protocols, and only to one whose channels we can record.
fn wanted_transport(headers: &HeaderMap, info: &RequestInfo) -> Result<Option<Wanted>, Refusal> {
    let text = |name| headers.get_all(name).iter().filter_map(|value: &HeaderValue| value.to_str().ok());
    let mut upgrade = text(header::UPGRADE);
    let wanted = Upgrade::of(upgrade.next(), text(header::CONNECTION))
        .map_err(|_| Refusal::Ambiguous("an Upgrade to a protocol that is neither WebSocket nor SPDY/3.1"))?;
    if upgrade.next().is_some() {
        return Err(Refusal::Ambiguous("more than one Upgrade header"));
    }
    match wanted {
        Some(_) if !info.stream.is_session() => Err(Refusal::StreamOverWebSocket),
        Some(Upgrade::Spdy) => Ok(Some(Wanted::Spdy)),
        Some(Upgrade::WebSocket) => {
            session::handshake(headers, info.stream).map(|(headers, offer)| Some(Wanted::WebSocket(headers, offer)))
        }
        None => Ok(None),
    }
}

/// Reads the whole body within the API server's own limit, the global budget and a deadline.
async fn read_body(gateway: &Gateway, headers: &HeaderMap, mut unread: UnreadBody) -> Result<Bytes, Refusal> {
    let too_large = Refusal::BodyTooLarge { limit_bytes: REQUEST_BODY_BYTES_MAX };
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > REQUEST_BODY_BYTES_MAX) {
        return Err(too_large);
    }
    if http_body::Body::is_end_stream(&unread) {
        return Ok(Bytes::new());
    }
    let budget = u32::try_from(declared.unwrap_or(REQUEST_BODY_BYTES_MAX)).unwrap_or(u32::MAX);
    let _budget = gateway.body_budget.try_acquire_many(budget).map_err(|_| Refusal::Busy)?;
    let read = async {
        let mut whole = BytesMut::with_capacity(declared.unwrap_or(0));
        while let Some(frame) = unread.frame().await {
            let frame = frame.map_err(|_| Refusal::BodyBroken)?;
            if let Some(data) = frame.data_ref() {
                if whole.len().saturating_add(data.len()) > REQUEST_BODY_BYTES_MAX {
                    return Err(Refusal::BodyTooLarge { limit_bytes: REQUEST_BODY_BYTES_MAX });
                }
                whole.extend_from_slice(data);
            }
        }
        Ok(whole.freeze())
    };
    let limit = gateway.limits.body_read_max;
    tokio::time::timeout(limit, read).await.unwrap_or(Err(Refusal::BodyTimeout { limit }))
}

fn facts(headers: &HeaderMap, bytes: &Bytes, info: &RequestInfo, object: Option<&serde_json::Value>) -> RequestFacts {
    let payload = object.cloned().map(|mut payload| {
        lockgate_wire::payload::mask_request_payload(info, &mut payload);
        payload
    });
    RequestFacts {
        bytes: bytes.len() as u64,
        sha256: hex(digest(&SHA256, bytes).as_ref()),
        content_type: headers
            .get(header::CONTENT_TYPE)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        payload,
        restored: 0,
    }
}

/// The action in the audit record's words, with its risk class.
pub(crate) fn action(info: &RequestInfo, options: &Options, object: Option<&serde_json::Value>) -> Action {
    let mut action = info.action(Risk::Escalation);
    action.name = action.name.or_else(|| created_name(info, object));
    action.risk = risk::classify(&risk::Request::of(&action, options, object));
    action
}

/// A create names its object in the body. An empty name is none: the API server makes one of `generateName`.
fn created_name(info: &RequestInfo, object: Option<&serde_json::Value>) -> Option<String> {
    let name = (info.verb == Verb::Create).then(|| object?.pointer("/metadata/name")?.as_str()).flatten();
    name.filter(|name| !name.is_empty()).map(str::to_owned)
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut text, byte| {
        if write!(text, "{byte:02x}").is_err() {
            unreachable!("writing to a String cannot fail");
        }
        text
    })
}
