//! What a verdict hangs on that nobody knows yet: the labels or the content of the one object that a request names, or a
//! condition that could not be evaluated.
//!
//! Owns who is to read the object first, and the words for what stayed unknown. Refuses to know: how it is read.

use std::cell::OnceCell;

use lockgate_core::{Action, Decision, Effect, Subject, Verb};
use lockgate_expr::{EvaluationError, Expression};
use serde::Serialize;

use crate::condition::{self, Scene};
use crate::decide::{Facts, Found};
use crate::matching::{Coverage, Direction, Request};
use crate::policy::{Policy, Rule};
use crate::risk;
use crate::view::effect_of;

/// Most conditions that a decision names because they could not be evaluated.
const UNEVALUATED_MAX: usize = 8;

/// A rule that covers the one object of a request or not, by labels that nobody has read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ByLabels {
    /// Its name.
    pub rule: String,
    /// What it does to an object that has the labels.
    pub effect: Effect,
    /// `team=finance`
    pub labels: Vec<String>,
}

/// A verdict that the one object of a request may bring about, which nobody has read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ByObject {
    /// What becomes of it.
    pub effect: Effect,
    /// The rule; `None`: that no rule matches.
    pub rule: Option<String>,
    /// Where this holds, and nothing before; `None`: where no condition before holds.
    pub when: Option<String>,
}

/// A condition that gave no value.
pub(crate) struct Unevaluated<'p> {
    rule: &'p Rule,
    why: String,
}

impl Policy {
    /// The rules of which the labels of the one named object would tell whether they cover it, where those are not known. Empty
    /// where the verdict depends on no such rule.
    pub fn by_labels(&self, subject: &Subject, cluster: &str, action: &Action, facts: &Facts<'_>) -> Vec<ByLabels> {
        let request = Request::new(subject, cluster, action, facts);
        if !request.hides_labels() {
            return Vec::new();
        }
        let change = OnceCell::new();
        let found = self.walk(&request, &Scene::new(subject, cluster, action, facts, &change));
        let partial = found.partial.iter().map(|partial| partial.rule).chain(found.given_in_part);
        let by_labels: Vec<ByLabels> = partial
            .filter(|rule| rule.matcher.label_selector.is_some())
            .map(|rule| ByLabels { rule: rule.name.clone(), effect: effect_of(rule), labels: labels_of(rule) })
            .collect();
        let otherwise = found.whole.map_or(Effect::Deny, effect_of);
        if by_labels.iter().all(|one| one.effect == otherwise) { Vec::new() } else { by_labels }
    }

    /// What may come out, in order, where conditions look at the one named object as it is in the cluster, which is not known:
    /// not read is not the same as not there. Empty where all of it comes to the same.
    pub fn by_object(&self, subject: &Subject, cluster: &str, action: &Action, facts: &Facts<'_>) -> Vec<ByObject> {
        let request = Request::new(subject, cluster, action, facts);
        let change = OnceCell::new();
        let scene = Scene::new(subject, cluster, action, facts, &change);
        let mut possible = Vec::new();
        let mut last = ByObject { effect: Effect::Deny, rule: None, when: None };
        for rule in self.rules.iter().filter(|rule| rule.sieves.admit(&request)) {
            let coverage = rule.matcher.coverage(&request, rule.direction());
            if coverage == Coverage::Nothing {
                continue;
            }
            let (effect, name) = (effect_of(rule), Some(rule.name.clone()));
            if let Some(when) = &rule.when {
                if is_unread(rule, when, &request, &scene) {
                    possible.push(ByObject { effect, rule: name, when: Some(when.text().to_owned()) });
                    continue;
                }
                if !scene.fulfils(Some(when), rule.direction()) {
                    continue;
                }
            }
            if coverage == Coverage::Whole {
                last = ByObject { effect, rule: name, when: None };
                break;
            }
        }
        if possible.iter().all(|one| one.effect == last.effect) {
            return Vec::new();
        }
        possible.push(last);
        possible
    }

    /// The first rule that looks at the object itself (its labels; in a condition on `oldObject`, of a read also `object`) before
    /// any rule decides without: then one named object is worth reading first. The action's class is not looked at.
    pub fn hangs_on_object(
        &self,
        subject: &Subject,
        cluster: &str,
        action: &Action,
        facts: &Facts<'_>,
    ) -> Option<&str> {
        let class = risk::classify(&risk::Request::of(action, facts.options, None));
        let action = Action { risk: class, ..action.clone() };
        let request = Request::new(subject, cluster, &action, facts);
        if !request.names_one() || facts.old_object.is_some() {
            return None;
        }
        // What changes an object may turn out to be of another class.
        let is_certain = !matches!(action.verb, Verb::Update | Verb::Patch | Verb::Delete);
        let request = if is_certain { request } else { request.of_any_risk() };
        for rule in self.rules.iter().filter(|rule| rule.sieves.admit(&request)) {
            let coverage = rule.matcher.coverage(&request, rule.direction());
            if coverage == Coverage::Nothing {
                continue;
            }
            if rule.matcher.label_selector.is_some() || rule.when.as_ref().is_some_and(|when| looks(when, &action)) {
                return Some(&rule.name);
            }
            let whole = coverage == Coverage::Whole && rule.when.is_none();
            if whole && (is_certain || rule.matcher.risks.is_none()) {
                return None;
            }
        }
        None
    }

    /// A denial because a rule takes away what has labels, and nobody knows those of the object.
    pub(crate) fn deny_by_unknown_labels(&self, rule: &Rule, what: &str) -> Decision {
        let labels = labels_of(rule).join(",");
        let reason = format!(
            "rule `{}` denies {what} if the object is labelled {labels}, and its labels are not known",
            rule.name
        );
        let message = format!(
            "Rule `{}` denies this for objects that are labelled {labels}, and the labels of this one are not known.",
            rule.name
        );
        Decision { message: Some(message), ..self.verdict(rule, reason) }
    }

    /// A denial because a rule gives only what has labels, and nobody knows those of the object.
    pub(crate) fn deny_given_by_unknown_labels(&self, rule: &Rule, what: &str) -> Decision {
        let labels = labels_of(rule).join(",");
        let mut decision = self.deny_unmatched(what);
        decision.reasons.push(format!(
            "rule `{}` allows it if the object is labelled {labels}, and its labels are not known",
            rule.name
        ));
        let message = format!(
            "Rule `{}` allows this for objects that are labelled {labels}, and the labels of this one are not known.",
            rule.name
        );
        Decision { message: Some(message), ..decision }
    }
}

/// Whether the condition turns on the one named object as it is in the cluster, and nobody has read it.
pub(crate) fn is_unread(rule: &Rule, when: &Expression, request: &Request<'_>, scene: &Scene<'_>) -> bool {
    let (action, facts) = (request.action, request.facts);
    if facts.old_object.is_some() || !request.names_one() {
        return false;
    }
    let compares = matches!(action.verb, Verb::Update | Verb::Patch) && when.uses(condition::CHANGE);
    let looked_at = when.uses(condition::OLD_OBJECT) || compares;
    // An update says what it wants, and what that changes only the object tells.
    let guessed = compares && action.verb == Verb::Update;
    rule.looks_beyond(request) || (looked_at && (guessed || scene.evaluate(when).is_err()))
}

/// Whether the condition looks at what stands in the cluster.
fn looks(when: &Expression, action: &Action) -> bool {
    when.uses(condition::OLD_OBJECT) || (action.verb.is_read() && when.uses(condition::OBJECT))
}

pub(crate) fn labels_of(rule: &Rule) -> Vec<String> {
    rule.matcher.label_selector.iter().flatten().map(|(key, value)| format!("{key}={value}")).collect()
}

impl<'p> Found<'p> {
    /// Whether the rule's condition leaves it in force. One that cannot be evaluated counts against the request, and is noted.
    pub(crate) fn holds(&mut self, scene: &Scene<'_>, rule: &'p Rule) -> bool {
        let Some(when) = &rule.when else { return true };
        scene.evaluate(when).unwrap_or_else(|error| {
            if self.unevaluated.len() < UNEVALUATED_MAX {
                self.unevaluated.push(Unevaluated { rule, why: why(when, &error) });
            }
            rule.direction() == Direction::Restricts
        })
    }

    /// Whether labels that nobody knows could only deny what is denied without them.
    pub(crate) fn is_denied_anyway(&self, request: &Request<'_>) -> bool {
        let denies = |rule: &Rule| effect_of(rule) == Effect::Deny;
        request.hides_labels()
            && self.given_in_part.is_none()
            && self.partial.iter().all(|partial| denies(partial.rule))
            && self.whole.is_none_or(denies)
    }

    /// The decision, with what could not be evaluated on the way to it; the caller of a denial is told what it turned on.
    pub(crate) fn told(&self, mut decision: Decision) -> Decision {
        for Unevaluated { rule, why } in &self.unevaluated {
            let name = &rule.name;
            decision.reasons.push(format!(
                "condition of rule `{name}` could not be evaluated ({why}): it counts against the request"
            ));
        }
        let decisive = |one: &&Unevaluated<'_>| {
            rule_allows(one.rule) || decision.rule.as_ref().is_some_and(|rule| *rule == one.rule.name)
        };
        let denied = decision.effect == Effect::Deny;
        if let Some(Unevaluated { rule, why }) = self.unevaluated.iter().filter(|_| denied).find(decisive) {
            let told = format!(
                "The condition of rule `{}` could not be evaluated ({why}), which counts against the request.",
                rule.name
            );
            decision.message = Some(match decision.message {
                Some(message) => format!("{message} {told}"),
                None => told,
            });
        }
        decision
    }
}

fn rule_allows(rule: &Rule) -> bool {
    rule.direction() == Direction::Allows
}

/// Why a condition gave no value, without the condition itself.
pub(crate) fn why(when: &Expression, error: &EvaluationError) -> String {
    let text = error.to_string();
    let behind = text.strip_prefix(when.text()).map(|rest| rest.trim_start_matches([':', ' ']).to_owned());
    behind.unwrap_or(text)
}

/// What to write before a condition that stumbled over a key that is not there: `has(object.spec) && …`.
pub(crate) fn guard(when: &str, why: &str) -> Option<String> {
    let key = why.strip_prefix("no such key: ")?.trim_matches(['"', '\'']);
    let is_path = |character: char| character.is_alphanumeric() || matches!(character, '_' | '.');
    let chains = when.split(|character| !is_path(character));
    for chain in chains {
        let parts: Vec<&str> = chain.split('.').collect();
        let Some(missing) = parts.iter().skip(1).position(|part| *part == key).map(|at| at + 1) else { continue };
        if parts.iter().any(|part| part.is_empty()) {
            continue;
        }
        // `has` asks for the last part itself, and so does what follows the guard.
        let last = if when.contains(&format!("has({chain})")) { parts.len().saturating_sub(1) } else { parts.len() };
        let asked = (missing..last.max(missing + 1)).filter_map(|end| parts.get(..=end));
        let guards: Vec<String> = asked.map(|parts| format!("has({})", parts.join("."))).collect();
        return Some(format!("{} && …", guards.join(" && ")));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_key_is_asked_for_first() {
        for (when, key, expected) in [
            (
                "has(object.spec.template.spec.hostNetwork)",
                "template",
                Some("has(object.spec.template) && has(object.spec.template.spec) && …"),
            ),
            ("object.spec.replicas < 5", "spec", Some("has(object.spec) && has(object.spec.replicas) && …")),
            ("object.spec.replicas < 5", "replicas", Some("has(object.spec.replicas) && …")),
            ("oldObject.metadata.labels['team'] == 'a'", "team", None),
            (
                "oldObject.metadata.labels.team == 'a'",
                "labels",
                Some("has(oldObject.metadata.labels) && has(oldObject.metadata.labels.team) && …"),
            ),
        ] {
            assert_eq!(guard(when, &format!("no such key: {key}")).as_deref(), expected, "{when}");
        }
        assert_eq!(guard("oldObject.a", "undeclared"), None);
    }
}
