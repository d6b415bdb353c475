//! What the cases stand on: a gateway whose policy has one rule for each class, and objects to be changed.

use e2e::environment::{AGENT_GROUP, Environment};
use e2e::gateway::{Gateway, configuration};
use e2e::http::{Door, Protocol};
use e2e::person::sign_approver_in;
use e2e::program::{admin, administrator, run, run_with_input};
use e2e::{token, unique, until};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::cases::{Case, Names};

/// Reads pass, everything else is denied by the rule that is named after its class.
const POLICY: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: risk}
rules:
- {name: escalation, match: {risk: [escalation]}, deny: {}}
- {name: stream, match: {risk: [stream]}, deny: {}}
- {name: mass, match: {risk: [mass]}, deny: {}}
- {name: destructive, match: {risk: [destructive]}, deny: {}}
- {name: ask, match: {risk: [ask]}, deny: {}}
- {name: write, match: {risk: [write]}, deny: {}}
- {name: dry, match: {risk: [masked], verbs: [create, update, patch, delete, deletecollection]}, deny: {}}
- {name: read, match: {risk: [read, masked]}, allow: {}}
";

pub struct Ground {
    pub names: Names,
    pub door: Door,
    gateway: Gateway,
    kubeconfig: std::path::PathBuf,
    console: String,
}

impl Ground {
    /// A gateway of its own and a namespace with one object of each kind that the cases change.
    pub async fn prepare() -> Self {
        let environment = Environment::get();
        let directory = environment.directory("risk");
        let mut config = configuration(&directory.join("store"));
        std::fs::write(directory.join("policy.yaml"), POLICY).expect("policy.yaml");
        config["policy"] = json!({"file": "policy.yaml"});
        let gateway = Gateway::start(&directory, &config).await;
        let token = token::agent().await;
        let kubeconfig = directory.join("agent.kubeconfig");
        let names = Names {
            namespace: format!("risk-{}", unique()),
            group: format!("{}.example.com", unique()),
            pod: super::demo_pod(),
            ..Names::default()
        };
        let cluster = &environment.demo.cluster;
        let file = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": format!("{}/clusters/{cluster}", gateway.url), "certificate-authority": environment.demo.ca_file}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": names.namespace}}],
        });
        std::fs::write(&kubeconfig, file.to_string()).expect("agent.kubeconfig");
        sign_approver_in().await;
        let console = config.pointer("/listen/console").and_then(Value::as_str).expect("an address");
        let nodes = admin(["get", "nodes", "-o", "json"]).await.json();
        let node = nodes.pointer("/items/0/metadata/name").and_then(Value::as_str).expect("a node").to_owned();
        let ground = Self {
            door: gateway.door(cluster, &token),
            names: Names { node, ..names },
            gateway,
            kubeconfig,
            console: format!("https://{console}"),
        };
        ground.furnish().await;
        ground
    }

    async fn furnish(&self) {
        let manifest = objects(&self.names).to_string();
        let mut apply = administrator(["--namespace", &self.names.namespace, "apply", "--server-side", "-f", "-"]);
        apply.kill_on_drop(true);
        run_with_input(apply, manifest.as_bytes()).await.ok();
        let definition = format!("widgets.{}", self.names.group);
        until("the definition is established", || {
            let definition = definition.clone();
            async move {
                let got = admin(["get", "crd", &definition, "-o", "json"]).await.json();
                got.pointer("/status/conditions")?.as_array()?.iter().find(|one| one["type"] == "Established").cloned()
            }
        })
        .await;
    }

    /// kubectl as the agent, through this gateway, in the namespace of the ground.
    pub fn kubectl(&self, arguments: &[String]) -> Command {
        let mut command = Command::new(&Environment::get().demo.kubectl);
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--cache-dir")
            .arg(self.kubeconfig.with_extension("cache"));
        command.args(arguments).env_remove("KUBECONFIG");
        command
    }

    /// The calls like the case's, newest first, without those that Lockgate made itself.
    pub async fn records(&self, case: &Case) -> Vec<Value> {
        let door = Door::to(&self.console, &token::approver(), Protocol::Http1);
        let (verb, target) = case.what.split_once(' ').expect("a verb and a target");
        let mut filter = format!("/api/v1/audit?limit=50&verb={verb}");
        let mut parts = target.split('/');
        let is_resource = !target.starts_with('/');
        let (group, resource, subresource) = (parts.next(), parts.next().unwrap_or_default(), parts.next());
        if is_resource {
            filter.push_str(&format!("&resource={resource}"));
        }
        let answer = door.get(&filter, &[]).await;
        let Value::Array(records) = answer.json() else { panic!("{}", answer.text()) };
        let text = |record: &Value, pointer: &str| {
            record.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let same = |record: &Value| {
            if text(record, "/origin") == "preview" {
                return false;
            }
            if !is_resource {
                return text(record, "/action/path") == target;
            }
            let group = group.filter(|group| *group != "-").unwrap_or_default().replace("{group}", &self.names.group);
            text(record, "/action/apiGroup") == group
                && text(record, "/action/subresource") == subresource.unwrap_or_default()
        };
        records.into_iter().filter(same).collect()
    }

    /// Takes away what was made.
    pub async fn clear(self) {
        let namespace = self.names.namespace.as_str();
        let strip = r#"{"metadata": {"finalizers": null}}"#;
        drop(run(administrator(["patch", "configmap", "held", "-n", namespace, "--type=merge", "-p", strip])).await);
        drop(run(administrator(["delete", "namespace", namespace, "--wait=false"])).await);
        let definition = format!("widgets.{}", self.names.group);
        drop(run(administrator(["delete", "crd", &definition, "--wait=false"])).await);
        drop(self.gateway);
    }
}

/// One object of each kind. No pod of them ever starts: no node has the label.
fn objects(names: &Names) -> Value {
    let Names { namespace, group, .. } = names;
    let meta = |name: &str| json!({"name": name, "namespace": namespace, "labels": {"app": "web"}});
    let template = |extra: Value| {
        let mut spec =
            json!({"nodeSelector": {"risk.test/node": "nowhere"}, "containers": [{"name": "web", "image": "web:1"}]});
        for (name, value) in extra.as_object().expect("an object") {
            spec[name] = value.clone();
        }
        json!({"metadata": {"labels": {"app": "web"}}, "spec": spec})
    };
    let workload = |name: &str, replicas: u32, extra: Value| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(name),
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template(extra)}})
    };
    let job = json!({"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "web:1"}]}}}});
    let version = |name: &str, storage: bool| {
        json!({"name": name, "served": true, "storage": storage,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}})
    };
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {"team": "a", "pod-security.kubernetes.io/audit": "baseline"}}},
        workload("web", 6, json!({})),
        workload("node", 0, json!({"hostNetwork": true})),
        {"apiVersion": "v1", "kind": "Service", "metadata": meta("web"), "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}},
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": meta("web"),
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "node"}, "minReplicas": 1, "maxReplicas": 10}},
        {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": meta("tick"), "spec": {"schedule": "0 0 1 1 *", "jobTemplate": job}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "namespace": namespace, "finalizers": ["risk.test/hold"]}, "data": {"a": "b"}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta("robot")},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta("data"),
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}, "storageClassName": "none"}},
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta("web"), "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "none"}}}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta("web"), "spec": {"podSelector": {"matchLabels": {"app": "none"}}}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": meta("web"),
            "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": meta("cred"), "stringData": {"password": "risk"}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta("reader"), "rules": [
            {"apiGroups": [group], "resources": ["*"], "verbs": ["get", "list"]},
            {"apiGroups": ["apps"], "resources": ["deployments/status"], "verbs": ["get"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta("reader"),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": AGENT_GROUP}]},
        {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("widgets.{group}")},
            "spec": {"group": group, "scope": "Namespaced", "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
                "versions": [version("v1", true), version("v1beta1", false)]}},
    ]})
}
