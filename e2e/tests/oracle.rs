//! What a request is, Lockgate and the API server say with the same words: thousands of requests through a gateway, and for each of them
//! the `action` of Lockgate's record equals verb and `objectRef` of the event with the same `Audit-ID` in the cluster's own log, on the
//! current release of Kubernetes and on an older one. What may differ is listed with its reason in `oracle/differences.VERSION.yaml`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::path::Path;
use std::sync::Arc;

use e2e::oracle::corpus::{self, corpus, not_canonical, recorded};
use e2e::oracle::{
    Differences, Release, Stand, compare_spellings, compare_twins, corrupt_protobuf_does_not_reach_the_cluster, judge,
    prepare, send,
};
use tokio::time::Instant;

/// Requests that must be in both logs.
const JOINED_MIN: usize = 5_000;
/// Objects that the API server must take in protobuf and in JSON.
const TWINS_TAKEN_MIN: usize = 60;
/// YAML bodies that the API server must take.
const SPELLINGS_TAKEN_MIN: usize = 250;

fn file(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle").join(name).to_str().unwrap().to_owned()
}

async fn the_action_is_what_the_api_server_logs(release: Release, differences: &str) {
    let stand = Stand::start(release, &[]).await;
    prepare(&stand).await;
    let resources = corpus::discover(&stand).await;
    // Before the corpus: that makes objects of the same names.
    let twins = compare_twins(&stand, &resources).await;
    eprintln!("{}: {twins}", stand.version());
    assert!(twins.faults.is_empty(), "{twins}:\n{}", twins.faults.join("\n"));
    assert!(twins.taken >= TWINS_TAKEN_MIN, "{twins}");
    let spellings = compare_spellings(&stand).await;
    eprintln!("{}: {spellings}", stand.version());
    assert!(spellings.faults.is_empty(), "{spellings}:\n{}", spellings.faults.join("\n"));
    assert!(spellings.taken >= SPELLINGS_TAKEN_MIN, "{spellings}");
    corrupt_protobuf_does_not_reach_the_cluster(&stand).await;
    let asked = corpus(&resources);
    let canonical = asked.len();
    let calls = Arc::new([asked, not_canonical()].concat());
    let from = Instant::now();
    let statuses = send(&stand, &calls).await;
    let took = from.elapsed();
    let (records, events) = stand.logs().await;
    let differences = Differences::read(&std::fs::read_to_string(file(differences)).unwrap());
    let judgement = judge(&calls, &statuses, &records, &events, &differences);
    eprintln!("{}: {} requests sent in {took:?}, {judgement}", stand.version(), calls.len());
    judgement.assert_faultless();
    let refused = judgement.refused_among(&calls, ..recorded().len());
    assert!(refused.is_empty(), "requests of real clients that the gateway refused: {refused:#?}");
    assert!(judgement.joined_total() >= JOINED_MIN, "{} of {canonical} requests joined", judgement.joined_total());
    let refused = judgement.refused_among(&calls, canonical..).len();
    assert_eq!(refused, calls.len() - canonical, "requests with two readings that the gateway refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_current_api_server_reads_requests_as_lockgate_does() {
    the_action_is_what_the_api_server_logs(Release::Current, "differences.v1.36.yaml").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_api_server_reads_requests_as_lockgate_does() {
    the_action_is_what_the_api_server_logs(Release::Older, "differences.v1.33.yaml").await;
}
