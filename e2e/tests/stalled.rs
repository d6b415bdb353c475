//! A thousand watches and fifty readers that have stopped reading do not make a GET slow.
//!
//! Two gateways of the same configuration stand side by side: one is loaded, one is idle. GETs go to both in turn, so that
//! whatever else the machine does strikes both alike, and only the ratio of their p99 is looked at. A p99 of a few hundred
//! calls hangs on a handful of them; so a measurement that misses is repeated, at most twice, the load staying as it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use e2e::standalone::{
    Certificate, Client, Connection, Directory, Gateway, Issuer, Protocol, Server, Settings, chunks, whole,
};
use e2e::{until, within};
use futures_util::StreamExt;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::time::Instant;

const WATCHES: usize = 1_000;
const STALLED: usize = 50;
/// On one HTTP/2 connection of a client.
const WATCHES_PER_CONNECTION: usize = 100;
const GETS: usize = 500;
const MEASUREMENTS: usize = 3;
const RATIO_MAX: f64 = 2.0;
/// What a shell or a service gets where nobody asked for more.
const OPEN_FILES: u32 = 1_024;

const POD: &str =
    r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"shop"},"spec":{"nodeName":"n"}}"#;

const LIST: &str = r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":["#;
/// Nothing is taken for so long: every buffer on the way is full.
const QUIET: Duration = Duration::from_secs(2);

/// How the API server answers, and what it knows of it.
struct Api {
    event: watch::Sender<u32>,
    watching: AtomicUsize,
    /// Chunks of endless lists that were taken.
    taken: AtomicUsize,
}

/// One event for every change of `event`, for ever.
fn watch_body(api: &Arc<Api>) -> e2e::standalone::Body {
    api.watching.fetch_add(1, Ordering::SeqCst);
    let mut event = api.event.subscribe();
    event.mark_unchanged();
    chunks(futures_util::stream::unfold(event, |mut event| async move {
        event.changed().await.ok()?;
        let number = *event.borrow_and_update();
        let line = format!(
            "{{\"type\":\"MODIFIED\",\"object\":{{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{{\"name\":\"event-{number}\"}}}}}}\n"
        );
        Some((Bytes::from(line), event))
    }))
}

/// A list or a log that has no end.
fn endless_body(api: &Arc<Api>, head: &'static str, rest: &str) -> e2e::standalone::Body {
    let api = Arc::clone(api);
    let rest: Bytes = rest.repeat(16_384 / rest.len()).into();
    let rest = futures_util::stream::repeat(rest).inspect(move |_| {
        api.taken.fetch_add(1, Ordering::SeqCst);
    });
    chunks(futures_util::stream::once(std::future::ready(Bytes::from(head))).chain(rest))
}

struct World {
    api: Arc<Api>,
    loaded: Gateway,
    idle: Gateway,
    client: Client,
    idle_client: Client,
    _servers: (Server, Issuer),
    _directories: [Directory; 2],
}

async fn world() -> World {
    let (directories, certificate) = ([(); 2].map(|()| Directory::new("stalled")), Certificate::new());
    let api = Api { event: watch::Sender::new(0), watching: AtomicUsize::new(0), taken: AtomicUsize::new(0) };
    let api = Arc::new(api);
    let script = Arc::clone(&api);
    let server = Server::start(&certificate, move |head, _body| {
        let (kind, body) = match (head.uri.query(), head.uri.path()) {
            (Some(query), _) if query.contains("watch") => ("application/json", watch_body(&script)),
            (_, path) if path.ends_with("/log") => ("text/plain", endless_body(&script, "", "a line of the log\n")),
            (_, path) if path.ends_with("/pods") => {
                ("application/json", endless_body(&script, LIST, &format!("{POD},")))
            }
            _ => ("application/json", whole(POD)),
        };
        Response::builder().header("content-type", kind).body(body).unwrap()
    })
    .await;
    let issuer = Issuer::start(&certificate).await;
    let start = async |directory: &Directory| {
        let mut settings = Settings::new(directory.path(), &certificate, &issuer, &server.url());
        settings.open_files = Some(OPEN_FILES);
        Gateway::start(directory.path(), settings).await
    };
    let (loaded, idle) = (start(&directories[0]).await, start(&directories[1]).await);
    let token = issuer.agent(&["deployers".to_owned()]);
    let (client, idle_client) =
        (loaded.client(&certificate.certificate, &token), idle.client(&certificate.certificate, &token));
    World { api, loaded, idle, client, idle_client, _servers: (server, issuer), _directories: directories }
}

/// Opens all watches, a hundred on each connection.
async fn open_watches(world: &World) -> Vec<Incoming> {
    let mut watches = Vec::new();
    for _ in 0..WATCHES / WATCHES_PER_CONNECTION {
        let mut connection = world.client.connect(Protocol::Http2).await.unwrap();
        for _ in 0..WATCHES_PER_CONNECTION {
            let opened = connection.open("GET", "/api/v1/namespaces/shop/pods?watch=1", b"");
            let answer = within("a watch opens", opened).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "watch {}: {}", watches.len(), world.loaded.log());
            watches.push(answer.into_body());
        }
    }
    until("the API server has all watches", || async {
        (world.api.watching.load(Ordering::SeqCst) == WATCHES).then_some(())
    })
    .await;
    watches
}

/// Asks for what has no end and does not read it: lists as streams of one connection, logs over connections of their own.
async fn stall(world: &World) -> Vec<(Incoming, Option<Connection>)> {
    let mut client = world.client.clone();
    client.receive_buffer = Some(16 * 1024);
    let mut shared = client.connect(Protocol::Http2).await.unwrap();
    let mut stalled = Vec::new();
    for number in 0..STALLED {
        if number % 2 == 0 {
            let path = "/api/v1/namespaces/shop/pods";
            let answer = within("a list begins", shared.open("GET", path, b"")).await.unwrap();
            stalled.push((answer.into_body(), None));
        } else {
            let mut own = client.connect(Protocol::Http1).await.unwrap();
            let path = "/api/v1/namespaces/shop/pods/p/log?follow=true";
            let answer = within("a log begins", own.open("GET", path, b"")).await.unwrap();
            stalled.push((answer.into_body(), Some(own)));
        }
    }
    let (mut before, mut since) = (0, Instant::now());
    until("the readers stall", || {
        let taken = world.api.taken.load(Ordering::SeqCst);
        if std::mem::replace(&mut before, taken) != taken {
            since = Instant::now();
        }
        let is_quiet = since.elapsed() >= QUIET;
        async move { is_quiet.then_some(()) }
    })
    .await;
    stalled
}

async fn get(connection: &mut Connection) -> Duration {
    let from = Instant::now();
    let answer = within("a GET", connection.send("GET", "/api/v1/namespaces/shop/pods/p", b"")).await.unwrap();
    assert_eq!(answer.0, StatusCode::OK);
    from.elapsed()
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

/// The ratio of the loaded gateway's p99 to the idle one's, measured call by call in turn.
async fn measure(world: &World) -> f64 {
    let mut loaded = world.client.connect(Protocol::Http1).await.unwrap();
    let mut idle = world.idle_client.connect(Protocol::Http1).await.unwrap();
    for connection in [&mut loaded, &mut idle] {
        for _ in 0..20 {
            get(connection).await;
        }
    }
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for number in 0..GETS {
        // Neither always comes first.
        if number % 2 == 0 {
            with.push(get(&mut loaded).await);
            without.push(get(&mut idle).await);
        } else {
            without.push(get(&mut idle).await);
            with.push(get(&mut loaded).await);
        }
    }
    let ratio = |percent, with: &mut [Duration], without: &mut [Duration]| {
        percentile(with, percent).as_secs_f64() / percentile(without, percent).as_secs_f64()
    };
    let (median, high) = (ratio(50, &mut with, &mut without), ratio(99, &mut with, &mut without));
    let p99 = (percentile(&mut with, 99), percentile(&mut without, 99));
    eprintln!(
        "GETs beside the load: p50 {median:.2} times, p99 {high:.2} times its usual ({:?} and {:?})",
        p99.0, p99.1
    );
    high
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_watches_and_fifty_stalled_readers_do_not_slow_a_get() {
    let world = world().await;
    let mut watches = open_watches(&world).await;
    let stalled = stall(&world).await;
    let taken = world.api.taken.load(Ordering::SeqCst);
    eprintln!(
        "{} watches, {} stalled; resident {} KiB, idle gateway {} KiB",
        watches.len(),
        stalled.len(),
        world.loaded.memory("VmRSS") / 1024,
        world.idle.memory("VmRSS") / 1024
    );
    let mut ratios = Vec::new();
    for _ in 0..MEASUREMENTS {
        ratios.push(measure(&world).await);
        if ratios.last().is_some_and(|ratio| *ratio <= RATIO_MAX) {
            break;
        }
    }
    assert!(ratios.last().is_some_and(|ratio| *ratio <= RATIO_MAX), "p99 beside the load, times its usual: {ratios:?}");
    // The load was there all the time: a chunk here or there at most was taken, and every watch lives.
    let more = world.api.taken.load(Ordering::SeqCst) - taken;
    assert!(more <= STALLED, "the stalled readers read on: {more} chunks");
    world.api.event.send_replace(1);
    for watch in &mut watches {
        let mut text = Vec::new();
        while !text.ends_with(b"}\n") {
            let frame = within("the event on every watch", watch.frame()).await.expect("an open watch").unwrap();
            text.extend_from_slice(frame.data_ref().unwrap());
        }
        assert!(String::from_utf8_lossy(&text).contains("event-1"));
    }
    drop(stalled);
}
