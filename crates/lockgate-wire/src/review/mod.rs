//! Self reviews: what a client asks about itself before it acts (`kubectl auth can-i`), and the cluster's answers.
//!
//! Owns the reading of a question as the request that it is about ([`Question`]), and of the two answers
//! (SelfSubjectAccessReview in [`access`], SelfSubjectRulesReview in [`rules`]), which only lose: nothing is allowed there
//! that the cluster does not allow. Refuses to know what anybody may do.

pub mod access;
mod question;
pub mod rules;

pub use crate::subresource::of as subresources;
pub use question::{Asked, Place, Question, Resource};

use lockgate_core::Verb;
use serde_json::Value;

use crate::{RequestInfo, WireError};

/// The API group of both.
const GROUP: &str = "authorization.k8s.io";

/// Which of the reviews a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Review {
    /// May I do this?
    Access,
    /// What may I do in this namespace?
    Rules,
}

impl Review {
    /// The review that a request asks for, if it does.
    pub fn of(info: &RequestInfo) -> Option<Self> {
        if info.api_group != GROUP || info.verb != Verb::Create || info.subresource.is_some() {
            return None;
        }
        match info.resource.as_str() {
            "selfsubjectaccessreviews" => Some(Self::Access),
            "selfsubjectrulesreviews" => Some(Self::Rules),
            _ => None,
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Access => "SelfSubjectAccessReview",
            Self::Rules => "SelfSubjectRulesReview",
        }
    }

    /// The cluster's answer, if it is one.
    fn read(self, answer: &[u8]) -> Result<Value, WireError> {
        let value: Value = serde_json::from_slice(answer).map_err(|_| unreadable("it is no JSON"))?;
        let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
        let group = text("apiVersion").split_once('/').map(|(group, _)| group);
        if text("kind") != self.kind() || group != Some(GROUP) {
            return Err(unreadable(&format!("it is no {}", self.kind())));
        }
        Ok(value)
    }
}

fn unreadable(why: &str) -> WireError {
    WireError::Review(why.to_owned())
}
