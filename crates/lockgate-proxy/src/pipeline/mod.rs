//! The life of a request, on one page. Each stage takes what the one before it made, by value, and may stop the
//! request; a stop carries what is needed to record it, so that no answer leaves before its record is durable.

mod approve;
mod authenticate;
mod classify;
mod decide;
mod finish;
mod forward;
mod limits;
mod mask;
mod observe;
mod preview;
mod record;
mod restore;
mod review;
mod shadow;
mod stop;
mod summary;
mod unread;
mod unseen;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Method, Response};
use http_body_util::combinators::UnsyncBoxBody;
use lockgate_auth::Authenticated;
use lockgate_core::{Action, Arrival, Decision, MaskProfile, Options, Origin, RequestFacts, Source};
use lockgate_policy::View;
use lockgate_store::{CallLog, CanonicalRequest, Permit, Receipt, RequestBody, Ticket};
use lockgate_wire::channel::Offer;
use lockgate_wire::{RequestInfo, Target, WireError};
use tokio_util::sync::CancellationToken;

use crate::answer::{AnswerBody, Ending};
use crate::gateway::Gateway;
use crate::listener::Malformed;
use crate::upstream::dial::BoxStream;
use crate::upstream::headers::Identity;
use crate::upstream::{Exchange, Flow, Upstream};

pub(crate) use self::classify::action;
pub use self::stop::{Refusal, Stop};
pub use self::unseen::Unseen;

/// One client connection, as far as a request may know it.
#[derive(Debug, Clone)]
pub struct Conn {
    /// The socket's peer.
    pub peer: SocketAddr,
}

/// A request's body before anyone read it. Never `hyper::Incoming`: an MCP call or a replay has a body too.
pub type UnreadBody = UnsyncBoxBody<Bytes, io::Error>;

/// The client's side of a switched connection: a socket, or a duplex in memory. Resolves once 101 was sent.
pub type ClientUpgrade = Pin<Box<dyn Future<Output = io::Result<BoxStream>> + Send + Sync>>;

/// A request at the door.
pub struct Arrived {
    /// Which door.
    pub origin: Origin,
    /// Over which connection.
    pub conn: Arc<Conn>,
    /// The HTTP method.
    pub method: Method,
    /// Path and query, as received.
    pub request_target: String,
    /// All headers, as received.
    pub headers: HeaderMap,
    /// The body.
    pub body: UnreadBody,
    /// Where the bytes come from after a 101.
    pub upgrade: Option<ClientUpgrade>,
    /// Cancelled when the client goes away.
    pub gone: CancellationToken,
}

/// A request at the door, with its record begun.
struct Begun {
    log: CallLog,
    arrived: Arrived,
    target: Result<Target, WireError>,
}

/// Who is calling is known.
struct Identified {
    log: CallLog,
    arrived: Arrived,
    target: Target,
    caller: Authenticated,
}

/// What it would do is known.
struct Understood {
    log: CallLog,
    caller: Authenticated,
    upstream: Arc<Upstream>,
    info: RequestInfo,
    action: Action,
    options: Options,
    method: Method,
    target: Target,
    headers: HeaderMap,
    body: RequestBody,
    /// The body as the API server would read it.
    object: Option<serde_json::Value>,
    /// What stands at the target, where it was read.
    observed: preview::Observed,
    /// Nothing is known to stand at the target of an apply or a PUT, which would create it then.
    may_create: bool,
    /// What stands in the fields that the request changes: what a reviewer sees as "before".
    reviewed: Option<serde_json::Value>,
    /// Why the target could not be read, where the verdict depends on it.
    unreadable: Option<String>,
    /// What the cluster gets in the place of placeholders that the client sent.
    restoring: Option<restore::Restoring>,
    /// Why it cannot be sent, though the policy may allow it: it holds placeholders without a value, or asks what is masked.
    unrestorable: Option<Refusal>,
    /// What of the answer the caller may see, where it is not all.
    view: Option<View>,
    /// What Lockgate has to say to what it asks, where it is a self review.
    review: Option<review::Review>,
    /// More than the rule lets this agent remove by itself: for people, mass loss.
    beyond: bool,
    transport: Transport,
    gone: CancellationToken,
    peer: std::net::IpAddr,
}

/// How the client wants to talk after the head.
enum Transport {
    /// Request and answer.
    Plain,
    /// Switch to WebSocket.
    WebSocket(Handshake),
    /// Switch to SPDY: gets the same ticket as its WebSocket twin, and is told to use WebSocket.
    Spdy,
}

/// The client's half of a WebSocket handshake.
pub(crate) struct Handshake {
    /// Where its bytes come from after our 101.
    pub(crate) client: ClientUpgrade,
    /// What goes upstream: key, version and the subprotocols that carry no credential.
    pub(crate) headers: HeaderMap,
    /// Those subprotocols.
    pub(crate) offer: Offer,
}

/// The policy has spoken.
struct Decided {
    understood: Understood,
    decision: Decision,
}

/// It may go through, exactly like this.
struct Permitted {
    log: CallLog,
    permit: Permit,
    request: CanonicalRequest,
    way: Way,
}

/// Where an admitted request goes and how its answer comes back.
pub(crate) struct Way {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) identity: Identity,
    pub(crate) user: String,
    pub(crate) flow: Flow,
    pub(crate) info: RequestInfo,
    pub(crate) mask: MaskProfile,
    /// What the rule that allows says to the caller.
    pub(crate) message: Option<String>,
    pub(crate) view: Option<View>,
    pub(crate) review: Option<review::Review>,
    pub(crate) caller: Authenticated,
    pub(crate) action: Action,
    pub(crate) options: Options,
    pub(crate) handshake: Option<Handshake>,
}

/// Its record is durable.
struct Recorded {
    ticket: Ticket,
    way: Way,
}

/// The cluster has answered.
enum Forwarded {
    /// With an answer whose body may still be flowing.
    Answer(Box<Exchange>, Box<Way>),
    /// By switching protocols; the session is recorded and running.
    Session(Response<AnswerBody>),
}

/// Nothing owed stands between the answer and the client.
enum Masked {
    Answer { response: Response<AnswerBody>, receipt: Receipt, ending: Ending, upstream_status: u16 },
    Session(Response<AnswerBody>),
}

/// Takes a request from the door to the answer. Run it in a task of its own: a leaving client must not cancel it
/// between a durable record and the call that the record speaks of.
pub async fn serve(gateway: &Arc<Gateway>, arrived: Arrived) -> Response<AnswerBody> {
    match pipeline(gateway, begin(gateway, arrived)).await {
        Ok(response) => response,
        Err(stop) => stop.answer(gateway).await,
    }
}

/// Answers a head of which no request could be made. Nobody is known to have asked; it is recorded all the same.
pub(crate) async fn refuse_malformed(gateway: &Gateway, conn: &Conn, malformed: Malformed) -> Response<AnswerBody> {
    let Malformed { error, method, target } = malformed;
    let source = Source { ip: conn.peer.ip(), user_agent: String::new() };
    let log = gateway.store.call(gateway.store.new_audit_id(), arrival(Origin::Http, source, method, target));
    Stop::refuse(log, Refusal::NotCanonical(error)).answer(gateway).await
}

/// What to answer when the pipeline's task ended without an answer.
pub(crate) fn crashed() -> Response<AnswerBody> {
    stop::crashed()
}

async fn pipeline(gateway: &Arc<Gateway>, begun: Begun) -> Result<Response<AnswerBody>, Stop> {
    let identified = authenticate::authenticate(gateway, begun).await?; // 401
    let understood = classify::classify(gateway, identified).await?; // 400, 404, 413, 415
    let understood = restore::restore(gateway, understood).await?; // reads the target, where it holds placeholders
    let understood = observe::observe(gateway, understood).await?; // reads the target, where the verdict depends on it
    let decided = decide::decide(gateway, understood); // pure, microseconds
    let decided = limits::limit(gateway, decided).await?; // 403 for who is frozen or was denied the same; 429
    let decided = review::foresee(gateway, decided).await?; // what a self review will be told
    let permitted = approve::approve(gateway, decided).await?; // 403, 409, 422; or waits; or 403 with the ticket
    let recorded = record::record(gateway, permitted).await?; // durable before one byte goes upstream; else 503
    let forwarded = forward::forward(gateway, recorded).await?; // 502, 504
    let masked = mask::mask(gateway, forwarded).await?; // 502; a fault later aborts the stream
    Ok(finish::finish(gateway, masked))
}

/// Gives the call its id and begins its record in memory.
fn begin(gateway: &Gateway, arrived: Arrived) -> Begun {
    let target = Target::parse(&arrived.request_target);
    let user_agent = arrived.headers.get(http::header::USER_AGENT).map(|value| value.as_bytes());
    let source = Source {
        ip: arrived.conn.peer.ip(),
        user_agent: user_agent
            .map(|text| String::from_utf8_lossy(text).chars().take(512).collect())
            .unwrap_or_default(),
    };
    let mut arrival = arrival(arrived.origin, source, arrived.method.to_string(), arrived.request_target.clone());
    arrival.cluster = target.as_ref().map(|target| target.cluster().to_owned()).unwrap_or_default();
    let log = gateway.store.call(gateway.store.new_audit_id(), arrival);
    Begun { log, arrived, target }
}

/// A request of which nothing is understood yet.
fn arrival(origin: Origin, source: Source, method: String, request_uri: String) -> Arrival {
    Arrival {
        origin,
        parent_id: None,
        subject: None,
        source,
        cluster: String::new(),
        method,
        request_uri,
        action: None,
        options: Options::default(),
        request: RequestFacts::default(),
    }
}
