//! What would become of a request? For self reviews: the question is the wire's, the outlook the policy's, and what is said
//! about both is put together here. Refuses to know: HTTP, the store.

mod limit;
pub(crate) mod rules;
mod words;

use std::sync::Arc;

use lockgate_core::{Action, Effect, Options, Risk, Subject, Timestamp, Verb};
use lockgate_policy::risk::{self, Lives};
use lockgate_policy::{Exception, Facts, Outlook, Policy, Question as Kind};
use lockgate_wire::RequestInfo;
use lockgate_wire::review::access::Word;
use lockgate_wire::review::{Asked, Place, Question};
use serde_json::Value;

use crate::pipeline::Unseen;
pub(crate) use limit::Removals;

/// Who asks, and under which policy: everything that a verdict depends on beside the question.
pub(crate) struct Standpoint {
    pub(crate) policy: Arc<Policy>,
    pub(crate) subject: Subject,
    pub(crate) cluster: String,
    pub(crate) environment: String,
    pub(crate) four_eyes: bool,
    pub(crate) now: Timestamp,
    /// Why every change is stopped, where it is.
    pub(crate) frozen: Option<Stopped>,
    /// The removals that a human has said no to, as [`risk::effect_key`] names them, with what is said about each.
    pub(crate) denials: Vec<(String, Stopped)>,
    /// What it removed under limits.
    pub(crate) removals: Removals,
}

/// What stands in the way whatever the policy says, and the way out; half sentences.
#[derive(Debug, Clone)]
pub(crate) struct Stopped {
    pub(crate) why: String,
    pub(crate) next: String,
}

/// What is known of the object that a question names.
#[derive(Debug, Clone)]
pub(crate) enum Sight {
    /// Nobody looked: the answer is for the kind, or no rule looks at the object.
    Unlooked,
    /// This stands there.
    Seen(Value),
    /// The rule that decides by it, and why it is not known.
    Unseen(String, Unseen),
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

    fn stopped(stopped: &Stopped) -> Self {
        let reason = words::stopped(stopped);
        Self { effect: Effect::Deny, reason, but: None, exceptions: Vec::new(), by: None }
    }
}

impl Standpoint {
    /// The verdict on a question; `None` for one that could not be read.
    pub(crate) fn verdict(&self, question: Option<&Question>) -> Verdict {
        let unlooked = |question: &Question| question.verbs().into_iter().map(|verb| (verb, Sight::Unlooked)).collect();
        self.verdict_seeing(question, question.map(unlooked).unwrap_or_default())
    }

    /// The same, where the object that it names was looked at for each of its verbs.
    pub(crate) fn verdict_seeing(&self, question: Option<&Question>, sights: Vec<(Verb, Sight)>) -> Verdict {
        let Some(question) = question else {
            return Verdict::no("it cannot be read what this asks about");
        };
        let mut verdicts = sights.iter().map(|(verb, sight)| (*verb, self.of_verb(question, *verb, sight)));
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
        self.of_verb(question, verb, &Sight::Unlooked)
    }

    fn of_verb(&self, question: &Question, verb: Verb, sight: &Sight) -> Verdict {
        let outside = matches!(sight, Sight::Seen(object) if object.pointer("/metadata/namespace").is_none());
        match question.request(verb, place(question, outside)) {
            Ok(asked) => self.of(&asked, sight),
            Err(error) => Verdict::no(&format!("it would be refused: {error}")),
        }
    }

    fn of(&self, asked: &Asked, sight: &Sight) -> Verdict {
        let action = action(&asked.info);
        let old_object = match sight {
            Sight::Seen(object) => Some(object),
            Sight::Unlooked | Sight::Unseen(..) => None,
        };
        let facts = Facts { old_object, ..self.facts(&asked.options) };
        let kind = Kind { action: &action, options: &asked.options, any_version: asked.any_version };
        let outlook = self.policy.outlook(&self.subject, &self.cluster, &kind, &facts);
        if let Some(stopped) = self.stopped(&action, asked, &outlook) {
            return Verdict::stopped(stopped);
        }
        match sight {
            // What gives nothing to any object needs no look at this one.
            Sight::Unseen(rule, unseen)
                if outlook.decision.effect != Effect::Deny || !outlook.exceptions.is_empty() =>
            {
                self.of_unseen(&action, &facts, rule, unseen)
            }
            Sight::Unseen(..) | Sight::Unlooked | Sight::Seen(_) => self.limited(&action, &asked.options, outlook),
        }
    }

    /// The verdict where the object decides and is not known. A patch may make what it names: it asks, where a rule would ask.
    fn of_unseen(&self, action: &Action, facts: &Facts<'_>, rule: &str, unseen: &Unseen) -> Verdict {
        if action.verb == Verb::Patch && *unseen == Unseen::nowhere() {
            let risk = risk::classify(&risk::Request::of(action, facts.options, None));
            let action = Action { risk, ..action.clone() };
            let decision = self.policy.decide(&self.subject, &self.cluster, &action, facts);
            if decision.effect == Effect::Ask {
                return words::of(Outlook { decision, exceptions: Vec::new() }, None, None);
            }
        }
        let reason = words::unseen(rule, unseen);
        Verdict { effect: Effect::Deny, reason, but: None, exceptions: Vec::new(), by: None }
    }

    /// The rule that decides by the object that is asked about, which is then worth a look.
    pub(crate) fn hangs_on_object(&self, asked: &Asked) -> Option<&str> {
        let (action, facts) = (action(&asked.info), self.facts(&asked.options));
        self.policy.hangs_on_object(&self.subject, &self.cluster, &action, &facts)
    }

    fn facts<'f>(&'f self, options: &'f Options) -> Facts<'f> {
        Facts { environment: &self.environment, four_eyes: self.four_eyes, now: Some(self.now), ..Facts::new(options) }
    }

    /// What stands in the way of a change whatever the policy says.
    fn stopped(&self, action: &Action, asked: &Asked, outlook: &Outlook) -> Option<&Stopped> {
        let plain = risk::classify(&risk::Request::of(action, &asked.options, None));
        if outlook.decision.effect == Effect::Deny || matches!(plain, Risk::Read | Risk::Masked) {
            return None;
        }
        if self.frozen.is_some() {
            return self.frozen.as_ref();
        }
        let effect = risk::effect_key(action, &asked.options, &Default::default())?;
        let denied = self.denials.iter().find(|(denied, _)| risk::same_effect(denied, &effect));
        denied.map(|(_, stopped)| stopped)
    }
}

/// Where the object is that a question is about; of a kind that nobody knows it is `outside` of namespaces if it was seen there.
pub(crate) fn place(question: &Question, outside: bool) -> Place {
    let Question::Resource { resource, .. } = question else { return Place::Namespace };
    match risk::lives(&resource.group, &resource.resource) {
        Lives::InCluster => Place::Cluster,
        Lives::Unknown if outside => Place::Cluster,
        _ => Place::Namespace,
    }
}

/// The action of a request that nobody has sent, named by the question alone.
pub(crate) fn action(info: &RequestInfo) -> Action {
    info.action(Risk::Escalation)
}
