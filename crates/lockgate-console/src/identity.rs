//! Who is talking, and what that makes of them here.

use async_trait::async_trait;
use lockgate_auth::{AuthError, Authenticated, Issuers};
use lockgate_core::{Subject, SubjectKind, Timestamp};

use crate::context::ConsoleContext;

/// Says who a bearer token speaks for. The seam to the network: the real one fetches the issuers' keys.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Turns the values of all `Authorization` headers into a caller.
    ///
    /// # Errors
    /// Any doubt.
    async fn authenticate(&self, authorization: &[&[u8]], now: Timestamp) -> Result<Authenticated, AuthError>;

    /// The same for a token that came from the identity provider itself.
    ///
    /// # Errors
    /// Any doubt.
    async fn authenticate_token(&self, token: &str, now: Timestamp) -> Result<Authenticated, AuthError>;
}

#[async_trait]
impl Authenticator for Issuers {
    async fn authenticate(&self, authorization: &[&[u8]], now: Timestamp) -> Result<Authenticated, AuthError> {
        Self::authenticate(self, authorization, now).await
    }

    async fn authenticate_token(&self, token: &str, now: Timestamp) -> Result<Authenticated, AuthError> {
        Self::authenticate_token(self, token, now).await
    }
}

/// An authenticated caller and its roles.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) subject: Subject,
    pub(crate) auth_time: Option<Timestamp>,
    pub(crate) expires_at: Timestamp,
    pub(crate) role: Role,
    /// The anti-forgery token of a browser's session; `None` for bearer tokens.
    pub(crate) csrf: Option<String>,
}

/// What somebody is here. An agent is never more than a requester, whatever groups its token names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// An agent: sees its own approvals.
    Requester,
    /// A human in none of the console's groups: sees nothing.
    Stranger,
    /// Sees everything.
    Auditor,
    /// Sees everything and decides.
    Approver,
}

impl Role {
    pub(crate) fn of(subject: &Subject, context: &ConsoleContext) -> Self {
        match subject.kind {
            SubjectKind::Agent => Self::Requester,
            SubjectKind::Human if context.approvers.has_any(&subject.groups) => Self::Approver,
            SubjectKind::Human if context.auditors.has_any(&subject.groups) => Self::Auditor,
            SubjectKind::Human => Self::Stranger,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Requester => "requester",
            Self::Stranger => "none",
            Self::Auditor => "auditor",
            Self::Approver => "approver",
        }
    }

    /// Whether the role sees the log, the recordings and everybody's approvals.
    pub(crate) const fn sees_everything(self) -> bool {
        matches!(self, Self::Auditor | Self::Approver)
    }
}
