//! Our own answers on the data path: Kubernetes `Status` objects (`meta/v1`), which every client knows how to show.
//!
//! Owns the object's shape, the reasons and ([`refusal`]) the wording. Refuses to know when to send which.

pub mod refusal;

use lockgate_core::AuditId;
use serde_json::{Value, json};

/// Longest message, in bytes: kubectl prints all of it, and agents read all of it.
pub const MESSAGE_BYTES_MAX: usize = 700;

/// The machine-readable reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request could not be understood.
    BadRequest,
    /// No or no valid credential.
    Unauthorized,
    /// The policy does not allow it.
    Forbidden,
    /// A human must agree first.
    ApprovalRequired,
    /// A human said no.
    ApprovalDenied,
    /// Nobody decided, or the grant was not used, in time.
    ApprovalExpired,
    /// This agent asks humans too much.
    ApprovalLimit,
    /// Every change by this agent is stopped.
    AgentFrozen,
    /// The approved request was sent once and its outcome is unknown.
    ApprovalIndeterminate,
    /// The cluster or path does not exist.
    NotFound,
    /// The method has no meaning here.
    MethodNotAllowed,
    /// Nothing acceptable can be given.
    NotAcceptable,
    /// The target changed since it was reviewed.
    Conflict,
    /// The object that is written holds what cannot be stored.
    Invalid,
    /// The body is too large.
    RequestEntityTooLarge,
    /// The request target is too long.
    RequestUriTooLong,
    /// The head is too large.
    RequestHeadersTooLarge,
    /// The body's media type cannot be read.
    UnsupportedMediaType,
    /// Too many requests.
    TooManyRequests,
    /// Our fault.
    InternalError,
    /// The API server's answer cannot be used.
    BadGateway,
    /// Not now.
    ServiceUnavailable,
    /// The API server took too long.
    Timeout,
}

impl Reason {
    /// The word in `reason`. Kubernetes' own words where it has one, so that client-go classifies the error rightly.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "BadRequest",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::ApprovalRequired => "ApprovalRequired",
            Self::ApprovalDenied => "ApprovalDenied",
            Self::ApprovalExpired => "ApprovalExpired",
            Self::ApprovalLimit => "ApprovalLimit",
            Self::AgentFrozen => "AgentFrozen",
            Self::ApprovalIndeterminate => "ApprovalIndeterminate",
            Self::NotFound => "NotFound",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotAcceptable => "NotAcceptable",
            Self::Conflict => "Conflict",
            Self::Invalid => "Invalid",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
            Self::RequestUriTooLong => "RequestURITooLong",
            Self::RequestHeadersTooLarge => "RequestHeaderFieldsTooLarge",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::TooManyRequests => "TooManyRequests",
            Self::InternalError => "InternalError",
            Self::BadGateway => "BadGateway",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::Timeout => "Timeout",
        }
    }
}

/// One of a failure's causes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cause {
    reason: &'static str,
    message: String,
    field: Option<String>,
}

/// A failure, as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    code: u16,
    reason: Reason,
    message: String,
    causes: Vec<Cause>,
    retry_after_seconds: Option<u32>,
    warning: bool,
}

impl Status {
    /// A failure with its HTTP code, reason and message. Control characters but line breaks are dropped: terminals print it.
    pub fn failure(code: u16, reason: Reason, message: impl Into<String>) -> Self {
        let message: String = message.into();
        let message =
            message.chars().filter(|character| *character == '\n' || !is_unsafe_in_terminal(*character)).collect();
        Self { code, reason, message, causes: Vec::new(), retry_after_seconds: None, warning: false }
    }

    /// Names the call, so that a person can find its record.
    #[must_use]
    pub fn with_audit_id(mut self, id: AuditId) -> Self {
        // Of an invalid object kubectl prints the causes and not the message: each with its field.
        let field = (self.reason == Reason::Invalid).then(|| "audit".to_owned());
        self.causes.push(Cause { reason: "AuditID", message: id.to_string(), field });
        self
    }

    /// Adds a cause: machine-readable details that kubectl does not print.
    #[must_use]
    pub fn with_cause(mut self, reason: &'static str, message: String) -> Self {
        self.causes.push(Cause { reason, message, field: None });
        self
    }

    /// Adds a cause about a field of the object that was sent.
    #[must_use]
    pub fn with_field(mut self, field: &str, message: String) -> Self {
        self.causes.push(Cause { reason: "FieldValueInvalid", message, field: Some(field.to_owned()) });
        self
    }

    /// Tells the client when to try again; send `Retry-After` with the same number.
    #[must_use]
    pub const fn with_retry_after_seconds(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Says the message in a `Warning` header too, for clients that do not show the message of such a request.
    #[must_use]
    pub const fn with_warning(mut self) -> Self {
        self.warning = true;
        self
    }

    /// The value of the `Warning` header, if there is to be one.
    pub fn warning(&self) -> Option<String> {
        self.warning.then(|| warning(&self.message))
    }

    /// The HTTP status code.
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// The reason.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The text that kubectl prints.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Seconds for `Retry-After`, if the client should try again.
    pub const fn retry_after_seconds(&self) -> Option<u32> {
        self.retry_after_seconds
    }

    /// The body to send as `application/json`.
    pub fn to_json(&self) -> Vec<u8> {
        self.to_value().to_string().into_bytes()
    }

    /// The object.
    pub fn to_value(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason.as_str(),
            "code": self.code,
        });
        let mut details = serde_json::Map::new();
        if !self.causes.is_empty() {
            details.insert("causes".into(), self.causes.iter().map(Cause::to_value).collect());
        }
        if let Some(seconds) = self.retry_after_seconds {
            details.insert("retryAfterSeconds".into(), seconds.into());
        }
        if let (Some(object), false) = (status.as_object_mut(), details.is_empty()) {
            object.insert("details".into(), details.into());
        }
        status
    }
}

impl Cause {
    fn to_value(&self) -> Value {
        let mut cause = json!({"reason": self.reason, "message": self.message});
        if let (Some(fields), Some(field)) = (cause.as_object_mut(), &self.field) {
            fields.insert("field".into(), field.as_str().into());
        }
        cause
    }
}

/// Control characters, and the formatting characters that can reorder or hide what a reader sees.
pub(crate) fn is_unsafe_in_terminal(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
/// The value of a `Warning` header: code 299 and the text on one line of ASCII, quoted (RFC 9111 5.5, as the API server
/// writes it).
pub fn warning(text: &str) -> String {
    let one = |character: char| match character {
        '\n' => vec![' '],
        '"' | '\\' => vec!['\\', character],
        ' '..='~' => vec![character],
        _ => vec!['?'],
    };
    format!("299 lockgate \"{}\"", text.chars().flat_map(one).collect::<String>())
}
