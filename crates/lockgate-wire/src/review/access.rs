//! The answer to a SelfSubjectAccessReview. It has three words: `allowed`, `denied`, and neither (the API's own "no
//! opinion"), which is where "needs approval" belongs.

use serde_json::{Value, json};

use super::{Review, unreadable};
use crate::WireError;

/// What is said beside the cluster's own verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// As the cluster says.
    Yes,
    /// Not as it stands.
    NotYet,
    /// No.
    No,
}

/// The combined answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Combined {
    /// What the client gets.
    pub body: Vec<u8>,
    /// Whether it says that the request is allowed.
    pub allowed: bool,
}

/// The cluster's answer with our word. Where the cluster says no, that stands with its own reason; `reason` may be empty.
///
/// # Errors
/// When the cluster's answer is not one that can be read.
pub fn combine(answer: &[u8], word: Word, reason: &str) -> Result<Combined, WireError> {
    let mut review = Review::Access.read(answer)?;
    let status = review.get_mut("status").and_then(Value::as_object_mut);
    let status = status.ok_or_else(|| unreadable("it has no status"))?;
    let flag = |value: Option<&Value>| match value {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(unreadable("its verdict is no truth value")),
    };
    let denied = flag(status.get("denied"))?;
    let Some(Value::Bool(allowed)) = status.get("allowed") else { return Err(unreadable("it has no verdict")) };
    let allowed = *allowed;
    if allowed && denied {
        return Err(unreadable("it says both yes and no"));
    }
    if allowed && word != Word::Yes {
        status.insert("allowed".into(), json!(false));
        status.insert("reason".into(), json!(reason));
        // The cluster's reason was one for yes.
        status.remove("evaluationError");
        match word {
            Word::No => status.insert("denied".into(), json!(true)),
            Word::NotYet | Word::Yes => status.remove("denied"),
        };
    } else if allowed && !reason.is_empty() {
        let own = status.get("reason").and_then(Value::as_str).unwrap_or_default();
        let both = if own.is_empty() { reason.to_owned() } else { format!("{own}; {reason}") };
        status.insert("reason".into(), json!(both));
    }
    let body = serde_json::to_vec(&review).map_err(|_| unreadable("it cannot be written"))?;
    Ok(Combined { body, allowed: allowed && word == Word::Yes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combined(status: Value, word: Word) -> Result<Value, WireError> {
        let answer = json!({"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": {}, "status": status});
        let combined = combine(answer.to_string().as_bytes(), word, "ours")?;
        let review: Value = serde_json::from_slice(&combined.body).unwrap();
        assert_eq!(review["status"]["allowed"], json!(combined.allowed));
        Ok(review["status"].clone())
    }

    #[test]
    fn only_two_yes_are_a_yes() {
        let (yes, no) = (json!({"allowed": true, "reason": "theirs"}), json!({"allowed": false, "reason": "theirs"}));
        let refused = json!({"allowed": false, "denied": true});
        assert_eq!(combined(yes.clone(), Word::Yes).unwrap(), json!({"allowed": true, "reason": "theirs; ours"}));
        assert_eq!(combined(yes.clone(), Word::NotYet).unwrap(), json!({"allowed": false, "reason": "ours"}));
        assert_eq!(combined(yes, Word::No).unwrap(), json!({"allowed": false, "denied": true, "reason": "ours"}));
        for word in [Word::Yes, Word::NotYet, Word::No] {
            assert_eq!(combined(no.clone(), word).unwrap(), no, "the cluster's no stands");
            assert_eq!(combined(refused.clone(), word).unwrap(), refused);
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_an_error() {
        for status in [
            json!(null),
            json!({}),
            json!({"allowed": "true"}),
            json!({"allowed": true, "denied": true}),
            json!({"allowed": true, "denied": 1}),
        ] {
            assert!(combined(status.clone(), Word::Yes).is_err(), "{status}");
        }
        for answer in [
            "",
            "null",
            "{}",
            r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1"}"#,
            r#"{"kind":"SelfSubjectAccessReview","apiVersion":"v1","status":{"allowed":true}}"#,
        ] {
            assert_eq!(combine(answer.as_bytes(), Word::Yes, "").unwrap_err().status().code(), 502, "{answer}");
        }
    }
}
