//! Pod specs, wherever they stand: in pods, in the templates of the built-in workloads, and in custom resources that hold
//! one. What a spec may do to its node is read after the Pod Security Standard `baseline`
//! (<https://kubernetes.io/docs/concepts/security/pod-security-standards/>), with inline CSI and FlexVolume drivers, node
//! names, tolerations of the control plane and tokens of the service account added.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::at;
use super::number::{self, Stored};

/// Deepest field that is looked at; deeper is refused by the API server's own types.
const DEPTH_MAX: usize = 32;

/// SELinux types that a container may have anyway.
const SELINUX_TYPES: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

/// Sysctls that stay inside of the pod.
const SAFE_SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

const CONTAINER_LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// A pod spec and the path to it, list positions included.
pub(crate) struct PodSpec<'v> {
    pub(crate) path: String,
    pub(crate) spec: &'v Value,
    /// Of the pod's metadata.
    pub(crate) annotations: Option<&'v Value>,
}

/// Every pod spec in an object. `is_pod`: the object itself is a pod, so that its `spec` is one even where a patch names no
/// containers.
pub(crate) fn specs(object: &Value, is_pod: bool) -> Vec<PodSpec<'_>> {
    let mut found = Vec::new();
    search(object, &mut Vec::new(), is_pod, &mut found);
    found
}

fn search<'v>(value: &'v Value, path: &mut Vec<String>, is_pod: bool, found: &mut Vec<PodSpec<'v>>) {
    if path.len() >= DEPTH_MAX {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let in_template = name == "spec" && path.last().is_some_and(|last| last == "template");
                let in_pod = is_pod && name == "spec" && path.is_empty();
                path.push(name.clone());
                if field.is_object() && (in_template || in_pod || holds_containers(field)) {
                    let annotations = fields.get("metadata").and_then(|metadata| metadata.get("annotations"));
                    found.push(PodSpec { path: path.join("."), spec: field, annotations });
                } else if name != "metadata" && name != "status" {
                    search(field, path, is_pod, found);
                }
                path.pop();
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate().filter(|(_, item)| item.is_object()) {
                path.push(index.to_string());
                search(item, path, is_pod, found);
                path.pop();
            }
        }
        _ => {}
    }
}

fn holds_containers(value: &Value) -> bool {
    let list = |name: &&str| value.get(*name).and_then(Value::as_array);
    let container = |item: &Value| item.get("image").is_some() || item.get("securityContext").is_some();
    CONTAINER_LISTS.iter().filter_map(list).flatten().any(container)
}

impl PodSpec<'_> {
    /// Container name to image.
    pub(crate) fn images(&self) -> BTreeMap<&str, &str> {
        self.containers().filter_map(named_image).collect()
    }

    /// The service account; `default` when none is named.
    pub(crate) fn service_account(&self) -> &str {
        let named = |field: &str| self.spec.get(field).and_then(Value::as_str).filter(|name| !name.is_empty());
        named("serviceAccountName").or_else(|| named("serviceAccount")).unwrap_or("default")
    }

    /// Names of the Secrets that its volumes and environment use.
    pub(crate) fn secrets(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        secret_names(self.spec.get("volumes").unwrap_or(&Value::Null), "", &mut found);
        for container in self.containers() {
            for field in ["env", "envFrom"] {
                secret_names(container.get(field).unwrap_or(&Value::Null), "", &mut found);
            }
        }
        found
    }

    /// Projected volumes, as text: name and sources.
    pub(crate) fn projected(&self) -> BTreeSet<String> {
        let projected = |volume: &Value| volume.get("projected").filter(|value| !value.is_null()).map(Value::to_string);
        items(self.spec, "volumes").filter_map(projected).collect()
    }

    /// What it may do that a pod of the standard `baseline` may not, one phrase each.
    pub(crate) fn privileged(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for field in ["hostNetwork", "hostPID", "hostIPC"] {
            if is_true(self.spec, field) {
                found.insert(field.to_owned());
            }
        }
        let node = self.spec.get("nodeName").and_then(Value::as_str).filter(|name| !name.is_empty());
        found.extend(node.map(|name| format!("nodeName {name}")));
        if items(self.spec, "tolerations").any(tolerates_control_plane) {
            found.insert("toleration of the control plane".to_owned());
        }
        items(self.spec, "volumes").for_each(|volume| self.volume(volume, &mut found));
        self.security_context(self.spec, "pod", &mut found);
        let sysctls = items(self.spec.get("securityContext").unwrap_or(&Value::Null), "sysctls");
        let unsafe_sysctl = |sysctl: &Value| {
            let name = sysctl.get("name").and_then(Value::as_str).unwrap_or_default();
            (!SAFE_SYSCTLS.contains(&name)).then(|| format!("sysctl {name}"))
        };
        found.extend(sysctls.filter_map(unsafe_sysctl));
        let annotations = self.annotations.and_then(Value::as_object).into_iter().flatten();
        for (name, value) in annotations {
            if lifts_app_armor(name, value) {
                found.insert("appArmorProfile Unconfined".to_owned());
            }
        }
        self.containers().for_each(|container| self.container(container, &mut found));
        found
    }

    fn containers(&self) -> impl Iterator<Item = &Value> {
        CONTAINER_LISTS.iter().flat_map(|list| items(self.spec, list))
    }

    fn volume(&self, volume: &Value, found: &mut BTreeSet<String>) {
        let text = |pointer: &str| at(volume, pointer).and_then(Value::as_str).unwrap_or_default();
        let set = |field: &str| volume.get(field).is_some_and(|value| !value.is_null());
        if set("hostPath") {
            found.insert(format!("hostPath {}", text("/hostPath/path")));
        }
        if set("csi") {
            found.insert(format!("inline csi {}", text("/csi/driver")));
        }
        if set("flexVolume") {
            found.insert(format!("flexVolume {}", text("/flexVolume/driver")));
        }
        let sources = items(volume.get("projected").unwrap_or(&Value::Null), "sources");
        if sources.into_iter().any(|source| source.get("serviceAccountToken").is_some_and(|token| !token.is_null())) {
            found.insert("serviceAccountToken volume".to_owned());
        }
    }

    fn container(&self, container: &Value, found: &mut BTreeSet<String>) {
        let name = container.get("name").and_then(Value::as_str).unwrap_or("container");
        self.security_context(container, name, found);
        let host_port = |port: &Value| match number::stored(port.get("hostPort")) {
            Stored::Absent | Stored::Number(0) => None,
            Stored::Number(port) => Some(format!("hostPort {port}")),
            Stored::Unreadable => Some("hostPort that is no number".to_owned()),
        };
        found.extend(items(container, "ports").filter_map(host_port));
        let hooks =
            ["/livenessProbe", "/readinessProbe", "/startupProbe", "/lifecycle/postStart", "/lifecycle/preStop"];
        for hook in hooks.into_iter().filter_map(|pointer| at(container, pointer)) {
            let host = ["/httpGet/host", "/tcpSocket/host"].into_iter().find_map(|pointer| at(hook, pointer));
            if let Some(host) = host.and_then(Value::as_str).filter(|host| !host.is_empty()) {
                found.insert(format!("probe of host {host}"));
            }
        }
    }

    /// The `securityContext` of the pod or of one container.
    fn security_context(&self, holder: &Value, name: &str, found: &mut BTreeSet<String>) {
        let Some(context) = holder.get("securityContext") else { return };
        let text = |pointer: &str| at(context, pointer).and_then(Value::as_str).unwrap_or_default();
        if is_true(context, "privileged") {
            found.insert(format!("privileged {name}"));
        }
        let capabilities = items(context.get("capabilities").unwrap_or(&Value::Null), "add");
        found.extend(capabilities.filter_map(Value::as_str).map(|added| format!("capability {added} of {name}")));
        if !matches!(text("/procMount"), "" | "Default") {
            found.insert(format!("procMount {} of {name}", text("/procMount")));
        }
        for profile in ["seccompProfile", "appArmorProfile"] {
            if text(&format!("/{profile}/type")) == "Unconfined" {
                found.insert(format!("{profile} Unconfined"));
            }
        }
        let selinux = text("/seLinuxOptions/type");
        if !SELINUX_TYPES.contains(&selinux)
            || !text("/seLinuxOptions/user").is_empty()
            || !text("/seLinuxOptions/role").is_empty()
        {
            found.insert(format!("seLinuxOptions {selinux} of {name}"));
        }
        if at(context, "/windowsOptions/hostProcess") == Some(&Value::Bool(true)) {
            found.insert("hostProcess".to_owned());
        }
    }
}

/// Whether an annotation of a pod takes a container's AppArmor profile away, as it was written before it was a field.
pub(crate) fn lifts_app_armor(name: &str, value: &Value) -> bool {
    let profile = value.as_str().unwrap_or_default();
    let confined = matches!(profile, "" | "runtime/default") || profile.starts_with("localhost/");
    name.starts_with("container.apparmor.security.beta.kubernetes.io/") && !confined
}

/// Whether one toleration lets a pod onto the control plane's nodes.
pub(crate) fn tolerates_control_plane(toleration: &Value) -> bool {
    const KEYS: [&str; 2] = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];
    let key = toleration.get("key").and_then(Value::as_str).unwrap_or_default();
    let everything = key.is_empty() && toleration.get("operator").and_then(Value::as_str) == Some("Exists");
    KEYS.contains(&key) || everything
}

fn named_image(container: &Value) -> Option<(&str, &str)> {
    Some((container.get("name")?.as_str()?, container.get("image")?.as_str()?))
}

fn items<'v>(holder: &'v Value, list: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    holder.get(list).and_then(Value::as_array).into_iter().flatten()
}

fn is_true(holder: &Value, field: &str) -> bool {
    holder.get(field).and_then(Value::as_bool).unwrap_or(false)
}

/// `secretName: x`, and `name: x` of `secret` (a projected source), `secretRef`, `secretKeyRef` and `nodePublishSecretRef`.
fn secret_names(value: &Value, key: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| secret_names(item, key, found)),
        Value::Object(fields) => {
            for (name, field) in fields {
                let named = name == "secretName"
                    || name == "name"
                        && matches!(key, "secret" | "secretRef" | "secretKeyRef" | "nodePublishSecretRef");
                match field.as_str() {
                    Some(text) if named => drop(found.insert(text.to_owned())),
                    _ => secret_names(field, name, found),
                }
            }
        }
        _ => {}
    }
}
