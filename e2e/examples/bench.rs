//! CPU per request: the API server alone, nginx as a bare TLS reverse proxy (where it is installed), and Lockgate with every
//! duty on: identity, policy, durable audit, masking. See `bench/README.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a tool for developers"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use e2e::standalone::{CLUSTER, Certificate, Client, Directory, Gateway, Issuer, Protocol, Server, Settings, whole};
use http::Response;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::Instant;

const ROUNDS: usize = 4;
const CONNECTIONS: usize = 16;
const WARM: usize = 25;
const REQUESTS: usize = 250;
const SERVE: &str = "serve-api";

/// Who answers, and whose CPU is counted.
struct Contestant {
    name: &'static str,
    client: Client,
    pids: Vec<u32>,
}

/// One round of one contestant, per request.
struct Round {
    cpu: Duration,
    elapsed: Duration,
}

/// A Pod of about 4 KB, or a Secret of about 1 KB.
fn answer(path: &str) -> String {
    if path.contains("secrets") {
        let data = json!({"username": "YWRtaW4=", "password": "cGFzc3dvcmQ=", "ca.crt": "QUJD".repeat(200)});
        return json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}, "data": data}).to_string();
    }
    let fields = json!({"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:image": {}, "f:name": {}}}}});
    let managed = json!([{"manager": "kubelet", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields}]);
    let environment: Vec<_> =
        (0..60).map(|n| json!({"name": format!("VARIABLE_{n}"), "value": "some value"})).collect();
    let container = json!({"name": "web", "image": "registry.example/web:1", "env": environment});
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p", "managedFields": managed},
        "spec": {"containers": [container]}, "status": {"phase": "Running"}})
    .to_string()
}

/// This program once more, as the API server: its CPU can then be told from the clients'.
async fn serve_api(directory: &Path) {
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    let certificate = Certificate { certificate: read("tls.crt"), key: read("tls.key") };
    let (pod, secret) = (answer("pods"), answer("secrets"));
    let server = Server::start(&certificate, move |head, _body| {
        let body = if head.uri.path().contains("secrets") { secret.clone() } else { pod.clone() };
        Response::builder().header("content-type", "application/json").body(whole(body)).unwrap()
    })
    .await;
    println!("{}", server.address);
    std::future::pending::<()>().await;
}

/// CPU time of all threads that live.
fn cpu(pids: &[u32]) -> Duration {
    let mut nanoseconds = 0;
    for pid in pids {
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
            let schedule = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
            nanoseconds += schedule.split(' ').next().unwrap().parse::<u64>().unwrap();
        }
    }
    Duration::from_nanos(nanoseconds)
}

async fn load(client: &Client, protocol: Protocol, path: &'static str, requests: usize) {
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let client = client.clone();
        connections.spawn(async move {
            let mut connection = client.connect(protocol).await.unwrap();
            for _ in 0..requests {
                let (status, body) = connection.send("GET", path, b"").await.unwrap();
                assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
            }
        });
    }
    while let Some(done) = connections.join_next().await {
        done.unwrap();
    }
}

async fn round(contestant: &Contestant, protocol: Protocol, path: &'static str) -> Round {
    load(&contestant.client, protocol, path, WARM).await;
    let (before, from) = (cpu(&contestant.pids), Instant::now());
    load(&contestant.client, protocol, path, REQUESTS).await;
    let requests = u32::try_from(CONNECTIONS * REQUESTS).unwrap();
    Round { cpu: (cpu(&contestant.pids) - before) / requests, elapsed: from.elapsed() / requests }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// nginx with one worker, kept-alive connections both ways; nothing where it is not installed.
async fn nginx(directory: &Path, api: &str) -> Option<(Child, std::net::SocketAddr, Vec<u32>)> {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let at = directory.display();
    let config = format!(
        "daemon off; worker_processes 1; pid {at}/nginx.pid; error_log stderr crit; events {{ worker_connections 1024; }}
         http {{ access_log off; upstream api {{ server {api}; keepalive 64; keepalive_requests 1000000; }}
         server {{ listen {address} ssl; http2 on; keepalive_requests 1000000; ssl_certificate {at}/tls.crt;
         ssl_certificate_key {at}/tls.key; location / {{ proxy_pass https://api; proxy_http_version 1.1;
         proxy_set_header Connection \"\"; proxy_ssl_trusted_certificate {at}/tls.crt; proxy_ssl_verify on;
         proxy_ssl_name 127.0.0.1; proxy_ssl_session_reuse on; }} }} }}"
    );
    std::fs::write(directory.join("nginx.conf"), config).unwrap();
    let mut command = Command::new("nginx");
    let child = command.arg("-c").arg(directory.join("nginx.conf")).kill_on_drop(true).spawn().ok()?;
    while tokio::net::TcpStream::connect(address).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let master = child.id()?;
    let children = std::fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap();
    let pids = std::iter::once(master).chain(children.split_whitespace().map(|pid| pid.parse().unwrap())).collect();
    Some((child, address, pids))
}

async fn start_api(directory: &Path) -> (Child, std::net::SocketAddr) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(SERVE).arg(directory).stdout(Stdio::piped()).kill_on_drop(true);
    let mut api = command.spawn().unwrap();
    let mut lines = BufReader::new(api.stdout.take().unwrap()).lines();
    let address = lines.next_line().await.unwrap().unwrap().parse().unwrap();
    (api, address)
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, directory] = arguments.as_slice()
        && serve == SERVE
    {
        return serve_api(&PathBuf::from(directory)).await;
    }
    let (directory, certificate) = (Directory::new("bench"), Certificate::new());
    let issuer = Issuer::start(&certificate).await;
    std::fs::write(directory.path().join("tls.crt"), &certificate.certificate).unwrap();
    std::fs::write(directory.path().join("tls.key"), &certificate.key).unwrap();
    let (api, api_address) = start_api(directory.path()).await;
    let settings = Settings::new(directory.path(), &certificate, &issuer, &format!("https://{api_address}"));
    let gateway = Gateway::start(directory.path(), settings).await;
    let nginx = nginx(directory.path(), &api_address.to_string()).await;
    let token = issuer.agent(&["deployers".to_owned()]);
    let client = |address, prefix: &str| Client::new(address, &certificate.certificate, &token, prefix);
    let mut contestants =
        vec![Contestant { name: "direct", client: client(api_address, ""), pids: vec![api.id().unwrap()] }];
    if let Some((_, address, pids)) = &nginx {
        contestants.push(Contestant { name: "nginx", client: client(*address, ""), pids: pids.clone() });
    }
    let behind = client(gateway.address("gateway"), &format!("/clusters/{CLUSTER}"));
    contestants.push(Contestant { name: "lockgate", client: behind, pids: vec![gateway.pid()] });
    println!(
        "CPU and time per request, as a multiple of the first contestant in the same run; medians of {ROUNDS} rounds"
    );
    for (what, path) in [("pod", "/api/v1/namespaces/shop/pods/p"), ("secret", "/api/v1/namespaces/shop/secrets/s")] {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let mut rounds: BTreeMap<usize, Vec<Round>> = BTreeMap::new();
            for number in 0..ROUNDS {
                // The order turns, so that nobody always comes after the same neighbour.
                for at in 0..contestants.len() {
                    let at = (at + number) % contestants.len();
                    rounds.entry(at).or_default().push(round(&contestants[at], protocol, path).await);
                }
            }
            let figures: Vec<(Duration, Duration)> = rounds
                .values()
                .map(|rounds| {
                    let of = |which: fn(&Round) -> Duration| median(rounds.iter().map(which).collect());
                    (of(|round| round.cpu), of(|round| round.elapsed))
                })
                .collect();
            for (contestant, (cpu, elapsed)) in contestants.iter().zip(&figures) {
                let (cpu, elapsed) = (cpu.div_duration_f64(figures[0].0), elapsed.div_duration_f64(figures[0].1));
                println!("{what:<8}{protocol:?}  {:<10}{cpu:>6.2} × CPU {elapsed:>6.2} × time", contestant.name);
            }
        }
    }
}
