//! What would become of a request? For self reviews: the question is the wire's, the outlook the policy's, and what is said
//! about both is put together here. Refuses to know: HTTP, the store.

pub(crate) mod rules;
mod words;

use std::sync::Arc;

use lockgate_core::{Action, Effect, Risk, Subject, Timestamp, Verb};
use lockgate_policy::risk::{self, Lives};
use lockgate_policy::{Exception, Facts, Outlook, Policy, Question as Kind};
use lockgate_wire::RequestInfo;
use lockgate_wire::review::access::Word;
use lockgate_wire::review::{Asked, Place, Question};

/// Who asks, and under which policy: everything that a verdict depends on beside the question.
pub(crate) struct Standpoint {
    pub(crate) policy: Arc<Policy>,
    pub(crate) subject: Subject,
    pub(crate) cluster: String,
    pub(crate) environment: String,
    pub(crate) four_eyes: bool,
    pub(crate) now: Timestamp,
    /// Why every change is stopped, where it is.
    pub(crate) frozen: Option<String>,
    /// The removals that a human has said no to, as [`risk::effect_key`] names them, with what is said about each.
    pub(crate) denials: Vec<(String, String)>,
}

/// What would become of what a question asks about.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    pub(crate) effect: Effect,
    /// For the client, one line.
    pub(crate) reason: String,
    /// What may come out otherwise, in words.
    pub(crate) but: Option<String>,
    pub(crate) exceptions: Vec<Exception>,
    /// The rule that decides, and whom it asks.
    pub(crate) by: Option<(String, String)>,
}

impl Verdict {
    /// For the cluster's answer.
    pub(crate) const fn word(&self) -> Word {
        match self.effect {
            Effect::Allow => Word::Yes,
            Effect::Ask => Word::NotYet,
            Effect::Deny => Word::No,
        }
    }

    /// A no that is no rule's.
    fn no(why: &str) -> Self {
        let reason = words::no(why);
        Self { effect: Effect::Deny, reason, but: None, exceptions: Vec::new(), by: None }
    }
}

impl Standpoint {
    /// The verdict on a question; `None` for one that could not be read.
    pub(crate) fn verdict(&self, question: Option<&Question>) -> Verdict {
        let Some(question) = question else {
            return Verdict::no("it cannot be read what this asks about");
        };
        let verbs = question.verbs();
        let mut verdicts = verbs.iter().map(|verb| (*verb, self.verdict_on(question, *verb)));
        let Some(first) = verdicts.next() else {
            return Verdict::no("no request has this verb; what needs it is decided when it is sent");
        };
        let rest: Vec<(Verb, Verdict)> = verdicts.collect();
        if rest.is_empty() {
            return first.1;
        }
        words::of_every_verb(first, rest)
    }

    /// The verdict on one verb of a question.
    pub(crate) fn verdict_on(&self, question: &Question, verb: Verb) -> Verdict {
        let place = match question {
            Question::Resource { resource, .. }
                if risk::lives(&resource.group, &resource.resource) == Lives::InCluster =>
            {
                Place::Cluster
            }
            Question::Resource { .. } | Question::Path { .. } => Place::Namespace,
        };
        match question.request(verb, place) {
            Ok(asked) => self.of(&asked),
            Err(error) => Verdict::no(&format!("it would be refused: {error}")),
        }
    }

    fn of(&self, asked: &Asked) -> Verdict {
        let action = action(&asked.info);
        let facts = Facts {
            environment: &self.environment,
            four_eyes: self.four_eyes,
            now: Some(self.now),
            ..Facts::new(&asked.options)
        };
        let kind = Kind { action: &action, options: &asked.options, any_version: asked.any_version };
        let outlook = self.policy.outlook(&self.subject, &self.cluster, &kind, &facts);
        if let Some(stopped) = self.stopped(&action, asked, &outlook) {
            return Verdict::no(&stopped);
        }
        words::of(outlook)
    }

    /// What stands in the way of a change whatever the policy says.
    fn stopped(&self, action: &Action, asked: &Asked, outlook: &Outlook) -> Option<String> {
        let plain = risk::classify(&risk::Request::of(action, &asked.options, None));
        if outlook.decision.effect == Effect::Deny || matches!(plain, Risk::Read | Risk::Masked) {
            return None;
        }
        if self.frozen.is_some() {
            return self.frozen.clone();
        }
        let effect = risk::effect_key(action, &asked.options, &Default::default())?;
        let denied = self.denials.iter().find(|(denied, _)| risk::same_effect(denied, &effect));
        denied.map(|(_, words)| words.clone())
    }
}

/// The action of a request that nobody has sent, named by the question alone.
fn action(info: &RequestInfo) -> Action {
    info.action(Risk::Escalation)
}
