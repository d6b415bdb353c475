//! What clients are told: one line, since kubectl prints `no - REASON`, with one next step.

use lockgate_core::{BlastLimit, BlastVerdict, Decision, Effect, Risk, Terms, Verb};
use lockgate_policy::{Depends, Exception, Outlook};

use super::{Stopped, Verdict};
use crate::pipeline::Unseen;

/// Most rules that are named beside the one that decides.
const EXCEPTIONS_SHOWN_MAX: usize = 6;

/// Longest text of a policy's author that is repeated, in characters.
const TEXT_CHARACTERS_MAX: usize = 300;

/// The verdict in words. `limit`: what becomes of it after some more; `rate`: how fast the rule lets the agent be.
pub(super) fn of(outlook: Outlook, limit: Option<String>, rate: Option<&str>) -> Verdict {
    let Outlook { decision, exceptions } = outlook;
    let Decision { effect, rule, terms, message, .. } = decision;
    let parts: Vec<String> = limit.into_iter().chain(exceptions_in_words(&exceptions)).collect();
    let but = (!parts.is_empty()).then(|| parts.join("; "));
    let rule = rule.map(|rule| text(&rule));
    let behind = but.as_ref().map(|but| format!(" But {but}.")).unwrap_or_default();
    let message = message.map(|message| format!(" {}", text(&message))).unwrap_or_default();
    let people = terms.as_ref().map(people).unwrap_or_default();
    let reason = match (effect, &rule) {
        (Effect::Allow, _) if but.is_none() && rate.is_none() => String::new(),
        (Effect::Allow, rule) => {
            let rate = rate.map(|rate| format!(", {rate}")).unwrap_or_default();
            format!("Lockgate: {}{rate}.{behind}", allowed_by(rule.as_deref()))
        }
        (Effect::Ask, rule) => {
            let rule = rule.as_deref().unwrap_or_default();
            format!(
                "Lockgate: needs approval by {people} (rule {rule:?}).{message}{behind} Next step: send the request; it \
                 waits for their decision."
            )
        }
        (Effect::Deny, Some(rule)) => no_with(&format!("denied by rule {rule:?}"), &message, &behind),
        (Effect::Deny, None) => no_with("no policy rule allows it", &message, &behind),
    };
    Verdict { effect, reason, but, exceptions, by: rule.map(|rule| (rule, people)) }
}

/// A no that is no rule's.
pub(super) fn no(why: &str) -> String {
    no_with(&text(why), "", "")
}

/// A no that ends when a human says so.
pub(super) fn stopped(stopped: &Stopped) -> String {
    format!("Lockgate: {}. Next step: {}.", text(&stopped.why), text(&stopped.next))
}

/// A limit on removals that is not reached yet.
pub(super) fn limit_ahead(rule: &str, limit: &BlastLimit, removed: u32) -> String {
    let verdict = match &limit.then {
        BlastVerdict::Deny => "denies it".to_owned(),
        BlastVerdict::Ask(terms) => format!("asks {}", people(terms)),
    };
    let BlastLimit { deletes, per_seconds, .. } = limit;
    format!(
        "rule {:?} {verdict} beyond {deletes} removed objects in {per_seconds} s, of which {removed} are gone",
        text(rule)
    )
}

/// A limit on removals that is reached. `removed`: how many are gone; `None`: what is asked about has no number.
pub(super) fn limit_reached(rule: &str, limit: &BlastLimit, removed: Option<u32>) -> String {
    let why = match removed {
        Some(removed) => format!("{removed} are gone already"),
        None => "this removes any number at once".to_owned(),
    };
    let BlastLimit { deletes, per_seconds, .. } = limit;
    format!("rule {:?} lets this agent remove {deletes} objects in {per_seconds} s, and {why}", text(rule))
}

/// A no because nobody knows what the rule would say.
pub(super) fn unseen(rule: &str, unseen: &Unseen) -> String {
    let (rule, why, next) = (text(rule), text(&unseen.why), text(&unseen.next));
    format!(
        "Lockgate: rule {rule:?} decides by what the object is (its labels, say), and it cannot be read: {why}. Next step: {next}."
    )
}

fn no_with(why: &str, message: &str, but: &str) -> String {
    format!("Lockgate: {why}.{message}{but} Next step: tell your human that this needs a change of policy.")
}

fn allowed_by(rule: Option<&str>) -> String {
    rule.map_or_else(|| "allowed".to_owned(), |rule| format!("allowed by rule {rule:?}"))
}

/// `*`: allowed if every verb is.
pub(super) fn of_every_verb(first: (Verb, Verdict), rest: Vec<(Verb, Verdict)>) -> Verdict {
    let all: Vec<(Verb, Verdict)> = std::iter::once(first).chain(rest).collect();
    let of = |effect: Effect| all.iter().filter(move |(_, verdict)| verdict.effect == effect);
    let worst = [Effect::Deny, Effect::Ask, Effect::Allow].into_iter().find(|effect| of(*effect).next().is_some());
    let effect = worst.unwrap_or(Effect::Deny);
    let verbs: Vec<&str> = of(effect).map(|(verb, _)| verb.as_str()).collect();
    let Some((_, one)) = of(effect).find(|(_, one)| one.but.is_some()).or_else(|| of(effect).next()) else {
        return Verdict::no("it is about no verb");
    };
    let reason = match effect {
        Effect::Allow => one.reason.clone(),
        Effect::Ask | Effect::Deny => {
            let own = one.reason.strip_prefix("Lockgate: ").unwrap_or(&one.reason);
            format!("Lockgate: `*` is every verb, and of {}: {own}", verbs.join(", "))
        }
    };
    Verdict { reason, ..one.clone() }
}

/// `a human of sre`
pub(super) fn people(terms: &Terms) -> String {
    let people = if terms.count == 1 { "a human".to_owned() } else { format!("{} humans", terms.count) };
    match terms.approver_groups.as_slice() {
        [] => people,
        groups => format!("{people} of {}", text(&groups.join(" or "))),
    }
}

/// `rule "a" denies some objects by name; rule "b" asks a human of sre if it is destructive`
fn exceptions_in_words(exceptions: &[Exception]) -> Option<String> {
    let mut rules: Vec<(&Exception, Vec<String>)> = Vec::new();
    for exception in exceptions {
        let on = depends_in_words(exception.depends);
        match rules.iter_mut().find(|(known, _)| known.rule == exception.rule && known.effect == exception.effect) {
            Some((_, known)) if !known.contains(&on) => known.push(on),
            Some(_) => {}
            None => rules.push((exception, vec![on])),
        }
    }
    // What takes away is told first.
    rules.sort_by_key(|(exception, _)| exception.effect == Effect::Allow);
    let more = rules.len().saturating_sub(EXCEPTIONS_SHOWN_MAX);
    let mut shown: Vec<String> =
        rules.iter().take(EXCEPTIONS_SHOWN_MAX).map(|(exception, on)| exception_in_words(exception, on)).collect();
    if more > 0 {
        shown.push(format!("{more} more rules decide otherwise on a part"));
    }
    (!shown.is_empty()).then(|| shown.join("; "))
}

fn exception_in_words(exception: &Exception, on: &[String]) -> String {
    let on = on.join(", ");
    let Some(rule) = exception.rule.as_deref().map(text) else { return format!("no rule allows it {on}") };
    match exception.effect {
        Effect::Allow => format!("rule {rule:?} allows it {on}"),
        Effect::Deny => format!("rule {rule:?} denies it {on}"),
        Effect::Ask => {
            let people = exception.terms.as_ref().map_or_else(|| "a human".to_owned(), people);
            format!("rule {rule:?} asks {people} {on}")
        }
    }
}

fn depends_in_words(depends: Depends) -> String {
    match depends {
        Depends::Object => "for some, by name or place".to_owned(),
        Depends::Labels => "for some, by their labels".to_owned(),
        Depends::Condition => "where its condition holds".to_owned(),
        Depends::Scope => "if they are in no namespace".to_owned(),
        Depends::Class(class) => format!("if {}", class_in_words(class)),
    }
}

const fn class_in_words(class: Risk) -> &'static str {
    match class {
        Risk::Read | Risk::Masked => "it only reads",
        Risk::Write => "it is routine",
        Risk::Ask => "a human should see it first",
        Risk::Destructive => "it is an outage or loss",
        Risk::Mass => "it is mass or cascading loss",
        Risk::Stream => "it opens a stream",
        Risk::Escalation => "it gains rights or disables a control",
    }
}

/// On one line, without what a terminal obeys, and not too long.
fn text(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|character| if character.is_control() || character.is_whitespace() { ' ' } else { character })
        .take(TEXT_CHARACTERS_MAX)
        .collect();
    if text.chars().count() > TEXT_CHARACTERS_MAX {
        line.push('…');
    }
    line
}
