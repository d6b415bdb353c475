//! The filter against passing the same bytes on untouched (the copy that a proxy makes anyway), in one run.
//!
//! `cargo bench -p lockgate-wire --bench filter` prints both; the ratio is the figure that counts.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lockgate_wire::filter::{Filter, FilterLimits, Form, Item, Reads, Verdict};

const ITEMS: usize = 1000;
const PIECE_BYTES: usize = 32 * 1024;

/// Pods as a Deployment makes them, some 6 KB each.
fn pods() -> impl Iterator<Item = String> {
    (0..ITEMS).map(|index| include_str!("pod.json").trim_end().replace("INDEX", &format!("{index:05}")))
}

fn list() -> String {
    let items: Vec<String> = pods().collect();
    format!(
        "{{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{{\"resourceVersion\":\"1000\"}},\"items\":[{}]}}\n",
        items.join(",")
    )
}

fn events() -> String {
    pods().map(|pod| format!("{{\"type\":\"ADDED\",\"object\":{pod}}}\n")).collect()
}

/// Rows as a Table with metadata has them: mostly head.
fn table() -> String {
    let row = |index: usize| {
        format!(
            r#"{{"cells":["web-5d4f8c7b9-{index:05}","1/1","Running","0","5d","10.0.0.1","node-1","<none>","<none>"],"object":{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{{"name":"web-5d4f8c7b9-{index:05}","generateName":"web-5d4f8c7b9-","namespace":"shop","uid":"0b1b1f7e-7d0c-4d53-9f9c-{index:012}","resourceVersion":"123456","creationTimestamp":"2026-01-02T03:04:05Z","labels":{{"app":"web","pod-template-hash":"5d4f8c7b9"}},"ownerReferences":[{{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-5d4f8c7b9","uid":"3e3c7f0a-0f4b-4f39-8a43-5a4b2f3c1d2e","controller":true,"blockOwnerDeletion":true}}]}}}}}}"#
        )
    };
    let rows: Vec<String> = (0..ITEMS * 4).map(row).collect();
    format!(
        "{{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{{\"resourceVersion\":\"1000\"}},\"columnDefinitions\":[],\"rows\":[{}]}}\n",
        rows.join(",")
    )
}

fn filter(form: Form, reads: Reads, shows: fn(&str) -> bool, input: &[u8], output: &mut Vec<u8>) -> u64 {
    let mut filter = Filter::new(form, reads, FilterLimits::default());
    let mut judge = |item: &Item<'_>| if shows(item.name) { Verdict::Show } else { Verdict::Hide };
    for piece in input.chunks(PIECE_BYTES) {
        output.clear();
        filter.push(piece, &mut judge, output).unwrap();
        black_box(&output);
    }
    filter.finish().unwrap().shown
}

fn pass(input: &[u8], output: &mut Vec<u8>) {
    for piece in input.chunks(PIECE_BYTES) {
        output.clear();
        output.extend_from_slice(piece);
        black_box(&output);
    }
}

fn bench(criterion: &mut Criterion) {
    let answers =
        [("PodList", Form::List, list()), ("Table", Form::List, table()), ("watch of pods", Form::Events, events())];
    let some: fn(&str) -> bool = |name| name.ends_with("00");
    for (name, form, text) in answers {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10).throughput(Throughput::Bytes(text.len() as u64));
        let text = text.as_bytes();
        let mut output = Vec::new();
        group.bench_function("pass on", |bencher| bencher.iter(|| pass(text, &mut output)));
        for (what, reads, shows) in [
            ("all shown", Reads::Head, (|_| true) as fn(&str) -> bool),
            ("one in a hundred shown", Reads::Head, some),
            ("one in a hundred shown, read whole", Reads::Object, some),
        ] {
            group.bench_function(what, |bencher| bencher.iter(|| filter(form, reads, shows, text, &mut output)));
        }
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
