//! What agents are told, as their clients print it: kubectl, helm and the Python client. The wording is in the snapshots; ids,
//! times and names of a run are made equal.

use std::path::Path;

use e2e::agent::Agent;
use e2e::environment::{Environment, program};
use e2e::gateway::{Gateway, configuration};
use e2e::person::{approver_at, lockgate_with, text};
use e2e::program::{Said, admin, run};
use e2e::unique;
use regex_automata::meta::Regex;
use tokio::process::Command;

const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");

/// What a run chooses: ids, minutes, keys; and what this test chose.
fn stable(said: &Said, names: &[(&str, &str)]) -> String {
    // client-go's own log, which holds the time.
    let is_log =
        |line: &&str| line.starts_with(['E', 'W']) && line.get(1..5).is_some_and(|day| day.parse::<u16>().is_ok());
    let mut text: String = said.text().lines().filter(|line| !is_log(line)).map(|line| format!("{line}\n")).collect();
    for (name, shown) in names {
        text = text.replace(name, shown);
    }
    for (pattern, shown) in [
        (r"apr_[0-9a-f-]{36}", "apr_<id>"),
        (r"frz_[0-9a-f-]{36}", "frz_<id>"),
        (r"aud_[0-9a-f-]{36}", "aud_<id>"),
        (r"agt_[0-9a-f]{16}", "agt_<key>"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "<minute>"),
        (r"https://127\.0\.0\.1:\d+", "https://<gateway>"),
    ] {
        let pattern = Regex::new(pattern).unwrap();
        let mut normal = String::new();
        let mut end = 0;
        for found in pattern.find_iter(&text) {
            normal.push_str(&text[end..found.start()]);
            normal.push_str(shown);
            end = found.end();
        }
        normal.push_str(&text[end..]);
        text = normal;
    }
    text
}

#[tokio::test]
async fn refusals_read_as_they_are_meant_to_in_real_clients() {
    let environment = Environment::get();
    let directory = environment.directory("refusals");
    let mut config = configuration(&directory.join("store"));
    config["limits"]["hold"] = "1s".into();
    let gateway = Gateway::start(&directory, &config).await;
    let approver = approver_at(&gateway.console, &directory).await;
    let agent = Agent::new(&gateway).await;
    let name = format!("refusals-{}", unique());
    admin(["create", "namespace", &name]).await;
    let names = [(name.as_str(), "<namespace>"), (agent.name.as_str(), "<agent>")];
    let golden = |what: &str, said: &Said| {
        assert_eq!(said.code, Some(1), "{what}: {}", said.text());
        insta::assert_snapshot!(what.to_owned(), stable(said, &names));
    };
    let python = async || {
        let mut python = Command::new(program("LOCKGATE_E2E_PYTHON"));
        python.arg(Path::new(CLIENTS).join("refused.py")).arg(&name).env("KUBECONFIG", agent.kubeconfig());
        // It prints what it was told, and ends well.
        Said { code: Some(1), ..run(python).await.ok() }
    };
    let chart = Path::new(CLIENTS).join("chart");
    let chart = chart.to_str().unwrap();

    golden("kubectl_denied_by_rule", &run(agent.kubectl(["create", "configmap", "a", "-n", "kube-system"])).await);
    golden("helm_denied_by_rule", &run(agent.helm(["install", "a", chart, "-n", "kube-system"])).await);
    golden("kubectl_denied_by_no_rule", &run(agent.kubectl(["create", "configmap", "a", "-n", &name])).await);
    golden("kubectl_impersonation", &run(agent.kubectl(["get", "pods", "--as", "admin"])).await);
    let unknown = format!("{}/clusters/prud", gateway.url);
    golden("kubectl_unknown_cluster", &run(agent.kubectl(["get", "pods", "--server", &unknown])).await);
    let root = run(agent.kubectl(["get", "pods", "--server", &gateway.url])).await;
    golden("kubectl_no_cluster", &root);
    golden("kubectl_bad_token", &run(agent.kubectl(["get", "pods", "--token", "nonsense"])).await);

    golden("kubectl_pending", &run(agent.kubectl(["delete", "namespace", &name])).await);
    golden("python_pending", &python().await);
    let list = run(lockgate_with(&approver, &["approvals", "list", "--state", "pending"])).await.ok().json();
    let note = "The shop is open. Ask its team for a time.";
    for ticket in list.as_array().unwrap() {
        run(lockgate_with(&approver, &["approvals", "deny", text(ticket, "/id"), "--note", note])).await.ok();
    }
    golden("kubectl_denied_by_human", &run(agent.kubectl(["delete", "namespace", &name])).await);
    golden("python_denied_by_human", &python().await);
    let orphan = run(agent.kubectl(["delete", "namespace", &name, "--cascade=orphan"])).await;
    golden("kubectl_denied_before", &orphan);

    let why = "it retries for ever";
    run(lockgate_with(&approver, &["agents", "freeze", &agent.name, "--note", why])).await.ok();
    golden("kubectl_frozen", &run(agent.kubectl(["create", "configmap", "a"])).await);
    golden("helm_frozen", &run(agent.helm(["install", "a", chart, "-n", &environment.demo.namespace])).await);
    golden("python_frozen", &python().await);

    admin(["delete", "namespace", &name, "--wait=false"]).await;
    agent.remove().await;
}
