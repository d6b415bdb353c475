//! The answer to a SelfSubjectRulesReview (`kubectl auth can-i --list`), which lists what is allowed, and says in
//! `incomplete` and `evaluationError` that there is more to know than a list of rights can say.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Review, unreadable};
use crate::WireError;

/// Longest `evaluationError`, in characters.
const NOTE_CHARACTERS_MAX: usize = 8_192;

/// One rule on resources, as RBAC writes it. An empty list of names is every name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceRule {
    /// Verbs, or `*`.
    pub verbs: Vec<String>,
    /// API groups, or `*`.
    pub api_groups: Vec<String>,
    /// Resources: `pods`, `pods/exec`, `*/scale`, `*`.
    pub resources: Vec<String>,
    /// Names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
}

/// One rule on paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PathRule {
    /// Verbs, or `*`.
    pub verbs: Vec<String>,
    /// Paths; a tree ends in `*`.
    #[serde(rename = "nonResourceURLs")]
    pub paths: Vec<String>,
}

/// The answer.
#[derive(Debug)]
pub struct Answer {
    review: Value,
    /// Rights on resources.
    pub resources: Vec<ResourceRule>,
    /// Rights on paths.
    pub paths: Vec<PathRule>,
}

/// The namespace that a review asks about.
pub fn namespace(review: &Value) -> Option<&str> {
    review.pointer("/spec/namespace").and_then(Value::as_str)
}

impl Answer {
    /// Reads the cluster's answer.
    ///
    /// # Errors
    /// When it is not one that can be read.
    pub fn read(answer: &[u8]) -> Result<Self, WireError> {
        let review = Review::Rules.read(answer)?;
        let status = review.get("status").filter(|status| status.is_object());
        let status = status.ok_or_else(|| unreadable("it has no status"))?;
        let resources = list(status.get("resourceRules"))?;
        let paths = list(status.get("nonResourceRules"))?;
        Ok(Self { review, resources, paths })
    }

    /// The answer with other rules, and with `note`, where it is not empty, behind the cluster's own.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(mut self, note: &str) -> Result<Vec<u8>, WireError> {
        let status = self.review.get_mut("status").and_then(Value::as_object_mut);
        let status = status.ok_or_else(|| unreadable("it has no status"))?;
        status.insert("resourceRules".into(), json!(self.resources));
        status.insert("nonResourceRules".into(), json!(self.paths));
        if !note.is_empty() {
            let own = status.get("evaluationError").and_then(Value::as_str).unwrap_or_default();
            let both = if own.is_empty() { note.to_owned() } else { format!("{own}; {note}") };
            let both: String = both.chars().take(NOTE_CHARACTERS_MAX).collect();
            status.insert("incomplete".into(), json!(true));
            status.insert("evaluationError".into(), json!(both));
        }
        serde_json::to_vec(&self.review).map_err(|_| unreadable("it cannot be written"))
    }
}

fn list<T: for<'de> Deserialize<'de>>(value: Option<&Value>) -> Result<Vec<T>, WireError> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(value) => Vec::deserialize(value).map_err(|_| unreadable("its rules are no list of rules")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_written() {
        let review = json!({
            "kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1", "spec": {},
            "status": {
                "resourceRules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]}],
                "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/api"]}],
                "incomplete": false,
            },
        });
        let answer = Answer::read(review.to_string().as_bytes()).unwrap();
        let same: Value = serde_json::from_slice(&answer.write("").unwrap()).unwrap();
        assert_eq!(same, review);
        let mut answer = Answer::read(review.to_string().as_bytes()).unwrap();
        answer.resources.clear();
        let cut: Value = serde_json::from_slice(&answer.write("more to know").unwrap()).unwrap();
        let (incomplete, note) = (&cut["status"]["incomplete"], &cut["status"]["evaluationError"]);
        assert_eq!(
            (incomplete, note, cut["status"]["resourceRules"] == json!([])),
            (&json!(true), &json!("more to know"), true)
        );
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_an_error() {
        let review = |status: Value| json!({"kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1", "status": status});
        for status in [
            json!(null),
            json!({"resourceRules": {}}),
            json!({"resourceRules": [{"verbs": "get"}]}),
            json!({"nonResourceRules": [1]}),
        ] {
            assert!(Answer::read(review(status.clone()).to_string().as_bytes()).is_err(), "{status}");
        }
        assert!(Answer::read(b"{}").is_err());
    }
}
