//! What the stand-in answers: discovery as a cluster gives it, reads as if every object were there (or none), writes as if they
//! had been done. Or, with a live cluster behind it, that cluster's own answers to reads.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use bytes::Bytes;
use lockgate_core::{PatchType, Verb};
use lockgate_proxy::Reading;
use lockgate_wire::RequestInfo;
use serde_json::{Value, json};

use super::discovery::{Api, Resource};
use super::live::Live;
use super::objects;
use crate::cli::policy::set;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
/// Objects in a list of what is not there.
const LISTED: [&str; 2] = ["example-1", "example-2"];

/// The cluster that the command believes in.
pub(super) struct World {
    api: Api,
    live: Option<Live>,
    /// Reads of single objects find nothing, lists are empty.
    absent: bool,
    /// What the command has written so far, by path; `None`: deleted.
    changed: Mutex<BTreeMap<String, Option<Value>>>,
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) body: Bytes,
    /// The body never ends: a watch in which nothing happens.
    pub(super) follows: bool,
}

impl Reply {
    fn json(status: u16, value: &Value) -> Self {
        Self { content_type: "application/json".into(), ..Self::text(status, value.to_string()) }
    }

    fn text(status: u16, text: String) -> Self {
        Self { status, content_type: "text/plain".into(), body: Bytes::from(text), follows: false }
    }

    pub(super) fn status(status: u16, reason: &str, message: &str) -> Self {
        let word = if status < 400 { "Success" } else { "Failure" };
        let value = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": word, "code": status,
            "reason": reason, "message": message});
        Self::json(status, &value)
    }
}

impl World {
    pub(super) fn new(live: Option<Live>, absent: bool) -> Self {
        Self { api: Api::built_in(), live, absent, changed: Mutex::default() }
    }

    /// Whether reads are answered by a real cluster.
    pub(super) const fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// `old_object` is what [`World::old_object`] has found.
    pub(super) async fn answer(&self, reading: &Reading, accept: &str, old_object: Option<&Value>) -> Reply {
        let info = &reading.info;
        if info.stream.is_session() {
            return Reply::status(403, "Forbidden", "recorded by lockgate policy explain; nothing was run");
        }
        match info.verb {
            Verb::Watch => {
                let content_type = "application/json".to_owned();
                Reply { status: 200, content_type, body: Bytes::new(), follows: true }
            }
            Verb::Get | Verb::List | Verb::Head => self.read(reading, accept).await,
            Verb::Create | Verb::Update | Verb::Patch | Verb::Delete | Verb::DeleteCollection => {
                self.write(reading, old_object).await
            }
            Verb::Post | Verb::Put | Verb::Options => Reply::status(404, "NotFound", "there is nothing here"),
        }
    }

    async fn read(&self, reading: &Reading, accept: &str) -> Reply {
        let info = &reading.info;
        if let Some(changed) = self.written(&info.path) {
            return changed.map_or_else(|| not_found(reading), |object| Reply::json(200, &object));
        }
        let gone = info.verb == Verb::List && info.name.as_ref().is_some_and(|name| self.is_gone(&info.path, name));
        match &self.live {
            Some(live) if !gone => live.fetch(&info.path, &info.query, accept).await,
            _ if info.is_resource() => self.made_up(reading),
            _ => self.path(&info.path, accept),
        }
    }

    fn path(&self, path: &str, accept: &str) -> Reply {
        let aggregated = accept.contains("as=APIGroupDiscoveryList") && accept.contains("v=v2;");
        if let Some(document) = self.api.document(path, aggregated) {
            let reply = Reply::json(200, &document);
            let is_list = document.get("kind").is_some_and(|kind| kind == "APIGroupDiscoveryList");
            return if is_list { Reply { content_type: AGGREGATED.into(), ..reply } } else { reply };
        }
        match path.trim_end_matches('/') {
            "/healthz" | "/livez" | "/readyz" => Reply::text(200, "ok".into()),
            "/metrics" => Reply::text(200, String::new()),
            _ => Reply::status(404, "NotFound", "the server could not find the requested resource"),
        }
    }

    fn made_up(&self, reading: &Reading) -> Reply {
        let info = &reading.info;
        let Some(resource) = self.api.find(&info.api_group, &info.api_version, &info.resource) else {
            return Reply::status(404, "NotFound", "the server could not find the requested resource");
        };
        match (info.verb, info.subresource.as_deref()) {
            (Verb::List, _) => Reply::json(200, &self.list(resource, reading)),
            (_, Some("log")) => Reply::text(200, String::new()),
            _ if self.absent => not_found(reading),
            _ => Reply::json(200, &self.existing(resource, reading)),
        }
    }

    fn existing(&self, resource: &Resource, reading: &Reading) -> Value {
        let (namespace, name) = (reading.info.namespace.as_deref(), reading.info.name.as_deref().unwrap_or_default());
        match reading.info.subresource.as_deref() {
            Some("scale") => objects::scale(namespace, name),
            _ => objects::object(resource, namespace, name, &[]),
        }
    }

    fn list(&self, resource: &Resource, reading: &Reading) -> Value {
        let info = &reading.info;
        let names: Vec<&str> = info.name.as_deref().map_or_else(|| LISTED.to_vec(), |name| vec![name]);
        let namespace = info.namespace.as_deref().or_else(|| resource.namespaced.then_some("default"));
        let labels = labels(reading.options.label_selector.as_deref().unwrap_or_default());
        let items: Vec<Value> = names
            .into_iter()
            .filter(|name| !self.absent && !self.is_gone(&info.path, name))
            .map(|name| objects::object(resource, namespace, name, &labels))
            .collect();
        json!({"kind": format!("{}List", resource.kind), "apiVersion": resource.group_version,
            "metadata": {"resourceVersion": "1"}, "items": items})
    }

    async fn write(&self, reading: &Reading, old_object: Option<&Value>) -> Reply {
        let info = &reading.info;
        let makes = info.verb == Verb::Create || reading.options.patch_type == Some(PatchType::Apply);
        if self.is_live() && info.name.is_some() && !makes && old_object.is_none() {
            return not_found(reading);
        }
        let body = reading.object.clone().unwrap_or(Value::Null);
        match (info.verb, info.subresource.as_deref()) {
            (Verb::Create, Some("eviction")) => {
                let pod = info.path.trim_end_matches("/eviction").to_owned();
                self.put(reading, pod, None);
                Reply::status(201, "", "")
            }
            (Verb::Create, Some("binding")) => Reply::status(201, "", ""),
            (Verb::Create, _) => self.create(reading, body),
            (Verb::Update, _) => {
                self.put(reading, info.path.clone(), Some(body.clone()));
                Reply::json(200, &body)
            }
            (Verb::Patch, _) => self.patch(reading, body).await,
            (Verb::Delete, None) => {
                self.put(reading, info.path.clone(), None);
                let name = info.name.as_deref().unwrap_or_default();
                let mut reply = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
                let details = json!({"name": name, "group": info.api_group, "kind": info.resource,
                    "uid": objects::uid(name)});
                set(&mut reply, &["details"], details);
                Reply::json(200, &reply)
            }
            _ => Reply::status(200, "", ""),
        }
    }

    fn create(&self, reading: &Reading, mut body: Value) -> Reply {
        let info = &reading.info;
        if info.subresource.as_deref() == Some("token") {
            let status = json!({"token": "not-a-token", "expirationTimestamp": "2036-01-01T00:00:00Z"});
            set(&mut body, &["status"], status);
            return Reply::json(201, &body);
        }
        if info.resource.ends_with("reviews") {
            let status = match info.resource.as_str() {
                "selfsubjectrulesreviews" => {
                    json!({"resourceRules": [], "nonResourceRules": [], "incomplete": false})
                }
                "selfsubjectreviews" => json!({"userInfo": {"username": "explained"}}),
                _ => json!({"allowed": true}),
            };
            set(&mut body, &["status"], status);
            return Reply::json(201, &body);
        }
        let Some(metadata) = body.get("metadata").filter(|metadata| metadata.is_object()) else {
            return Reply::json(201, &body);
        };
        let text = |field: &str| metadata.get(field).and_then(Value::as_str);
        let named = text("name").map(str::to_owned);
        let name = named.unwrap_or_else(|| format!("{}example", text("generateName").unwrap_or_default()));
        set(&mut body, &["metadata", "uid"], objects::uid(&name));
        set(&mut body, &["metadata", "resourceVersion"], "1");
        set(&mut body, &["metadata", "creationTimestamp"], "2026-01-01T00:00:00Z");
        set(&mut body, &["metadata", "name"], name.as_str());
        if info.subresource.is_none() {
            self.put(reading, format!("{}/{name}", info.path), Some(body.clone()));
        }
        Reply::json(201, &body)
    }

    async fn patch(&self, reading: &Reading, patch: Value) -> Reply {
        let path = &reading.info.path;
        let mut object = match (reading.options.patch_type, self.written(path)) {
            (Some(PatchType::Apply), _) => Value::Null,
            (_, Some(Some(object))) => object,
            _ => self.current(reading).await.unwrap_or(Value::Null),
        };
        if reading.options.patch_type != Some(PatchType::Json) {
            merge(&mut object, &patch);
        }
        self.put(reading, path.clone(), Some(object.clone()));
        Reply::json(200, &object)
    }

    /// The object that a write, or a read of a part of it (its log), is about, as it was: what the live cluster has, or what the command itself has written. Never
    /// the subresource's own path: a GET of `exec` would be one.
    pub(super) async fn old_object(&self, reading: &Reading) -> Option<Value> {
        let info = &reading.info;
        let shows = matches!(info.subresource.as_deref(), None | Some("status"));
        let live = self.live.as_ref().filter(|_| info.name.is_some() && !(info.verb.is_read() && shows))?;
        let path = path_of_object(info);
        if let Some(written) = self.written(path) {
            return written;
        }
        let reply = live.fetch(path, "", "application/json").await;
        (reply.status == 200).then(|| serde_json::from_slice(&reply.body).ok()).flatten()
    }

    /// What a patch is applied to: the object, or the part of it that is read and written like one.
    async fn current(&self, reading: &Reading) -> Option<Value> {
        let info = &reading.info;
        if let Some(live) = &self.live {
            let readable = matches!(info.subresource.as_deref(), None | Some("scale" | "status"));
            let reply = if readable { live.fetch(&info.path, "", "application/json").await } else { return None };
            return (reply.status == 200).then(|| serde_json::from_slice(&reply.body).ok()).flatten();
        }
        let resource = self.api.find(&info.api_group, &info.api_version, &info.resource)?;
        Some(self.existing(resource, reading))
    }

    fn written(&self, path: &str) -> Option<Option<Value>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    fn is_gone(&self, collection: &str, name: &str) -> bool {
        matches!(self.written(&format!("{collection}/{name}")), Some(None))
    }

    fn put(&self, reading: &Reading, path: String, object: Option<Value>) {
        if !reading.options.dry_run {
            self.changed.lock().unwrap_or_else(PoisonError::into_inner).insert(path, object);
        }
    }
}

/// The path of the object that a request names: never a subresource's own, of which a GET could be a shell.
fn path_of_object(info: &RequestInfo) -> &str {
    let proxied = info.proxy_path.as_deref().unwrap_or_default();
    let part = info.subresource.as_ref().map(|part| format!("/{part}{proxied}")).unwrap_or_default();
    info.path.strip_suffix(&part).unwrap_or(&info.path)
}

/// The one object that a request names, as it is in the cluster; `None`: it names none, or none is there, which is said.
///
/// # Errors
/// When the cluster does not tell.
pub(super) async fn named_object(live: &Live, info: &RequestInfo) -> anyhow::Result<Option<Value>> {
    let of_many = matches!(info.verb, Verb::List | Verb::Watch | Verb::DeleteCollection);
    let makes = info.verb == Verb::Create && info.subresource.is_none();
    if !info.is_resource() || info.name.is_none() || of_many || makes {
        return Ok(None);
    }
    let path = path_of_object(info);
    let reply = live.fetch(path, "", "application/json").await;
    match reply.status {
        200 => Ok(Some(serde_json::from_slice(&reply.body).with_context(|| format!("{path}: no JSON object"))?)),
        404 => {
            crate::cli::output::note(&format!("{path} is not there: the cluster says 404"))?;
            Ok(None)
        }
        status => {
            let said = String::from_utf8_lossy(&reply.body);
            let said = lockgate_console::inert::line(&said).chars().take(300).collect::<String>();
            anyhow::bail!("{path} cannot be read for the explanation: the cluster says {status}: {said}")
        }
    }
}

fn not_found(reading: &Reading) -> Reply {
    let (resource, name) = (&reading.info.resource, reading.info.name.as_deref().unwrap_or_default());
    Reply::status(404, "NotFound", &format!("{resource} \"{name}\" not found"))
}

/// RFC 7386, which is near enough to a strategic merge for what comes after.
fn merge(target: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(object) = target.as_object_mut() else { return };
    for (field, value) in fields {
        if value.is_null() {
            object.remove(field);
        } else {
            merge(object.entry(field).or_insert(Value::Null), value);
        }
    }
}

/// The labels that a selector of equalities asks for.
fn labels(selector: &str) -> Vec<(String, String)> {
    let terms = selector.split(',').filter(|term| !term.contains(['(', '!', ')']));
    terms
        .filter_map(|term| term.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim_start_matches('=').trim().to_owned()))
        .collect()
}
