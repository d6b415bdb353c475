//! Known values follow the real cluster: what is made, changed and deleted there is known within moments; Lockgate reads it with a credential
//! that can do nothing else, says so in its log, and tells nobody what it read.

use e2e::environment::Environment;
use e2e::person::{Who, lockgate, text};
use e2e::program::{admin, administrator, run, run_with_input};
use e2e::{unique, until};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// So many at once, that what other tests make meanwhile is not taken for them.
const SECRETS: usize = 120;

/// A path of the gateway's own listener, without its head.
async fn operations(path: &str) -> String {
    let url = &Environment::get().demo.metrics_url;
    let address = url.trim_start_matches("http://").trim_end_matches("/metrics");
    let mut socket = TcpStream::connect(address).await.expect("the metrics listener");
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("a request");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    answer
}

/// How many values the gateway looks for.
async fn known() -> usize {
    let metrics = operations("/metrics").await;
    let cluster = &Environment::get().demo.cluster;
    let name = format!("lockgate_known_values{{cluster=\"{cluster}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_else(|| panic!("{metrics}"));
    value.parse().expect("a number")
}

async fn apply(label: &str, values: &[String]) {
    let secret = |(index, value): (usize, &String)| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("{label}-{index}"), "labels": {"values": label}},
            "stringData": {"password": value},
        })
    };
    let items: Vec<_> = values.iter().enumerate().map(secret).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    run_with_input(administrator(["apply", "--server-side", "-f", "-"]), list.as_bytes()).await.ok();
}

#[tokio::test]
async fn a_value_is_known_when_it_is_made_and_when_it_is_rotated() {
    let label = format!("values-{}", unique());
    let fresh = || (0..SECRETS).map(|_| format!("kV{}-{}", unique(), unique())).collect::<Vec<_>>();
    let (first, second) = (fresh(), fresh());
    let before = known().await;
    apply(&label, &first).await;
    until("the values are known", async || (known().await >= before + SECRETS).then_some(())).await;
    apply(&label, &second).await;
    until("the new values are known beside the old ones", async || {
        (known().await >= before + 2 * SECRETS).then_some(())
    })
    .await;
    admin(["delete", "secret", "-l", &format!("values={label}")]).await.ok();
    assert!(known().await >= before + 2 * SECRETS, "they are known for a while");
    assert!(operations("/readyz").await.ends_with("\r\n\r\nok\n"), "nothing is wrong with known values");
    let log = std::fs::read(Environment::get().demo.state_dir.join("log/gateway.log")).expect("the gateway's log");
    let said = [log, operations("/metrics").await.into_bytes()].concat();
    let shows = |value: &String| memchr::memmem::find(&said, value.as_bytes()).is_some();
    assert!(!first.iter().chain(&second).any(shows), "a value is in a log or a metric");
}

#[tokio::test]
async fn the_reads_of_secrets_are_recorded_and_made_with_a_credential_that_can_do_nothing_else() {
    let log = std::fs::read_to_string(&Environment::get().demo.cluster_audit_log).expect("the cluster's audit log");
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let own: Vec<Value> = events
        .filter(|event| text(event, "/user/username") == "system:serviceaccount:lockgate:lockgate-self")
        .collect();
    for event in &own {
        assert_eq!(text(event, "/objectRef/resource"), "secrets", "{event}");
        assert!(matches!(text(event, "/verb"), "list" | "watch"), "{event}");
    }
    let first = own.first().expect("the cluster was asked for its Secrets");
    let id = format!("aud_{}", text(first, "/auditID"));
    let record = lockgate(Who::Auditor, &["audit", "show", &id, "-o", "json"]).await.ok().json();
    assert_eq!((text(&record, "/origin"), text(&record, "/decision/effect")), ("selfread", "allow"), "{record}");
    assert!(record.get("subject").is_none_or(Value::is_null), "{record}");
    let own_account = "--as=system:serviceaccount:lockgate:lockgate-self";
    for (verb, resource, may) in [
        ("list", "secrets", true),
        ("watch", "secrets", true),
        ("delete", "secrets", false),
        ("update", "secrets", false),
        ("list", "pods", false),
        ("impersonate", "users", false),
    ] {
        let said = run(administrator(["auth", "can-i", verb, resource, "-A", own_account])).await;
        assert_eq!(said.out().trim() == "yes", may, "{verb} {resource}: {}", said.text());
    }
    for verb in ["list", "watch"] {
        let said = run(administrator([
            "auth",
            "can-i",
            verb,
            "secrets",
            "-A",
            "--as=system:serviceaccount:lockgate:lockgate",
        ]))
        .await;
        assert_ne!(said.out().trim(), "yes", "the credential for agents' requests cannot {verb} secrets");
    }
}
