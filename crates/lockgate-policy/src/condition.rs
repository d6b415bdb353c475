//! `when:` — what the match fields cannot say, in CEL. The names are [`VARIABLES`].
//!
//! - `subject`: as in the audit record (`id`, `kind`, `owner`, `groups`, …).
//! - `action`: as in the audit record (`verb`, `resource`, `namespace`, `name`, `risk`, …), with `argv`, `container`,
//!   `tty` and `stdin` of an exec or attach, and `dryRun`. Absent texts are empty.
//! - `cluster`: its `name`, its `environment`, whether it wants `fourEyes`.
//! - `object`: the decoded body, the operations of a JSON Patch, or null.
//! - `oldObject`: the object as it is in the cluster; of a subresource, the one that it belongs to. Where there is none, a
//!   condition on it cannot be evaluated.
//! - `change`: what the request changes ([`Change`]), compared with the live object where that is known.
//! - `now`: when it is decided, a CEL timestamp: `now.getHours('Europe/Berlin')`.
//!
//! A condition that cannot be evaluated (a field that is not there, say) counts against the request: a rule that allows
//! does not match, a rule that denies or asks does. `has(object.spec) && …` asks first.
//!
//! Each value is made when the first condition looks at it, borrows what it can, and serves every condition of the
//! policy.

use std::cell::OnceCell;

use lockgate_core::{Action, Stream, Subject, SubjectKind};
use lockgate_expr::{Datum, EvaluationError, Expression, ExpressionError, Field, Type, Variable};
use serde_json::Value;

use crate::change::Change;
use crate::decide::Facts;
use crate::matching::Direction;
use crate::reader::RISKS;
use crate::risk;

/// The object that is written, or that a read answers with.
pub(crate) const OBJECT: &str = "object";
/// The object as it is in the cluster.
pub(crate) const OLD_OBJECT: &str = "oldObject";
/// What the request changes.
pub(crate) const CHANGE: &str = "change";

/// The names that a condition may use, and the fields of those that have a shape of their own.
const VARIABLES: [Variable; 7] = [
    Variable::shaped("subject", &SUBJECT_FIELDS),
    Variable::shaped("action", &ACTION_FIELDS),
    Variable::shaped("cluster", &CLUSTER_FIELDS),
    Variable::any(OBJECT),
    Variable::any(OLD_OBJECT),
    Variable::shaped(CHANGE, &CHANGE_FIELDS),
    Variable::of("now", Type::Time),
];

const SUBJECT_FIELDS: [(&str, Type); 6] = [
    ("issuer", Type::Text),
    ("id", Type::Text),
    ("kind", Type::Text),
    ("groups", Type::List),
    ("owner", Type::Text),
    ("onBehalfOf", Type::Text),
];

const CLUSTER_FIELDS: [(&str, Type); 3] =
    [("name", Type::Text), ("environment", Type::Text), ("fourEyes", Type::Boolean)];

const ACTION_FIELDS: [(&str, Type); 17] = [
    ("verb", Type::Text),
    ("apiGroup", Type::Text),
    ("apiVersion", Type::Text),
    ("resource", Type::Text),
    ("subresource", Type::Text),
    ("namespace", Type::Text),
    ("name", Type::Text),
    ("path", Type::Text),
    ("risk", Type::Text),
    ("stream", Type::Text),
    ("dryRun", Type::Boolean),
    ("argv", Type::List),
    ("container", Type::Text),
    ("tty", Type::Boolean),
    ("stdin", Type::Boolean),
    // Before there was `cluster`.
    ("cluster", Type::Text),
    ("environment", Type::Text),
];

/// As [`Change`] serialises.
const CHANGE_FIELDS: [(&str, Type); 15] = [
    ("compared", Type::Boolean),
    ("fields", Type::List),
    ("replicas", Type::Map),
    ("maxReplicas", Type::Map),
    ("paused", Type::Boolean),
    ("images", Type::List),
    ("serviceAccount", Type::Map),
    ("privileged", Type::List),
    ("secrets", Type::List),
    ("projectedVolumes", Type::Boolean),
    ("finalizersRemoved", Type::List),
    ("ownerReferencesAdded", Type::List),
    ("selectorChanged", Type::Boolean),
    ("versionsRemoved", Type::List),
    ("rbac", Type::Map),
];

pub(crate) fn compile(text: &str) -> Result<Expression, ExpressionError> {
    Expression::condition(text, &VARIABLES)
}

/// What a condition looks at that a request on a collection does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Looks {
    /// The object itself.
    pub(crate) object: bool,
    /// Its name or namespace.
    pub(crate) place: bool,
}

impl Looks {
    pub(crate) fn of(condition: Option<&Expression>) -> Self {
        condition.map_or_else(Self::default, |condition| Self {
            object: condition.uses(OBJECT) || condition.uses(OLD_OBJECT),
            place: looks_at_place(condition.text()),
        })
    }
}

/// Whether a condition may look at the object's name or namespace.
fn looks_at_place(text: &str) -> bool {
    looks_at(text, &["name", "namespace", "path"])
}

/// Whether a condition may look at one of these members of `action`: unless each `action` in its text is followed by another
/// member's name. (`action['name']` and what else there is count as looking.)
pub(crate) fn looks_at(text: &str, members: &[&str]) -> bool {
    const ACTION: &str = "action";
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(ACTION).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let behind = text.get(at + ACTION.len()..).unwrap_or_default();
        if before.is_some_and(is_word) || behind.chars().next().is_some_and(is_word) {
            return false;
        }
        let Some(member) = behind.trim_start().strip_prefix('.').map(str::trim_start) else { return true };
        let end = member.find(|character: char| !is_word(character)).unwrap_or(member.len());
        member.get(..end).is_none_or(|member| member.is_empty() || members.contains(&member))
    })
}

/// What conditions see of one request; each value is made when the first condition looks at it.
pub(crate) struct Scene<'r> {
    subject: &'r Subject,
    cluster: &'r str,
    action: &'r Action,
    facts: &'r Facts<'r>,
    change: &'r OnceCell<Value>,
    values: [OnceCell<Result<Option<Datum<'r>>, EvaluationError>>; VARIABLES.len()],
}

impl<'r> Scene<'r> {
    /// `change` is where the change is kept once it is worked out.
    pub(crate) const fn new(
        subject: &'r Subject,
        cluster: &'r str,
        action: &'r Action,
        facts: &'r Facts<'r>,
        change: &'r OnceCell<Value>,
    ) -> Self {
        Self { subject, cluster, action, facts, change, values: [const { OnceCell::new() }; VARIABLES.len()] }
    }

    /// Whether the condition leaves the rule in force.
    pub(crate) fn fulfils(&self, condition: Option<&Expression>, direction: Direction) -> bool {
        let Some(condition) = condition else { return true };
        self.evaluate(condition).unwrap_or(direction == Direction::Restricts)
    }

    /// The condition's own value.
    pub(crate) fn evaluate(&self, condition: &Expression) -> Result<bool, EvaluationError> {
        let mut bindings = Vec::with_capacity(VARIABLES.len());
        for (variable, value) in VARIABLES.iter().zip(&self.values) {
            if !condition.uses(variable.name) {
                continue;
            }
            match value.get_or_init(|| self.value(variable.name)) {
                Ok(Some(datum)) => bindings.push((variable.name, datum)),
                // The name stays unbound, so that a condition on it cannot be evaluated.
                Ok(None) => {}
                Err(error) => return Err(error.clone()),
            }
        }
        condition.boolean(&bindings)
    }

    fn value(&self, name: &str) -> Result<Option<Datum<'r>>, EvaluationError> {
        match name {
            "subject" => Ok(Some(self.subject())),
            "action" => Ok(Some(self.action())),
            "cluster" => Ok(Some(self.cluster())),
            OBJECT => Datum::json(self.facts.object.unwrap_or(&Value::Null)).map(Some),
            OLD_OBJECT => self.facts.old_object.map(Datum::json).transpose(),
            CHANGE => Datum::json(self.change.get_or_init(|| self.change())).map(Some),
            "now" => Ok(self.facts.now.map(|now| Datum::instant(now.microseconds()))),
            _ => Ok(None),
        }
    }

    fn subject(&self) -> Datum<'r> {
        let Subject { issuer, id, kind, owner, on_behalf_of, groups, token_id: _ } = self.subject;
        let kind = match kind {
            SubjectKind::Agent => "agent",
            SubjectKind::Human => "human",
        };
        Datum::map([
            ("issuer", Field::Text(issuer)),
            ("id", Field::Text(id)),
            ("kind", Field::Text(kind)),
            ("groups", Field::Texts(groups)),
            ("owner", Field::Text(owner.as_deref().unwrap_or_default())),
            ("onBehalfOf", Field::Text(on_behalf_of.as_deref().unwrap_or_default())),
        ])
    }

    fn cluster(&self) -> Datum<'r> {
        Datum::map([
            ("name", Field::Text(self.cluster)),
            ("environment", Field::Text(self.facts.environment)),
            ("fourEyes", Field::Flag(self.facts.four_eyes)),
        ])
    }

    fn action(&self) -> Datum<'r> {
        let action = self.action;
        let exec = self.facts.options.exec.as_ref();
        let risk = RISKS.iter().find(|(risk, _)| *risk == action.risk).map_or("", |(_, word)| word);
        let text = |text: &'r Option<String>| Field::Text(text.as_deref().unwrap_or_default());
        Datum::map([
            ("verb", Field::Text(action.verb.as_str())),
            ("apiGroup", Field::Text(&action.api_group)),
            ("apiVersion", Field::Text(&action.api_version)),
            ("resource", Field::Text(&action.resource)),
            ("subresource", text(&action.subresource)),
            ("namespace", text(&action.namespace)),
            ("name", text(&action.name)),
            ("path", Field::Text(&action.path)),
            ("risk", Field::Text(risk)),
            ("stream", Field::Text(stream(action.stream))),
            ("dryRun", Field::Flag(self.facts.options.dry_run)),
            ("argv", Field::Texts(exec.map_or(&[], |exec| exec.argv.as_slice()))),
            ("container", Field::Text(exec.and_then(|exec| exec.container.as_deref()).unwrap_or_default())),
            ("tty", Field::Flag(exec.is_some_and(|exec| exec.tty))),
            ("stdin", Field::Flag(exec.is_some_and(|exec| exec.stdin))),
            ("cluster", Field::Text(self.cluster)),
            ("environment", Field::Text(self.facts.environment)),
        ])
    }

    fn change(&self) -> Value {
        // A read changes nothing, whatever it answers with.
        let written = !self.action.verb.is_read();
        let request = risk::Request::of(self.action, self.facts.options, self.facts.object.filter(|_| written));
        let change = Change::of(&request.with_old_object(self.facts.old_object.filter(|_| written)));
        // Texts, numbers and lists of them: there is nothing that JSON could not say.
        serde_json::to_value(change).unwrap_or(Value::Null)
    }
}

const fn stream(stream: Stream) -> &'static str {
    match stream {
        Stream::None => "none",
        Stream::Watch => "watch",
        Stream::Logs => "logs",
        Stream::Exec => "exec",
        Stream::Attach => "attach",
        Stream::Portforward => "portforward",
        Stream::Proxy => "proxy",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_fields_of_a_change_are_those_that_it_has() {
        let json = serde_json::to_value(Change::default()).unwrap();
        let of = |value: &Value| match value {
            Value::Bool(_) => Type::Boolean,
            Value::Array(_) => Type::List,
            Value::Object(_) => Type::Map,
            other => panic!("{other}"),
        };
        let fields = json.as_object().unwrap().iter();
        let has: BTreeMap<&str, String> = fields.map(|(name, value)| (name.as_str(), of(value).to_string())).collect();
        assert_eq!(has, CHANGE_FIELDS.into_iter().map(|(name, of)| (name, of.to_string())).collect());
    }

    #[test]
    fn words_are_those_of_the_record() {
        for (risk, word) in RISKS {
            assert_eq!(serde_json::to_value(risk).unwrap(), word);
        }
        for value in [
            Stream::None,
            Stream::Watch,
            Stream::Logs,
            Stream::Exec,
            Stream::Attach,
            Stream::Portforward,
            Stream::Proxy,
        ] {
            assert_eq!(serde_json::to_value(value).unwrap(), stream(value));
        }
    }

    #[test]
    fn what_may_be_the_name_counts() {
        for text in [
            "action.name == 'a'",
            "has(action.namespace)",
            "action . name == 'a'",
            "action['name'] == 'a'",
            "size(action) > 1",
            "action.path.endsWith('a')",
            "subject.id == 'action'",
        ] {
            assert!(looks_at_place(text), "{text}");
        }
        for text in
            ["action.verb == 'get'", "action.environment == 'x' && reaction == 1", "object.name == 'a'", "actions.name"]
        {
            assert!(!looks_at_place(text), "{text}");
        }
    }
}
