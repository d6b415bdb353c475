//! Every way in which a request cannot be understood, and the one mapping from each to its `Status`.

use crate::status::{Reason, Status, refusal};

/// Why a request (or an answer) is refused. The message names the rule that was broken and the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The request target exceeds [`lockgate_core::limit::REQUEST_TARGET_BYTES_MAX`].
    #[error("the request target is longer than {limit} bytes. Next step: put less into the URL", limit = lockgate_core::limit::REQUEST_TARGET_BYTES_MAX)]
    TargetTooLong,
    /// The head is not HTTP as the RFCs have it, or two programs could read it differently.
    #[error("the request's head has more than one reading or none: {0}. Next step: send plain HTTP (RFC 9112)")]
    Head(&'static str),
    /// The head exceeds its limit.
    #[error("the request's head is larger than {limit_bytes} bytes. Next step: send fewer or shorter headers")]
    HeadTooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The head has more headers than its limit.
    #[error("the request has more than {limit} headers. Next step: send fewer")]
    TooManyHeaders {
        /// The limit.
        limit: usize,
    },
    /// The path or query is not canonical.
    #[error(
        "the request target is not canonical: {0}. Next step: write path and query plainly, escaping only what must be"
    )]
    Target(&'static str),
    /// The path does not begin with `/clusters/<name>`.
    #[error("no cluster is named in the path: this gateway serves each cluster below /clusters/<name>/")]
    NoCluster,
    /// A single-valued query parameter was given with different values.
    #[error("the query parameter {name:?} is given more than once with different values. Next step: give it once")]
    ConflictingParameter {
        /// The parameter.
        name: String,
    },
    /// A query parameter or a field of `DeleteOptions` has a value that has no meaning.
    #[error("{name}: {reason}")]
    Option {
        /// The parameter or field.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The method has no meaning for this kind of path.
    #[error("the method {method} is not known for this path. Next step: use one that the Kubernetes API has there")]
    Method {
        /// The method, as sent.
        method: String,
    },
    /// The path has the shape of no request that the API server serves.
    #[error("the path is no Kubernetes request: {0}")]
    Path(&'static str),
    /// The subresource is not one that Lockgate knows.
    #[error("the subresource {resource}/{subresource} of group {group:?} is not known to this gateway and is refused")]
    Subresource {
        /// The API group.
        group: String,
        /// The resource.
        resource: String,
        /// The subresource.
        subresource: String,
    },
    /// The body exceeds its limit.
    #[error("the request body exceeds {limit_bytes} bytes")]
    BodyTooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The body's content type cannot be read here.
    #[error(
        "the content type {content_type:?} cannot be read by this gateway; send JSON, YAML or Kubernetes protobuf, \
         for PATCH a JSON, merge, strategic merge or apply patch"
    )]
    ContentType {
        /// The content type, as sent.
        content_type: String,
    },
    /// The body cannot be decoded.
    #[error("the request body cannot be decoded: {0}")]
    Body(String),
    /// The program's own table of protobuf types is broken; never the client's fault.
    #[error("{0}")]
    Table(String),
    /// Nothing that the client accepts can be given.
    #[error("none of the accepted content types can be given")]
    NotAcceptable,
    /// The API server answered in a form that was not asked for.
    #[error("the API server answered with content type {content_type:?}, which was not asked for")]
    Answer {
        /// The answer's content type; empty when it had none.
        content_type: String,
    },
    /// The API server's answer to a self review cannot be read.
    #[error("the API server's answer to a self review cannot be read: {0}")]
    Review(String),
}

impl WireError {
    /// The answer to the client.
    pub fn status(&self) -> Status {
        let (code, reason) = match self {
            Self::TargetTooLong => (414, Reason::RequestUriTooLong),
            Self::HeadTooLarge { .. } | Self::TooManyHeaders { .. } => (431, Reason::RequestHeadersTooLarge),
            Self::Head(_)
            | Self::Target(_)
            | Self::ConflictingParameter { .. }
            | Self::Option { .. }
            | Self::Path(_)
            | Self::Subresource { .. }
            | Self::Body(_) => (400, Reason::BadRequest),
            Self::NoCluster => (404, Reason::NotFound),
            Self::Method { .. } => (405, Reason::MethodNotAllowed),
            Self::BodyTooLarge { .. } => (413, Reason::RequestEntityTooLarge),
            Self::ContentType { .. } => (415, Reason::UnsupportedMediaType),
            Self::NotAcceptable => (406, Reason::NotAcceptable),
            Self::Table(_) => (500, Reason::InternalError),
            Self::Answer { .. } | Self::Review(_) => (502, Reason::BadGateway),
        };
        match self {
            Self::Answer { .. } | Self::Review(_) => refusal::answer_withheld(&self.to_string()),
            _ => refusal::not_understood(code, reason, &self.to_string()),
        }
    }
}
