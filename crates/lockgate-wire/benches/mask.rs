//! The masker against a `serde_json::Value` round trip, on answers as Go writes them.
//!
//! `cargo bench -p lockgate-wire --bench mask` prints both; the ratio is the figure that counts.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lockgate_wire::mask::{
    FindSecrets, KnownValues, MaskLimits, MaskPlan, Masker, Profile, Scan, ValueLabel, ValueLimits,
};

const ITEMS: usize = 1000;
const PIECE_BYTES: usize = 32 * 1024;

/// Base64-looking text of `length` characters that differs from item to item.
fn base64ish(seed: usize, length: usize) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = seed as u64 * 0x9e37_79b9_7f4a_7c15 + 1;
    let character = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(*alphabet.get((state >> 58) as usize).unwrap())
    };
    (0..length).map(character).collect()
}

fn managed_fields(fields: &str) -> String {
    format!(
        r#""managedFields":[{{"manager":"kubectl-client-side-apply","operation":"Update","apiVersion":"v1","time":"2026-08-01T10:00:00Z","fieldsType":"FieldsV1","fieldsV1":{fields}}}]"#
    )
}

/// Secrets of one to four values of 24 to 1,704 characters; one in four was applied by kubectl.
fn secret_list() -> String {
    let secret = |index: usize| {
        let values: Vec<(String, String)> = (0..=index % 4)
            .map(|key| (format!("key-{key}.txt"), base64ish(index * 4 + key, 24 + (index * 7 + key) % 16 * 112)))
            .collect();
        let data: Vec<String> = values.iter().map(|(key, value)| format!("\"{key}\":\"{value}\"")).collect();
        let data = data.join(",");
        let fields: Vec<String> = values.iter().map(|(key, _)| format!("\"f:{key}\":{{}}")).collect();
        let fields = managed_fields(&format!(r#"{{"f:data":{{".":{{}},{}}},"f:type":{{}}}}"#, fields.join(",")));
        let applied = if index.is_multiple_of(4) {
            let text = format!(
                "{{\"apiVersion\":\"v1\",\"data\":{{{data}}},\"kind\":\"Secret\",\"metadata\":{{\"annotations\":{{}},\"name\":\"secret-{index}\",\"namespace\":\"shop\"}}}}\n"
            );
            let text = serde_json::to_string(&text).unwrap();
            format!("\"annotations\":{{\"kubectl.kubernetes.io/last-applied-configuration\":{text}}},")
        } else {
            String::new()
        };
        format!(
            r#"{{"metadata":{{"name":"secret-{index}","namespace":"shop","uid":"0f0b7a51-4b5e-4a0e-9a53-{index:012}","resourceVersion":"{index}","creationTimestamp":"2026-08-01T10:00:00Z","labels":{{"app.kubernetes.io/name":"shop"}},{applied}{fields}}},"data":{{{data}}},"type":"Opaque"}}"#
        )
    };
    let items: Vec<String> = (0..ITEMS).map(secret).collect();
    format!(
        "{{\"kind\":\"SecretList\",\"apiVersion\":\"v1\",\"metadata\":{{\"resourceVersion\":\"1000\"}},\"items\":[{}]}}\n",
        items.join(",")
    )
}

/// Pods as a Deployment makes them, some 6 KB each.
fn pod_list() -> String {
    let pod = |index: usize| include_str!("pod.json").replace("INDEX", &format!("{index:05}"));
    let items: Vec<String> = (0..ITEMS).map(pod).map(|pod| pod.trim_end().to_owned()).collect();
    format!(
        "{{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{{\"resourceVersion\":\"1000\"}},\"items\":[{}]}}\n",
        items.join(",")
    )
}

/// 10,000 known values and the detectors.
fn finder() -> Arc<dyn FindSecrets> {
    let mut builder = KnownValues::builder(ValueLimits::default());
    for index in 0..10_000 {
        let label = ValueLabel { namespace: "shop".into(), secret: format!("db-{index}"), key: "password".into() };
        builder.add(label, base64ish(index + 1_000_000, 16 + index % 48).as_bytes());
    }
    Arc::new(Scan { values: Some(Arc::new(builder.build().0)), detectors: true })
}

fn mask(plan: MaskPlan, input: &[u8], output: &mut Vec<u8>) -> u64 {
    run(Masker::new(plan, MaskLimits::default()), input, output)
}

fn run(mut masker: Masker, input: &[u8], output: &mut Vec<u8>) -> u64 {
    for piece in input.chunks(PIECE_BYTES) {
        output.clear();
        masker.push(piece, output).unwrap();
        black_box(&output);
    }
    masker.finish(output).unwrap().masked
}

fn round_trip(input: &[u8], output: &mut Vec<u8>) {
    output.clear();
    let value: serde_json::Value = serde_json::from_slice(input).unwrap();
    serde_json::to_writer(output, &value).unwrap();
}

fn bench(criterion: &mut Criterion) {
    let answers = [
        ("SecretList", MaskPlan::for_resource("", "secrets", false, Profile::Strict), secret_list()),
        ("PodList", MaskPlan::for_resource("", "pods", false, Profile::Strict), pod_list()),
        ("PodList, balanced", MaskPlan::for_resource("", "pods", false, Profile::Balanced), pod_list()),
        ("PodList, Secrets only", MaskPlan::for_resource("", "pods", false, Profile::Secrets), pod_list()),
        ("PodList as custom", MaskPlan::for_resource("example.com", "widgets", false, Profile::Strict), pod_list()),
    ];
    let finder = finder();
    for (name, plan, text) in answers {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10).throughput(Throughput::Bytes(text.len() as u64));
        let mut output = Vec::new();
        group.bench_function("mask", |bencher| bencher.iter(|| mask(plan, text.as_bytes(), &mut output)));
        let mut output = Vec::new();
        let searching = || Masker::new(plan, MaskLimits::default()).searched_by(Arc::clone(&finder));
        group.bench_function("mask and search", |bencher| {
            bencher.iter(|| run(searching(), text.as_bytes(), &mut output));
        });
        let mut output = Vec::new();
        group.bench_function("serde_json", |bencher| bencher.iter(|| round_trip(text.as_bytes(), &mut output)));
        group.finish();
    }
    let small =
        secret_list().split_inclusive("\"type\":\"Opaque\"}").nth(2).unwrap().trim_start_matches(',').to_owned();
    let mut output = Vec::new();
    criterion.bench_function(&format!("one secret of {} bytes", small.len()), |bencher| {
        bencher
            .iter(|| mask(MaskPlan::for_resource("", "secrets", false, Profile::Strict), small.as_bytes(), &mut output))
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
