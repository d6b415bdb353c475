//! What it costs to read a request's head strictly before the HTTP library reads it.
//!
//! `cargo bench -p lockgate-wire --bench http1`
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lockgate_wire::http1::{HeadLimits, Inspector, Passed};

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 512 * 1024, headers_max: 200 };

/// A head as kubectl sends it, with a token of 900 characters.
fn head() -> Vec<u8> {
    let token = "eyJhbGciOiJSUzI1NiIs.".repeat(43);
    format!(
        "GET /clusters/shop/api/v1/namespaces/shop/pods?labelSelector=app%3Dweb&limit=500 HTTP/1.1\r\n\
         Host: gateway.example:8443\r\nUser-Agent: kubectl/v1.36.0 (linux/amd64) kubernetes/0123456\r\n\
         Accept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,\
         application/json\r\nAuthorization: Bearer {token}\r\nKubectl-Command: kubectl get\r\n\
         Kubectl-Session: 4f3a5c1e-1f0a-4a8e-9a51-0e2f5f1d2c3b\r\nAccept-Encoding: gzip\r\n\r\n"
    )
    .into_bytes()
}

fn inspect(criterion: &mut Criterion) {
    let head = head();
    let mut group = criterion.benchmark_group("http1");
    group.throughput(Throughput::Bytes(head.len() as u64));
    let (mut inspector, mut buffer) = (Inspector::new(LIMITS), Vec::new());
    group.bench_function("head", |bencher| {
        bencher.iter(|| {
            assert_eq!(inspector.push(black_box(&head)).unwrap(), Passed::Head(head.len()));
            inspector.swap_head(&mut buffer);
            black_box(&buffer);
        });
    });
    let begin = b"PUT /clusters/shop/api/v1/namespaces/a/configmaps/b HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n";
    inspector.push(begin).unwrap();
    inspector.swap_head(&mut buffer);
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    group.throughput(Throughput::Bytes(chunk.len() as u64));
    group.bench_function("chunk of 32 KiB", |bencher| {
        bencher.iter(|| assert_eq!(inspector.push(black_box(chunk.as_bytes())).unwrap(), Passed::Body(chunk.len())));
    });
    group.finish();
}

criterion_group!(benches, inspect);
criterion_main!(benches);
