//! Durable calls per second: arrival, verdict and dispatch in one commit, then the close, as the gateway writes them.
//!
//! `cargo bench -p lockgate-store --bench append` (a release build; on the disk that `TMPDIR` names, so point it at the one
//! that matters). Elements are events: four a call. One sample is one call of each writer.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "bench")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lockgate_core::{Arrival, Decision, Effect, Obligations, Options, Origin, RequestFacts, ResponseFacts, Source};
use lockgate_store::{CanonicalRequest, RequestBody, Store, SystemClock, admit};
use testkit::store::TemporaryDirectory;

const EVENTS_PER_CALL: u64 = 4;

async fn one_call(store: &Store, decision: &Decision) {
    let arrival = Arrival {
        origin: Origin::Http,
        parent_id: None,
        subject: None,
        source: Source { ip: [127, 0, 0, 1].into(), user_agent: "kubectl/v1.36.0 (linux/amd64)".into() },
        cluster: "shop".into(),
        method: "GET".into(),
        request_uri: "/clusters/shop/api/v1/namespaces/shop/pods?limit=500".into(),
        action: None,
        options: Options::default(),
        request: RequestFacts::default(),
    };
    let mut call = store.call(store.new_audit_id(), arrival);
    call.decided(decision);
    let request = CanonicalRequest {
        method: http::Method::GET,
        target: "/api/v1/namespaces/shop/pods?limit=500".into(),
        headers: http::HeaderMap::new(),
        body: RequestBody::empty(),
    };
    let ticket = call.open(admit(decision, None).unwrap(), request, "agent:a".into()).await.unwrap();
    ticket
        .into_parts()
        .1
        .close(200, ResponseFacts { status: 200, bytes: 1, ..ResponseFacts::default() })
        .await
        .unwrap();
}

async fn calls(store: &Store, writers: u64, rounds: u64) -> Duration {
    let decision = Decision {
        effect: Effect::Allow,
        rule: Some("read".into()),
        policy_revision: "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef".into(),
        reasons: vec!["rule read allows it".into()],
        obligations: Obligations::default(),
        terms: None,
        message: None,
    };
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..writers {
        let (store, decision) = (store.clone(), decision.clone());
        tasks.spawn(async move {
            for _ in 0..rounds {
                one_call(&store, &decision).await;
            }
        });
    }
    tasks.join_all().await;
    begun.elapsed()
}

fn durable_events(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let directory = TemporaryDirectory::new();
    let store = runtime
        .block_on(Store::open_directory(directory.path(), Arc::new(SystemClock), "bench".into()))
        .expect("the store opens");
    let mut group = criterion.benchmark_group("durable events");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for writers in [1, 64] {
        group.throughput(Throughput::Elements(writers * EVENTS_PER_CALL));
        group.bench_function(format!("{writers} writers"), |bencher| {
            bencher.iter_custom(|rounds| runtime.block_on(calls(&store, writers, rounds)));
        });
    }
    group.finish();
    runtime.block_on(store.shutdown()).unwrap();
}

criterion_group!(benches, durable_events);
criterion_main!(benches);
