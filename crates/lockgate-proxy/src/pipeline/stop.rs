//! Every way in which Lockgate itself answers, each mapped to its `Status` in one exhaustive match, and the rule that
//! the answer leaves only after its record is durable.

use std::time::Duration;

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use lockgate_auth::{AuthError, Blame};
use lockgate_core::{Approval, ApprovalId, ApprovalState, Decision, Outcome, ResponseFacts};
use lockgate_store::{CallLog, DecideError, Receipt, Refused, StoreError};
use lockgate_wire::WireError;
use lockgate_wire::channel::NegotiateError;
use lockgate_wire::status::{
    Reason, Status,
    refusal::{self as status, Sent},
};

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
    /// The agent may not read what it wants to change, so nobody can review it.
    PreviewNotAllowed(String),
    /// The cluster refused the read.
    PreviewRefused {
        /// Its status.
        status: u16,
    },
    /// The cluster's answer to the read makes no sense.
    PreviewUnreadable,
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
    /// The ticket that the answer names.
    const fn approval(&self) -> Option<ApprovalId> {
        match self {
            Self::Pending(approval)
            | Self::DeniedByHuman(approval)
            | Self::NotUsable(approval)
            | Self::TargetChanged(approval) => Some(approval.id),
            _ => None,
        }
    }

    /// The `Status` for the client. What is said here is for the agent; causes stay in the gateway's own log.
    fn status(&self) -> Status {
        match self {
            Self::Unauthenticated(error) => match error.blame() {
                Blame::Caller => status::unauthenticated(&error.to_string()),
                Blame::Issuer => Status::failure(503, Reason::ServiceUnavailable, error.to_string()),
            },
            Self::NotCanonical(error) | Self::NotUnderstood(error) | Self::UpstreamAnswer(error) => error.status(),
            Self::Ambiguous(what) => Status::failure(
                400,
                Reason::BadRequest,
                format!(
                    "the request has {what}, which two programs on its way could read differently; send it without"
                ),
            ),
            Self::Impersonation => Status::failure(
                403,
                Reason::Forbidden,
                "impersonation headers (kubectl --as) are not accepted: the token alone says who calls; drop them",
            ),
            Self::UnknownCluster { name } => status::unknown_cluster(name),
            Self::StreamOverWebSocket => Status::failure(
                400,
                Reason::BadRequest,
                "only exec, attach and port-forward may switch protocols here; watch and read logs over plain HTTP",
            ),
            Self::Subprotocol(error) => Status::failure(400, Reason::BadRequest, error.to_string()),
            Self::BodyTooLarge { limit_bytes } => status::body_too_large(*limit_bytes),
            Self::BodyTimeout { limit } => Status::failure(
                408,
                Reason::Timeout,
                format!("the request's body did not arrive within {} seconds; send it again", limit.as_secs()),
            ),
            Self::BodyBroken => Status::failure(400, Reason::BadRequest, "the request's body broke off; send it again"),
            Self::Busy => status::overloaded("the request bodies being read together exceed the gateway's budget"),
            Self::Denied(decision, summary, cluster) => {
                status::denied_by_policy(summary, cluster, decision.rule.as_deref(), decision.message.as_deref())
            }
            Self::Pending(approval) => {
                status::approval_required(approval.id, &approval.summary, &approval.cluster, approval.expires_at)
            }
            Self::DeniedByHuman(approval) => {
                let by = approval.decided_by.last().map(|decider| decider.subject.id.as_str()).unwrap_or("a human");
                status::denied_by_human(approval.id, &approval.summary, by, approval.note.as_deref())
            }
            Self::NotUsable(approval) => not_usable(approval),
            Self::TargetChanged(approval) => status::changed_since_review(approval.id, &approval.summary),
            Self::TokenExpiredMeanwhile => {
                status::unauthenticated("the token expired while the request was held; get a new one and send it again")
            }
            Self::TargetNotFound { resource, group, name } => not_found(resource, group, name),
            Self::PreviewNotAllowed(why) => Status::failure(
                403,
                Reason::Forbidden,
                format!("this needs a human's approval, and what it would change cannot be read for the review: {why}"),
            ),
            Self::PreviewRefused { status } => Status::failure(
                403,
                Reason::Forbidden,
                format!(
                    "this needs a human's approval, and the cluster refuses to show its target for the review (HTTP \
                     {status}); ask the cluster's owner to let your role read it"
                ),
            ),
            Self::PreviewUnreadable => Status::failure(
                502,
                Reason::BadGateway,
                "this needs a human's approval, and the cluster's answer about its target could not be read; try again",
            ),
            Self::WebSocketRequired(summary) => status::websocket_required(summary),
            Self::ClientGone => {
                Status::failure(499, Reason::Timeout, "the client went away while the request was held")
            }
            Self::Store(_) => status::audit_unavailable(),
            Self::Recorder(_) => status::recorder_unavailable(),
            Self::Upstream(cluster, error) => unanswered(cluster, error),
            Self::UpstreamCredential(cluster) => Status::failure(
                502,
                Reason::BadGateway,
                format!("cluster {cluster} does not accept the gateway's own credential; tell the gateway's operator"),
            ),
            Self::UpstreamEncoding => Status::failure(
                502,
                Reason::BadGateway,
                "the cluster compressed its answer although it was asked not to; the answer cannot be masked and is withheld",
            ),
            Self::UpstreamRedirect { status } => Status::failure(
                502,
                Reason::BadGateway,
                format!(
                    "the cluster answered with a redirect (HTTP {status}); Lockgate follows none and passes none on"
                ),
            ),
            Self::UpstreamSubprotocol(error) => Status::failure(502, Reason::BadGateway, error.to_string()),
        }
    }
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

/// In the API server's own words, since clients look for them.
fn not_found(resource: &str, group: &str, name: &str) -> Status {
    let group = if group.is_empty() { String::new() } else { format!(".{group}") };
    Status::failure(404, Reason::NotFound, format!("{resource}{group} \"{name}\" not found"))
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
            Self::Refuse(log, refusal) => {
                let status = refusal.status().with_audit_id(log.audit_id());
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
                let status = refusal.status().with_audit_id(receipt.audit_id());
                tracing::warn!(audit_id = %receipt.audit_id(), ?refusal, "an admitted request got no answer");
                let response = ResponseFacts { status: status.code(), bytes: 0, masked: 0 };
                match receipt.abort(outcome, status.message().to_owned(), response).await {
                    Ok(()) => respond(gateway, &status),
                    Err(error) => unrecorded(gateway, &error),
                }
            }
            Self::Unrecorded(error) => unrecorded(gateway, &error),
        }
    }
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
    if let Some(seconds) = status.retry_after_seconds() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The pipeline's task ended without an answer: a bug, and an honest 500.
pub(super) fn crashed() -> Response<AnswerBody> {
    render(&Status::failure(500, Reason::InternalError, "the gateway failed on this request; its log has the cause"))
}
