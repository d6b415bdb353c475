//! What a request would do, in Kubernetes' own nouns.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The request verb, as the API server's RequestInfo names it
/// (<https://pkg.go.dev/k8s.io/apiserver/pkg/endpoints/request#RequestInfo>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Read one object, or GET of a non-resource path.
    Get,
    /// Read a collection.
    List,
    /// Follow a collection or object.
    Watch,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH.
    Patch,
    /// Delete one object.
    Delete,
    /// Delete a collection.
    DeleteCollection,
    /// HEAD of a non-resource path.
    Head,
    /// OPTIONS of a non-resource path.
    Options,
    /// POST to a non-resource path.
    Post,
    /// PUT to a non-resource path.
    Put,
}

impl Verb {
    /// The word that Kubernetes uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Head => "head",
            Self::Options => "options",
            Self::Post => "post",
            Self::Put => "put",
        }
    }

    /// Whether the verb only reads.
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Get | Self::List | Self::Watch | Self::Head | Self::Options)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The risk class, by the word that policies use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Reads that hold no secrets.
    Read,
    /// Reads whose answer is masked.
    Masked,
    /// Routine writes.
    Write,
    /// Writes a human should see first.
    Ask,
    /// One object's outage or loss.
    Destructive,
    /// Mass or cascading loss.
    Mass,
    /// Interactive streams.
    Stream,
    /// Gains rights, or disables controls.
    Escalation,
}

/// How the answer flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// A bounded answer.
    None,
    /// Watch events until either side ends.
    Watch,
    /// Followed logs.
    Logs,
    /// `pods/exec`.
    Exec,
    /// `pods/attach`.
    Attach,
    /// `pods/portforward`.
    Portforward,
    /// `*/proxy`.
    Proxy,
}

impl Stream {
    /// Whether this is a two-way session that is recorded: exec, attach, port-forward.
    pub const fn is_session(self) -> bool {
        matches!(self, Self::Exec | Self::Attach | Self::Portforward)
    }
}

/// How a PATCH body is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PatchType {
    /// `application/json-patch+json`
    Json,
    /// `application/merge-patch+json`
    Merge,
    /// `application/strategic-merge-patch+json`
    Strategic,
    /// `application/apply-patch+yaml`
    Apply,
}

/// What an exec or attach asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExecOptions {
    /// The container, if named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The command and its arguments; empty for attach.
    pub argv: Vec<String>,
    /// Whether stdin is open.
    pub stdin: bool,
    /// Whether stdout is open.
    pub stdout: bool,
    /// Whether stderr is open.
    pub stderr: bool,
    /// Whether a terminal is allocated.
    pub tty: bool,
}

/// The options in effect, wherever the client wrote them: a non-empty `DeleteOptions` body wins as a whole over the query.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    /// `dryRun=All` is in effect.
    pub dry_run: bool,
    /// `Orphan`, `Background` or `Foreground`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagation_policy: Option<String>,
    /// Seconds until a deleted pod is killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_period_seconds: Option<i64>,
    /// Server-side apply takes fields over from other managers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
    /// Who owns the written fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_manager: Option<String>,
    /// `Ignore`, `Warn` or `Strict`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_validation: Option<String>,
    /// The patch's kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_type: Option<PatchType>,
    /// A precondition on the target's UID that the client itself set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precondition_uid: Option<String>,
    /// A precondition on the target's resourceVersion that the client itself set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precondition_resource_version: Option<String>,
    /// The label selector of a list, watch or collection delete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<String>,
    /// The field selector of a list, watch or collection delete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_selector: Option<String>,
    /// Page size of a list, if limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// What exec or attach asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecOptions>,
}

/// One request, understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// The verb.
    pub verb: Verb,
    /// The API group; empty for the core group and for non-resource paths.
    #[serde(default)]
    pub api_group: String,
    /// The API version, such as `v1`; empty for non-resource paths.
    #[serde(default)]
    pub api_version: String,
    /// The resource in the plural, such as `pods`; empty for non-resource paths.
    #[serde(default)]
    pub resource: String,
    /// The subresource, such as `exec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subresource: Option<String>,
    /// The namespace. For requests on a namespace itself this is its name, as in RequestInfo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The object's name, from the path or (create) the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The canonical path at the API server, without the cluster prefix and query.
    pub path: String,
    /// The risk class.
    pub risk: Risk,
    /// How the answer flows.
    pub stream: Stream,
}

impl Action {
    /// Whether the request is for a resource (not `/healthz`, `/openapi` and the like).
    pub const fn is_resource(&self) -> bool {
        !self.resource.is_empty()
    }

    /// `resource` or `resource/subresource`, as RBAC rules write it.
    pub fn resource_path(&self) -> String {
        match &self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.resource),
            None => self.resource.clone(),
        }
    }
}
