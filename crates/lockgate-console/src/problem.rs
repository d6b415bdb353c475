//! What goes wrong, as a caller is told: a code for programs, a message and the next step for people.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use lockgate_auth::{AuthError, Blame};
use lockgate_store::{DecideError, Rejection, StoreError};
use serde_json::json;

/// A refusal or failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) next: Option<String>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), next: None }
    }

    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "notFound", format!("There is no {what} (or it is not yours to see)."))
    }

    pub(crate) fn not_signed_in() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "notSignedIn", "You are not signed in.").next("Run `lockgate login`.")
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 403, not 401: the caller is known; signing in anew is what helps.
    pub(crate) fn stale_sign_in(max_seconds: u64) -> Self {
        let message = format!("Deciding needs a sign-in of the last {max_seconds} seconds; yours is older.");
        Self::new(StatusCode::FORBIDDEN, "freshSignInRequired", message)
            .next("Run `lockgate login --fresh`, then decide again.")
    }

    /// The fault is ours; the log has the details, the caller has not.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = %chain(error), "the console failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Lockgate's console failed; its log says why.")
    }

    pub(crate) fn json(&self) -> Response {
        let body = json!({"error": {"code": self.code, "message": self.message, "next": self.next}});
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error.blame() {
            Blame::Issuer => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "issuerUnavailable", sentence(&error.to_string()))
            }
            Blame::Caller if error == AuthError::Missing => Self::not_signed_in(),
            Blame::Caller => Self::new(StatusCode::UNAUTHORIZED, "notSignedIn", sentence(&error.to_string()))
                .next("Run `lockgate login`."),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoRecording { .. } => Self::not_found("such recording"),
            StoreError::DiskFull => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "storeUnavailable", sentence(&error.to_string()))
            }
            StoreError::Closed => Self::new(StatusCode::SERVICE_UNAVAILABLE, "closing", "Lockgate is shutting down."),
            error => Self::internal(&error),
        }
    }
}

impl From<DecideError> for Problem {
    fn from(error: DecideError) -> Self {
        let rejection = match error {
            DecideError::NotFound(_) => return Self::not_found("such approval"),
            DecideError::NoFreeze(_) => return Self::not_found("such freeze"),
            DecideError::Store(error) => return error.into(),
            DecideError::Rejected(rejection) => rejection,
        };
        let message = sentence(&rejection.to_string());
        match rejection {
            Rejection::StaleSignIn { max_seconds } => Self::stale_sign_in(max_seconds),
            Rejection::AlreadyDecided { .. } => Self::new(StatusCode::CONFLICT, "alreadyDecided", message),
            Rejection::NotDenied { .. } => Self::new(StatusCode::CONFLICT, "notDenied", message),
            Rejection::NoteTooLong { .. } => Self::invalid(message),
            Rejection::NoteMissing => Self::invalid(message).next("Add a note."),
            Rejection::NotHuman
            | Rejection::OwnRequest
            | Rejection::Owner
            | Rejection::NotInGroup { .. }
            | Rejection::MayNotCancel => Self::forbidden(message),
        }
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// First letter large, full stop at the end.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let mut out: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    out.push_str(chars.as_str());
    if !out.ends_with('.') {
        out.push('.');
    }
    out
}
