//! What does the policy say? Pure: the newest policy, the subject, the action and its facts.

use std::sync::Arc;

use lockgate_core::{Action, DecidedBy, Decision, Effect, Verb};
use lockgate_policy::{ByLabels, Facts, Policy, View};

use super::{Decided, Understood, observe, shadow};
use crate::gateway::Gateway;
use crate::sieve;

pub(super) fn decide(gateway: &Gateway, understood: Understood) -> Decided {
    let policy = gateway.policy.load_full();
    let facts = facts(gateway, &understood);
    let mut decision = by(&policy, &understood, &understood.action, &facts);
    decision.reasons.extend(understood.unreadable.clone());
    let view = view(&policy, &understood, &facts, &decision);
    if let Some(selector) = view.as_ref().and_then(View::selector) {
        decision.reasons.push(format!("the label selector that is sent: {selector}"));
    }
    let shadow = shadow::differing(
        gateway,
        &understood.caller.subject,
        understood.upstream.cluster().name.as_str(),
        &understood.action,
        &facts,
        &decision,
    );
    let mut understood = understood;
    let environment = understood.upstream.cluster().environment.clone();
    let by = DecidedBy { policy: policy.provenance().cloned(), shadow, environment, policy_effect: None };
    if let Some(view) = &view {
        understood.log.arrival().options = sieve::options(&understood.options, &understood.info, view);
    }
    understood.view = view;
    understood.log.decided_by(&decision, by);
    Decided { understood, decision }
}

/// The decision as of now; asked again when a hold ends (invariant 12), with the view that goes with it.
pub(super) fn again(gateway: &Gateway, understood: &Understood) -> (Decision, Option<View>) {
    let policy = gateway.policy.load_full();
    let facts = facts(gateway, understood);
    let decision = by(&policy, understood, &understood.action, &facts);
    let view = view(&policy, understood, &facts, &decision);
    (decision, view)
}

/// The decision as if the request were `action`: with another class of risk.
pub(super) fn decision_on(gateway: &Gateway, understood: &Understood, action: &Action) -> Decision {
    by(&gateway.policy.load(), understood, action, &facts(gateway, understood))
}

/// Whether the policy looks at the live object for a request like this.
pub(super) fn needs_old_object(gateway: &Gateway, understood: &Understood) -> bool {
    let cluster = understood.upstream.cluster().name.as_str();
    let (subject, facts) = (&understood.caller.subject, facts(gateway, understood));
    gateway.policy.load().needs_old_object(subject, cluster, &understood.action, &facts)
}

/// Whether labels or content tell if a human is asked for the object.
pub(super) fn asks_by_object(gateway: &Gateway, understood: &Understood) -> bool {
    let cluster = understood.upstream.cluster().name.as_str();
    let (subject, facts) = (&understood.caller.subject, facts(gateway, understood));
    gateway.policy.load().asks_by_object(subject, cluster, &understood.action, &facts)
}

/// Whether the verdict on one object, or on a part of it, hangs on what it is.
pub(super) fn hangs_on_object(gateway: &Gateway, understood: &Understood) -> bool {
    let cluster = understood.upstream.cluster().name.as_str();
    let (subject, facts) = (&understood.caller.subject, facts(gateway, understood));
    gateway.policy.load().hangs_on_object(subject, cluster, &understood.action, &facts).is_some()
}

/// The rules that wait for labels of the object that nobody knows.
pub(super) fn by_labels(gateway: &Gateway, understood: &Understood) -> Vec<ByLabels> {
    let cluster = understood.upstream.cluster().name.as_str();
    let (subject, facts) = (&understood.caller.subject, facts(gateway, understood));
    gateway.policy.load().by_labels(subject, cluster, &understood.action, &facts)
}

/// Whether the request would be decided otherwise if it created what it names.
pub(super) fn differs_as_create(gateway: &Gateway, understood: &Understood) -> bool {
    let (policy, facts) = (gateway.policy.load(), facts(gateway, understood));
    let one = one_verb(&policy, understood, &understood.action, &facts);
    let other = one_verb(&policy, understood, &as_create(&understood.action), &facts);
    one.effect != other.effect || one.rule != other.rule
}

/// The verdict. Where an apply or a PUT would create its object, the rules for creating it have a word too, as the API
/// server asks for `create` besides: the stricter verdict holds.
fn by(policy: &Policy, understood: &Understood, action: &Action, facts: &Facts<'_>) -> Decision {
    let own = one_verb(policy, understood, action, facts);
    if !understood.may_create {
        return own;
    }
    let mut created = one_verb(policy, understood, &as_create(action), facts);
    if strictness(created.effect) <= strictness(own.effect) {
        return own;
    }
    created.reasons.push("nothing stands there yet: this would create it".to_owned());
    created
}

fn one_verb(policy: &Policy, understood: &Understood, action: &Action, facts: &Facts<'_>) -> Decision {
    policy.decide(&understood.caller.subject, understood.upstream.cluster().name.as_str(), action, facts)
}

fn as_create(action: &Action) -> Action {
    Action { verb: Verb::Create, ..action.clone() }
}

const fn strictness(effect: Effect) -> u8 {
    match effect {
        Effect::Allow => 0,
        Effect::Ask => 1,
        Effect::Deny => 2,
    }
}

fn view(policy: &Arc<Policy>, understood: &Understood, facts: &Facts<'_>, decision: &Decision) -> Option<View> {
    let cluster = understood.upstream.cluster().name.as_str();
    policy.view(&understood.caller.subject, cluster, &understood.action, facts, decision)
}

fn facts<'u>(gateway: &Gateway, understood: &'u Understood) -> Facts<'u> {
    let cluster = understood.upstream.cluster();
    let old_object = observe::old_object(understood);
    // What a read asks for, where it was read before.
    let asked_for = old_object.filter(|_| understood.info.verb.is_read());
    Facts {
        object: asked_for.or(understood.judged()),
        old_object,
        environment: cluster.environment.as_str(),
        four_eyes: cluster.four_eyes,
        now: Some(gateway.clock().now()),
        ..Facts::new(&understood.options)
    }
}
