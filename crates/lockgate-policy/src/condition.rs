//! `when:` — what the match fields cannot say, in CEL over `subject`, `action` and `object`.
//!
//! - `subject`: as in the audit record (`id`, `kind`, `owner`, `groups`, …).
//! - `action`: as in the audit record (`verb`, `resource`, `namespace`, `name`, `risk`, …), with `argv`, `container`,
//!   `tty` and `stdin` of an exec or attach, `dryRun`, and the `cluster` and its `environment`. Absent texts are empty.
//! - `object`: the decoded body, the operations of a JSON Patch, or null.
//! - `change`: what the request changes ([`Change`]), compared with the live object where that is known.
//!
//! A condition that cannot be evaluated (a field that is not there, say) counts against the request: a rule that allows
//! does not match, a rule that denies or asks does. `has(object.spec) && …` asks first.

use std::cell::OnceCell;

use lockgate_core::{Action, Subject};
use lockgate_expr::{EvaluationError, Expression, ExpressionError};
use serde_json::Value;

use crate::change::Change;
use crate::decide::Facts;
use crate::matching::Direction;
use crate::risk;

/// The names that a condition may use.
const VARIABLES: [&str; 5] = ["subject", "action", "object", OLD_OBJECT, CHANGE];
/// The object as it is in the cluster.
pub(crate) const OLD_OBJECT: &str = "oldObject";
/// What the request changes.
pub(crate) const CHANGE: &str = "change";

pub(crate) fn compile(text: &str) -> Result<Expression, ExpressionError> {
    Expression::compile(text, &VARIABLES)
}

/// What conditions see of one request; made when the first is evaluated.
pub(crate) struct Scene<'r> {
    subject: &'r Subject,
    cluster: &'r str,
    action: &'r Action,
    facts: &'r Facts<'r>,
    values: OnceCell<(Value, Value)>,
    change: OnceCell<Value>,
}

impl<'r> Scene<'r> {
    pub(crate) const fn new(subject: &'r Subject, cluster: &'r str, action: &'r Action, facts: &'r Facts<'r>) -> Self {
        Self { subject, cluster, action, facts, values: OnceCell::new(), change: OnceCell::new() }
    }

    /// Whether the condition leaves the rule in force.
    pub(crate) fn fulfils(&self, condition: Option<&Expression>, direction: Direction) -> bool {
        let Some(condition) = condition else { return true };
        self.evaluate(condition).unwrap_or(direction == Direction::Restricts)
    }

    /// The condition's own value.
    pub(crate) fn evaluate(&self, condition: &Expression) -> Result<bool, EvaluationError> {
        let (subject, action) = self.values.get_or_init(|| (self.subject(), self.action()));
        let object = self.facts.object.unwrap_or(&Value::Null);
        let known = [("subject", subject), ("action", action), ("object", object)];
        let old_object = self.facts.old_object.map(|old| (OLD_OBJECT, old));
        let change = condition.uses(CHANGE).then(|| (CHANGE, self.change.get_or_init(|| self.change())));
        // Without an old object the name is unbound, so that a condition on it cannot be evaluated.
        let variables: Vec<(&str, &Value)> = known.into_iter().chain(old_object).chain(change).collect();
        condition.boolean(&variables)
    }

    fn change(&self) -> Value {
        let request = risk::Request::of(self.action, self.facts.options, self.facts.object);
        let change = Change::of(&request.with_old_object(self.facts.old_object));
        // Texts, numbers and lists of them: there is nothing that JSON could not say.
        serde_json::to_value(change).unwrap_or(Value::Null)
    }

    fn subject(&self) -> Value {
        let Subject { issuer, id, kind, owner, on_behalf_of, groups, token_id: _ } = self.subject;
        serde_json::json!({
            "issuer": issuer, "id": id, "kind": kind, "groups": groups,
            "owner": owner.as_deref().unwrap_or_default(),
            "onBehalfOf": on_behalf_of.as_deref().unwrap_or_default(),
        })
    }

    fn action(&self) -> Value {
        let action = self.action;
        let exec = self.facts.options.exec.clone().unwrap_or_default();
        serde_json::json!({
            "cluster": self.cluster, "environment": self.facts.environment,
            "verb": action.verb, "apiGroup": action.api_group, "apiVersion": action.api_version,
            "resource": action.resource, "subresource": action.subresource.as_deref().unwrap_or_default(),
            "namespace": action.namespace.as_deref().unwrap_or_default(),
            "name": action.name.as_deref().unwrap_or_default(),
            "path": action.path, "risk": action.risk, "stream": action.stream,
            "dryRun": self.facts.options.dry_run,
            "argv": exec.argv, "container": exec.container.unwrap_or_default(), "tty": exec.tty, "stdin": exec.stdin,
        })
    }
}
