//! The proofs: values that exist only because something is decided and durable.
//!
//! Private fields, no `Clone`, consumed by value. What cannot be written with them:
//!
//! A ticket cannot be built by hand:
//! ```compile_fail,E0451
//! use lockgate_store::{CanonicalRequest, Receipt, Ticket};
//! fn forge(request: CanonicalRequest, user: String, receipt: Receipt) -> Ticket {
//!     Ticket { request, user, receipt }
//! }
//! ```
//!
//! Neither can a grant, nor a permit:
//! ```compile_fail,E0451
//! use lockgate_core::{Approval, AuditId};
//! use lockgate_store::{Grant, Store};
//! fn forge(grant: Grant, approval: Approval) -> Grant {
//!     Grant { approval, ..grant }
//! }
//! ```
//! ```compile_fail,E0451
//! use lockgate_core::Decision;
//! use lockgate_store::Permit;
//! fn forge(decision: Decision) -> Permit {
//!     Permit { decision, grant: None, instead: None }
//! }
//! ```
//!
//! Nor the proof that a refusal is durable:
//! ```compile_fail,E0451
//! use lockgate_core::AuditId;
//! use lockgate_store::Refused;
//! fn forge(audit_id: AuditId) -> Refused {
//!     Refused { audit_id }
//! }
//! ```
//!
//! A permit cannot be cloned:
//! ```compile_fail,E0599
//! use lockgate_store::Permit;
//! fn twice(permit: Permit) -> (Permit, Permit) {
//!     (permit.clone(), permit)
//! }
//! ```
//!
//! A permit cannot be used for a second call:
//! ```compile_fail,E0382
//! use lockgate_store::{CallLog, CanonicalRequest, Permit};
//! async fn reuse(a: CallLog, b: CallLog, permit: Permit, first: CanonicalRequest, second: CanonicalRequest) {
//!     a.open(permit, first, "agent:a".into()).await.ok();
//!     b.open(permit, second, "agent:a".into()).await.ok();
//! }
//! ```
//!
//! A grant cannot admit two calls:
//! ```compile_fail,E0382
//! use lockgate_core::Decision;
//! use lockgate_store::{Grant, admit};
//! fn reuse(decision: &Decision, grant: Grant) {
//!     admit(decision, Some(grant)).ok();
//!     admit(decision, Some(grant)).ok();
//! }
//! ```
//!
//! A ticket cannot be sent twice:
//! ```compile_fail,E0382
//! use lockgate_store::Ticket;
//! fn send(_: Ticket) {}
//! fn twice(ticket: Ticket) {
//!     send(ticket);
//!     send(ticket);
//! }
//! ```
//!
//! A call cannot be both opened and refused:
//! ```compile_fail,E0382
//! use lockgate_store::{CallLog, CanonicalRequest, Permit};
//! async fn both(call: CallLog, permit: Permit, request: CanonicalRequest) {
//!     call.open(permit, request, "agent:a".into()).await.ok();
//!     call.refuse(403, "Forbidden", "no", None).await.ok();
//! }
//! ```
//!
//! And this is how it is written:
//! ```
//! use lockgate_core::{ApprovalId, Decision, ResponseFacts, Subject};
//! use lockgate_store::{CallLog, CanonicalRequest, Store, StoreError, admit};
//! async fn forward(
//!     store: &Store, call: CallLog, decision: Decision, who: &Subject, asked: ApprovalId, request: CanonicalRequest,
//! ) -> Result<(), StoreError> {
//!     let grant = store.consume(asked, who, "fingerprint", call.audit_id()).await?;
//!     let Ok(permit) = admit(&decision, grant) else { return call.abandon("not admitted").await };
//!     let ticket = call.open(permit, request, who.name()).await?;
//!     let (_request, receipt) = ticket.into_parts();
//!     receipt.close(200, ResponseFacts { status: 200, ..ResponseFacts::default() }).await
//! }
//! ```

use std::fmt;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use lockgate_core::{
    Approval, ApprovalId, AuditId, Decision, Effect, EventBody, Outcome, ResponseFacts, Secret, SessionId,
};

use crate::call::OpenCall;
use crate::error::StoreError;
use crate::store::Store;

/// A request's body, whole: Lockgate's own type, never a stream of the HTTP library.
#[derive(Clone, Default)]
pub struct RequestBody(Bytes);

impl RequestBody {
    /// No body.
    pub const fn empty() -> Self {
        Self(Bytes::new())
    }

    /// These bytes and no others.
    pub const fn whole(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The bytes.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestBody(…)")
    }
}

/// The one request that router, policy, log and forwarder speak about. Plain data: what makes it sendable is a [`Ticket`].
pub struct CanonicalRequest {
    /// The method.
    pub method: Method,
    /// Path and query at the API server.
    pub target: String,
    /// The client's headers, cleaned of everything that must not go upstream.
    pub headers: HeaderMap,
    /// The body.
    pub body: RequestBody,
}

impl fmt::Debug for CanonicalRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CanonicalRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

/// The body that a human reviewed, with its content type.
pub(crate) struct ReviewedBody {
    pub(crate) content_type: Option<String>,
    pub(crate) bytes: Secret<Vec<u8>>,
}

/// Proof that an approval was consumed, for one call. Made only by [`Store::consume`].
#[must_use = "a grant that is dropped turns its ticket indeterminate"]
pub struct Grant {
    approval: Approval,
    body: ReviewedBody,
    claim: Claim,
}

impl Grant {
    pub(crate) const fn new(approval: Approval, body: ReviewedBody, claim: Claim) -> Self {
        Self { approval, body, claim }
    }

    /// The ticket, as it stands now that it is consumed.
    pub const fn approval(&self) -> &Approval {
        &self.approval
    }

    /// The body that was reviewed, with its content type. It goes upstream, or what [`Permit::instead`] says of it.
    pub fn body(&self) -> (&[u8], Option<&str>) {
        (self.body.bytes.expose(), self.body.content_type.as_deref())
    }

    pub(crate) const fn audit_id(&self) -> AuditId {
        self.claim.audit_id
    }

    /// Puts the reviewed body in the place of the one that the client sent again, and lets go of the claim: from here on
    /// the call's own end says what became of the grant.
    pub(crate) fn replace_body(self, request: &mut CanonicalRequest) {
        let Self { body, mut claim, .. } = self;
        match body.content_type.and_then(|text| HeaderValue::try_from(text).ok()) {
            Some(value) => {
                request.headers.insert(CONTENT_TYPE, value);
            }
            None => {
                request.headers.remove(CONTENT_TYPE);
            }
        }
        request.body = RequestBody::whole(Bytes::copy_from_slice(body.bytes.expose()));
        claim.spent = true;
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("approval", &self.approval.id).finish_non_exhaustive()
    }
}

/// Remembers a consumed grant until it is used. Dropped unused, it leaves the ticket to the sweeper as indeterminate.
pub(crate) struct Claim {
    pub(crate) store: Store,
    pub(crate) approval_id: ApprovalId,
    pub(crate) audit_id: AuditId,
    pub(crate) spent: bool,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.spent {
            self.store.leave_grant(self.approval_id);
        }
    }
}

/// Proof that the policy, and where it asks a human, let this call through. Made only by [`admit`].
#[must_use = "a permit does nothing until a call is opened with it"]
pub struct Permit {
    decision: Decision,
    grant: Option<Grant>,
    instead: Option<Instead>,
}

/// What goes upstream in the place of one body: the same, with masked values put back that the client never had.
pub struct Instead {
    /// The body whose place it takes: what the client sent, or what was reviewed.
    pub of: RequestBody,
    /// What is sent.
    pub body: RequestBody,
    /// The content type of what is sent.
    pub content_type: HeaderValue,
}

impl Permit {
    /// The call is opened with another body. It must be made of the one that would be sent: else there is no ticket.
    pub fn instead(self, instead: Instead) -> Self {
        Self { instead: Some(instead), ..self }
    }

    pub(crate) fn into_parts(self) -> (Decision, Option<Grant>, Option<Instead>) {
        (self.decision, self.grant, self.instead)
    }
}

impl Instead {
    /// Whether it was made of what would be sent.
    pub(crate) fn is_of(&self, grant: Option<&Grant>, request: &CanonicalRequest) -> bool {
        let sent = grant.map_or(request.body.bytes().as_ref(), |grant| grant.body().0);
        self.of.bytes().as_ref() == sent
    }

    pub(crate) fn replace_body(self, request: &mut CanonicalRequest) {
        request.headers.insert(CONTENT_TYPE, self.content_type);
        request.body = self.body;
    }
}

impl fmt::Debug for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Instead(…)")
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("effect", &self.decision.effect).finish_non_exhaustive()
    }
}

/// Why a decision admits nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// The policy denies; no human can change that.
    #[error("the policy denies this request")]
    Denied,
    /// The policy asks and nobody has agreed.
    #[error("a human must agree first")]
    NeedsApproval,
}

/// Turns a decision, and where it asks, a grant, into the permit to dispatch. A denial admits nothing, grant or not.
pub fn admit(decision: &Decision, grant: Option<Grant>) -> Result<Permit, NotAdmitted> {
    match (decision.effect, &grant) {
        (Effect::Deny, _) => Err(NotAdmitted::Denied),
        (Effect::Ask, None) => Err(NotAdmitted::NeedsApproval),
        (Effect::Allow, _) | (Effect::Ask, Some(_)) => Ok(Permit { decision: decision.clone(), grant, instead: None }),
    }
}

/// Proof that this request was authorised and that its dispatch is on the disk. Owns the request; made only by
/// [`crate::CallLog::open`].
#[must_use = "a ticket that is not sent leaves its call open"]
pub struct Ticket {
    request: CanonicalRequest,
    user: String,
    receipt: Receipt,
}

impl Ticket {
    pub(crate) const fn new(request: CanonicalRequest, user: String, receipt: Receipt) -> Self {
        Self { request, user, receipt }
    }

    /// The call; its UUID is the `Audit-ID` sent upstream.
    pub const fn audit_id(&self) -> AuditId {
        self.receipt.audit_id()
    }

    /// The user to impersonate upstream, as logged.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The request, as logged.
    pub const fn request(&self) -> &CanonicalRequest {
        &self.request
    }

    /// The request to send, and the duty to say how it ended.
    pub fn into_parts(self) -> (CanonicalRequest, Receipt) {
        (self.request, self.receipt)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("audit_id", &self.audit_id()).finish_non_exhaustive()
    }
}

/// The duty to say how a dispatched call ended. One that is dropped is closed as `unknown` by the sweeper.
#[must_use = "say how the call ended"]
pub struct Receipt {
    call: OpenCall,
}

impl Receipt {
    pub(crate) const fn new(call: OpenCall) -> Self {
        Self { call }
    }

    /// The call.
    pub const fn audit_id(&self) -> AuditId {
        self.call.audit_id()
    }

    /// An interactive session began. Durable on return. Cancelled: the event may or may not become durable.
    pub async fn upgraded(&mut self, session: SessionId) -> Result<(), StoreError> {
        self.call.append(EventBody::Upgraded { session_id: session }).await
    }

    /// Upstream answered and the answer was delivered. Durable on return; rides on a batch with others. Cancelled or
    /// failed: the sweeper closes the call as `unknown` if this did not become durable.
    pub async fn close(self, upstream_status: u16, response: ResponseFacts) -> Result<(), StoreError> {
        self.call.finish(EventBody::Closed { upstream_status, response }).await
    }

    /// It went upstream and did not end well. Durable on return. Cancelled or failed: as for [`Receipt::close`].
    pub async fn abort(self, outcome: Outcome, reason: String, response: ResponseFacts) -> Result<(), StoreError> {
        self.call.finish(EventBody::Aborted { outcome, reason, response }).await
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt").field("audit_id", &self.audit_id()).finish()
    }
}

/// Proof that a refusal is on the disk; a refusal's HTTP answer is built only from it. Made only by
/// [`crate::CallLog::refuse`].
#[derive(Debug)]
#[must_use = "answer the client"]
pub struct Refused {
    audit_id: AuditId,
}

impl Refused {
    pub(crate) const fn new(audit_id: AuditId) -> Self {
        Self { audit_id }
    }

    /// The call.
    pub const fn audit_id(&self) -> AuditId {
        self.audit_id
    }
}
