//! One call's evidence: buffered until it must be durable, then durable before anything follows from it.
//!
//! One flush per request on the path: arrival, decision and dispatch (or refusal) go in one batch.

use std::fmt;

use lockgate_core::{
    ApprovalId, Arrival, AuditId, DecidedBy, Decision, Event, EventBody, Outcome, ResponseFacts, Timestamp,
};

use crate::error::StoreError;
use crate::proof::{CanonicalRequest, Permit, Receipt, Refused, Ticket};
use crate::store::Store;

/// One call that has not gone upstream. Ends in exactly one of [`CallLog::open`], [`CallLog::refuse`] and
/// [`CallLog::abandon`].
#[must_use = "a call must end in open, refuse or abandon"]
pub struct CallLog {
    call: OpenCall,
    /// When the request arrived; `None` once that is flushed.
    arrived_at: Option<Timestamp>,
    arrival: Box<Arrival>,
    decision: Option<Box<Decision>>,
    buffered: Vec<Event>,
}

impl CallLog {
    pub(crate) fn new(store: Store, audit_id: AuditId, arrival: Arrival) -> Self {
        let arrived_at = Some(store.clock().now());
        let call = OpenCall::new(store, audit_id);
        Self { call, arrived_at, arrival: Box::new(arrival), decision: None, buffered: Vec::new() }
    }

    /// The call.
    pub const fn audit_id(&self) -> AuditId {
        self.call.audit_id
    }

    /// The request as far as it is understood; stages add what they learn. Changes after the first flush
    /// ([`CallLog::held`]) are not recorded.
    pub fn arrival(&mut self) -> &mut Arrival {
        &mut self.arrival
    }

    /// The policy's verdict. Buffered. When a hold ends and the policy is asked again, the newer verdict stands.
    pub fn decided(&mut self, decision: &Decision) {
        self.decided_by(decision, DecidedBy::default());
    }

    /// [`CallLog::decided`], with the policy that decided and what a candidate would have said where it differs.
    pub fn decided_by(&mut self, decision: &Decision, by: DecidedBy) {
        let DecidedBy { policy, shadow, environment, policy_effect } = by;
        let decided = EventBody::Decided {
            decision: Box::new(decision.clone()),
            policy: policy.map(Box::new),
            shadow: shadow.map(Box::new),
            environment,
            policy_effect,
        };
        let event = self.call.event(decided);
        self.decision = Some(Box::new(decision.clone()));
        self.buffered.push(event);
    }

    /// The call waits for a human. Durable on return, with all that came before. Cancelled: the events may still become
    /// durable; the call is then closed by the sweeper.
    pub async fn held(&mut self, approval: ApprovalId) -> Result<(), StoreError> {
        let mut events = Vec::new();
        if let Some(at) = self.arrived_at.take() {
            events.push(self.call.event_at(at, EventBody::Arrived(self.arrival.clone())));
        }
        events.append(&mut self.buffered);
        events.push(self.call.event(EventBody::Held { approval_id: approval }));
        self.call.append_all(events).await
    }

    /// The call may go upstream, and nothing of it has. Durable on return: arrival, verdict and dispatch in one commit.
    ///
    /// With a grant, the body that was reviewed (and its content type) takes the place of the request's; what the permit
    /// says is sent instead of it ([`Permit::instead`]) takes its place then. On an error there is no ticket, and nothing may go upstream. Cancelled: the dispatch may become durable though nothing went upstream;
    /// the sweeper then closes the call as `unknown`.
    pub async fn open(
        mut self,
        permit: Permit,
        mut request: CanonicalRequest,
        user: String,
    ) -> Result<Ticket, StoreError> {
        let (decision, grant, instead) = permit.into_parts();
        if grant.as_ref().is_some_and(|grant| grant.audit_id() != self.audit_id()) {
            return Err(StoreError::ForeignGrant);
        }
        if instead.as_ref().is_some_and(|instead| !instead.is_of(grant.as_ref(), &request)) {
            return Err(StoreError::ForeignBody);
        }
        if self.decision.as_deref() != Some(&decision) {
            self.decided(&decision);
        }
        let approval_id = grant.as_ref().map(|grant| grant.approval().id);
        let (mut call, mut events) = self.into_events();
        events.push(call.event(EventBody::Dispatched { user: user.clone(), approval_id }));
        call.dispatched = true;
        call.append_all(events).await?;
        if let Some(grant) = grant {
            grant.replace_body(&mut request);
        }
        if let Some(instead) = instead {
            instead.replace_body(&mut request);
        }
        Ok(Ticket::new(request, user, Receipt::new(call)))
    }

    /// Lockgate answers by itself. `reason` is the `Status`' machine-readable word, `message` its sentence. Durable on
    /// return. Cancelled: it may or may not become durable, and no answer was given.
    pub async fn refuse(
        self,
        status: u16,
        reason: &str,
        message: &str,
        approval: Option<ApprovalId>,
    ) -> Result<Refused, StoreError> {
        let (call, mut events) = self.into_events();
        events.push(call.event(EventBody::Refused {
            status,
            reason: reason.to_owned(),
            message: message.to_owned(),
            approval_id: approval,
        }));
        let audit_id = call.audit_id();
        call.finish_all(events).await?;
        Ok(Refused::new(audit_id))
    }

    /// The client went away before there was an answer. Durable on return.
    pub async fn abandon(self, reason: &str) -> Result<(), StoreError> {
        let (call, mut events) = self.into_events();
        events.push(call.event(EventBody::Aborted {
            outcome: Outcome::Aborted,
            reason: reason.to_owned(),
            response: ResponseFacts::default(),
        }));
        call.finish_all(events).await
    }

    fn into_events(self) -> (OpenCall, Vec<Event>) {
        let Self { call, arrived_at, arrival, mut buffered, .. } = self;
        if let Some(at) = arrived_at {
            buffered.insert(0, call.event_at(at, EventBody::Arrived(arrival)));
        }
        (call, buffered)
    }
}

impl fmt::Debug for CallLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallLog").field("audit_id", &self.audit_id()).finish_non_exhaustive()
    }
}

/// A call whose end is not on the disk yet. Dropped like that, it leaves a note to the sweeper: not an audit write, and
/// when the note is lost the writer's lease closes the call instead.
pub(crate) struct OpenCall {
    store: Store,
    audit_id: AuditId,
    recorded: bool,
    dispatched: bool,
    finished: bool,
}

impl OpenCall {
    const fn new(store: Store, audit_id: AuditId) -> Self {
        Self { store, audit_id, recorded: false, dispatched: false, finished: false }
    }

    pub(crate) const fn audit_id(&self) -> AuditId {
        self.audit_id
    }

    fn event(&self, body: EventBody) -> Event {
        self.event_at(self.store.clock().now(), body)
    }

    fn event_at(&self, at: Timestamp, body: EventBody) -> Event {
        self.store.event_at(at, self.audit_id, body)
    }

    pub(crate) async fn append(&mut self, body: EventBody) -> Result<(), StoreError> {
        let event = self.event(body);
        self.append_all(vec![event]).await
    }

    async fn append_all(&mut self, events: Vec<Event>) -> Result<(), StoreError> {
        // From here on a part of the call may be on the disk, whatever becomes of this future.
        self.recorded = true;
        self.store.append(events).await
    }

    pub(crate) async fn finish(self, body: EventBody) -> Result<(), StoreError> {
        let event = self.event(body);
        self.finish_all(vec![event]).await
    }

    async fn finish_all(mut self, events: Vec<Event>) -> Result<(), StoreError> {
        self.append_all(events).await?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if self.recorded && !self.finished {
            let outcome = if self.dispatched { Outcome::Unknown } else { Outcome::Aborted };
            self.store.leave_call(self.audit_id, outcome);
        }
    }
}
