//! The fold of one call's events into what people read.

use serde::{Deserialize, Serialize};

use crate::action::{Action, Options};
use crate::decision::{Effect, MaskProfile, PolicyFacts, ShadowFacts};
use crate::event::{Arrival, Event, EventBody, Origin, RequestFacts, ResponseFacts, Source};
use crate::id::{ApprovalId, AuditId, SessionId};
use crate::subject::Subject;
use crate::time::Timestamp;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Upstream answered and the answer was delivered.
    Completed,
    /// Lockgate refused; nothing went upstream.
    Refused,
    /// Upstream could not be reached or broke off.
    Failed,
    /// The client went away, or masking stopped the answer.
    Aborted,
    /// Nobody knows: the writer died in between.
    Unknown,
}

impl Outcome {
    /// The word that JSON and SQL use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Unknown => "unknown",
        }
    }
}

/// The decision, as the record shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionFacts {
    /// Allow, deny or ask.
    pub effect: Effect,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The policy that decided.
    pub policy_revision: String,
    /// Why.
    pub reasons: Vec<String>,
    /// How the answer was masked; left out where it was the default.
    #[serde(default, skip_serializing_if = "is_strict")]
    pub mask: MaskProfile,
    /// The policy that decided: which revision, and by whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyFacts>,
    /// What a candidate would have decided, where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowFacts>,
    /// How the cluster was marked; empty when it was not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub environment: String,
    /// What the policy said of the request, where something else overruled it: a limit in time, a freeze, a human's earlier no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_effect: Option<Effect>,
}

impl DecisionFacts {
    /// What the policy said of the request, whatever overruled it.
    pub fn by_policy(&self) -> Effect {
        self.policy_effect.unwrap_or(self.effect)
    }
}

fn is_strict(mask: &MaskProfile) -> bool {
    *mask == MaskProfile::Strict
}

/// What upstream saw and said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamFacts {
    /// The impersonated user.
    pub user: String,
    /// Its HTTP status, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// One call, as listed and searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    /// The call's id; without its prefix the `Audit-ID` sent upstream.
    pub id: AuditId,
    /// When it arrived.
    pub started_at: Timestamp,
    /// When it ended; `None` while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Which door.
    pub origin: Origin,
    /// The call on whose behalf this one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<AuditId>,
    /// Who; `None` when authentication failed.
    #[serde(default)]
    pub subject: Option<Subject>,
    /// From where.
    pub source: Source,
    /// The cluster named in the path.
    pub cluster: String,
    /// The HTTP method.
    pub method: String,
    /// Path and query as received.
    pub request_uri: String,
    /// `None` when classification failed.
    #[serde(default)]
    pub action: Option<Action>,
    /// The options in effect.
    #[serde(default)]
    pub options: Options,
    /// `None` when the call ended before a decision.
    #[serde(default)]
    pub decision: Option<DecisionFacts>,
    /// The ticket that held it, or whose grant it used.
    #[serde(default)]
    pub approval_id: Option<ApprovalId>,
    /// The body.
    pub request: RequestFacts,
    /// `None` when nothing went upstream.
    #[serde(default)]
    pub upstream: Option<UpstreamFacts>,
    /// What the client got; `None` while it is open.
    #[serde(default)]
    pub response: Option<ResponseFacts>,
    /// The recording.
    #[serde(default)]
    pub session_id: Option<SessionId>,
    /// How it ended; `None` while it is open.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// Why it was refused or broke off, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl AuditRecord {
    /// Folds the events of one call, in order. `None` when none is `arrived`: such a call has no record. A human's word on a
    /// ticket may come before it, in the moment between the ticket and the call that is held for it.
    pub fn fold<'e>(events: impl IntoIterator<Item = &'e Event>) -> Option<Self> {
        let mut events = events.into_iter();
        let mut record = events.by_ref().find_map(Self::arrived)?;
        events.for_each(|event| record.apply(event));
        Some(record)
    }

    fn arrived(event: &Event) -> Option<Self> {
        let EventBody::Arrived(arrival) = &event.body else { return None };
        let arrival = Arrival::clone(arrival);
        Some(Self {
            id: event.audit_id,
            started_at: event.at,
            finished_at: None,
            origin: arrival.origin,
            parent_id: arrival.parent_id,
            subject: arrival.subject,
            source: arrival.source,
            cluster: arrival.cluster,
            method: arrival.method,
            request_uri: arrival.request_uri,
            action: arrival.action,
            options: arrival.options,
            request: arrival.request,
            decision: None,
            approval_id: None,
            upstream: None,
            response: None,
            session_id: None,
            outcome: None,
            message: None,
        })
    }

    /// Adds what one later event says. Nothing after a terminal event changes a record: the first end stands.
    pub fn apply(&mut self, event: &Event) {
        if event.audit_id != self.id || self.outcome.is_some() {
            return;
        }
        match &event.body {
            EventBody::Arrived(_) | EventBody::Approval { .. } | EventBody::Freeze { .. } => {}
            EventBody::Decided { decision, policy, shadow, environment, policy_effect } => {
                // A newer verdict that says nothing of the policy was made under the same one.
                let before = self.decision.take().filter(|before| before.policy_revision == decision.policy_revision);
                let before = before.map(|before| (before.policy, before.shadow, before.environment));
                let (same_policy, same_shadow, same_environment) = before.unwrap_or_default();
                self.decision = Some(DecisionFacts {
                    effect: decision.effect,
                    rule: decision.rule.clone(),
                    policy_revision: decision.policy_revision.clone(),
                    reasons: decision.reasons.clone(),
                    mask: decision.obligations.mask,
                    policy: policy.as_deref().cloned().or(same_policy),
                    shadow: shadow.as_deref().cloned().or(same_shadow),
                    environment: if environment.is_empty() { same_environment } else { environment.clone() },
                    policy_effect: *policy_effect,
                });
            }
            EventBody::Held { approval_id } => self.approval_id = Some(*approval_id),
            EventBody::Dispatched { user, approval_id } => {
                self.upstream = Some(UpstreamFacts { user: user.clone(), status: None });
                self.approval_id = approval_id.or(self.approval_id);
            }
            EventBody::Upgraded { session_id } => {
                self.session_id = Some(*session_id);
                if let Some(upstream) = &mut self.upstream {
                    upstream.status = Some(101);
                }
            }
            EventBody::Closed { upstream_status, response } => {
                if let Some(upstream) = &mut self.upstream {
                    upstream.status = Some(*upstream_status);
                }
                self.end(event.at, Outcome::Completed, response.clone(), None);
            }
            EventBody::Refused { status, message, approval_id, .. } => {
                self.approval_id = approval_id.or(self.approval_id);
                let response = ResponseFacts { status: *status, ..ResponseFacts::default() };
                self.end(event.at, Outcome::Refused, response, Some(message.clone()));
            }
            EventBody::Aborted { outcome, reason, response } => {
                self.end(event.at, *outcome, response.clone(), Some(reason.clone()));
            }
        }
    }

    fn end(&mut self, at: Timestamp, outcome: Outcome, response: ResponseFacts, message: Option<String>) {
        self.finished_at = Some(at);
        self.outcome = Some(outcome);
        self.response = Some(response);
        self.message = message;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::event::Writer;

    fn event(microseconds: i64, body: EventBody) -> Event {
        Event {
            audit_id: AuditId::new(uuid::Uuid::from_u128(1)),
            at: Timestamp::from_microseconds(microseconds),
            writer: Writer { replica: "a".into(), boot: "b".into() },
            body,
        }
    }

    fn arrived() -> Event {
        event(
            1,
            EventBody::Arrived(Box::new(Arrival {
                origin: Origin::Http,
                parent_id: None,
                subject: None,
                source: Source { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), user_agent: String::new() },
                cluster: "shop".into(),
                method: "GET".into(),
                request_uri: "/clusters/shop/api".into(),
                action: None,
                options: Options::default(),
                request: RequestFacts::default(),
            })),
        )
    }

    #[test]
    fn a_call_without_arrival_has_no_record() {
        let closed = event(2, EventBody::Closed { upstream_status: 200, response: ResponseFacts::default() });
        assert_eq!(AuditRecord::fold([&closed]), None);
    }

    #[test]
    fn a_human_who_is_quicker_than_the_log_hides_no_call() {
        let word = event(
            2,
            EventBody::Approval {
                approval_id: ApprovalId::new(uuid::Uuid::from_u128(2)),
                state: crate::ApprovalState::Approved,
                decider: None,
                cancelled_by: None,
                note: None,
                used_by: None,
                reopened_by: None,
            },
        );
        let closed = event(3, EventBody::Closed { upstream_status: 200, response: ResponseFacts::default() });
        let record = AuditRecord::fold([&word, &arrived(), &closed]).unwrap();
        assert_eq!(record.outcome, Some(Outcome::Completed));
        assert_eq!(AuditRecord::fold([&word]), None);
    }

    #[test]
    fn the_first_end_stands() {
        let closed = event(2, EventBody::Closed { upstream_status: 200, response: ResponseFacts::default() });
        let swept = event(
            3,
            EventBody::Aborted {
                outcome: Outcome::Unknown,
                reason: "writer gone".into(),
                response: ResponseFacts::default(),
            },
        );
        let record = AuditRecord::fold([&arrived(), &closed, &swept]).unwrap();
        assert_eq!(record.outcome, Some(Outcome::Completed));
        assert_eq!(record.finished_at, Some(Timestamp::from_microseconds(2)));
    }

    #[test]
    fn an_event_reads_back_from_its_json() {
        let event = arrived();
        let text = serde_json::to_string(&event).unwrap();
        assert!(text.contains(r#""event":"arrived""#), "{text}");
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
    }
}
