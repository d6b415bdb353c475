//! `kill -9` under load, again and again: whatever reached the API server is in Lockgate's log, whatever was lost on the way.
//!
//! Once with a scripted API server, which keeps the `Audit-ID` of all that it is sent, and once with the real cluster, whose own
//! audit log has them. The gateway is the test's own child with its own store, so that no other test sees it die.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::environment::{Environment, read};
use e2e::standalone::{
    CLUSTER, Certificate, Client, Connection, Directory, Gateway, Issuer, Protocol, Server, Settings, whole,
};
use e2e::{token, unique};
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

const KILLS: u32 = 50;
/// Answered between two kills, so that each of them hits a gateway under load.
const CALLS_PER_LIFE: u64 = 44;
const CALLS_MIN: u64 = 2_000;
const CONNECTIONS: usize = 8;
/// No call is held in these tests.
const CALL_MAX: Duration = Duration::from_secs(20);
/// Everything together; a whole test takes less than three minutes.
const ALL_MAX: Duration = Duration::from_secs(170);

/// What the clients saw.
#[derive(Default)]
struct Load {
    /// Calls that were answered.
    answered: AtomicU64,
    /// Those that change something.
    written: AtomicU64,
    /// Calls whose connection broke.
    broken: AtomicU64,
    done: AtomicBool,
    /// Answers that nobody expects, such as 503.
    strange: Mutex<BTreeMap<u16, u64>>,
}

/// One agent that makes, reads, changes and deletes config maps for ever, over one connection at a time.
async fn work(client: Client, names: String, load: Arc<Load>) {
    let base = "/api/v1/namespaces/shop/configmaps".to_owned();
    let mut connection: Option<Connection> = None;
    for number in 0_u64.. {
        let name = format!("{names}-{number}");
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "1"}});
        let one = format!("{base}/{name}");
        let calls = [
            ("POST", &base, object.to_string()),
            ("GET", &one, String::new()),
            ("PATCH", &one, json!({"data": {"k": "2"}}).to_string()),
            ("DELETE", &one, String::new()),
        ];
        for (method, path, body) in calls {
            if load.done.load(Ordering::SeqCst) {
                return;
            }
            let mut open = match connection.take() {
                Some(open) => open,
                None => connect(&client).await,
            };
            match timeout(CALL_MAX, open.send(method, path, body.as_bytes())).await {
                Ok(Ok((status, _))) => {
                    load.count(method, status);
                    connection = Some(open);
                }
                Ok(Err(_)) => {
                    load.broken.fetch_add(1, Ordering::SeqCst);
                }
                Err(_) => panic!("{method} {path}: no answer and no end within {CALL_MAX:?}"),
            }
        }
    }
}

impl Load {
    fn count(&self, method: &str, status: StatusCode) {
        self.answered.fetch_add(1, Ordering::SeqCst);
        if method != "GET" {
            self.written.fetch_add(1, Ordering::SeqCst);
        }
        // A call that a crash cut off may or may not have taken effect, so the next one may find nothing, or find it done.
        if !status.is_success() && !matches!(status, StatusCode::NOT_FOUND | StatusCode::CONFLICT) {
            *self.strange.lock().unwrap().entry(status.as_u16()).or_default() += 1;
        }
    }
}

/// Until the gateway is back.
async fn connect(client: &Client) -> Connection {
    loop {
        match client.connect(Protocol::Http1).await {
            Ok(connection) => return connection,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Kills the gateway under load until it has died often enough and has served enough.
async fn storm(gateway: &mut Gateway, client: &Client, names: &str) -> Arc<Load> {
    let load = Arc::new(Load::default());
    let mut workers = JoinSet::new();
    for worker in 0..CONNECTIONS {
        workers.spawn(work(client.clone(), format!("{names}-{worker}"), Arc::clone(&load)));
    }
    let (from, mut starts) = (Instant::now(), Vec::new());
    for kill in 1..=KILLS {
        let goal = load.answered.load(Ordering::SeqCst) + CALLS_PER_LIFE;
        while load.answered.load(Ordering::SeqCst) < goal {
            let late = from.elapsed() >= ALL_MAX;
            assert!(!late, "life {kill}: too slow, {} calls\n{}", load.answered.load(Ordering::SeqCst), gateway.log());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        gateway.kill().await;
        starts.push(gateway.start_again().await);
    }
    load.done.store(true, Ordering::SeqCst);
    while let Some(ended) = workers.join_next().await {
        ended.expect("a worker");
    }
    starts.sort();
    let number = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    eprintln!(
        "{KILLS} kills in {:?}; start to ready: median {:?}, longest {:?}; {} calls answered ({} writes), {} broken",
        from.elapsed(),
        starts[starts.len() / 2],
        starts[starts.len() - 1],
        number(&load.answered),
        number(&load.written),
        number(&load.broken),
    );
    let strange = load.strange.lock().unwrap().clone();
    assert!(strange.is_empty(), "answers that nobody expects, by status: {strange:?}");
    assert!(number(&load.answered) >= CALLS_MIN && number(&load.written) >= CALLS_MIN / 2);
    assert!(number(&load.broken) >= u64::from(KILLS) / 2, "hardly a kill hit a call under way");
    load
}

/// Every call that the cluster knows of must be in the log.
fn join(cluster: &BTreeSet<String>, log: &[Value], load: &Load) {
    let id = |record: &Value| record["id"].as_str().unwrap().trim_start_matches("aud_").to_owned();
    let ours: BTreeSet<String> = log.iter().map(id).collect();
    let unrecorded: Vec<&String> = cluster.iter().filter(|id| !ours.contains(*id)).collect();
    eprintln!("{} calls at the API server, {} records", cluster.len(), log.len());
    // All answers came from there, so that its log cannot be shorter.
    assert!(cluster.len() as u64 >= load.answered.load(Ordering::SeqCst), "the API server's log is not whole");
    assert!(unrecorded.is_empty(), "{} calls without a record: {unrecorded:?}", unrecorded.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_reaches_a_scripted_api_server_without_a_record() {
    let (directory, certificate) = (Directory::new("crash"), Certificate::new());
    let seen: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let log = Arc::clone(&seen);
    let api = Server::start(&certificate, move |head, _body| {
        let id = head.headers["audit-id"].to_str().unwrap().to_owned();
        assert!(log.lock().unwrap().insert(id), "two calls have the same id");
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "uid": "u"}});
        let answer = Response::builder().header("content-type", "application/json");
        answer.body(whole(object.to_string())).unwrap()
    })
    .await;
    let issuer = Issuer::start(&certificate).await;
    let settings = Settings::new(directory.path(), &certificate, &issuer, &api.url());
    let mut gateway = Gateway::start(directory.path(), settings).await;
    let client = gateway.client(&certificate.certificate, &issuer.agent(&["deployers".to_owned()]));
    let load = storm(&mut gateway, &client, "cm").await;
    let records = gateway.records(&certificate.certificate, &issuer.auditor()).await;
    let seen = seen.lock().unwrap().clone();
    join(&seen, &records, &load);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_reaches_the_cluster_without_a_record() {
    let environment = Environment::get();
    let demo = &environment.demo;
    let directory = environment.directory("crash");
    let mut config: Value = serde_json::from_str(&read(&demo.gateway_config)).unwrap();
    config["clusters"][0]["name"] = CLUSTER.into();
    config["policy"] = json!({"file": demo.gateway_config.with_file_name("policy.yaml")});
    let settings = Settings { program: demo.lockgate.clone(), config, open_files: None };
    let mut gateway = Gateway::start(&directory, settings).await;
    let authority = read(&demo.ca_file);
    let client = gateway.client(&authority, &token::agent().await);
    let names = format!("crash-{}", unique());
    let load = storm(&mut gateway, &client, &names).await;
    let records = gateway.records(&authority, &token::approver()).await;
    // Parallel tests speak of other names. A create names its object in the body; the cluster's log has it in `objectRef`.
    let is_ours = |event: &Value| {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let impersonated = text("/impersonatedUser/username").starts_with("agent:");
        impersonated && (text("/objectRef/name").starts_with(&names) || text("/requestURI").contains(&names))
    };
    let events = environment.cluster_events();
    let id = |event: &Value| event["auditID"].as_str().unwrap().to_owned();
    let cluster: BTreeSet<String> = events.iter().filter(|event| is_ours(event)).map(id).collect();
    join(&cluster, &records, &load);
    leave_nothing(&client, &names).await;
}

/// Deletes what calls that were cut off left.
async fn leave_nothing(client: &Client, names: &str) {
    let mut connection = connect(client).await;
    let (status, body) = connection.send("GET", "/api/v1/namespaces/shop/configmaps", b"").await.unwrap();
    assert_eq!(status, StatusCode::OK);
    let list: Value = serde_json::from_slice(&body).unwrap();
    for item in list["items"].as_array().unwrap() {
        let name = item["metadata"]["name"].as_str().unwrap();
        if name.starts_with(names) {
            let path = format!("/api/v1/namespaces/shop/configmaps/{name}");
            assert_eq!(connection.send("DELETE", &path, b"").await.unwrap().0, StatusCode::OK);
        }
    }
}
