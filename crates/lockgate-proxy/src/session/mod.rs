//! Interactive sessions: exec, attach, port-forward. Upstream is opened first and its subprotocol mirrored; the
//! client sees 101 only once the recording exists. The recorder is in the path: a slow one makes a slow session, a
//! dead one ends it (invariant 10).

mod output;
mod recorder;
mod relay;
mod standing;

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use lockgate_auth::Authenticated;
use lockgate_core::{MaskProfile, Outcome, ResponseFacts, Session, Stream};
use lockgate_store::{Receipt, Recorder, StoreError};
use lockgate_wire::channel::{Offer, Protocol};

use self::output::Output;
use self::relay::{Ended, Relay};
use crate::answer::{AnswerBody, whole};
use crate::gateway::Gateway;
use crate::pipeline::{Handshake, Refusal, Stop, Way};
use crate::upstream::dial::BoxStream;
use crate::veil;

/// The cluster's side after its 101.
pub(crate) struct Switched {
    /// The head; its subprotocol is the agreed one.
    pub(crate) head: Response<()>,
    /// The bytes after it.
    pub(crate) stream: BoxStream,
}

/// The part of a client's WebSocket handshake that goes upstream. Offers that we cannot record are dropped; when
/// none is left the request is refused. No extension is offered, so frames arrive uncompressed.
pub(crate) fn handshake(client: &HeaderMap, stream: Stream) -> Result<(HeaderMap, Offer), Refusal> {
    let offered: Vec<&str> =
        client.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok()).collect();
    let offer = Protocol::negotiate(stream, &offered.join(",")).map_err(Refusal::Subprotocol)?;
    let mut upstream = HeaderMap::new();
    upstream.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    for name in [header::SEC_WEBSOCKET_KEY, header::SEC_WEBSOCKET_VERSION] {
        let value =
            client.get(&name).cloned().ok_or(Refusal::Ambiguous("a WebSocket handshake without key or version"))?;
        upstream.insert(name, value);
    }
    let value = HeaderValue::try_from(offer.header())
        .map_err(|_| Refusal::Ambiguous("a subprotocol that is no header value"))?;
    upstream.insert(header::SEC_WEBSOCKET_PROTOCOL, value);
    Ok((upstream, offer))
}

/// Begins the recording, answers 101 and relays in a task of its own.
pub(crate) async fn open(
    gateway: &Arc<Gateway>,
    way: Way,
    handshake: Handshake,
    switched: Switched,
    mut receipt: Receipt,
) -> Result<Response<AnswerBody>, Stop> {
    let Switched { head, stream } = switched;
    let agreed = head.headers().get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    let protocol = match handshake.offer.choose(agreed) {
        Ok(protocol) => protocol,
        Err(error) => return Err(Stop::failed(receipt, Refusal::UpstreamSubprotocol(error))),
    };
    let session = new_session(gateway, &way, protocol, &receipt);
    let id = session.id;
    let recorder = match gateway.store.record_session(session).await {
        Ok(recorder) => recorder,
        Err(error) => return Err(Stop::failed(receipt, Refusal::Recorder(error))),
    };
    if let Err(error) = receipt.upgraded(id).await {
        return Err(Stop::failed(receipt, Refusal::Recorder(error)));
    }
    gateway.metrics.session_opened();
    let output = masks(&way).then(|| Output::new(&veil::scan(gateway, &way.upstream.cluster().name)));
    let context = Arc::clone(gateway);
    gateway.tasks.spawn(async move {
        let audit_id = receipt.audit_id();
        let process = (protocol, way.caller, output);
        if let Err(error) = run(&context, handshake, stream, process, recorder, receipt).await {
            context.metrics.unrecorded();
            tracing::error!(%audit_id, %error, "the end of a session could not be recorded; the sweeper will close it");
        }
        context.metrics.session_closed();
    });
    Ok(switching(&head))
}

/// Whether what comes back is a process' output that has to be masked. The bytes of a forwarded port are nobody's text.
fn masks(way: &Way) -> bool {
    way.mask != MaskProfile::Off && matches!(way.action.stream, Stream::Exec | Stream::Attach)
}

fn new_session(gateway: &Gateway, way: &Way, protocol: Protocol, receipt: &Receipt) -> Session {
    let exec = way.options.exec.clone().unwrap_or_default();
    Session {
        id: gateway.store.new_session_id(),
        audit_id: receipt.audit_id(),
        subject: way.caller.subject.clone(),
        cluster: way.upstream.cluster().name.clone(),
        action: way.action.clone(),
        container: exec.container,
        argv: exec.argv,
        tty: exec.tty,
        stdin: exec.stdin,
        protocol: protocol.as_str().to_owned(),
        started_at: gateway.clock().now(),
        ended_at: None,
        end_reason: None,
        exit_code: None,
        channels: std::collections::BTreeMap::new(),
    }
}

/// Our 101, mirrored from upstream's.
fn switching(head: &Response<()>) -> Response<AnswerBody> {
    let mut response = Response::new(whole(bytes::Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let mirrored: [HeaderName; 3] = [header::UPGRADE, header::SEC_WEBSOCKET_ACCEPT, header::SEC_WEBSOCKET_PROTOCOL];
    for name in mirrored {
        if let Some(value) = head.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    response
}

async fn run(
    gateway: &Gateway,
    handshake: Handshake,
    upstream: BoxStream,
    (protocol, caller, output): (Protocol, Authenticated, Option<Output>),
    recorder: Recorder,
    receipt: Receipt,
) -> Result<(), StoreError> {
    let ended = match handshake.client.await {
        Ok(client) => Relay::new(gateway, protocol, recorder, caller, output).run(client, upstream).await,
        Err(_) => Ended::before_it_began(recorder),
    };
    let (bytes, masked) = (ended.bytes_to_client, ended.masked);
    let response = ResponseFacts { status: 101, bytes, masked, ..ResponseFacts::default() };
    let recorded = ended.seal().await;
    let (reason, recorded_whole) = match &recorded {
        Ok(reason) => (*reason, true),
        Err(_) => (relay::Reason::RecorderFailed, false),
    };
    let outcome = match reason {
        relay::Reason::Completed | relay::Reason::ClientClosed => None,
        relay::Reason::UpstreamLost => Some(Outcome::Unknown),
        relay::Reason::RecorderFailed
        | relay::Reason::Idle
        | relay::Reason::TooLong
        | relay::Reason::Shutdown
        | relay::Reason::Malformed
        | relay::Reason::Frozen
        | relay::Reason::TokenExpired => Some(Outcome::Aborted),
    };
    match outcome {
        None => receipt.close(101, response).await?,
        Some(outcome) => receipt.abort(outcome, reason.as_str().to_owned(), response).await?,
    }
    if recorded_whole { Ok(()) } else { recorded.map(|_| ()) }
}
