//! What would become of what a self review asks about? Worked out before the review is sent, so that its record says it; then
//! put together with the cluster's answer, which only loses: a yes needs both. An answer that cannot be read is withheld.

use std::time::Duration;

use http::header::HeaderValue;
use http_body_util::{BodyExt, Limited};
use lockgate_core::{Decision, Effect, Verb};
use lockgate_policy::risk::{self, Lives};
use lockgate_store::StoreError;
use lockgate_wire::WireError;
use lockgate_wire::accept::AnswerForm;
use lockgate_wire::review::{self as wire, Asked, Place, Question, access, rules};
use lockgate_wire::status;
use serde_json::Value;

use super::{Decided, Refusal, Stop, Understood, Unseen, limits, preview};
use crate::gateway::Gateway;
use crate::review::{Removals, Sight, Standpoint, Stopped, Verdict, place, rules as listing};
use crate::upstream::UpstreamBody;

/// Largest answer that is read. A list of rights has tens of bytes for each.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Until the answer must have arrived.
const ANSWER_READ_MAX: Duration = Duration::from_secs(30);

/// What Lockgate has to say to a review.
pub(crate) enum Review {
    /// To a SelfSubjectAccessReview.
    Access(Verdict),
    /// To a SelfSubjectRulesReview of a namespace: as of then, on everything that the cluster lists.
    Rules(Box<Standpoint>, String),
}

/// An answer put together.
pub(super) struct Combined {
    pub(super) body: Vec<u8>,
    /// For people who only see yes.
    pub(super) warning: Option<HeaderValue>,
}

/// Adds to the record what the answer will say, where the request is a review that goes through.
pub(super) async fn foresee(gateway: &Gateway, decided: Decided) -> Result<Decided, Stop> {
    let Decided { mut understood, mut decision } = decided;
    if decision.effect == Effect::Deny {
        return Ok(Decided { understood, decision });
    }
    let review = match review(gateway, &understood).await {
        Ok(review) => review,
        Err(error) => return Err(Stop::refuse(understood.log, Refusal::Store(error))),
    };
    if let Some(review) = &review {
        decision.reasons.push(review.in_words());
        understood.log.decided(&decision);
    }
    understood.review = review;
    Ok(Decided { understood, decision })
}

/// The same again when a hold ends: what the record says must still be so, or `changed` comes back.
pub(super) async fn again(gateway: &Gateway, understood: &mut Understood, now: Decision) -> Result<(), Refusal> {
    let Some(before) = &understood.review else { return Ok(()) };
    let review = review(gateway, understood).await?;
    if review.as_ref().is_none_or(|review| review.in_words() != before.in_words()) {
        let message = "The policy changed while the request was held, and with it the answer. Send it again.";
        let changed = Decision { effect: Effect::Deny, message: Some(message.into()), ..now };
        return Err(super::approve::denied(understood, changed));
    }
    understood.review = review;
    Ok(())
}

async fn review(gateway: &Gateway, understood: &Understood) -> Result<Option<Review>, StoreError> {
    let Some(kind) = wire::Review::of(&understood.info) else { return Ok(None) };
    let standpoint = standpoint(gateway, understood).await?;
    let object = understood.object.as_ref();
    Ok(Some(match kind {
        wire::Review::Access => {
            let question = object.and_then(Question::of);
            let sights = look(gateway, understood, &standpoint, question.as_ref()).await?;
            Review::Access(standpoint.verdict_seeing(question.as_ref(), sights))
        }
        wire::Review::Rules => {
            let namespace = object.and_then(rules::namespace).unwrap_or_default().to_owned();
            Review::Rules(Box::new(standpoint), namespace)
        }
    }))
}

/// Looks at the object that a question names, for each of its verbs, where a rule decides by what it is.
async fn look(
    gateway: &Gateway,
    understood: &Understood,
    standpoint: &Standpoint,
    question: Option<&Question>,
) -> Result<Vec<(Verb, Sight)>, StoreError> {
    let mut sights = Vec::new();
    for verb in question.into_iter().flat_map(Question::verbs) {
        let sight = match question {
            Some(Question::Resource { resource, .. }) if resource.is_any() => Sight::Unlooked,
            Some(question) => sight(gateway, understood, standpoint, question, verb).await?,
            None => Sight::Unlooked,
        };
        sights.push((verb, sight));
    }
    Ok(sights)
}

async fn sight(
    gateway: &Gateway,
    understood: &Understood,
    standpoint: &Standpoint,
    question: &Question,
    verb: Verb,
) -> Result<Sight, StoreError> {
    let Ok(asked) = question.request(verb, place(question, false)) else { return Ok(Sight::Unlooked) };
    let Some(rule) = standpoint.hangs_on_object(&asked).map(str::to_owned) else { return Ok(Sight::Unlooked) };
    let is_open = asked.info.namespace.is_none()
        && risk::lives(&asked.info.api_group, &asked.info.resource) == Lives::InNamespaces;
    if is_open {
        return Ok(Sight::Unlooked);
    }
    match object(gateway, understood, question, asked).await {
        Ok(Some(object)) => Ok(Sight::Seen(object)),
        Ok(None) => Ok(Sight::Unseen(rule, Unseen::nowhere())),
        Err(Refusal::Store(error)) => Err(error),
        Err(refusal) => {
            let resource = match question {
                Question::Resource { resource, .. } => resource.resource.as_str(),
                Question::Path { .. } => "it",
            };
            Ok(Sight::Unseen(rule, Unseen::because(&refusal, resource)))
        }
    }
}

/// Reads it, as the agent. A question rarely tells the API version: of a group that is not Kubernetes' own the cluster is asked.
/// Nor does it tell whether objects of such a kind live in namespaces.
async fn object(
    gateway: &Gateway,
    understood: &Understood,
    question: &Question,
    asked: Asked,
) -> Result<Option<Value>, Refusal> {
    let mut question = question.clone();
    let own = risk::built_in().any(|(group, _)| group == asked.info.api_group);
    if let Question::Resource { resource, .. } = &mut question
        && asked.any_version
        && !own
        && let Some(version) = preview::preferred_version(gateway, understood, &resource.group).await?
    {
        resource.version = version;
    }
    let verb = asked.info.server_verb;
    let outside = risk::lives(&asked.info.api_group, &asked.info.resource) == Lives::Unknown;
    for place in [place(&question, false), Place::Cluster].into_iter().take(if outside { 2 } else { 1 }) {
        let Ok(asked) = question.request(verb, place) else { continue };
        if let Some(object) = preview::object_asked_about(gateway, understood, &asked.info).await? {
            return Ok(Some(object));
        }
    }
    Ok(None)
}

async fn standpoint(gateway: &Gateway, understood: &Understood) -> Result<Standpoint, StoreError> {
    let (subject, cluster) = (&understood.caller.subject, understood.upstream.cluster());
    let frozen = gateway.store.active_freeze(subject).await?;
    let denials = gateway.store.denials(subject, &cluster.name).await?;
    let denial = |denial: lockgate_core::Approval| {
        let (why, next) = (
            format!("a human denied this or the same effect before ({})", denial.id),
            format!(
                "tell your human; who may decide it lets it be asked again with `lockgate approvals reopen {}`",
                denial.id
            ),
        );
        denial.effect.map(|effect| (effect, Stopped { why, next }))
    };
    let (policy, now) = (gateway.policy.load_full(), gateway.clock().now());
    let mut removals = Removals::default();
    for window in policy.blast_windows() {
        let since = now.minus(Duration::from_secs(window));
        removals.add(window, gateway.store.removed(subject, &cluster.name, since).await?);
    }
    Ok(Standpoint {
        policy,
        subject: subject.clone(),
        cluster: cluster.name.clone(),
        environment: cluster.environment.clone(),
        four_eyes: cluster.four_eyes,
        now,
        frozen: frozen.map(|freeze| Stopped {
            why: format!("every change by this agent is stopped: {}", limits::why_frozen(&freeze)),
            next: format!(
                "tell your human what you wanted and why; an approver lets you go on with `lockgate agents clear {}`",
                limits::key(&freeze)
            ),
        }),
        denials: denials.into_iter().filter_map(denial).collect(),
        removals,
    })
}

/// Reads the cluster's answer and adds our word.
pub(super) async fn answer(
    gateway: &Gateway,
    review: &Review,
    form: AnswerForm,
    body: &mut UpstreamBody,
) -> Result<Combined, Refusal> {
    let unreadable = |why: &str| Refusal::UpstreamAnswer(WireError::Review(why.to_owned()));
    if form != AnswerForm::Json {
        return Err(unreadable("it is no JSON"));
    }
    let read = tokio::time::timeout(ANSWER_READ_MAX, Limited::new(body, ANSWER_BYTES_MAX).collect());
    let whole = tokio::select! {
        whole = read => whole.ok().and_then(Result::ok),
        () = gateway.ending.cancelled() => None,
    };
    let whole = whole.ok_or_else(|| unreadable("it did not arrive whole, in time and within 4 MiB"))?.to_bytes();
    match review {
        Review::Access(verdict) => {
            let combined = access::combine(&whole, verdict.word(), &verdict.reason).map_err(Refusal::UpstreamAnswer)?;
            let told = combined.allowed && verdict.but.is_some();
            let warning = told.then(|| HeaderValue::try_from(status::warning(&verdict.reason)).ok()).flatten();
            Ok(Combined { body: combined.body, warning })
        }
        Review::Rules(standpoint, namespace) => {
            let mut answer = rules::Answer::read(&whole).map_err(Refusal::UpstreamAnswer)?;
            let note = listing::cut(standpoint, namespace, &mut answer).await;
            let body = answer.write(&note).map_err(Refusal::UpstreamAnswer)?;
            Ok(Combined { body, warning: None })
        }
    }
}

impl Review {
    /// For the record.
    fn in_words(&self) -> String {
        match self {
            Self::Access(Verdict { effect, reason, .. }) if reason.is_empty() => {
                format!("what it asks about: {}", effect.as_str())
            }
            Self::Access(Verdict { effect, reason, .. }) => {
                format!("what it asks about: {}. {reason}", effect.as_str())
            }
            Self::Rules(_, namespace) => {
                format!("the answer lists what the cluster gives in namespace {namespace:?} and the rules allow")
            }
        }
    }
}
