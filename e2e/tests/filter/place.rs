//! Two namespaces with the same objects, two custom resources, and gateways with rules of a test's own.

use e2e::agent::Agent;
use e2e::environment::Environment;
use e2e::gateway::{Gateway, configuration};
use e2e::program::{admin, run_with_input};
use e2e::unique;
use serde_json::{Value, json};
use tokio::process::Command;

/// Names with their labels.
pub const OBJECTS: [(&str, &str, &str); 6] = [
    ("web-1", "web", "front"),
    ("web-2", "web", "back"),
    ("db-1", "db", "back"),
    ("db-2", "db", "front"),
    ("root", "", ""),
    ("super-secret", "web", "front"),
];

/// What the tests of one place have in the cluster.
pub struct Place {
    pub first: String,
    pub second: String,
    /// API group of `widgets`, which live in namespaces, and `gadgets`, which do not.
    pub group: String,
    role: String,
}

impl Place {
    pub async fn new() -> Self {
        let word = unique();
        let place = Self {
            first: format!("filter-{word}-a"),
            second: format!("filter-{word}-b"),
            group: format!("filter-{word}.example.com"),
            role: format!("filter-{word}"),
        };
        let widgets = place.definition("widgets", "Widget", "Namespaced");
        let gadgets = place.definition("gadgets", "Gadget", "Cluster");
        let namespaces = [(&place.first, "web"), (&place.second, "db")].map(|(name, team)| {
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"team": team}}})
        });
        apply([widgets, gadgets].into_iter().chain(namespaces).collect()).await;
        let names = ["widgets", "gadgets"].map(|plural| format!("crd/{plural}.{}", place.group));
        admin(["wait", "--for=condition=Established", &names[0], &names[1]]).await;
        let mut objects = Vec::new();
        for (name, team, tier) in OBJECTS {
            for namespace in [&place.first, &place.second] {
                let metadata = metadata(name, Some(namespace), team, tier);
                objects
                    .push(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": name}}));
                objects.push(
                    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"k": name}}),
                );
                objects.push(place.custom("Widget", &metadata));
            }
            objects.push(place.custom("Gadget", &self::metadata(name, None, team, tier)));
        }
        apply(objects).await;
        place
    }

    fn definition(&self, plural: &str, kind: &str, scope: &str) -> Value {
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let version = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}});
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{}", self.group)},
            "spec": {
                "group": self.group, "scope": scope, "versions": [version],
                "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")},
            },
        })
    }

    fn custom(&self, kind: &str, metadata: &Value) -> Value {
        json!({"apiVersion": format!("{}/v1", self.group), "kind": kind, "metadata": metadata, "spec": {"size": 1}})
    }

    /// Lets the agent do everything in the cluster that the tests need: what it may not is the gateway's word alone.
    pub async fn grant(&self, agent: &Agent) {
        let kinds = format!("configmaps,secrets,namespaces,widgets.{0},gadgets.{0}", self.group);
        admin(["create", "clusterrole", &self.role, "--verb=*", &format!("--resource={kinds}")]).await;
        let (role, user) = (format!("--clusterrole={}", self.role), format!("--user=agent:{}", agent.name));
        admin(["create", "clusterrolebinding", &self.role, &role, &user]).await;
    }

    /// The rules with the names of this place.
    pub fn rules(&self, rules: &str) -> String {
        rules.replace("$A", &self.first).replace("$B", &self.second).replace("$GROUP", &self.group)
    }

    /// A gateway that knows no other rules.
    pub async fn gateway(&self, name: &str, rules: &str) -> Gateway {
        let directory = Environment::get().directory(&format!("{name}-{}", unique()));
        let mut config = configuration(&directory.join("store"));
        let rules = self.rules(rules);
        let policy = format!("apiVersion: lockgate.dev/v1\nkind: Policy\nmetadata: {{name: filter}}\nrules:\n{rules}");
        std::fs::write(directory.join("policy.yaml"), policy).unwrap();
        config["policy"] = json!({"file": "policy.yaml"});
        config["limits"]["hold"] = "1s".into();
        Gateway::start(&directory, &config).await
    }

    pub async fn remove(self, agent: Agent) {
        let definitions = ["widgets", "gadgets"].map(|plural| format!("{plural}.{}", self.group));
        admin(["delete", "crd", &definitions[0], &definitions[1], "--wait=false"]).await;
        admin(["delete", "namespace", &self.first, &self.second, "--wait=false"]).await;
        admin(["delete", "clusterrole,clusterrolebinding", &self.role]).await;
        agent.remove().await;
    }
}

/// Labels that are empty are left out.
pub fn metadata(name: &str, namespace: Option<&str>, team: &str, tier: &str) -> Value {
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    for (key, value) in [("team", team), ("tier", tier)] {
        if !value.is_empty() {
            metadata["labels"][key] = value.into();
        }
    }
    metadata
}

/// `kubectl apply` of all of them as the administrator.
pub async fn apply(objects: Vec<Value>) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    run_with_input(everywhere(&["apply", "-f", "-"]), list.to_string().as_bytes()).await.ok();
}

/// The administrator's kubectl in no namespace: objects say where they live.
pub fn everywhere(arguments: &[&str]) -> Command {
    let demo = &Environment::get().demo;
    let mut command = Command::new(&demo.kubectl);
    command.arg("--kubeconfig").arg(&demo.admin_kubeconfig).args(arguments).env_remove("KUBECONFIG");
    command.arg("--cache-dir").arg(Environment::get().file("cache-administrator"));
    command
}
