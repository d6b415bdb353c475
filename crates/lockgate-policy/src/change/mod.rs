//! What a request changes, in the words that a policy and a person use: `change.*` in a condition, "replicas 6 → 1" on the
//! card of an approval.
//!
//! With the live object at hand ([`Request::old_object`]) the request's effect is worked out as the API server would
//! ([`result`]) and both are compared. Without it, the body speaks for itself: what it sets counts as new.
//! Refuses to know how bad a change is: that is [`crate::risk`].

mod fields;
mod json_patch;
mod managed;
pub(crate) mod number;
pub(crate) mod pod;
pub(crate) mod result;
mod strategic;

pub(crate) use self::fields::MORE as MORE_FIELDS;

use std::borrow::Cow;

use lockgate_core::{PatchType, Verb};
use serde::Serialize;
use serde_json::{Value, json};

use crate::risk::Request;

/// Most entries in any one list of a change, but for the fields.
const ENTRIES_MAX: usize = 200;

/// The semantic facts of one request. Every field is always there: what is not touched is empty, false or null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Whether the live object was at hand, so that only what differs from it counts.
    pub compared: bool,
    /// Paths that the request touches: `spec.template.spec.containers.image`. The last is `*` when there are more than 500, or nobody can tell
    /// which: what a PUT leaves out of an object that was not read.
    pub fields: Vec<String>,
    /// Whether nobody can tell what the request makes of its object, so that it may be anything: the API server's own merge cannot be
    /// repeated, or the object is not known and what the request leaves out of it counts.
    #[serde(skip)]
    pub undetermined: bool,
    /// `spec.replicas`, of the object or by its `scale` subresource; of a Job its `spec.parallelism`. A number that cannot be read as one
    /// counts as 0.
    pub replicas: Step<i64>,
    /// `spec.maxReplicas` of an autoscaler.
    pub max_replicas: Step<i64>,
    /// `spec.paused` or `spec.suspend` is set.
    pub paused: bool,
    /// Images that change.
    pub images: Vec<ImageStep>,
    /// The service account of a pod template.
    pub service_account: Step<String>,
    /// What the pod templates that are created or changed may do to their nodes, a phrase each: `hostNetwork`,
    /// `hostPath /etc`, `privileged web`, `capability SYS_ADMIN of web`.
    pub privileged: Vec<String>,
    /// Secrets that pod templates use anew.
    pub secrets: Vec<String>,
    /// Whether a projected volume is new.
    pub projected_volumes: bool,
    /// Finalizers that go away.
    pub finalizers_removed: Vec<String>,
    /// Owners that are added: `Deployment/web`.
    pub owner_references_added: Vec<String>,
    /// Whether a Service selects other pods than before.
    pub selector_changed: bool,
    /// Versions of a CustomResourceDefinition that are no longer served or stored.
    pub versions_removed: Vec<String>,
    /// What a role or binding would say.
    pub rbac: Rbac,
}

/// Before and after; null where it is not known, or not touched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Step<T> {
    /// Before.
    pub from: Option<T>,
    /// After.
    pub to: Option<T>,
}

/// One container's image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageStep {
    /// The container's name.
    pub container: String,
    /// Before; empty when it is new or not known.
    pub from: String,
    /// After; empty when the container goes away.
    pub to: String,
}

/// The content of a role or binding after the request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rbac {
    /// Verbs of all its rules.
    pub verbs: Vec<String>,
    /// API groups of all its rules.
    pub api_groups: Vec<String>,
    /// Resources of all its rules.
    pub resources: Vec<String>,
    /// `ClusterRole/admin`; empty when it is no binding.
    pub role_ref: String,
    /// Subjects of a binding: `User/ada`, `Group/sre`, `ServiceAccount/shop/web`.
    pub subjects: Vec<String>,
}

impl<T: PartialEq> Step<T> {
    /// Whether there is an "after" that is not the "before".
    pub fn is_change(&self) -> bool {
        self.to.is_some() && self.from != self.to
    }
}

impl Change {
    /// The facts of a request; [`Change::default`] for one that writes nothing.
    pub fn of(request: &Request<'_>) -> Self {
        let Some(body) = request.object.filter(|_| writes(request)) else { return Self::default() };
        if let Some((old, after)) = compared(request) {
            return Self::between(request, &old, &after, true);
        }
        let mut change = match request.options.patch_type {
            Some(PatchType::Json) => Self::between(request, &Value::Null, &nested(body), false),
            _ => Self::between(request, &Value::Null, body, false),
        };
        change.undetermined =
            request.verb != Verb::Create && (request.old_object.is_some() || change.may_take_away(request));
        change
    }

    /// Whether a request whose object is not known may take from it what nobody sees go.
    fn may_take_away(&self, request: &Request<'_>) -> bool {
        const COUNTED: [&str; 5] = [
            "metadata.finalizers",
            "metadata.ownerReferences",
            "spec.replicas",
            "spec.parallelism",
            "spec.maxReplicas",
        ];
        let replaced = |field: &String| {
            let holds = |counted: &str| counted.strip_prefix(field.as_str()).is_some_and(|rest| rest.starts_with('.'));
            field == MORE_FIELDS || COUNTED.into_iter().any(holds)
        };
        let numberless = self.fields.iter().any(|field| matches!(field.as_str(), "spec.replicas" | "spec.parallelism"))
            && self.replicas.to.is_none();
        let scale = request.subresource == Some("scale") && self.replicas.to.is_none();
        scale || numberless || self.fields.iter().any(replaced)
    }

    /// The facts of going from `old` (null: nothing is known of it) to `after`.
    pub(crate) fn between(request: &Request<'_>, old: &Value, after: &Value, compared: bool) -> Self {
        let mut change = Self { compared, ..Self::default() };
        change.fields = match compared {
            true => fields::Fields::that_differ(old, after),
            false => fields::Fields::of_body(request),
        };
        change.metadata(old, after, request);
        change.spec(old, after, request);
        change.pods(old, after, request);
        change.rbac = Rbac::of(after);
        change
    }

    fn metadata(&mut self, old: &Value, after: &Value, request: &Request<'_>) {
        if self.compared {
            let gone = texts(old, "/metadata/finalizers")
                .filter(|name| !texts(after, "/metadata/finalizers").any(|kept| kept == *name));
            self.finalizers_removed = gone.map(str::to_owned).take(ENTRIES_MAX).collect();
        } else if request.verb == Verb::Patch {
            // A strategic patch names those to remove; others replace the list, and nobody knows what was in it.
            let removed =
                at(after, "/metadata").and_then(|metadata| metadata.get("$deleteFromPrimitiveList/finalizers"));
            self.finalizers_removed = removed
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .take(ENTRIES_MAX)
                .collect();
        }
        let uid = |owner: &Value| owner.get("uid").cloned();
        let before: Vec<Option<Value>> = list(old, "/metadata/ownerReferences").map(uid).collect();
        let added = list(after, "/metadata/ownerReferences").filter(|owner| !before.contains(&uid(owner)));
        let name = |owner: &Value| {
            let text = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or("?");
            format!("{}/{}", text("kind"), text("name"))
        };
        self.owner_references_added = added.map(name).take(ENTRIES_MAX).collect();
    }

    fn spec(&mut self, old: &Value, after: &Value, request: &Request<'_>) {
        let number = |value: &Value, pointer: &str| number::stored(at(value, pointer)).replicas();
        let replicas = if is_job(request) { "/spec/parallelism" } else { "/spec/replicas" };
        // What a workload leaves out is 1, what a Scale leaves out is 0.
        let absent = match (self.compared, request.subresource) {
            (true, Some("scale")) => Some(0),
            (true, None) if number(old, replicas).is_some() => Some(1),
            _ => None,
        };
        self.replicas = step(number(old, replicas), number(after, replicas).or(absent));
        self.max_replicas = step(number(old, "/spec/maxReplicas"), number(after, "/spec/maxReplicas"));
        let on = |value: &Value, field: &str| at(value, field) == Some(&Value::Bool(true));
        self.paused = ["/spec/paused", "/spec/suspend"].into_iter().any(|field| on(after, field) && !on(old, field));
        let selector = |value: &Value| value.pointer("/spec/selector").cloned().unwrap_or(Value::Null);
        let service = request.is("", "services") && request.subresource.is_none();
        self.selector_changed = service
            && match self.compared {
                true => selector(old) != selector(after),
                false => request.verb != Verb::Create && after.pointer("/spec/selector").is_some(),
            };
        if self.compared && request.is("apiextensions.k8s.io", "customresourcedefinitions") {
            self.versions_removed = versions_removed(old, after);
        }
    }

    fn pods(&mut self, old: &Value, after: &Value, request: &Request<'_>) {
        if request.subresource.is_some_and(|subresource| subresource != "ephemeralcontainers") {
            return;
        }
        let is_pod = request.is("", "pods");
        let before = pod::specs(old, is_pod);
        for new in pod::specs(after, is_pod) {
            let old = before.iter().find(|old| old.path == new.path);
            if old.is_some_and(|old| old.spec == new.spec && old.annotations == new.annotations) {
                continue;
            }
            let images = old.map(pod::PodSpec::images).unwrap_or_default();
            for (container, image) in new.images() {
                let from = images.get(container).copied().unwrap_or_default();
                if from != image {
                    self.images.push(ImageStep { container: container.into(), from: from.into(), to: image.into() });
                }
            }
            let kept = new.images();
            for (container, image) in images.iter().filter(|(container, _)| !kept.contains_key(*container)) {
                self.images.push(ImageStep {
                    container: (*container).into(),
                    from: (*image).into(),
                    to: String::new(),
                });
            }
            let named = new.spec.get("serviceAccountName").or(new.spec.get("serviceAccount")).is_some();
            let account = Step {
                from: old.map(|old| old.service_account().to_owned()),
                to: (named || old.is_some()).then(|| new.service_account().to_owned()),
            };
            if account.is_change() {
                self.service_account = account;
            }
            // A changed template with privileges runs something else with them: all of them count.
            self.privileged.extend(new.privileged());
            let known = old.map(pod::PodSpec::secrets).unwrap_or_default();
            self.secrets.extend(new.secrets().difference(&known).cloned());
            let known = old.map(pod::PodSpec::projected).unwrap_or_default();
            self.projected_volumes |= new.projected().difference(&known).next().is_some();
        }
        for list in [&mut self.privileged, &mut self.secrets] {
            list.sort();
            list.dedup();
            list.truncate(ENTRIES_MAX);
        }
        self.images.truncate(ENTRIES_MAX);
    }

    /// For people: one phrase for each fact that helps to judge, such as `replicas 6 → 1`.
    pub fn in_words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let number = |value: &Option<i64>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
        for (name, step) in [("replicas", &self.replicas), ("max replicas", &self.max_replicas)] {
            if step.is_change() {
                words.push(format!("{name} {} → {}", number(&step.from), number(&step.to)));
            }
        }
        for image in &self.images {
            words.push(match (image.from.as_str(), image.to.as_str()) {
                ("", to) => format!("image {to}"),
                (from, "") => format!("container {} with image {from} removed", image.container),
                (from, to) => format!("image {from} → {to}"),
            });
        }
        if self.paused {
            words.push("paused".to_owned());
        }
        if self.selector_changed {
            words.push("selector changed".to_owned());
        }
        if let (true, Some(account)) = (self.service_account.is_change(), &self.service_account.to) {
            words.push(format!("service account {account}"));
        }
        let lists: [(&str, &[String]); 5] = [
            ("privileges:", &self.privileged),
            ("new Secrets:", &self.secrets),
            ("finalizers removed:", &self.finalizers_removed),
            ("owners added:", &self.owner_references_added),
            ("versions removed:", &self.versions_removed),
        ];
        words.extend(
            lists.iter().filter(|(_, list)| !list.is_empty()).map(|(what, list)| format!("{what} {}", list.join(", "))),
        );
        if !self.rbac.role_ref.is_empty() {
            words.push(format!("binds {} to {}", self.rbac.role_ref, self.rbac.subjects.join(", ")));
        }
        words
    }
}

impl Rbac {
    fn of(after: &Value) -> Self {
        let all = |field: &str| {
            let mut found: Vec<String> = list(after, "/rules")
                .flat_map(|rule| texts(rule, field).map(str::to_owned).collect::<Vec<_>>())
                .collect();
            found.sort();
            found.dedup();
            found.truncate(ENTRIES_MAX);
            found
        };
        let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
        let role =
            after.get("roleRef").and_then(|role| Some(format!("{}/{}", text(role, "kind")?, text(role, "name")?)));
        let subject = |subject: &Value| {
            let name = text(subject, "name")?;
            let kind = text(subject, "kind")?;
            Some(match text(subject, "namespace") {
                Some(namespace) => format!("{kind}/{namespace}/{name}"),
                None => format!("{kind}/{name}"),
            })
        };
        let subjects = if role.is_some() {
            list(after, "/subjects").filter_map(subject).take(ENTRIES_MAX).collect()
        } else {
            Vec::new()
        };
        Self {
            verbs: all("/verbs"),
            api_groups: all("/apiGroups"),
            resources: all("/resources"),
            role_ref: role.unwrap_or_default(),
            subjects,
        }
    }
}

/// What stands in the fields that the request would change: `[path, value before]` each. `None` where the live object is not
/// known, or the request's effect on it cannot be told. A review holds for as long as this stays the same.
pub fn reviewed(request: &Request<'_>) -> Option<Value> {
    let (old, after) = compared(request)?;
    let mut fields = fields::Fields::default();
    fields.difference(&old, &after, &mut Vec::new());
    Some(fields.into_before())
}

/// The live object and what it would become, where both can be told. For `scale` both are of kind Scale.
pub(crate) fn compared<'r>(request: &Request<'r>) -> Option<(Cow<'r, Value>, Cow<'r, Value>)> {
    let old = request.old_object.filter(|_| request.verb != Verb::Create)?;
    let old = match request.subresource {
        // The object that is scaled stands for its Scale.
        Some("scale") => Cow::Owned(scale_of(old)?),
        _ => Cow::Borrowed(old),
    };
    let after = result::of(request, &old)?;
    Some((old, after))
}

/// The Scale of an object, less the selector, which is written in another way.
fn scale_of(object: &Value) -> Option<Value> {
    let at = |pointer: &str| object.pointer(pointer).cloned();
    let mut scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {},
        "spec": {"replicas": at("/spec/replicas")?}, "status": {"replicas": at("/status/replicas").unwrap_or(json!(0))}});
    let metadata = scale.get_mut("metadata").and_then(Value::as_object_mut)?;
    for name in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp", "managedFields"] {
        metadata
            .extend(object.get("metadata").and_then(|own| own.get(name)).map(|value| (name.to_owned(), value.clone())));
    }
    Some(scale)
}

/// A Job's pods are counted by its `parallelism`.
pub(crate) fn is_job(request: &Request<'_>) -> bool {
    request.is("batch", "jobs") && request.subresource.is_none()
}

fn writes(request: &Request<'_>) -> bool {
    matches!(request.verb, Verb::Create | Verb::Update | Verb::Patch)
}

/// The operations of a JSON Patch as one partial object: values at their paths, list positions as lists of one.
fn nested(operations: &Value) -> Value {
    let mut root = Value::Null;
    for operation in operations.as_array().into_iter().flatten() {
        let text = |field: &str| operation.get(field).and_then(Value::as_str);
        let adds = matches!(text("op"), Some("add" | "replace"));
        let Some(path) = text("path").and_then(json_patch::segments) else { continue };
        let mut value = if adds { operation.get("value").cloned().unwrap_or_default() } else { Value::Null };
        for key in path.iter().rev() {
            value = if json_patch::is_position(key) { json!([value]) } else { json!({ key: value }) };
        }
        overlay(&mut root, value);
    }
    root
}

/// Lays one partial object over another; lists are joined.
fn overlay(target: &mut Value, value: Value) {
    match (target, value) {
        (Value::Object(fields), Value::Object(more)) => {
            for (name, value) in more {
                overlay(fields.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(items), Value::Array(more)) => items.extend(more),
        (target, value) => *target = value,
    }
}

fn step(from: Option<i64>, to: Option<i64>) -> Step<i64> {
    if from == to { Step::default() } else { Step { from, to } }
}

fn list<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    at(value, pointer).and_then(Value::as_array).into_iter().flatten()
}

/// As [`Value::pointer`], for paths of field names without escapes: nothing is copied.
pub(crate) fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('/').skip(1).try_fold(value, |value, name| value.get(name))
}

fn texts<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v str> + use<'v> {
    list(value, pointer).filter_map(Value::as_str)
}

/// Versions that are served no more, or are gone.
fn versions_removed(old: &Value, after: &Value) -> Vec<String> {
    let name = |version: &Value| version.get("name").and_then(Value::as_str).map(str::to_owned);
    let served = |version: &&Value| version.get("served").and_then(Value::as_bool).unwrap_or(false);
    let names = |value: &Value| -> Vec<String> { list(value, "/spec/versions").filter_map(name).collect() };
    let served =
        |value: &Value| -> Vec<String> { list(value, "/spec/versions").filter(served).filter_map(name).collect() };
    let (kept, still_served, was_served) = (names(after), served(after), served(old));
    let mut gone = names(old);
    gone.retain(|name| !kept.contains(name) || (was_served.contains(name) && !still_served.contains(name)));
    gone.truncate(ENTRIES_MAX);
    gone
}
