//! What limits in time make of a verdict, as of what was removed so far. Looks only: asking spends nothing. Refuses to know:
//! the store, and limits on speed beyond naming the rule's.

use std::collections::BTreeMap;

use lockgate_core::{Action, BlastLimit, BlastVerdict, Effect, Options, RateLimit, Verb};
use lockgate_policy::{Outlook, risk};

use super::{Standpoint, Stopped, Verdict, words};

/// How many objects an agent has removed in a cluster.
#[derive(Debug, Default)]
pub(crate) struct Removals {
    /// By the window in seconds, and the rule.
    counts: BTreeMap<(u64, String), u32>,
}

impl Removals {
    /// Adds the counts of one window.
    pub(crate) fn add(&mut self, window_seconds: u64, counts: Vec<(String, u32)>) {
        self.counts.extend(counts.into_iter().map(|(rule, count)| ((window_seconds, rule), count)));
    }

    fn of(&self, rule: &str, limit: &BlastLimit) -> u32 {
        self.counts.get(&(limit.per_seconds, rule.to_owned())).copied().unwrap_or_default()
    }
}

impl Standpoint {
    /// The verdict on what the policy gives, within the limits of the rule that gives it.
    pub(super) fn limited(&self, action: &Action, options: &Options, mut outlook: Outlook) -> Verdict {
        let limits = outlook.decision.obligations.limits.clone().unwrap_or_default();
        let rule = outlook.decision.rule.clone().unwrap_or_default();
        let rate = limits.rate.as_ref().map(rate_in_words);
        let Some(limit) = limits.blast.filter(|_| removes(action, options)) else {
            return words::of(outlook, None, rate.as_deref());
        };
        let removed = (action.verb != Verb::DeleteCollection).then(|| self.removals.of(&rule, &limit));
        if let Some(removed) = removed.filter(|removed| *removed < limit.deletes) {
            let but = words::limit_ahead(&rule, &limit, removed);
            return words::of(outlook, Some(but), rate.as_deref());
        }
        let why = words::limit_reached(&rule, &limit, removed);
        match limit.then {
            BlastVerdict::Deny => {
                let next = "remove no more for now, and tell your human what is left to remove and why".to_owned();
                Verdict::stopped(&Stopped { why, next })
            }
            BlastVerdict::Ask(terms) => {
                let decision = &mut outlook.decision;
                decision.effect = Effect::Ask;
                decision.terms = Some(terms);
                decision.message = Some(match decision.message.take() {
                    Some(message) => format!("{why}. {message}"),
                    None => format!("{why}."),
                });
                outlook.exceptions.retain(|exception| exception.effect != Effect::Ask);
                words::of(outlook, None, rate.as_deref())
            }
        }
    }
}

/// Whether such a request removes what it is about. A question leaves the name open, which a request has.
fn removes(action: &Action, options: &Options) -> bool {
    let one = Action { name: Some(action.name.clone().unwrap_or_else(|| "some".to_owned())), ..action.clone() };
    risk::effect_key(&one, options, &Default::default()).is_some()
}

fn rate_in_words(rate: &RateLimit) -> String {
    format!("which lets this agent send {} requests in {} s", rate.requests, rate.per_seconds)
}
