//! A whole gateway in memory: the real pipeline between a client's duplex and a scripted API server, on a real store with
//! faults in front of it. Only tokens are faked: `agent` and `other` are agents, `brief` is `agent` for a second, `elsewhere` is
//! of that name at another issuer; everything else is refused.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use lockgate_auth::cluster::{Cluster, ClusterConfig, CredentialConfig, Impersonate, KubeconfigReference};
use lockgate_auth::{AuthError, Authenticated};
use lockgate_core::{ApprovalState, AuditRecord, Clock, Subject, SubjectKind, Timestamp, Writer};
use lockgate_policy::Policy;
use lockgate_proxy::gateway::{Authenticate, Gateway, Limits};
use lockgate_proxy::listener::{ListenerLimits, serve_stream};
use lockgate_proxy::metrics::Metrics;
use lockgate_proxy::pace::Pace;
use lockgate_proxy::upstream::SelfUpstream;
use lockgate_proxy::upstream::dial::{Dial, Protocol};
use lockgate_proxy::{Upstream, UpstreamLimits, Values};
use lockgate_store::{
    ApprovalFilter, AuditFilter, DirectoryRecordings, InstanceKey, SqliteBackend, Store, SystemClock, Word,
};
use lockgate_wire::protobuf::Protobuf;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api_server::{ApiServer, Reply};
use crate::recordings::{Disk, FaultyRecordings};
use crate::store::{Faults, FaultyBackend, TemporaryDirectory, open_with_faults};

/// Lockgate's own credential at the scripted API server; must never reach a client.
pub const UPSTREAM_TOKEN: &str = "upstream-credential-canary";

/// Lockgate's credential for its own reads there; must never reach a client, nor go with a client's request.
pub const SELF_TOKEN: &str = "self-credential-canary";

/// How long a test waits for what must happen.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The gateway and what is around it.
pub struct World {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// The scripted API server.
    pub api: ApiServer,
    /// Faults of the store.
    pub faults: Faults,
    /// The recordings' disk.
    pub disk: watch::Sender<Disk>,
    directory: TemporaryDirectory,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Status and headers.
    pub head: http::response::Parts,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

struct Tokens;

#[async_trait]
impl Authenticate for Tokens {
    async fn authenticate(&self, authorization: &[&[u8]], now: Timestamp) -> Result<Authenticated, AuthError> {
        let (subject, seconds) = match authorization {
            [b"Bearer agent"] => (agent("deployer"), 600),
            [b"Bearer brief"] => (agent("deployer"), 1),
            [b"Bearer elsewhere"] => (Subject { issuer: "https://other.example".into(), ..agent("deployer") }, 600),
            [b"Bearer other"] => (agent("other"), 600),
            [] => return Err(AuthError::Missing),
            _ => return Err(AuthError::Signature),
        };
        Ok(Authenticated {
            subject,
            expires_at: now.plus(Duration::from_secs(seconds)),
            auth_time: None,
            audiences: vec!["lockgate".into()],
        })
    }
}

/// The agent that a token of this name speaks for.
pub fn agent(id: &str) -> Subject {
    Subject {
        issuer: "https://idp.example".into(),
        id: id.into(),
        kind: SubjectKind::Agent,
        owner: Some("olivia".into()),
        on_behalf_of: None,
        groups: vec!["deployers".into()],
        token_id: Some("jti-1".into()),
    }
}

/// A person who may decide.
pub fn human(id: &str) -> Subject {
    Subject { id: id.into(), kind: SubjectKind::Human, owner: None, groups: vec!["sre".into()], ..agent(id) }
}

impl World {
    /// A gateway for the cluster `shop` with this policy. `limits` may shorten holds.
    pub async fn new(policy: &str, api: ApiServer, limits: Limits) -> Self {
        Self::at(policy, api, limits, Arc::new(SystemClock)).await
    }

    /// The same by another clock.
    pub async fn at(policy: &str, api: ApiServer, limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self::assemble(policy, api.clone(), Arc::new(api), limits, clock).await
    }

    /// A gateway whose connections are made by `dial`.
    pub async fn with_dial(policy: &str, dial: Arc<dyn Dial>) -> Self {
        let nobody = ApiServer::new(Protocol::Http1, |_| Reply::Stall);
        Self::assemble(policy, nobody, dial, Limits::default(), Arc::new(SystemClock)).await
    }

    async fn assemble(
        policy: &str,
        api: ApiServer,
        dial: Arc<dyn Dial>,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let directory = TemporaryDirectory::new();
        let backend = SqliteBackend::open(&directory.path().join("lockgate.sqlite"), None).await.expect("a database");
        let faults = Faults::default();
        let backend = Arc::new(FaultyBackend::new(Arc::new(backend), faults.clone()));
        let recordings = DirectoryRecordings::open(&directory.path().join("recordings")).expect("a directory");
        let (recordings, disk) = FaultyRecordings::new(recordings);
        let writer = Writer { replica: "test".into(), boot: "boot-1".into() };
        let store = Store::new(backend, recordings, clock.clone(), writer, InstanceKey::from_bytes([7; 32]));
        store.heartbeat().await.expect("the writer registers");
        faults.forget();
        let tasks = TaskTracker::new();
        let cluster = Arc::new(cluster(directory.path(), UPSTREAM_TOKEN));
        let upstream = Upstream::new(cluster, dial, UpstreamLimits::default(), clock, &tasks).expect("an upstream");
        let gateway = Arc::new(Gateway {
            issuers: Arc::new(Tokens),
            clusters: BTreeMap::from([("shop".to_owned(), Arc::new(upstream))]),
            shadow: arc_swap::ArcSwapOption::empty(),
            policy: ArcSwap::from_pointee(Policy::parse(policy).expect("a valid policy")),
            store,
            protobuf: Protobuf::load().expect("the tables"),
            body_budget: Arc::new(Semaphore::new(limits.body_budget_bytes)),
            limits,
            pace: Pace::default(),
            values: Values::of_clusters(["shop".to_owned()]),
            metrics: Metrics::default(),
            tasks,
            draining: CancellationToken::new(),
            ending: CancellationToken::new(),
        });
        Self { gateway, api, faults, disk, directory }
    }

    /// The way for Lockgate's own reads of the scripted API server.
    pub fn own_upstream(&self) -> SelfUpstream {
        let cluster = Arc::new(cluster(self.directory.path(), SELF_TOKEN));
        let (dial, clock) = (Arc::new(self.api.clone()), Arc::clone(self.gateway.clock()));
        SelfUpstream::new(cluster, dial, clock, &TaskTracker::new()).expect("an upstream")
    }

    /// A client connection of its own.
    pub async fn connect(&self) -> hyper::client::conn::http1::SendRequest<Full<Bytes>> {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 50_000);
        let gateway = Arc::clone(&self.gateway);
        let serve = async move {
            serve_stream(gateway, Box::new(server), peer, Protocol::Http1, &ListenerLimits::default()).await;
        };
        self.gateway.tasks.spawn(serve);
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(client)).await.expect("a handshake");
        tokio::spawn(async move { connection.with_upgrades().await.ok() });
        sender
    }

    /// Sends and returns the head; the body still flows.
    pub async fn open(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let mut client = self.connect().await;
        tokio::time::timeout(DEADLINE, client.send_request(request))
            .await
            .expect("an answer in time")
            .expect("an answer")
    }

    /// Sends and reads the whole answer.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (head, body) = self.open(request).await.into_parts();
        let body = tokio::time::timeout(DEADLINE, body.collect()).await.expect("a body in time").expect("a whole body");
        Answer { head, body: body.to_bytes() }
    }

    /// `GET` as the agent, below `/clusters/shop`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path, "")).await
    }

    /// Every call so far, oldest first, once all have ended.
    pub async fn records(&self) -> Vec<AuditRecord> {
        let store = &self.gateway.store;
        let wait = async {
            loop {
                let mut records = store.audit_records(&AuditFilter::default()).await.expect("the records");
                if records.iter().all(|record| record.outcome.is_some()) {
                    records.reverse();
                    return records;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, wait).await.expect("every call ends")
    }

    /// The ticket that waits; the newest, if there are several.
    pub async fn pending(&self) -> lockgate_core::Approval {
        self.pending_tickets(1).await.swap_remove(0)
    }

    /// The tickets that wait, once there are so many, newest first.
    pub async fn pending_tickets(&self, count: usize) -> Vec<lockgate_core::Approval> {
        let filter = ApprovalFilter { state: Some(ApprovalState::Pending), ..ApprovalFilter::default() };
        let wait = async {
            loop {
                let tickets = self.gateway.store.approvals(&filter).await.expect("tickets");
                if tickets.len() >= count {
                    return tickets;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, wait).await.expect("a ticket")
    }

    /// A human's word on it.
    pub async fn decide(&self, id: lockgate_core::ApprovalId, approve: bool, note: Option<&str>) {
        let store = &self.gateway.store;
        let word = Word { by: human("alice"), auth_time: store.clock().now(), approve, note: note.map(Into::into) };
        store.decide(id, word).await.expect("a valid decision");
    }

    /// Another replica's view of the same truth: nothing is shared but the database.
    pub async fn other_replica(&self) -> Store {
        open_with_faults(self.directory.path(), Arc::new(SystemClock), "boot-2").await.0
    }
}

/// A request as the agent, below `/clusters/shop`.
pub fn request(method: &str, path: &str, body: &str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(format!("/clusters/shop{path}"))
        .header("host", "gateway")
        .header("authorization", "Bearer agent")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .expect("a valid request")
}

fn cluster(directory: &Path, token: &str) -> Cluster {
    let authority = rcgen::generate_simple_self_signed(vec!["api.example".to_owned()]).expect("a certificate");
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: 'https://api.example:6443', certificate-authority-data: {}}}}}]\n\
         users: [{{name: u, user: {{token: {token}}}}}]\n",
        BASE64_STANDARD.encode(authority.cert.pem())
    );
    let file = directory.join("kubeconfig");
    std::fs::write(&file, kubeconfig).expect("a kubeconfig");
    Cluster::load(&ClusterConfig {
        name: "shop".into(),
        environment: "production".into(),
        four_eyes: false,
        credential: CredentialConfig::Kubeconfig(KubeconfigReference { file, context: None }),
        impersonate: Impersonate::Agent,
        own: None,
    })
    .expect("a cluster")
}
