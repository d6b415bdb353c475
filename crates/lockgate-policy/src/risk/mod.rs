//! The default taxonomy of risk: how much harm a request can do, from the API's semantics and never from command text.
//!
//! A request's class is the highest of what its row in the [`table`] says and what the facts about its body add
//! (replicas to zero, a privileged pod, a finalizer taken away). What is not in the table is unknown: a read of it is
//! masked, a write of it asks.
//!
//! Where the taxonomy speaks of a change ("down by more than half", "a finalizer goes away", "new to the object") the
//! live object decides: [`depends_on_old_object`] says when it has to be read, and [`Request::old_object`] is where it
//! comes in. The request and the live object are then compared as the API server would merge them ([`crate::change`]).
//! Without it the body alone speaks, and what it restates counts as new; when it should be known and cannot be read,
//! [`classify_unreadable`] errs to the higher class. Volumes of Secrets that are new to an object *ask*: whether they are
//! new to its namespace, too, nobody can tell from one object, and every second workload has some.

mod compared;
mod depends;
mod effect;
mod facts;
mod kind;
pub(crate) mod scope;
mod table;

pub use self::depends::{classify_unreadable, depends_on_old_object, reachable};
pub use self::effect::{effect_key, same_effect};
pub use self::kind::{Lives, OPEN_PATHS, built_in, lives, presumable};

use lockgate_core::{Action, Options, Risk, Stream, Verb};
pub(crate) use table::groups_of;

use crate::change;

/// Namespaces in which any change is an escalation: the cluster's control plane, and the gateway itself.
pub const PROTECTED_NAMESPACES: [&str; 2] = ["kube-system", "lockgate"];

/// A request, as the classifier sees it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// The verb.
    pub verb: Verb,
    /// The API group; empty for the core group and for non-resource paths.
    pub api_group: &'r str,
    /// The resource in the plural; empty for non-resource paths.
    pub resource: &'r str,
    /// The subresource.
    pub subresource: Option<&'r str>,
    /// The namespace.
    pub namespace: Option<&'r str>,
    /// The object's name.
    pub name: Option<&'r str>,
    /// The canonical path, for non-resource requests.
    pub path: &'r str,
    /// How the answer flows.
    pub stream: Stream,
    /// The options in effect.
    pub options: &'r Options,
    /// The body as decoded; for a JSON Patch the array of operations.
    pub object: Option<&'r serde_json::Value>,
    /// The live object, where it was read: for a subresource the object that it belongs to.
    pub old_object: Option<&'r serde_json::Value>,
}

impl<'r> Request<'r> {
    /// Of an action whose `risk` is not known yet (it is not read).
    pub fn of(action: &'r Action, options: &'r Options, object: Option<&'r serde_json::Value>) -> Self {
        Self {
            verb: action.verb,
            api_group: &action.api_group,
            resource: &action.resource,
            subresource: action.subresource.as_deref(),
            namespace: action.namespace.as_deref(),
            name: action.name.as_deref(),
            path: &action.path,
            stream: action.stream,
            options,
            object,
            old_object: None,
        }
    }

    /// With the live object at hand.
    #[must_use]
    pub const fn with_old_object(self, old_object: Option<&'r serde_json::Value>) -> Self {
        Self { old_object, ..self }
    }

    pub(crate) fn is(&self, group: &str, resource: &str) -> bool {
        self.api_group == group && self.resource == resource
    }

    fn protected(&self) -> bool {
        let namespace = match self.namespace {
            None if self.is("", "namespaces") => self.name,
            namespace => namespace,
        };
        namespace.is_some_and(|namespace| PROTECTED_NAMESPACES.contains(&namespace))
    }
}

/// The class of a request.
pub fn classify(request: &Request<'_>) -> Risk {
    if request.resource.is_empty() {
        return non_resource(request);
    }
    if let Some(risk) = connect(request) {
        return if request.protected() { Risk::Escalation } else { risk };
    }
    let row = table::row(request.api_group, request.resource);
    if request.verb.is_read() {
        return read(request, row);
    }
    let virtual_resource = table::is_virtual(request.api_group, request.resource, request.subresource);
    if request.protected() && !virtual_resource {
        return Risk::Escalation;
    }
    if is_dry(request) {
        return Risk::Masked;
    }
    let added = match change::compared(request) {
        Some((old, after)) => compared::added(request, &old, &after),
        // What the request makes of the object cannot be told (a `test` that fails now and may hold in a moment).
        None if request.old_object.is_some() && depends_on_old_object(request) => {
            facts::added(request).max(Risk::Destructive)
        }
        None => facts::added(request),
    };
    table::write(request, row).max(added)
}

/// Whether a write answers like a read, and does nothing else.
fn is_dry(request: &Request<'_>) -> bool {
    let virtual_resource = table::is_virtual(request.api_group, request.resource, request.subresource);
    let dry = request.options.dry_run && request.verb != Verb::DeleteCollection && !virtual_resource;
    dry && !request.is("", "secrets") && table::keeps_dry(request.api_group)
}

fn non_resource(request: &Request<'_>) -> Risk {
    const OPEN: [&str; 4] = ["/metrics", "/version", "/healthz", "/.well-known/openid-configuration"];
    const OPEN_TREES: [&str; 7] = ["/api", "/apis", "/openapi", "/healthz", "/livez", "/readyz", "/openid"];
    let path = request.path.strip_suffix('/').unwrap_or(request.path);
    let in_tree = |tree: &&str| path.strip_prefix(*tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let open = path.is_empty() || OPEN.contains(&path) || OPEN_TREES.iter().any(in_tree);
    if open && request.verb.is_read() { Risk::Read } else { Risk::Ask }
}

/// Whatever opens a connection into the cluster, by any method.
fn connect(request: &Request<'_>) -> Option<Risk> {
    match (request.resource, request.subresource) {
        ("nodes", Some("proxy")) => Some(Risk::Escalation),
        (_, Some("exec" | "attach" | "portforward" | "proxy")) => Some(Risk::Stream),
        _ if request.stream.is_session() || request.stream == Stream::Proxy => Some(Risk::Stream),
        _ => None,
    }
}

fn read(request: &Request<'_>, row: Option<&table::Row>) -> Risk {
    if request.is("", "secrets") && facts::selects_masked_fields(request.options) {
        return Risk::Escalation;
    }
    let own = row.map_or(Risk::Masked, |row| row.read);
    match request.subresource {
        None | Some("status") => own,
        Some("scale") if row.is_some() => Risk::Read,
        Some(_) => Risk::Masked,
    }
}
