//! A masked stream costs the same memory whatever its size. In a process of its own, so that nothing else grows.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![cfg(target_os = "linux")]

use lockgate_wire::mask::{MaskLimits, MaskPlan, Masker};

const STREAM_BYTES: usize = 64 * 1024 * 1024;
const GROWTH_BYTES_MAX: usize = 4 * 1024 * 1024;

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// A SecretList that never is in memory as a whole: values, an annotation, set values, and things that pass.
#[test]
fn a_long_list_grows_nothing() {
    let value = "QUJD".repeat(8 * 1024);
    let item = format!(
        "{{\"metadata\":{{\"name\":\"a\",\"annotations\":{{\"kubectl.kubernetes.io/last-applied-configuration\":\
         \"{{\\\"data\\\":{{\\\"k\\\":\\\"{value}\\\"}},\\\"kind\\\":\\\"Secret\\\"}}\",\"note\":\"{value}\"}},\
         \"managedFields\":[{{\"fieldsV1\":{{\"f:x\":{{\"v:\\\"{value}\\\"\":{{}}}}}}}}]}},\
         \"data\":{{\"k\":\"{value}\",\"l\":[\"{value}\"]}},\"type\":\"Opaque\"}},"
    );
    let mut masker = Masker::new(MaskPlan::for_resource("", "secrets", false), MaskLimits::default());
    let mut output = Vec::new();
    let mut push = |bytes: &[u8]| {
        for piece in bytes.chunks(16 * 1024) {
            output.clear();
            masker.push(piece, &mut output).unwrap();
            assert!(output.len() < 64 * 1024, "{} bytes at once", output.len());
        }
    };
    push(b"{\"kind\":\"SecretList\",\"items\":[");
    push(item.as_bytes());
    let before = resident_bytes();
    let items = STREAM_BYTES / item.len();
    for _ in 0..items {
        push(item.as_bytes());
    }
    push(b"{}]}");
    let grown = resident_bytes() - before;
    assert!(grown < GROWTH_BYTES_MAX, "{grown} bytes more after {STREAM_BYTES}");
    let summary = masker.finish(&mut Vec::new()).unwrap();
    assert_eq!(summary.masked, 4 * (items as u64 + 1));
}
