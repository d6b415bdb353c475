//! Known values are those that the cluster has: listed, watched, and kept through everything that goes wrong on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Response;
use lockgate_core::{Effect, Origin, Outcome};
use lockgate_proxy::gateway::Limits;
use lockgate_proxy::upstream::dial::Protocol;
use lockgate_proxy::values::{FollowLimits, follow};
use lockgate_wire::mask::Scan;
use serde_json::{Value, json};
use testkit::api_server::{ApiServer, Reply, Seen};
use testkit::gateway::{DEADLINE, SELF_TOKEN, World};
use testkit::store::Mode;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const POLICY: &str = "
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: none}
rules: []
";

const FIRST: &str = "xK9-first-Qw7ZtPlm";
const SECOND: &str = "xK9-second-Rb4VnHsd";
const THIRD: &str = "xK9-third-Jc8GyTfa";

/// What lists and watches are answered with, in turn; the last answer of each stands for ever.
#[derive(Clone, Default)]
struct Script {
    lists: Arc<Mutex<VecDeque<Reply>>>,
    watches: Arc<Mutex<VecDeque<Reply>>>,
}

/// The far end of a watch.
type Events = mpsc::Sender<Result<Bytes, std::io::Error>>;

impl Script {
    fn list(&self, reply: Reply) -> &Self {
        self.lists.lock().unwrap().push_back(reply);
        self
    }

    /// A list with these Secrets, at this version, in one page.
    fn secrets(&self, version: &str, secrets: &[Value]) -> &Self {
        self.list(page(version, "", secrets))
    }

    fn watch(&self) -> Events {
        let (events, body) = mpsc::channel(16);
        let head = Response::builder().header("content-type", "application/json").body(()).unwrap();
        self.watches.lock().unwrap().push_back(Reply::Chunks(head, body));
        events
    }

    fn answer(&self, seen: &Seen) -> Reply {
        let script = if seen.target.contains("watch=true") { &self.watches } else { &self.lists };
        script.lock().unwrap().pop_front().unwrap_or(Reply::Stall)
    }
}

fn page(version: &str, token: &str, secrets: &[Value]) -> Reply {
    let metadata = json!({"resourceVersion": version, "continue": token});
    Reply::json(&json!({"kind": "SecretList", "apiVersion": "v1", "metadata": metadata, "items": secrets}).to_string())
}

fn secret(name: &str, value: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "resourceVersion": "7"},
        "data": {"password": STANDARD.encode(value)}, "type": "Opaque",
    })
}

async fn say(events: &Events, kind: &str, object: &Value) {
    let line = format!("{}\n", json!({"type": kind, "object": object}));
    events.send(Ok(line.into())).await.unwrap();
}

/// A gateway that follows the scripted cluster.
struct Following {
    world: World,
    task: JoinHandle<()>,
    stop: CancellationToken,
}

fn limits() -> FollowLimits {
    FollowLimits {
        settle: Duration::from_millis(1),
        retry_min: Duration::from_millis(4),
        retry_max: Duration::from_millis(20),
        ..FollowLimits::default()
    }
}

impl Following {
    async fn new(script: &Script, limits: FollowLimits) -> Self {
        let script = script.clone();
        let api = ApiServer::new(Protocol::Http1, move |seen| script.answer(&seen));
        let world = World::new(POLICY, api, Limits::default()).await;
        let stop = CancellationToken::new();
        let task = tokio::spawn(follow(Arc::clone(&world.gateway), world.own_upstream(), limits, stop.clone()));
        Self { world, task, stop }
    }

    /// Whether the value is known in some spelling.
    fn knows(&self, value: &str) -> bool {
        let scan = Scan { values: self.world.gateway.values.of("shop"), detectors: false };
        let mut hits = Vec::new();
        scan.find(format!("it is {value}, and {}.", STANDARD.encode(value)).as_bytes(), &mut hits);
        hits.len() == 2
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let wait = async {
            while !is_so(self) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let troubles = || self.world.gateway.values.troubles();
        tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("not in time: {what}; {:?}", troubles()));
    }

    fn targets(&self) -> Vec<String> {
        self.world.api.seen().into_iter().map(|seen| seen.target).collect()
    }

    fn watches(&self) -> Vec<String> {
        self.targets().into_iter().filter(|target| target.contains("watch=true")).collect()
    }

    /// Where each watch began.
    fn versions(&self) -> Vec<String> {
        self.watches().iter().map(|target| target.rsplit('=').next().unwrap().to_owned()).collect()
    }

    fn lists(&self) -> usize {
        self.targets().len() - self.watches().len()
    }

    async fn stopped(self) -> World {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.task).await.expect("it stops").unwrap();
        self.world
    }
}

#[tokio::test]
async fn secrets_are_listed_page_by_page_and_watched_from_there() {
    let script = Script::default();
    script.list(page("41", "next+/=", &[secret("a", FIRST)])).list(page("41", "", &[secret("b", SECOND)]));
    let events = script.watch();
    let following = Following::new(&script, limits()).await;
    following.until("the list is known", |it| it.knows(FIRST) && it.knows(SECOND)).await;
    assert!(!following.knows(THIRD));
    assert_eq!(following.world.gateway.values.troubles(), Vec::<String>::new());
    say(&events, "ADDED", &secret("c", THIRD)).await;
    following.until("what the watch says is known", |it| it.knows(THIRD)).await;
    let seen = following.world.api.seen();
    let selector = "/api/v1/secrets?fieldSelector=type%21%3Dhelm.sh%2Frelease.v1";
    let targets: Vec<&str> = seen.iter().map(|seen| seen.target.as_str()).collect();
    assert_eq!(
        targets,
        [
            format!("{selector}&limit=500"),
            format!("{selector}&limit=500&continue=next%2B%2F%3D"),
            format!("{selector}&watch=true&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=41"),
        ]
    );
    for seen in &seen {
        let names: Vec<&str> = seen.headers.keys().map(http::HeaderName::as_str).collect();
        assert!(!names.iter().any(|name| name.starts_with("impersonate")), "{names:?}");
        assert_eq!(seen.headers["authorization"], format!("Bearer {SELF_TOKEN}"));
        assert_eq!(seen.headers["accept"], "application/json");
        assert_eq!(seen.headers["accept-encoding"], "identity");
    }
    let metrics = following.world.gateway.metrics.text().unwrap();
    assert!(metrics.contains("lockgate_known_values{cluster=\"shop\"} 3"), "{metrics}");
    assert!(metrics.contains("known_values_current_timestamp_seconds{cluster=\"shop\"}"), "{metrics}");
    let world = following.stopped().await;
    let records = world.records().await;
    assert_eq!(records.len(), 3);
    for (record, seen) in records.iter().zip(&seen) {
        assert_eq!((record.origin, &record.subject), (Origin::SelfRead, &None));
        assert_eq!(record.decision.as_ref().map(|decision| decision.effect), Some(Effect::Allow));
        assert_eq!(seen.headers["audit-id"], record.id.uuid().to_string(), "the cluster's own log joins to ours");
    }
    let outcomes: Vec<_> = records.iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, [Some(Outcome::Completed), Some(Outcome::Completed), Some(Outcome::Aborted)]);
    let text = format!("{records:?}{metrics}");
    assert!(![FIRST, SECOND, THIRD].iter().any(|value| text.contains(&STANDARD.encode(value)) || text.contains(value)));
}

#[tokio::test]
async fn a_rotated_and_a_deleted_value_are_known_for_a_while() {
    let script = Script::default();
    script.secrets("1", &[secret("a", FIRST), secret("b", SECOND)]);
    let events = script.watch();
    let retired = Duration::from_millis(400);
    let following = Following::new(&script, FollowLimits { retired, ..limits() }).await;
    following.until("the list is known", |it| it.knows(FIRST)).await;
    let changed = tokio::time::Instant::now();
    say(&events, "MODIFIED", &secret("a", THIRD)).await;
    say(&events, "DELETED", &secret("b", SECOND)).await;
    following.until("the new value is known", |it| it.knows(THIRD)).await;
    let is_early = changed.elapsed() < retired;
    assert!(!is_early || (following.knows(FIRST) && following.knows(SECOND)), "the old ones are still known");
    following.until("the old ones are forgotten", |it| !it.knows(FIRST) && !it.knows(SECOND)).await;
    assert!(changed.elapsed() >= retired && following.knows(THIRD));
}

#[tokio::test]
async fn nothing_is_known_before_the_list_is_whole() {
    let script = Script::default();
    let (rest, body) = mpsc::channel(1);
    let head = Response::builder().header("content-type", "application/json").body(()).unwrap();
    script.list(page("41", "next", &[secret("a", FIRST)])).list(Reply::Chunks(head, body));
    let following = Following::new(&script, limits()).await;
    following.until("the second page is asked for", |it| it.lists() == 2).await;
    rest.send(Ok(Bytes::from_static(b"{\"kind\":\"SecretList\",\"metadata\":{\"resourceVersion\":\"4\"},\"items\":[")))
        .await
        .unwrap();
    assert!(following.world.gateway.values.of("shop").is_none());
    assert!(following.world.gateway.values.is_starting());
    assert_eq!(following.world.gateway.values.troubles(), ["known values of shop: its Secrets are being listed"]);
    // It breaks off: what it held so far is no list. The next one is whole, and empty.
    script.secrets("5", &[]);
    drop(rest);
    following.until("the second list is in force", |it| it.world.gateway.values.of("shop").is_some()).await;
    assert!(!following.world.gateway.values.is_starting());
    assert_eq!(following.lists(), 3);
}

#[tokio::test]
async fn a_version_that_is_too_old_is_listed_again() {
    let script = Script::default();
    script.secrets("1", &[secret("a", FIRST), secret("b", SECOND)]);
    let first = script.watch();
    let retired = Duration::from_millis(50);
    let following = Following::new(&script, FollowLimits { retired, ..limits() }).await;
    following.until("the list is known", |it| it.knows(FIRST) && it.watches().len() == 1).await;
    // Once in the stream, once as its status: `b` was deleted meanwhile, and `c` made.
    script.secrets("8", &[secret("a", FIRST), secret("c", THIRD)]);
    script.watches.lock().unwrap().push_back(Reply::status(
        410,
        "application/json",
        "{\"kind\":\"Status\",\"code\":410}",
    ));
    script.secrets("9", &[secret("a", FIRST), secret("c", THIRD)]);
    let last = script.watch();
    say(&first, "ERROR", &json!({"kind": "Status", "code": 410, "reason": "Expired"})).await;
    following.until("what was missed is known", |it| it.knows(THIRD) && !it.knows(SECOND)).await;
    following.until("the last watch runs", |it| it.watches().len() == 3).await;
    assert_eq!((following.versions(), following.lists()), (vec!["1".into(), "8".into(), "9".into()], 3));
    assert!(following.knows(FIRST));
    drop(last);
}

fn bookmark(version: &str) -> Value {
    json!({"kind": "Secret", "metadata": {"resourceVersion": version}})
}

#[tokio::test]
async fn a_watch_that_breaks_or_ends_goes_on_where_it_was() {
    let script = Script::default();
    script.secrets("1", &[secret("a", FIRST)]);
    let (broken, ended, last) = (script.watch(), script.watch(), script.watch());
    let following = Following::new(&script, limits()).await;
    following.until("it watches", |it| it.watches().len() == 1).await;
    // Its version is 7.
    say(&broken, "ADDED", &secret("b", SECOND)).await;
    following.until("what it said is known", |it| it.knows(SECOND)).await;
    broken.send(Ok(Bytes::from_static(b"{\"type\":\"ADDED\",\"obj"))).await.unwrap();
    broken.send(Err(std::io::Error::other("reset"))).await.unwrap();
    following.until("it watches again", |it| it.watches().len() == 2).await;
    say(&ended, "BOOKMARK", &bookmark("30")).await;
    drop(ended);
    following.until("it watches a third time", |it| it.watches().len() == 3).await;
    say(&last, "ADDED", &secret("c", THIRD)).await;
    following.until("what comes is known", |it| it.knows(THIRD)).await;
    assert_eq!((following.versions(), following.lists()), (vec!["1".into(), "7".into(), "30".into()], 1));
    assert!(following.knows(FIRST), "all the while");
}

#[tokio::test]
async fn a_watch_that_falls_silent_is_begun_again() {
    let script = Script::default();
    script.secrets("1", &[]);
    let (silent, last) = (script.watch(), script.watch());
    let following =
        Following::new(&script, FollowLimits { watch_idle_max: Duration::from_millis(20), ..limits() }).await;
    following.until("it watches again", |it| it.watches().len() >= 2).await;
    assert_eq!(following.versions()[..2], ["1".to_owned(), "1".to_owned()]);
    assert_eq!(following.lists(), 1);
    drop((silent, last));
}

#[tokio::test]
async fn a_credential_that_may_not_read_secrets_is_said_and_tried_again() {
    let script = Script::default();
    let forbidden = || Reply::status(403, "application/json", "{\"kind\":\"Status\",\"message\":\"canary-of-a-body\"}");
    script.list(forbidden()).list(forbidden());
    let following = Following::new(&script, limits()).await;
    let is_said = |it: &Following| it.world.gateway.values.troubles().iter().any(|line| line.contains("ClusterRole"));
    following.until("it is said", is_said).await;
    assert!(following.world.gateway.values.of("shop").is_none());
    script.secrets("1", &[secret("a", FIRST)]);
    let events = script.watch();
    following.until("it is known once it may be read", |it| it.knows(FIRST)).await;
    following.until("and nothing more is said", |it| it.world.gateway.values.troubles().is_empty()).await;
    // What is known stays known while the cluster is out of reach.
    script.watches.lock().unwrap().extend((0..3).map(|_| Reply::status(500, "application/json", "{}")));
    say(&events, "ADDED", &secret("b", "short")).await;
    drop(events);
    following.until("it fails", |it| it.watches().len() >= 4).await;
    assert!(following.knows(FIRST));
    let troubles = following.world.gateway.values.troubles();
    assert_eq!(troubles, ["known values of shop are kept as they were: the cluster answers HTTP 500"]);
    let left_out = "lockgate_known_values_left_out{cluster=\"shop\",reason=\"short\"} 1";
    following.until("it is counted", |it| it.world.gateway.metrics.text().unwrap().contains(left_out)).await;
    let metrics = following.world.gateway.metrics.text().unwrap();
    assert!(!metrics.contains("known_values_errors_total{cluster=\"shop\"} 0"), "{metrics}");
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_read() {
    let script = Script::default();
    script.secrets("1", &[secret("a", FIRST)]);
    let api = {
        let script = script.clone();
        ApiServer::new(Protocol::Http1, move |seen| script.answer(&seen))
    };
    let world = World::new(POLICY, api, Limits::default()).await;
    world.faults.fail();
    let stop = CancellationToken::new();
    let task = tokio::spawn(follow(Arc::clone(&world.gateway), world.own_upstream(), limits(), stop.clone()));
    let following = Following { world, task, stop };
    let is_said = |it: &Following| it.world.gateway.values.troubles().iter().any(|line| line.contains("audit log"));
    following.until("it is said", is_said).await;
    assert_eq!(following.targets(), Vec::<String>::new());
    following.world.faults.set(Mode::Pass);
    following.until("it is read once it can be written down", |it| it.knows(FIRST)).await;
}

#[tokio::test]
async fn many_values_get_a_new_one_at_once() {
    let script = Script::default();
    let many: Vec<Value> =
        (0..600).map(|index| secret(&format!("s{index}"), &format!("xK9-{index:04}-Qw7Z-{}", index * 7919))).collect();
    script.secrets("1", &many);
    let events = script.watch();
    let retired = Duration::from_millis(50);
    let following = Following::new(&script, FollowLimits { retired, ..limits() }).await;
    following.until("the list is known", |it| it.knows("xK9-0599-Qw7Z-4743481")).await;
    let base = following.world.gateway.values.of("shop").unwrap();
    say(&events, "ADDED", &secret("new", FIRST)).await;
    following.until("the new one is known", |it| it.knows(FIRST)).await;
    say(&events, "MODIFIED", &secret("new", SECOND)).await;
    following.until("the newer one is known, the older one forgotten", |it| it.knows(SECOND) && !it.knows(FIRST)).await;
    let layered = following.world.gateway.values.of("shop").unwrap();
    assert_eq!((base.len(), layered.len()), (600, 601), "the many stayed as they were");
}
