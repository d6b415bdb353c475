//! `kubectl auth can-i` tells the truth: what it says is what the real request gets, by the cluster and by Lockgate together. The
//! real kubectl asks, the real cluster answers; each policy on a gateway and with an agent of the test's own.

use e2e::agent::Agent;
use e2e::environment::{Environment, read};
use e2e::gateway::{Gateway, configuration};
use e2e::http::Door;
use e2e::program::{Said, admin, run};
use e2e::unique;
use serde_json::{Value, json};

/// The demo's policy, the shipped default, and C16: one name is denied.
fn policies(names: &Names) -> [(&'static str, String); 5] {
    let demo = read(&Environment::get().demo.gateway_config.with_file_name("policy.yaml"));
    let head = "apiVersion: lockgate.dev/v1\nkind: Policy\nmetadata: {name: can-i}\n";
    let named = format!(
        "{head}rules:
- {{name: root, match: {{resources: [secrets], names: [{secret}]}}, deny: {{}}}}
- {{name: delete, match: {{verbs: [delete]}}, ask: {{approvers: {{groups: [sre]}}}}}}
- {{name: own, match: {{resources: [configmaps], names: [{config}], verbs: [patch]}}, allow: {{}}}}
- {{name: look-around, match: {{resources: [pods/exec]}}, when: \"action.argv == ['ls']\", allow: {{}}}}
- {{name: read, match: {{risk: [read, masked]}}, allow: {{}}}}
",
        secret = names.secret,
        config = names.config,
    );
    let no_finance = format!(
        "{head}rules:
- {{name: no-finance, match: {{labelSelector: {{can-i-team: finance}}}}, deny: {{}}}}
- {{name: rest, allow: {{}}}}
"
    );
    let own = format!(
        "{head}rules:
- {{name: own, match: {{labelSelector: {{can-i-team: web}}}}, allow: {{}}}}
- {{name: around, match: {{nonResourceURLs: ['*']}}, allow: {{}}}}
- {{name: reviews, match: {{apiGroups: [authorization.k8s.io]}}, allow: {{}}}}
"
    );
    [
        ("demo", demo),
        ("operate", format!("{head}preset: operate\nrules: []\n")),
        ("named", named),
        ("no-finance", no_finance),
        ("own", own),
    ]
}

/// Objects in the demo's namespace.
struct Names {
    config: String,
    other: String,
    secret: String,
    pod: String,
    /// A ConfigMap, a Pod and a Deployment without pods of finance's; and the same of web's.
    finance: String,
    web: String,
}

impl Names {
    async fn prepare() -> Self {
        let names = Self {
            config: format!("can-i-config-{}", unique()),
            other: format!("can-i-other-{}", unique()),
            secret: format!("can-i-secret-{}", unique()),
            pod: Environment::get().demo.pod.clone(),
            finance: format!("can-i-finance-{}", unique()),
            web: format!("can-i-web-{}", unique()),
        };
        for (name, team) in [(&names.finance, "finance"), (&names.web, "web")] {
            let label = format!("can-i-team={team}");
            let image = &Environment::get().demo.image;
            admin(["create", "configmap", name]).await;
            admin(["create", "deployment", name, "--image", image, "--replicas=0"]).await;
            admin(["run", name, "--image", image, "--restart=Never", "--command", "--", "sh", "-c", "sleep 3600"])
                .await;
            for kind in ["configmap", "deployment", "pod"] {
                admin(["label", "--overwrite", kind, name, &label]).await;
            }
        }
        for name in [&names.finance, &names.web] {
            admin(["wait", "--for=condition=Ready", "--timeout=120s", "pod", name]).await;
        }
        for config in [&names.config, &names.other] {
            admin(["create", "configmap", config]).await;
        }
        for secret in [&names.secret, &names.other] {
            admin(["create", "secret", "generic", secret, "--from-literal=a=b"]).await;
        }
        names
    }

    async fn clear(&self) {
        admin(["delete", "configmap", &self.config, &self.other, "--ignore-not-found"]).await;
        admin(["delete", "configmap", "-l", "can-i=new"]).await;
        for name in [&self.finance, &self.web] {
            admin(["delete", "configmap,deployment,pod", name, "--ignore-not-found", "--wait=false"]).await;
        }
        admin(["delete", "secret", &self.secret, &self.other]).await;
    }
}

/// What is asked of kubectl, and the request that it is about.
struct Row {
    question: Vec<String>,
    method: &'static str,
    path: String,
    body: &'static str,
}

fn rows(names: &Names) -> Vec<Row> {
    let Names { config, other, secret, pod, .. } = names;
    let core = "/api/v1/namespaces/shop";
    let new =
        r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"generateName":"can-i-new-","labels":{"can-i":"new"}}}"#;
    let label = r#"{"metadata":{"labels":{"can-i":"yes"}}}"#;
    let role = r#"{"kind":"ClusterRole","apiVersion":"rbac.authorization.k8s.io/v1","metadata":{"name":"can-i"}}"#;
    let row = |question: String, method, path: String, body| Row {
        question: question.split_whitespace().map(str::to_owned).collect(),
        method,
        path,
        body,
    };
    vec![
        row("list secrets -n shop".into(), "GET", format!("{core}/secrets"), ""),
        row(format!("get secret/{secret} -n shop"), "GET", format!("{core}/secrets/{secret}"), ""),
        row(format!("get secret/{other} -n shop"), "GET", format!("{core}/secrets/{other}"), ""),
        row(format!("delete secret/{other} -n shop"), "DELETE", format!("{core}/secrets/{other}"), ""),
        row("list secrets --all-namespaces".into(), "GET", "/api/v1/secrets".into(), ""),
        row(format!("patch configmap/{config} -n shop"), "PATCH", format!("{core}/configmaps/{config}"), label),
        row(format!("patch configmap/{other} -n shop"), "PATCH", format!("{core}/configmaps/{other}"), label),
        row("create configmaps -n shop".into(), "POST", format!("{core}/configmaps"), new),
        row(
            "deletecollection configmaps -n shop".into(),
            "DELETE",
            format!("{core}/configmaps?labelSelector=can-i%3Dno"),
            "",
        ),
        row("delete namespace/shop".into(), "DELETE", "/api/v1/namespaces/shop".into(), ""),
        row("list nodes -n shop".into(), "GET", "/api/v1/nodes".into(), ""),
        row(
            format!("create pods/{pod} --subresource=exec -n shop"),
            "POST",
            format!("{core}/pods/{pod}/exec?command=true&stdout=true"),
            "",
        ),
        row(
            format!("get pods/{pod} --subresource=log -n shop"),
            "GET",
            format!("{core}/pods/{pod}/log?tailLines=1"),
            "",
        ),
        row(
            // One that is there: nobody is asked about one that is not.
            "delete configmap/kube-root-ca.crt -n kube-system".into(),
            "DELETE",
            "/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt".into(),
            "",
        ),
        row("create clusterroles".into(), "POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles".into(), role),
        row("get /healthz".into(), "GET", "/healthz".into(), ""),
        row("get /logs".into(), "GET", "/logs".into(), ""),
    ]
}

/// What is asked of one object by name, and of what belongs to it, where labels decide.
fn labelled(names: &Names) -> Vec<Row> {
    let core = "/api/v1/namespaces/shop";
    let apps = "/apis/apps/v1/namespaces/shop/deployments";
    let (label, replicas) = (r#"{"metadata":{"labels":{"can-i":"yes"}}}"#, r#"{"spec":{"replicas":0}}"#);
    let of = |name: &str| {
        [
            (format!("get pods/{name}"), "GET", format!("{core}/pods/{name}"), ""),
            (format!("get pods/{name} --subresource=log"), "GET", format!("{core}/pods/{name}/log?tailLines=1"), ""),
            (
                format!("create pods/{name} --subresource=exec"),
                "POST",
                format!("{core}/pods/{name}/exec?command=true&stdout=true"),
                "",
            ),
            (
                format!("create pods/{name} --subresource=portforward"),
                "POST",
                format!("{core}/pods/{name}/portforward?ports=80"),
                "",
            ),
            (format!("get deployments/{name} --subresource=scale"), "GET", format!("{apps}/{name}/scale"), ""),
            (
                format!("patch deployments/{name} --subresource=scale"),
                "PATCH",
                format!("{apps}/{name}/scale"),
                replicas,
            ),
            (format!("patch configmaps/{name}"), "PATCH", format!("{core}/configmaps/{name}"), label),
            (format!("delete configmaps/{name}"), "DELETE", format!("{core}/configmaps/{name}?dryRun=All"), ""),
        ]
    };
    let rows = [&names.finance, &names.web].into_iter().flat_map(|name| of(name));
    let row = |(question, method, path, body): (String, _, _, _)| Row {
        question: format!("{question} -n shop").split_whitespace().map(str::to_owned).collect(),
        method,
        path,
        body,
    };
    // The demo's pod has neither label; its deployment is not touched.
    let unlabelled = of(&names.pod).into_iter().take(4);
    rows.chain(unlabelled).map(row).collect()
}

/// By kubectl's word: `yes`, `ask`, `no` (Lockgate's), `cluster` (the cluster's no).
fn foretold(said: &Said) -> &'static str {
    let out = said.out();
    let word = match out.trim() {
        "yes" => "yes",
        no if no.starts_with("no - Lockgate: needs approval") => "ask",
        no if no.starts_with("no - Lockgate: ") => "no",
        no if no.starts_with("no") => "cluster",
        other => panic!("{other:?}: {}", said.text()),
    };
    assert_eq!(said.code, Some(i32::from(word != "yes")), "{}", said.text());
    word
}

/// By what the real request gets: the same words.
async fn happened(door: &Door, row: &Row) -> &'static str {
    let content_type = if row.method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let headers: &[(&str, &str)] = if row.body.is_empty() { &[] } else { &[("content-type", content_type)] };
    let answer = door.send(row.method, &row.path, headers, row.body.as_bytes()).await;
    let status: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let ours = status["message"].as_str().is_some_and(|message| message.contains("Lockgate"));
    match (answer.status.as_u16(), status["reason"].as_str()) {
        // Of what is there: hidden by its labels, in the words of what is not there.
        (404, _) => "no",
        (403, Some("ApprovalRequired")) => "ask",
        (403, _) if ours => "no",
        (403, _) => "cluster",
        (code, _) => {
            assert!(code < 500 && !ours, "{} {}: {code} {}", row.method, row.path, answer.text());
            "yes"
        }
    }
}

async fn gateway(name: &str, policy: &str) -> Gateway {
    let directory = Environment::get().directory(&format!("can-i-{name}"));
    let mut config = configuration(&directory.join("store"));
    std::fs::write(directory.join("policy.yaml"), policy).unwrap();
    config["policy"] = json!({"file": "policy.yaml"});
    config["limits"]["hold"] = "1s".into();
    Gateway::start(&directory, &config).await
}

#[tokio::test]
async fn c16_what_can_i_says_is_what_happens() {
    let names = Names::prepare().await;
    let mut wrong = Vec::new();
    let mut words = std::collections::BTreeMap::<&str, usize>::new();
    for (name, policy) in policies(&names) {
        let gateway = gateway(name, &policy).await;
        let agent = Agent::new(&gateway).await;
        let door = gateway.door(&Environment::get().demo.cluster, &agent.token);
        let by_label = ["no-finance", "own"].contains(&name);
        for row in if by_label { labelled(&names) } else { rows(&names) } {
            let question: Vec<&str> =
                ["auth", "can-i"].into_iter().chain(row.question.iter().map(String::as_str)).collect();
            let said = run(agent.kubectl(&question)).await;
            let (before, after) = (foretold(&said), happened(&door, &row).await);
            *words.entry(before).or_default() += 1;
            // What the cluster refuses may be refused, or asked about, before it gets there.
            if before != after && (before != "cluster" || after == "yes") {
                wrong.push(format!("{name}: {:?}: said {before} ({}), was {after}", row.question, said.text().trim()));
            }
        }
        if by_label {
            kubectl_itself(&agent, &names).await;
        }
        if name == "named" {
            exceptions_are_told(&agent, &names).await;
        }
        agent.remove().await;
    }
    names.clear().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for word in ["yes", "ask", "no", "cluster"] {
        assert!(words.get(word).is_some_and(|count| *count > 2), "{words:?}");
    }
}

/// The commands that people type: web's objects are the agent's under both policies, finance's under neither.
async fn kubectl_itself(agent: &Agent, names: &Names) {
    let kubectl = async |arguments: &[&str]| run(agent.kubectl([&["-n", "shop"], arguments].concat())).await;
    let (web, finance) = (names.web.as_str(), names.finance.as_str());
    kubectl(&["logs", web]).await.ok();
    kubectl(&["exec", web, "--", "true"]).await.ok();
    kubectl(&["scale", "deployment", web, "--replicas=0"]).await.ok();
    for refused in [vec!["logs", finance], vec!["exec", finance, "--", "true"], vec!["delete", "configmap", finance]] {
        let said = kubectl(&refused).await;
        assert_eq!(said.code, Some(1), "{refused:?}: {}", said.text());
        assert!(!said.err().contains("Narrow the request"), "{refused:?}: {}", said.text());
    }
    let exec = kubectl(&["exec", finance, "--", "true"]).await;
    assert!(exec.err().contains("not found") || exec.err().contains("Next step: check the name"), "{}", exec.text());
}

/// What a word cannot say is said beside it, and the list holds what is given.
async fn exceptions_are_told(agent: &Agent, names: &Names) {
    let can_i = async |arguments: &[&str]| run(agent.kubectl([&["auth", "can-i"], arguments].concat())).await;
    let some = can_i(&["list", "secrets", "-n", "shop"]).await;
    assert_eq!(some.out(), "yes\n");
    assert!(some.err().contains("Warning: ") && some.err().contains("rule \"root\" denies it"), "{}", some.text());
    let exec = can_i(&["create", "pods", "--subresource=exec", "-n", "shop"]).await;
    assert!(exec.out().contains("rule \"look-around\" allows it where its condition holds"), "{}", exec.text());
    let list = can_i(&["--list", "-n", "shop"]).await.ok();
    let rows: Vec<Vec<String>> =
        list.out().lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
    let row = |resource: &str, name: &str| {
        let named = format!("[{name}]");
        let found = rows.iter().find(|row| row.first().is_some_and(|first| first == resource) && row.contains(&named));
        found.map(|row| row.join(" ")).unwrap_or_default()
    };
    assert!(row("secrets", "").contains("[get list watch]"), "{}", list.text());
    assert!(row("configmaps", &names.config).ends_with("[patch]"), "{}", list.text());
    assert!(!list.out().contains("delete"), "what needs approval is not listed: {}", list.text());
    for part in ["needs approval by a human of sre (rule \"delete\"): delete ", "rule \"root\" denies it for some"] {
        assert!(list.err().contains(part), "{part}: {}", list.err());
    }
    let whoami = run(agent.kubectl(["auth", "whoami", "-o", "json"])).await.ok().json();
    assert_eq!(whoami["status"]["userInfo"]["username"], json!(format!("agent:{}", agent.name)));
}
