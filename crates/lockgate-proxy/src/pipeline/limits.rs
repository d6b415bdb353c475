//! May this agent do it now, whatever the policy says of the request itself? Not while it is too fast, frozen, has been
//! denied the same effect a while ago, or removes too much at once. Asked between the verdict and the human, and again when
//! a hold ends (invariant 12).

use lockgate_core::{
    Action, Approval, BlastLimit, BlastVerdict, DecidedBy, Decision, Effect, Freeze, FreezeCause, Risk, Verb,
};
use lockgate_policy::change::Change;
use lockgate_policy::risk;
use lockgate_store::{Agent, Removal, Removed};

use super::{Decided, Refusal, Stop, Understood, approve, observe};
use crate::gateway::Gateway;

/// The header in which kubectl says which invocation a request belongs to. Chosen by the client: a hint for grouping.
const INVOCATION_HEADER: &str = "kubectl-session";

pub(super) async fn limit(gateway: &Gateway, decided: Decided) -> Result<Decided, Stop> {
    let Decided { mut understood, decision } = decided;
    let by_policy = decision.clone();
    match within(gateway, &mut understood, decision).await {
        Ok(decision) => Ok(Decided { understood, decision }),
        Err(refusal) => {
            overrule(&mut understood, &by_policy, &refusal);
            Err(Stop::refuse(understood.log, refusal))
        }
    }
}

/// Notes that the request is denied whatever the policy said, which the record keeps beside it: `decision` is its verdict.
pub(super) fn overrule(understood: &mut Understood, decision: &Decision, refusal: &Refusal) {
    if decision.effect == Effect::Deny {
        return;
    }
    let Some(why) = why_not(refusal) else { return };
    let mut reasons = decision.reasons.clone();
    reasons.push(why);
    let overruled = Decision { effect: Effect::Deny, reasons, terms: None, ..decision.clone() };
    let by = DecidedBy { policy_effect: Some(decision.effect), ..DecidedBy::default() };
    understood.log.decided_by(&overruled, by);
}

/// What stands in the way whatever the policy says, in words.
fn why_not(refusal: &Refusal) -> Option<String> {
    match refusal {
        Refusal::Frozen(freeze) => Some(format!("the agent is frozen ({}): {}", freeze.id, why_frozen(freeze))),
        Refusal::DeniedByHuman(denial) => Some(format!("a human denied it before, and that stands ({})", denial.id)),
        Refusal::DeniedBefore(denial) => {
            Some(format!("a human denied the same effect before, and that stands ({})", denial.id))
        }
        Refusal::RateLimited { rule, rate, .. } => {
            let whose = rule.as_ref().map_or_else(|| "the gateway".to_owned(), |rule| format!("rule `{rule}`"));
            Some(format!(
                "too fast: {whose} lets this agent send {} requests in {} s, and it sent more",
                rate.requests, rate.per_seconds
            ))
        }
        Refusal::RemovesTooMuch { rule, limit, removed } => Some(exceeded(rule, limit, *removed)),
        _ => None,
    }
}

async fn within(gateway: &Gateway, understood: &mut Understood, decision: Decision) -> Result<Decision, Refusal> {
    pace(gateway, understood, &decision)?;
    if decision.effect == Effect::Deny {
        return Ok(decision);
    }
    standing(gateway, understood).await?;
    blast(gateway, understood, decision).await
}

/// Whether the agent is neither frozen nor bound by a human's earlier denial. Reads always pass.
pub(super) async fn standing(gateway: &Gateway, understood: &mut Understood) -> Result<(), Refusal> {
    if !is_change(understood) {
        return Ok(());
    }
    let subject = &understood.caller.subject;
    if let Some(freeze) = gateway.store.active_freeze(subject).await? {
        return Err(Refusal::Frozen(Box::new(freeze)));
    }
    let mut denials = gateway.store.denials(subject, &understood.upstream.cluster().name).await?;
    denials.retain(|denial| has_effect(denial, &removal_of_target(understood)));
    if denials.is_empty() {
        return Ok(());
    }
    observe::target(gateway, understood).await?;
    let effect = effect(understood);
    denials.retain(|denial| has_effect(denial, &effect));
    let own = approve::fingerprint_of(gateway, understood);
    // The newest; the one of this very request, where there is one.
    let same = denials.iter().position(|denial| denial.fingerprint == own);
    match denials.into_iter().nth(same.unwrap_or(0)) {
        Some(denial) if same.is_some() => Err(Refusal::DeniedByHuman(Box::new(denial))),
        Some(denial) => Err(Refusal::DeniedBefore(Box::new(denial))),
        None => Ok(()),
    }
}

fn has_effect(denial: &Approval, effect: &Option<String>) -> bool {
    match (&denial.effect, effect) {
        (Some(denied), Some(effect)) => risk::same_effect(denied, effect),
        (None, _) | (_, None) => false,
    }
}

/// What the request would bring about, whatever it looks like, as far as is known of its target.
pub(super) fn effect(understood: &Understood) -> Option<String> {
    risk::effect_key(&understood.action, &understood.options, &observe::change(understood))
}

/// The effect of removing what the request is about: only a denial of that can be in its way.
fn removal_of_target(understood: &Understood) -> Option<String> {
    let own = &understood.action;
    let verb = if own.verb == Verb::DeleteCollection { own.verb } else { Verb::Delete };
    let action = Action { verb, subresource: None, ..own.clone() };
    risk::effect_key(&action, &understood.options, &Change::default())
}

/// Whether the request does more than read. By its class, so that a review or a dry run counts as what it is.
fn is_change(understood: &Understood) -> bool {
    !matches!(understood.action.risk, Risk::Read | Risk::Masked)
}

/// The client's word on which of its invocations this belongs to.
pub(super) fn invocation(understood: &Understood) -> Option<String> {
    understood.headers.get(INVOCATION_HEADER)?.to_str().ok().map(str::to_owned)
}

/// Whether the agent, and the rule for this agent, have requests left.
fn pace(gateway: &Gateway, understood: &Understood, decision: &Decision) -> Result<(), Refusal> {
    let (now, subject) = (gateway.clock().now(), &understood.caller.subject);
    let own = gateway.limits.agent_rate.map(|rate| (None, rate));
    let rule = decision.obligations.limits.as_ref().and_then(|limits| limits.rate);
    let rule = rule.map(|rate| (decision.rule.as_deref(), rate));
    for (rule, rate) in own.into_iter().chain(rule) {
        let cluster = rule.map(|_| understood.upstream.cluster().name.as_str());
        if let Err(wait) = gateway.pace.take(subject, cluster, rule, rate, now) {
            return Err(Refusal::RateLimited { rule: rule.map(str::to_owned), rate, wait });
        }
    }
    Ok(())
}

/// Counts what is removed against the rule's limit; beyond it the class is mass loss, and the rule's other verdict holds.
async fn blast(gateway: &Gateway, understood: &mut Understood, mut decision: Decision) -> Result<Decision, Refusal> {
    let limit = decision.obligations.limits.as_ref().and_then(|limits| limits.blast.clone());
    let (Some(limit), Some(rule), Some(count)) = (limit, decision.rule.clone(), removes(understood)) else {
        return Ok(decision);
    };
    let removed = match count {
        Count::Unbounded => None,
        Count::One => match gateway.store.remove(removal(gateway, understood, &rule, &limit)).await? {
            Removed::Fits => return Ok(decision),
            Removed::Exceeds { removed } => Some(removed),
        },
    };
    understood.beyond = true;
    understood.log.arrival().action = Some(shown_action(understood));
    match limit.then {
        BlastVerdict::Ask(ref terms) => {
            let by = DecidedBy { policy_effect: Some(decision.effect), ..DecidedBy::default() };
            decision.reasons.push(exceeded(&rule, &limit, removed));
            decision.effect = Effect::Ask;
            decision.terms = Some(terms.clone());
            understood.log.decided_by(&decision, by);
            Ok(decision)
        }
        BlastVerdict::Deny => Err(Refusal::RemovesTooMuch { rule, limit, removed }),
    }
}

/// The action as people see it: mass loss, where it goes beyond what the rule lets go. The policy decides on the request's own
/// class, so that a rule's limit changes that rule's verdict and no other's.
pub(super) fn shown_action(understood: &Understood) -> Action {
    let own = &understood.action;
    Action { risk: if understood.beyond { own.risk.max(Risk::Mass) } else { own.risk }, ..own.clone() }
}

/// How many objects a request removes.
enum Count {
    One,
    /// A collection: as many as there are.
    Unbounded,
}

fn removes(understood: &Understood) -> Option<Count> {
    effect(understood)?;
    Some(if understood.action.verb == Verb::DeleteCollection { Count::Unbounded } else { Count::One })
}

fn removal(gateway: &Gateway, understood: &Understood, rule: &str, limit: &BlastLimit) -> Removal {
    Removal {
        subject: understood.caller.subject.clone(),
        cluster: understood.upstream.cluster().name.clone(),
        rule: rule.to_owned(),
        audit_id: understood.log.audit_id(),
        count: 1,
        count_max: limit.deletes,
        window: std::time::Duration::from_secs(limit.per_seconds),
        at: gateway.clock().now(),
    }
}

fn exceeded(rule: &str, limit: &BlastLimit, removed: Option<u32>) -> String {
    let (deletes, seconds) = (limit.deletes, limit.per_seconds);
    let what = match removed {
        Some(removed) => format!("{removed} objects are removed already"),
        None => "a collection has no number".to_owned(),
    };
    format!("mass: the rule {rule:?} lets this agent remove {deletes} objects in {seconds} s, and {what}.")
}

/// Why an agent is frozen, as half a sentence.
pub(super) fn why_frozen(freeze: &Freeze) -> String {
    match &freeze.cause {
        FreezeCause::Denials { approvals } => format!("humans denied {} of its requests in a row", approvals.len()),
        FreezeCause::Human { by, note, .. } => format!("{} stopped it: {note}", by.id),
    }
}

/// What the person who clears a freeze names.
pub(super) fn key(freeze: &Freeze) -> String {
    Agent::key_of(&freeze.subject)
}
