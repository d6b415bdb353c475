//! What would become of a request that nobody has sent yet? For those who ask before they act.
//!
//! Owns [`Policy::outlook`]. A question says less than a request: no body, often no name, sometimes no namespace. The answer
//! is the verdict on the *plainest* request of the kind: on an object that no rule singles out, of the class that the request
//! has whatever is in it. It is found by the same walk and the same conclusion as any verdict ([`crate::decide`]), so where a
//! question leaves nothing open, the answer is what would happen. A rule that may speak or not, by what is left open, decides
//! nothing; it is an [`Exception`] beside the verdict.
//!
//! Refuses to know: reviews, HTTP.

use std::cell::OnceCell;

use lockgate_core::{Action, Decision, Effect, Options, Risk, Subject, Terms};
use lockgate_expr::Expression;

use crate::condition::{self, Scene};
use crate::decide::{Asking, Facts, Found, Partial};
use crate::matching::{ANY, Coverage, Direction, Request};
use crate::policy::{Policy, Rule, Verdict};
use crate::risk;
use crate::view::effect_of;

/// What is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    /// The request, as far as it is told; its risk class is not looked at. `*` as resource or API group stands for all.
    pub action: &'q Action,
    /// Its options, as far as they are told.
    pub options: &'q Options,
    /// Whether the API version is left open.
    pub any_version: bool,
}

/// What would become of it.
#[derive(Debug, Clone)]
pub struct Outlook {
    /// The verdict on the plainest such request.
    pub decision: Decision,
    /// What may come out otherwise, each rule once for each thing that it depends on.
    pub exceptions: Vec<Exception>,
}

/// A rule that decides otherwise on some of what was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// What it does.
    pub effect: Effect,
    /// Its name; `None`: that no rule matches.
    pub rule: Option<String>,
    /// Who would be asked.
    pub terms: Option<Terms>,
    /// On what it depends.
    pub depends: Depends,
    /// The objects that it lists one by one.
    pub names: Vec<String>,
}

/// What a question leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depends {
    /// Which object it is: its name or namespace.
    Object,
    /// The object's labels.
    Labels,
    /// What a condition looks at.
    Condition,
    /// Which class the request turns out to have, once its content is known.
    Class(Risk),
    /// Whether objects of the kind live in namespaces.
    Scope,
}

impl Policy {
    /// What would become of it, as of `facts`, of which options and body are not looked at. Where the question names one object
    /// and that has been read, it is the old object: then nothing is open that depends on it.
    pub fn outlook(&self, subject: &Subject, cluster: &str, question: &Question<'_>, facts: &Facts<'_>) -> Outlook {
        let object = facts.old_object.filter(|_| question.action.verb.is_read());
        let facts = Facts { options: question.options, object, ..*facts };
        let asker = Asker { policy: self, subject, cluster, facts: &facts, any_version: question.any_version };
        let everything = question.action.resource == ANY || question.action.api_group == ANY;
        let mut outlook = if everything { asker.of_everything(question.action) } else { asker.of(question.action) };
        let effect = outlook.decision.effect;
        outlook.exceptions.retain(|exception| exception.effect != effect);
        outlook
    }

    /// API group and resource (`pods`, `pods/exec`) of what the rules list one by one.
    pub fn listed_resources(&self) -> Vec<(String, String)> {
        self.rules.iter().flat_map(|rule| rule.matcher.listed_resources()).collect()
    }

    /// The paths that the rules list; a tree ends in `*`.
    pub fn listed_paths(&self) -> Vec<String> {
        self.rules.iter().flat_map(|rule| rule.matcher.listed_paths()).collect()
    }
}

impl Exception {
    fn of(rule: &Rule, depends: Depends) -> Self {
        let terms = match &rule.verdict {
            Verdict::Ask { terms, .. } => Some(terms.clone()),
            Verdict::Allow { .. } | Verdict::Deny { .. } => None,
        };
        let names = rule.matcher.exact_names();
        Self { effect: effect_of(rule), rule: Some(rule.name.clone()), terms, depends, names }
    }

    fn by(decision: Decision, depends: Depends) -> Self {
        let Decision { effect, rule, terms, .. } = decision;
        Self { effect, rule, terms, depends, names: Vec::new() }
    }
}

/// Who asks, and of whom.
struct Asker<'a> {
    policy: &'a Policy,
    subject: &'a Subject,
    cluster: &'a str,
    facts: &'a Facts<'a>,
    any_version: bool,
}

impl Asker<'_> {
    fn of(&self, action: &Action) -> Outlook {
        let plain = risk::Request::of(action, self.facts.options, None);
        let classes = risk::presumable(&plain);
        let mut outlook: Option<Outlook> = None;
        for class in classes {
            let action = Action { risk: class, ..action.clone() };
            let request = Request::of_question(self.subject, self.cluster, &action, self.facts);
            let of_class = self.presume(&request);
            match &mut outlook {
                None => outlook = Some(of_class),
                Some(outlook) => outlook.add(of_class, Depends::Class(class)),
            }
        }
        let mut outlook = outlook.unwrap_or_else(|| Outlook::of(self.policy.deny_unmatched(&self.describe(action))));
        // Nobody knows whether objects of an unknown kind are in the namespace that the question names, until one is seen.
        let is_seen = self.facts.old_object.is_some();
        if !is_seen
            && action.namespace.is_some()
            && risk::lives(&action.api_group, &action.resource) == risk::Lives::Unknown
        {
            let outside = Action { namespace: None, risk: risk::classify(&plain), ..action.clone() };
            let request = Request::of_question(self.subject, self.cluster, &outside, self.facts).without_namespace();
            outlook.add(self.presume(&request), Depends::Scope);
        }
        outlook
    }

    /// The verdict on a request of one class, and what might be otherwise.
    fn presume(&self, request: &Request<'_>) -> Outlook {
        let change = OnceCell::new();
        let scene = Scene::new(self.subject, self.cluster, request.action, self.facts, &change);
        let (which, filterable) = (request.leaves_open_which(), request.answers_objects());
        let mut found = Found::default();
        let mut exceptions = Vec::new();
        for rule in self.policy.rules.iter().filter(|rule| rule.sieves.admit(request)) {
            let direction = rule.direction();
            if !rule.matcher.speaks(request, direction) {
                if self.names_below(rule, request) {
                    exceptions.push(Exception::of(rule, Depends::Object));
                }
                continue;
            }
            let extent = rule.matcher.extent(request);
            let coverage = extent.place.min(extent.labels);
            if coverage == Coverage::Nothing {
                continue;
            }
            let looks = rule.looks_beyond(request);
            let open = rule.when.as_ref().is_some_and(|when| looks && which || !looks && self.is_open(when, request));
            if !looks && !open && !found.holds(&scene, rule) {
                continue;
            }
            if coverage == Coverage::Whole && !looks && !open {
                found.whole = Some(rule);
                break;
            }
            let by_labels = coverage == Coverage::Part && !filterable && request.action.name.is_some();
            if open {
                exceptions.push(Exception::of(rule, Depends::Condition));
            } else if which || by_labels {
                let depends = if extent.is_by_labels() { Depends::Labels } else { Depends::Object };
                exceptions.push(Exception::of(rule, depends));
            } else if filterable || direction == Direction::Restricts {
                found.partial.push(Partial { rule, extent });
            } else {
                found.given_in_part.get_or_insert(rule);
            }
        }
        let decision = self.policy.conclude(&found, request, &self.describe(request.action), filterable, Asking::First);
        exceptions.extend(found.partial.iter().map(|partial| Exception::of(partial.rule, depends_of(partial))));
        Outlook { decision, exceptions }
    }

    /// `*`: what no rule takes a part away from, and one rule gives as a whole.
    fn of_everything(&self, action: &Action) -> Outlook {
        let request = Request::of_question(self.subject, self.cluster, action, self.facts).of_any_resource();
        let change = OnceCell::new();
        let scene = Scene::new(self.subject, self.cluster, action, self.facts, &change);
        let mut found = Found::default();
        let mut exceptions = Vec::new();
        for rule in self.policy.rules.iter().filter(|rule| rule.sieves.admit(&request)) {
            let direction = rule.direction();
            if !rule.matcher.speaks_of_some(&request, direction) {
                continue;
            }
            let open = rule.when.as_ref().is_some_and(|when| self.is_open(when, &request));
            if !open && !found.holds(&scene, rule) {
                continue;
            }
            if !open && rule.matcher.is_unbounded() {
                found.whole = Some(rule);
                break;
            }
            if direction == Direction::Restricts {
                let extent = rule.matcher.extent(&request);
                found.partial.push(Partial { rule, extent });
            } else {
                exceptions.push(Exception::of(rule, Depends::Object));
            }
        }
        let decision = self.policy.conclude(&found, &request, &self.describe(action), false, Asking::First);
        exceptions.extend(found.partial.iter().map(|partial| Exception::of(partial.rule, Depends::Object)));
        Outlook { decision, exceptions }
    }

    /// Whether the rule takes away a path of the tree that is asked about.
    fn names_below(&self, rule: &Rule, request: &Request<'_>) -> bool {
        let tree = request.action.path.strip_suffix('*').filter(|_| !request.action.is_resource());
        let direction = rule.direction();
        direction == Direction::Restricts
            && tree.is_some_and(|prefix| rule.matcher.names_a_path_below(prefix, request, direction))
    }

    /// Whether the condition looks at something that the question leaves open. Reads have no body: what a condition on it makes
    /// of that is known.
    fn is_open(&self, when: &Expression, request: &Request<'_>) -> bool {
        let action = request.action;
        let unread = self.facts.old_object.is_none() && when.uses(condition::OLD_OBJECT);
        let written = when.uses(condition::OBJECT) || when.uses(condition::CHANGE);
        if !action.verb.is_read() && (unread || written) {
            return true;
        }
        let mut members: Vec<&str> = Vec::new();
        if self.any_version {
            members.extend(["apiVersion", "path"]);
        }
        if action.is_resource() && action.name.is_none() && !request.hides_place() {
            members.extend(["name", "path"]);
        }
        if request.leaves_open_which() && action.namespace.is_none() {
            members.extend(["namespace", "path"]);
        }
        if action.resource == ANY || action.api_group == ANY {
            members.extend(["resource", "subresource", "apiGroup", "name", "risk", "stream", "path"]);
        }
        if action.stream.is_session() {
            members.extend(["argv", "container", "tty", "stdin"]);
        }
        !members.is_empty() && condition::looks_at(when.text(), &members)
    }

    fn describe(&self, action: &Action) -> String {
        crate::decide::describe(self.subject, self.cluster, action)
    }
}

/// On what a rule for a part of an answer depends.
fn depends_of(partial: &Partial<'_>) -> Depends {
    match partial {
        Partial { rule, .. } if rule.when.is_some() => Depends::Condition,
        Partial { extent, .. } if extent.is_by_labels() => Depends::Labels,
        Partial { .. } => Depends::Object,
    }
}

impl Outlook {
    const fn of(decision: Decision) -> Self {
        Self { decision, exceptions: Vec::new() }
    }

    /// What comes out otherwise if `depends` is so.
    fn add(&mut self, other: Self, depends: Depends) {
        let Self { decision, exceptions } = other;
        let differs = decision.effect != self.decision.effect || decision.rule != self.decision.rule;
        let own = differs.then(|| Exception::by(decision, depends));
        for exception in own.into_iter().chain(exceptions) {
            if !self.exceptions.contains(&exception) {
                self.exceptions.push(exception);
            }
        }
    }
}
