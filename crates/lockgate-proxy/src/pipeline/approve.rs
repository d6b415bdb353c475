//! Does a human agree? Allowed requests pass; denied ones end; the rest is held, or answered with its ticket.
//! See `approvals.md` in the documentation for the semantics.

use aws_lc_rs::digest::{SHA256, digest};
use http::header::{self, HeaderMap, HeaderValue};
use lockgate_core::limit::REASON_BYTES_MAX;
use lockgate_core::{Approval, ApprovalState, Decision, Effect, Options, Stream, Subject, Terms, Verb};
use lockgate_policy::View;
use lockgate_store::{CanonicalRequest, Grant, Hold, NewApproval, RequestBody, Topic, admit};
use lockgate_wire::options::DELETE_PARAMETERS;
use lockgate_wire::{RequestInfo, body, fingerprint};

use super::classify::hex;
use super::preview::{self, Observed};
use super::{
    Decided, Permitted, Refusal, Stop, Transport, Understood, Way, decide, limits, observe, restore, review, unseen,
};
use crate::gateway::Gateway;
use crate::sieve;
use crate::upstream::Flow;
use crate::upstream::headers::{self, Identity};

pub(super) async fn approve(gateway: &Gateway, decided: Decided) -> Result<Permitted, Stop> {
    let Decided { mut understood, decision } = decided;
    let grant = match decision.effect {
        Effect::Deny => {
            let refusal = unseen::refusal(gateway, &mut understood);
            let refusal = refusal.unwrap_or_else(|| denied(&understood, decision));
            return Err(Stop::refuse(understood.log, refusal));
        }
        Effect::Allow | Effect::Ask if understood.unrestorable.is_some() => {
            let refusal = understood.unrestorable.take().unwrap_or(Refusal::PreviewUnreadable);
            return Err(Stop::refuse(understood.log, refusal));
        }
        Effect::Allow => None,
        Effect::Ask => match ask(gateway, &mut understood, &decision).await {
            Ok(grant) => Some(grant),
            Err(refusal) => return Err(Stop::refuse(understood.log, refusal)),
        },
    };
    permit(gateway, understood, decision, grant)
}

/// Finds or opens the ticket, waits for its human where that may help, and consumes the grant.
async fn ask(gateway: &Gateway, understood: &mut Understood, decision: &Decision) -> Result<Grant, Refusal> {
    let target_uid = target_uid(gateway, understood).await?;
    let fingerprint = fingerprint_of(gateway, understood);
    let cluster = understood.upstream.cluster().name.clone();
    let known = gateway.store.usable(&understood.caller.subject, &cluster, &fingerprint).await?;
    let ticket = match known {
        Some(ticket) if ticket.state == ApprovalState::Denied => {
            // Said before this request came, so it overrules the policy.
            let refusal = Refusal::DeniedByHuman(Box::new(ticket));
            limits::overrule(understood, decision, &refusal);
            return Err(refusal);
        }
        Some(ticket) if ticket.target_uid != target_uid => {
            // Deleted and made again (or made since): what was reviewed is not what stands there now.
            gateway.store.cancel(ticket.id, &understood.caller.subject).await?;
            None
        }
        known => known,
    };
    let ticket = match ticket {
        Some(ticket) if ticket.state == ApprovalState::Pending => return Err(Refusal::Pending(Box::new(ticket))),
        Some(ticket) => ticket,
        None => hold(gateway, understood, decision, &fingerprint, target_uid).await?,
    };
    if matches!(understood.transport, Transport::Spdy) {
        return Err(Refusal::WebSocketRequired(ticket.summary));
    }
    let (subject, audit_id) = (&understood.caller.subject, understood.log.audit_id());
    match gateway.store.consume(ticket.id, subject, &fingerprint, audit_id).await? {
        Some(grant) => Ok(grant),
        None => {
            let now = gateway.store.approval(ticket.id).await?.unwrap_or(ticket);
            Err(Refusal::NotUsable(Box::new(now)))
        }
    }
}

/// The UID of what stands at the target, which is read if nobody has.
async fn target_uid(gateway: &Gateway, understood: &mut Understood) -> Result<Option<String>, Refusal> {
    let live = match std::mem::replace(&mut understood.observed, Observed::NotRead) {
        Observed::Live(live) => live,
        Observed::Refused(refusal) => return Err(refusal),
        Observed::NotRead => preview::target(gateway, understood).await?,
    };
    let uid = live.uid.clone();
    understood.observed = Observed::Live(live);
    Ok(uid)
}

/// What "the same request" means: the request, and what it would change. When another value stands there than was
/// reviewed, it is another request.
pub(super) fn fingerprint_of(gateway: &Gateway, understood: &Understood) -> String {
    let mut input = fingerprint::fingerprint_input(
        &understood.caller.subject,
        understood.upstream.cluster().name.as_str(),
        &understood.info,
        &understood.options,
        understood.object.as_ref(),
    );
    if let Some(reviewed) = &understood.reviewed {
        input.extend(reviewed.to_string().into_bytes());
    }
    if let Some(values) = understood.put_back() {
        input.extend_from_slice(gateway.store.mark(values).expose());
    }
    hex(digest(&SHA256, &input).as_ref())
}

/// Opens a ticket and waits; answers with the approved ticket, or with why not.
async fn hold(
    gateway: &Gateway,
    understood: &mut Understood,
    decision: &Decision,
    fingerprint: &str,
    target_uid: Option<String>,
) -> Result<Approval, Refusal> {
    let new = new_approval(understood, decision, fingerprint, target_uid);
    let ticket = match gateway.store.hold(new).await? {
        Hold::Joined(ticket) if ticket.state == ApprovalState::Approved => return Ok(ticket),
        Hold::Joined(ticket) => return Err(Refusal::Pending(Box::new(ticket))),
        Hold::New(ticket) => ticket,
    };
    gateway.metrics.held();
    understood.log.held(ticket.id).await?;
    if matches!(understood.transport, Transport::Spdy) {
        return Err(Refusal::Pending(Box::new(ticket)));
    }
    let ticket = wait(gateway, understood, ticket).await?;
    recheck(gateway, understood, decision, &ticket).await?;
    Ok(ticket)
}

/// Waits for the human's word: notify plus poll, at most the configured hold.
async fn wait(gateway: &Gateway, understood: &Understood, ticket: Approval) -> Result<Approval, Refusal> {
    let mut changes = gateway.store.changes(Topic::Approvals);
    let deadline = tokio::time::Instant::now() + gateway.limits.hold;
    loop {
        let Some(now) = gateway.store.approval(ticket.id).await? else {
            return Err(Refusal::NotUsable(Box::new(ticket)));
        };
        match now.state {
            ApprovalState::Approved => return Ok(now),
            ApprovalState::Denied => return Err(Refusal::DeniedByHuman(Box::new(now))),
            ApprovalState::Pending => {}
            ApprovalState::Expired
            | ApprovalState::Cancelled
            | ApprovalState::Consumed
            | ApprovalState::Indeterminate => return Err(Refusal::NotUsable(Box::new(now))),
        }
        let poll = deadline.min(tokio::time::Instant::now() + gateway.limits.hold_poll);
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { tokio::time::sleep_until(poll).await },
            () = tokio::time::sleep_until(poll) => {}
            () = understood.gone.cancelled() => return Err(Refusal::ClientGone),
            () = gateway.draining.cancelled() => return Err(Refusal::Pending(Box::new(now))),
        }
        if tokio::time::Instant::now() >= deadline {
            // One last look: a word spoken in the last instant counts.
            let last = gateway.store.approval(ticket.id).await?;
            return match last {
                Some(last) if last.state == ApprovalState::Approved => Ok(last),
                Some(last) if last.state == ApprovalState::Denied => Err(Refusal::DeniedByHuman(Box::new(last))),
                _ => Err(Refusal::Pending(Box::new(ticket))),
            };
        }
    }
}

/// Everything that can change during a hold is checked again (invariant 12).
async fn recheck(
    gateway: &Gateway,
    understood: &mut Understood,
    before: &Decision,
    ticket: &Approval,
) -> Result<(), Refusal> {
    if understood.caller.expires_at <= gateway.clock().now() {
        return Err(Refusal::TokenExpiredMeanwhile);
    }
    let live = preview::target(gateway, understood).await?;
    if live.uid != ticket.target_uid
        || !observe::is_as_reviewed(understood, live)
        || !restore::again(gateway, understood)?
    {
        return Err(Refusal::TargetChanged(Box::new(ticket.clone())));
    }
    if let Err(refusal) = limits::standing(gateway, understood).await {
        limits::overrule(understood, before, &refusal);
        return Err(refusal);
    }
    let (now, view) = decide::again(gateway, understood);
    let same = now.effect != Effect::Deny && (now.rule == before.rule || now.effect == Effect::Allow);
    if !same {
        return Err(denied(understood, now));
    }
    let selector = |view: &Option<View>| view.as_ref().and_then(View::selector).map(str::to_owned);
    if selector(&view) != selector(&understood.view) {
        // What is sent stands in the record already.
        let message =
            "The policy changed while the request was held, and with it what the answer may show. Send it again.";
        let changed = Decision { effect: Effect::Deny, message: Some(message.into()), ..now };
        return Err(denied(understood, changed));
    }
    understood.view = view;
    review::again(gateway, understood, now).await
}

pub(super) fn denied(understood: &Understood, decision: Decision) -> Refusal {
    let summary = super::summary::in_words(&understood.action, &understood.options);
    Refusal::Denied(Box::new(decision), summary, understood.upstream.cluster().name.clone())
}

fn new_approval(
    understood: &Understood,
    decision: &Decision,
    fingerprint: &str,
    target_uid: Option<String>,
) -> NewApproval {
    let mut payload = understood.object.clone();
    if let Some(payload) = &mut payload {
        lockgate_wire::payload::mask_request_payload(&understood.info, payload);
    }
    let terms = decision.terms.clone().unwrap_or(Terms {
        approver_groups: Vec::new(),
        count: 1,
        four_eyes: true,
        ttl_seconds: 600,
    });
    let outgoing = outgoing(understood, target_uid.as_deref());
    NewApproval {
        subject: understood.caller.subject.clone(),
        cluster: understood.upstream.cluster().name.clone(),
        action: limits::shown_action(understood),
        options: understood.options.clone(),
        summary: super::summary::with_change(understood),
        reason: stated_reason(&understood.headers),
        fingerprint: fingerprint.to_owned(),
        rule: decision.rule.clone(),
        terms,
        policy_revision: decision.policy_revision.clone(),
        body: outgoing.body.into_bytes(),
        content_type: outgoing.content_type.and_then(|value| value.to_str().ok().map(str::to_owned)),
        target_uid,
        payload,
        effect: limits::effect(understood),
        invocation: limits::invocation(understood),
        audit_id: understood.log.audit_id(),
    }
}

/// Why, in the agent's own words, from clients that can send headers.
fn stated_reason(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("lockgate-reason")?.to_str().ok()?;
    (!text.is_empty() && text.len() <= REASON_BYTES_MAX).then(|| text.to_owned())
}

/// What goes upstream besides headers.
pub(super) struct Outgoing {
    target: String,
    pub(super) body: RequestBody,
    pub(super) content_type: Option<HeaderValue>,
}

/// The exact bytes: what the reviewer agreed to, sealed with the ticket, and what is sent. A DELETE is pinned to the
/// reviewed object's UID; its body then carries every option, since the API server ignores the query beside a body.
fn outgoing(understood: &Understood, uid: Option<&str>) -> Outgoing {
    let sent = understood.headers.get(header::CONTENT_TYPE).cloned();
    match uid {
        Some(uid) if understood.info.verb == Verb::Delete => Outgoing {
            target: understood.target.path_and_query_without(&DELETE_PARAMETERS),
            body: RequestBody::whole(body::pin_delete(&understood.options, understood.object.as_ref(), uid).into()),
            content_type: Some(HeaderValue::from_static("application/json")),
        },
        _ => {
            let bytes = understood.body.bytes();
            let text = sent.as_ref().and_then(|value| value.to_str().ok());
            let rewritten = understood.object.as_ref().and_then(|object| body::rewritten(text, bytes, object));
            let target = match &understood.view {
                Some(view) => sieve::target(&understood.target, &understood.info, view),
                None => understood.target.path_and_query(),
            };
            match rewritten {
                Some((json, content_type)) => Outgoing {
                    target,
                    body: RequestBody::whole(json.into()),
                    content_type: Some(HeaderValue::from_static(content_type)),
                },
                None => Outgoing { target, body: RequestBody::whole(bytes.clone()), content_type: sent },
            }
        }
    }
}

/// Builds the request that goes upstream, and the proof that it may.
fn permit(
    gateway: &Gateway,
    understood: Understood,
    decision: Decision,
    grant: Option<Grant>,
) -> Result<Permitted, Stop> {
    let outgoing = outgoing(&understood, grant.as_ref().and_then(|grant| grant.approval().target_uid.as_deref()));
    let instead = match restore::instead(gateway, &understood, &outgoing, grant.as_ref()) {
        Ok(instead) => instead,
        Err(refusal) => return Err(Stop::refuse(understood.log, refusal)),
    };
    let permit = match (admit(&decision, grant), instead) {
        (Ok(permit), Some(instead)) => permit.instead(instead),
        (Ok(permit), None) => permit,
        (Err(_), _) => {
            let refusal = denied(&understood, decision);
            return Err(Stop::refuse(understood.log, refusal));
        }
    };
    let mut headers = headers::clean_request(&understood.headers);
    if let Some(content_type) = outgoing.content_type {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    if let Err(error) = super::mask::narrow_accept(&understood.info, &mut headers, understood.view.as_ref()) {
        return Err(Stop::refuse(understood.log, Refusal::NotUnderstood(error)));
    }
    let Understood { log, caller, upstream, info, action, options, method, transport, view, review, .. } = understood;
    let options = view.as_ref().map_or(options.clone(), |view| sieve::options(&options, &info, view));
    let handshake = match transport {
        Transport::Plain => None,
        Transport::WebSocket(handshake) => Some(handshake),
        Transport::Spdy => {
            let summary = super::summary::in_words(&action, &options);
            return Err(Stop::refuse(log, Refusal::WebSocketRequired(summary)));
        }
    };
    let way = Way {
        flow: flow(&info, &options),
        info,
        mask: decision.obligations.mask,
        message: decision.message.clone().filter(|_| decision.effect == Effect::Allow),
        view,
        review,
        identity: identity(&caller.subject),
        user: caller.subject.name(),
        upstream,
        caller,
        action,
        options,
        handshake,
    };
    let request = CanonicalRequest { method, target: outgoing.target, headers, body: outgoing.body };
    Ok(Permitted { log, permit, request, way })
}

/// Reads without an end, or without a limit on their size, get a connection of their own.
fn flow(info: &RequestInfo, options: &Options) -> Flow {
    match info.stream {
        Stream::None if info.verb == Verb::List && options.limit.is_none_or(|limit| limit == 0) => Flow::Unbounded,
        Stream::None if info.subresource.as_deref() == Some("log") => Flow::Unbounded,
        Stream::None => Flow::Bounded,
        Stream::Watch | Stream::Logs | Stream::Exec | Stream::Attach | Stream::Portforward | Stream::Proxy => {
            Flow::Unbounded
        }
    }
}

/// How the cluster is told who is calling: low-cardinality extras only (each is authorised on every request).
pub(super) fn identity(subject: &Subject) -> Identity {
    let groups = subject.groups.iter().map(|group| format!("lockgate:{group}")).collect();
    let owner = subject.owner.iter().map(|owner| ("lockgate.dev/owner".to_owned(), owner.clone()));
    Identity { groups, extras: owner.collect() }
}
