//! Every way in which Lockgate itself answers, each mapped to its `Status` in one exhaustive match, and the rule that
//! the answer leaves only after its record is durable.

use std::time::Duration;

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use lockgate_auth::{AuthError, Blame};
use lockgate_core::{
    Approval, ApprovalId, ApprovalState, Arrival, BlastLimit, Decision, Freeze, Outcome, RateLimit, ResponseFacts,
};
use lockgate_store::{CallLog, DecideError, Receipt, Refused, StoreError};
use lockgate_wire::WireError;
use lockgate_wire::channel::NegotiateError;
use lockgate_wire::mask::restore::Field;
use lockgate_wire::status::{
    Reason, Status,
    refusal::{self as status, Sent},
};

use super::{Unseen, limits};
use crate::answer::{AnswerBody, whole};
use crate::gateway::Gateway;
use crate::upstream::SendError;

/// Why Lockgate answers instead of the cluster.
#[derive(Debug)]
pub enum Refusal {
    /// No valid token.
    Unauthenticated(AuthError),
    /// The path or query has more than one reading.
    NotCanonical(WireError),
    /// Method, path, options, content type or body have no meaning here.
    NotUnderstood(WireError),
    /// Headers on which two parsers could disagree.
    Ambiguous(&'static str),
    /// The client asks to be somebody else.
    Impersonation,
    /// The path names no cluster of ours.
    UnknownCluster {
        /// The name in the path.
        name: String,
    },
    /// Watches and logs over WebSocket are not served.
    StreamOverWebSocket,
    /// No offered subprotocol can be recorded.
    Subprotocol(NegotiateError),
    /// The body exceeds the limit.
    BodyTooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The body did not arrive in time.
    BodyTimeout {
        /// The limit.
        limit: Duration,
    },
    /// The body broke off.
    BodyBroken,
    /// All bodies together exceed the budget.
    Busy,
    /// The policy says no.
    Denied(Box<Decision>, String, String),
    /// Waits for a human.
    Pending(Box<Approval>),
    /// A human said no.
    DeniedByHuman(Box<Approval>),
    /// A human said no to something with the same effect a while ago.
    DeniedBefore(Box<Approval>),
    /// Every change by this agent is stopped.
    Frozen(Box<Freeze>),
    /// Too fast.
    RateLimited {
        /// The rule with the limit; `None` for the gateway's own.
        rule: Option<String>,
        /// The limit.
        rate: RateLimit,
        /// Until there is room again.
        wait: Duration,
    },
    /// More is removed than the rule lets go.
    RemovesTooMuch {
        /// The rule.
        rule: String,
        /// The rule's limit.
        limit: BlastLimit,
        /// How many are gone in its window; `None`: the request has no number.
        removed: Option<u32>,
    },
    /// Expired, withdrawn, used elsewhere, or of unknown outcome.
    NotUsable(Box<Approval>),
    /// What stands at the target is not what was reviewed.
    TargetChanged(Box<Approval>),
    /// The token ended while the request was held.
    TokenExpiredMeanwhile,
    /// The target does not exist.
    TargetNotFound {
        /// Resource in the plural.
        resource: String,
        /// API group.
        group: String,
        /// Name.
        name: String,
    },
    /// The target exists, and its labels or content are not such that the caller may see it; or it does not exist, in answer
    /// to a caller who must not learn the difference.
    NotShown {
        /// Resource in the plural.
        resource: String,
        /// API group.
        group: String,
        /// Name.
        name: String,
        /// Whether it exists; for the record.
        exists: bool,
    },
    /// The write holds placeholders for which there is no value.
    Placeholders(Vec<Field>),
    /// It would tell what a masked field holds.
    AsksMasked {
        /// What would.
        operation: &'static str,
        /// The field, as the request names it.
        path: String,
    },
    /// The object was modified after its masked form was shown.
    ModifiedSinceShown {
        /// Resource in the plural.
        resource: String,
        /// API group.
        group: String,
        /// Name.
        name: String,
    },
    /// The live object, whose masked values the write leaves as they are, cannot be read.
    NotRestorable(String),
    /// The agent may not read what it wants to change, so nobody can review it.
    PreviewNotAllowed(String),
    /// The cluster refused the read.
    PreviewRefused {
        /// Its status.
        status: u16,
    },
    /// The cluster's answer to the read makes no sense.
    PreviewUnreadable,
    /// Labels decide, and the object that has them could not be read.
    Unseen {
        /// The rule that looks at them.
        rule: String,
        /// The request in words.
        summary: String,
        /// Where.
        cluster: String,
        /// Why not.
        unseen: Unseen,
    },
    /// Allowed, but SPDY cannot be recorded yet.
    WebSocketRequired(String),
    /// The client went away during the hold.
    ClientGone,
    /// The store failed.
    Store(StoreError),
    /// The recorder failed.
    Recorder(StoreError),
    /// The cluster cannot be reached for a preview.
    Upstream(String, SendError),
    /// The cluster does not accept Lockgate's own credential. Never passed on: the client's token is not at fault.
    UpstreamCredential(String),
    /// The cluster answered in a form that cannot be masked.
    UpstreamAnswer(WireError),
    /// The cluster answered in an encoding that was not asked for.
    UpstreamEncoding,
    /// The cluster redirects; redirects are never followed nor passed on.
    UpstreamRedirect {
        /// Its status.
        status: u16,
    },
    /// The cluster agreed to a subprotocol that was not offered.
    UpstreamSubprotocol(NegotiateError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<DecideError> for Refusal {
    fn from(error: DecideError) -> Self {
        match error {
            DecideError::Store(error) => Self::Store(error),
            other => Self::PreviewNotAllowed(other.to_string()),
        }
    }
}

impl Refusal {
    /// How many objects it keeps from the caller.
    const fn hidden(&self) -> u64 {
        matches!(self, Self::NotShown { exists: true, .. }) as u64
    }

    /// The ticket that the answer names.
    const fn approval(&self) -> Option<ApprovalId> {
        match self {
            Self::Pending(approval)
            | Self::DeniedByHuman(approval)
            | Self::DeniedBefore(approval)
            | Self::NotUsable(approval)
            | Self::TargetChanged(approval) => Some(approval.id),
            _ => None,
        }
    }

    /// What the client would be told.
    pub(super) fn message(&self, summary: &str) -> String {
        self.status(summary).message().to_owned()
    }

    /// The `Status` for the client about the request that `summary` says in words. What is said here is for the agent;
    /// causes stay in the gateway's own log.
    fn status(&self, summary: &str) -> Status {
        match self {
            Self::Unauthenticated(error) => match error.blame() {
                Blame::Caller => status::unauthenticated(&error.to_string()),
                Blame::Issuer => status::issuer_unavailable(&error.to_string()),
            },
            Self::NotCanonical(error) | Self::NotUnderstood(error) | Self::UpstreamAnswer(error) => error.status(),
            Self::Ambiguous(what) => status::ambiguous(what),
            Self::Impersonation => status::impersonation(),
            Self::UnknownCluster { name } => status::unknown_cluster(name),
            Self::StreamOverWebSocket => status::stream_over_websocket(),
            Self::Subprotocol(error) => status::subprotocol(&error.to_string()),
            Self::BodyTooLarge { limit_bytes } => status::body_too_large(*limit_bytes),
            Self::BodyTimeout { limit } => status::body_timeout(*limit),
            Self::BodyBroken => status::body_broken(),
            Self::Busy => status::overloaded("the request bodies being read together exceed the gateway's budget"),
            Self::Denied(decision, summary, cluster) => {
                status::denied_by_policy(summary, cluster, decision.rule.as_deref(), decision.message.as_deref())
            }
            Self::Pending(approval) => {
                status::approval_required(approval.id, &approval.summary, &approval.cluster, approval.expires_at)
            }
            Self::DeniedByHuman(approval) => {
                status::denied_by_human(approval.id, &approval.summary, denier(approval), approval.note.as_deref())
            }
            Self::DeniedBefore(approval) => {
                let (by, note) = (denier(approval), approval.note.as_deref());
                let denied = status::Denied { summary: &approval.summary, by, until: approval.expires_at, note };
                status::denied_before(approval.id, summary, &denied)
            }
            Self::Frozen(freeze) => {
                status::frozen(freeze.id, summary, &limits::why_frozen(freeze), freeze.at, &limits::key(freeze))
            }
            Self::RateLimited { rule, rate, wait } => {
                status::rate_limited(rule.as_deref(), rate.requests, Duration::from_secs(rate.per_seconds), *wait)
            }
            Self::RemovesTooMuch { rule, limit, removed } => {
                let window = Duration::from_secs(limit.per_seconds);
                status::removes_too_much(summary, rule, *removed, limit.deletes, window)
            }
            Self::NotUsable(approval) => not_usable(approval),
            Self::TargetChanged(approval) => status::changed_since_review(approval.id, &approval.summary),
            Self::TokenExpiredMeanwhile => status::unauthenticated("the token expired while the request was held"),
            Self::TargetNotFound { resource, group, name } => status::target_not_found(resource, group, name),
            Self::NotShown { resource, group, name, .. } => status::target_not_found(resource, group, name),
            Self::Placeholders(fields) => status::placeholders(fields),
            Self::AsksMasked { operation, path } => status::asks_masked(summary, operation, path),
            Self::ModifiedSinceShown { resource, group, name } => status::modified_since_shown(resource, group, name),
            Self::NotRestorable(why) => status::not_restorable(summary, why),
            Self::PreviewNotAllowed(why) => status::preview_not_allowed(summary, why),
            Self::PreviewRefused { status } => status::preview_refused(summary, *status),
            Self::PreviewUnreadable => status::preview_unreadable(summary),
            Self::Unseen { rule, summary, cluster, unseen } => {
                status::labels_unknown(summary, cluster, rule, &unseen.why, &unseen.next)
            }
            Self::WebSocketRequired(summary) => status::websocket_required(summary),
            Self::ClientGone => status::client_gone(),
            Self::Store(error) => store(error, summary),
            Self::Recorder(_) => status::recorder_unavailable(),
            Self::Upstream(cluster, error) => unanswered(cluster, error),
            Self::UpstreamCredential(cluster) => status::upstream_credential(cluster),
            Self::UpstreamEncoding => {
                status::answer_withheld("it is compressed although it was asked not to be, and cannot be masked")
            }
            Self::UpstreamRedirect { status } => status::answer_withheld(&format!(
                "it redirects (HTTP {status}), and Lockgate follows none and passes none on"
            )),
            Self::UpstreamSubprotocol(error) => status::answer_withheld(&error.to_string()),
        }
    }
}

fn denier(approval: &Approval) -> &str {
    approval.decided_by.last().map_or("a human", |decider| decider.subject.id.as_str())
}

fn not_usable(approval: &Approval) -> Status {
    match approval.state {
        ApprovalState::Cancelled => status::approval_cancelled(approval.id, &approval.summary),
        ApprovalState::Indeterminate | ApprovalState::Consumed => {
            status::approval_indeterminate(approval.id, &approval.summary)
        }
        ApprovalState::Pending | ApprovalState::Approved | ApprovalState::Denied | ApprovalState::Expired => {
            status::approval_expired(approval.id, &approval.summary)
        }
    }
}

/// The store's limits on asking are for the agent; everything else is a fault of ours.
fn store(error: &StoreError, summary: &str) -> Status {
    match error {
        StoreError::TooManyPending { pending_max } => status::too_many_pending(summary, *pending_max),
        StoreError::TooManyAsked { asked_max } => status::too_many_asked(summary, *asked_max),
        _ => status::audit_unavailable(),
    }
}

/// 502 or 504, and whether it may have happened.
fn unanswered(cluster: &str, error: &SendError) -> Status {
    match error {
        SendError::Timeout { .. } => status::upstream_timeout(cluster),
        SendError::TooManyConnections { limit } => {
            status::overloaded(&format!("{limit} connections to cluster {cluster} are open, the limit"))
        }
        SendError::Broken(_) => status::upstream_unreachable(cluster, Sent::Perhaps),
        SendError::Dial(_)
        | SendError::Handshake(_)
        | SendError::Credential(_)
        | SendError::Identity(_)
        | SendError::Target(_) => status::upstream_unreachable(cluster, Sent::No),
    }
}

/// A request that ends before its answer: what to say, and what it takes to write it down first.
pub enum Stop {
    /// Nothing went upstream.
    Refuse(Box<CallLog>, Box<Refusal>),
    /// Something went upstream, and its answer does not reach the client.
    Fail(Box<Receipt>, Box<Refusal>, Outcome),
    /// The record could not be made durable: the one case that leaves no record, and says so.
    Unrecorded(StoreError),
}

impl Stop {
    pub(super) fn refuse(log: CallLog, refusal: Refusal) -> Self {
        Self::Refuse(Box::new(log), Box::new(refusal))
    }

    /// The cluster answered, and the answer is withheld.
    pub(crate) fn failed(receipt: Receipt, refusal: Refusal) -> Self {
        Self::Fail(Box::new(receipt), Box::new(refusal), Outcome::Aborted)
    }

    /// The cluster did not answer.
    pub(super) fn unanswered(receipt: Receipt, cluster: &str, error: SendError) -> Self {
        let outcome = if error.may_have_taken_effect() { Outcome::Unknown } else { Outcome::Failed };
        Self::Fail(Box::new(receipt), Box::new(Refusal::Upstream(cluster.to_owned(), error)), outcome)
    }

    /// Writes down, then answers.
    pub(super) async fn answer(self, gateway: &Gateway) -> Response<AnswerBody> {
        match self {
            Self::Refuse(mut log, refusal) => {
                let status = refusal.status(&summary(&mut log)).with_audit_id(log.audit_id());
                let status = if is_hidden(log.arrival(), &status) { status.with_warning() } else { status };
                tracing::debug!(audit_id = %log.audit_id(), ?refusal, "refused");
                let recorded = match *refusal {
                    Refusal::ClientGone => return abandoned(gateway, *log, &status).await,
                    _ => {
                        let reason = status.reason().as_str();
                        log.refuse(status.code(), reason, status.message(), refusal.approval()).await
                    }
                };
                match recorded {
                    Ok(proof) => refused(gateway, &status, &proof),
                    Err(error) => unrecorded(gateway, &error),
                }
            }
            Self::Fail(receipt, refusal, outcome) => {
                let status = refusal.status("this request").with_audit_id(receipt.audit_id());
                tracing::warn!(audit_id = %receipt.audit_id(), ?refusal, "an admitted request got no answer");
                let response =
                    ResponseFacts { status: status.code(), hidden: refusal.hidden(), ..ResponseFacts::default() };
                match receipt.abort(outcome, status.message().to_owned(), response).await {
                    Ok(()) => respond(gateway, &status),
                    Err(error) => unrecorded(gateway, &error),
                }
            }
            Self::Unrecorded(error) => unrecorded(gateway, &error),
        }
    }
}

/// The request in words, as far as it is understood.
fn summary(log: &mut CallLog) -> String {
    let arrival = log.arrival();
    match &arrival.action {
        Some(action) => super::summary::in_words(action, &arrival.options),
        None => "this request".to_owned(),
    }
}

/// Whether kubectl would not show the message: it goes on after a refused discovery and later says something of its own,
/// and it has its own words for 401. A `Warning` header it prints in any case.
fn is_hidden(arrival: &Arrival, status: &Status) -> bool {
    let path = arrival.request_uri.split('?').next().unwrap_or_default();
    let mut segments = path.split('/').filter(|segment| !segment.is_empty()).peekable();
    if segments.next_if_eq(&"clusters").is_some() {
        segments.next();
    }
    let discovery = matches!(
        (segments.next(), segments.count()),
        (Some("api"), 0..=1) | (Some("apis"), 0..=2) | (Some("version"), 0) | (Some("openapi"), _)
    );
    discovery || status.code() == 401
}

/// The answer to a refusal needs the proof that the refusal is durable.
fn refused(gateway: &Gateway, status: &Status, _durable: &Refused) -> Response<AnswerBody> {
    respond(gateway, status)
}

/// Nobody reads the answer; the record says so.
async fn abandoned(gateway: &Gateway, log: CallLog, status: &Status) -> Response<AnswerBody> {
    match log.abandon(status.message()).await {
        Ok(()) => respond(gateway, status),
        Err(error) => unrecorded(gateway, &error),
    }
}

/// The store is down: nothing went upstream, and no record could be made. It fails closed, and loudly.
fn unrecorded(gateway: &Gateway, error: &StoreError) -> Response<AnswerBody> {
    gateway.metrics.unrecorded();
    tracing::error!(%error, "the audit log cannot be written: requests are refused");
    respond(gateway, &status::audit_unavailable())
}

fn respond(gateway: &Gateway, status: &Status) -> Response<AnswerBody> {
    gateway.metrics.refused(status.reason().as_str());
    render(status)
}

fn render(status: &Status) -> Response<AnswerBody> {
    let mut response = Response::new(whole(status.to_json()));
    *response.status_mut() = StatusCode::from_u16(status.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    if let Some(warning) = status.warning().and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(header::WARNING, warning);
    }
    if let Some(seconds) = status.retry_after_seconds() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The pipeline's task ended without an answer: a bug, and an honest 500.
pub(super) fn crashed() -> Response<AnswerBody> {
    render(&Status::failure(500, Reason::InternalError, "the gateway failed on this request; its log has the cause"))
}
