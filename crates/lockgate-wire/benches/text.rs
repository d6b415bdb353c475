//! The text masker: known values against Aho-Corasick's contiguous automaton, detectors against an Aho-Corasick of their
//! keywords with anchored regular expressions behind it, all at once against `memchr`, and one keystroke.
//!
//! `cargo bench -p lockgate-wire --bench text`; the ratios within one run are the figures that count.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a bench")]

use std::hint::black_box;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lockgate_wire::mask::{KnownValues, Scan, TextLimits, TextMasker, ValueLabel, ValueLimits};

const TEXT_BYTES: usize = 4 << 20;
const PIECE_BYTES: usize = 32 * 1024;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 24
    }

    fn of(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length).map(|_| char::from(alphabet[self.next() as usize % alphabet.len()])).collect()
    }
}

const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// As a cluster has them: passwords, keys in hex, connection URLs, service accounts' tokens.
fn secrets(count: usize) -> Vec<String> {
    let mut random = Random(7);
    let secret = |index: usize| match index % 5 {
        0 => random.of(ALPHANUMERIC, 20),
        1 => random.of(b"0123456789abcdef", 40),
        2 => random.of(ALPHANUMERIC, 32),
        3 => format!("postgres://app:{}@db/shop", random.of(ALPHANUMERIC, 24)),
        _ => random.of(ALPHANUMERIC, 64),
    };
    (0..count).map(secret).collect()
}

fn known(count: usize) -> Arc<KnownValues> {
    let mut builder = KnownValues::builder(ValueLimits::default());
    for value in secrets(count) {
        let label = ValueLabel { namespace: "shop".into(), secret: "db".into(), key: "value".into() };
        builder.add(label, value.as_bytes());
    }
    Arc::new(builder.build().0)
}

/// The same spellings for Aho-Corasick: raw, hex, base64 at three alignments in both alphabets.
fn spellings(count: usize) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    let spelled = |value: String| {
        let inner = value.rsplit_once('@').map(|(user, _)| user.rsplit(':').next().unwrap().to_owned());
        let value = inner.unwrap_or(value).into_bytes();
        let mut all = vec![value.clone()];
        all.push(value.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect());
        all.push(value.iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect());
        for alignment in 0..3 {
            let shifted = [&[0; 3][..alignment], &value].concat();
            let core = (alignment * 8).div_ceil(6)..shifted.len() * 8 / 6;
            all.push(STANDARD_NO_PAD.encode(&shifted).as_bytes()[core.clone()].to_vec());
            all.push(URL_SAFE_NO_PAD.encode(&shifted).as_bytes()[core].to_vec());
        }
        all
    };
    let mut all: Vec<Vec<u8>> = secrets(count).into_iter().flat_map(spelled).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Log lines as services write them.
fn logs() -> Vec<u8> {
    let mut random = Random(1);
    let mut text = String::with_capacity(TEXT_BYTES + 1024);
    while text.len() < TEXT_BYTES {
        let id = random.of(b"0123456789abcdef", 32);
        let number = random.next() % 100_000;
        text.push_str(&format!(
            "2026-08-01T10:00:00.{number:06}Z INFO request completed method=GET path=/api/v1/orders/{number} status=200 duration=12.{number}ms trace_id={id}\n\
             {{\"level\":\"info\",\"ts\":\"2026-08-01T10:00:00.{number:06}Z\",\"caller\":\"controller/controller.go:227\",\"msg\":\"Reconciled\",\"object\":\"shop/api-{number}\"}}\n\
             10.244.0.{} - - [01/Aug/2026:10:00:00 +0000] \"GET /healthz HTTP/1.1\" 200 {number} \"-\" \"kube-probe/1.36\"\n",
            number % 250
        ));
    }
    text.into_bytes()
}

fn pods() -> Vec<u8> {
    (0..TEXT_BYTES / 5800)
        .map(|index| include_str!("pod.json").replace("INDEX", &format!("{index:05}")))
        .collect::<String>()
        .into_bytes()
}

fn mask(scan: &Scan, text: &[u8], output: &mut Vec<u8>) -> u64 {
    let mut masker = TextMasker::new(scan.clone(), TextLimits::default());
    for piece in text.chunks(PIECE_BYTES) {
        output.clear();
        masker.push(piece, output);
        black_box(&output);
    }
    masker.finish(output).masked
}

fn known_values(criterion: &mut Criterion) {
    for count in [10_000, 100_000] {
        let scan = Scan { values: Some(known(count)), detectors: false };
        let automaton = AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(spellings(count));
        for (name, text) in [("logs", logs()), ("pods", pods())] {
            let mut group = criterion.benchmark_group(format!("{count} values, {name}"));
            group.sample_size(10).throughput(Throughput::Bytes(text.len() as u64));
            let mut output = Vec::new();
            group.bench_function("masker", |bencher| bencher.iter(|| mask(&scan, &text, &mut output)));
            let mut hits = Vec::new();
            group.bench_function("find", |bencher| bencher.iter(|| scan.find(black_box(&text), &mut hits)));
            if let Ok(automaton) = &automaton {
                let text = &text[..text.len() / 4];
                group.throughput(Throughput::Bytes(text.len() as u64));
                group.bench_function("aho-corasick", |bencher| bencher.iter(|| automaton.find_iter(text).count()));
            }
            group.finish();
        }
    }
}

/// What one would write first: the keywords in an automaton, and behind each an anchored expression.
struct KeywordsAndRegexes {
    automaton: AhoCorasick,
    expressions: Vec<regex::bytes::Regex>,
}

impl KeywordsAndRegexes {
    fn new() -> Self {
        let rows = [
            ("AKIA", r"^AKIA[A-Z0-9]{16}\b"),
            ("ASIA", r"^ASIA[A-Z0-9]{16}\b"),
            ("AIza", r"^AIza[\w-]{35}"),
            ("ya29.", r"^ya29\.[\w.-]{20,}"),
            ("ghp_", r"^ghp_[0-9A-Za-z]{36}"),
            ("gho_", r"^gho_[0-9A-Za-z]{36}"),
            ("ghs_", r"^ghs_[0-9A-Za-z]{36}"),
            ("github_pat_", r"^github_pat_\w{60,}"),
            ("glpat-", r"^glpat-[\w-]{20,}"),
            ("npm_", r"^npm_[0-9A-Za-z]{36}"),
            ("pypi-AgE", r"^pypi-AgE[\w-]{50,}"),
            ("xoxb-", r"^xoxb-[\w-]{20,}"),
            ("xoxp-", r"^xoxp-[\w-]{20,}"),
            ("hooks.slack.com/services/", r"^hooks\.slack\.com/services/[\w/]{30,}"),
            ("sk_live_", r"^sk_live_[0-9A-Za-z]{16,}"),
            ("sk-ant-", r"^sk-ant-[\w-]{20,}"),
            ("sk-proj-", r"^sk-proj-[\w-]{20,}"),
            ("hvs.", r"^hvs\.[\w-]{24,}"),
            ("dop_v1_", r"^dop_v1_[0-9a-f]{64}"),
            ("SG.", r"^SG\.[\w-]{22}\.[\w-]{43}"),
            ("PRIVATE KEY", r"^PRIVATE KEY(?: BLOCK)?-----"),
            ("eyJhbGciOi", r"^eyJhbGciOi[\w-]*\.[\w-]{16,}"),
            ("eyJ0eXAiOi", r"^eyJ0eXAiOi[\w-]*\.[\w-]{16,}"),
            ("://", r#"^://[^\s/?#"'@]{1,128}:[^\s/?#"']{1,128}@"#),
            ("bearer", r"(?i)^bearer[ :=]+[\w.~+/=-]{16,}"),
            ("basic ", r"(?i)^basic [\w+/=-]{8,}"),
            ("password", r#"(?i)^password["'\\]{0,3}\s?[:=]\s?["'\\]{0,3}[^\s"'&,;]{4,}"#),
            ("passwd", r#"(?i)^passwd["'\\]{0,3}\s?[:=]\s?["'\\]{0,3}[^\s"'&,;]{4,}"#),
            ("secret", r#"(?i)^secret["'\\]{0,3}\s?[:=]\s?["'\\]{0,3}[\w.~+/=-]{10,}"#),
            ("token", r#"(?i)^token["'\\]{0,3}\s?[:=]\s?["'\\]{0,3}[\w.~+/=-]{10,}"#),
            ("api_key", r#"(?i)^api_key["'\\]{0,3}\s?[:=]\s?["'\\]{0,3}[\w.~+/=-]{10,}"#),
            ("apikey", r#"(?i)^apikey["'\\]{0,3}\s?[:=]\s?["'\\]{0,3}[\w.~+/=-]{10,}"#),
            ("access_key", r#"(?i)^access_key["'\\]{0,3}\s?[:=]\s?["'\\]{0,3}[\w.~+/=-]{10,}"#),
        ];
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(rows.map(|row| row.0)).unwrap();
        let expressions = rows.map(|row| regex::bytes::RegexBuilder::new(row.1).unicode(false).build().unwrap());
        Self { automaton, expressions: expressions.into() }
    }

    fn count(&self, text: &[u8]) -> usize {
        let matches = self.automaton.find_overlapping_iter(text);
        let is_secret = |hit: &aho_corasick::Match| {
            let window = &text[hit.start()..text.len().min(hit.start() + 512)];
            self.expressions[hit.pattern().as_usize()].is_match(window)
        };
        matches.filter(is_secret).count()
    }
}

fn detectors(criterion: &mut Criterion) {
    let scan = Scan { values: None, detectors: true };
    let all = Scan { values: Some(known(10_000)), detectors: true };
    let naive = KeywordsAndRegexes::new();
    for (name, text) in [("logs", logs()), ("pods", pods())] {
        let mut group = criterion.benchmark_group(format!("detectors, {name}"));
        group.sample_size(10).throughput(Throughput::Bytes(text.len() as u64));
        let mut output = Vec::new();
        group.bench_function("masker", |bencher| bencher.iter(|| mask(&scan, &text, &mut output)));
        group.bench_function("with 10,000 values", |bencher| bencher.iter(|| mask(&all, &text, &mut output)));
        group.bench_function("keywords and expressions", |bencher| bencher.iter(|| naive.count(&text)));
        group.bench_function("memchr", |bencher| bencher.iter(|| memchr::memchr(0, black_box(&text))));
        group.finish();
    }
}

fn small(criterion: &mut Criterion) {
    let scan = Scan { values: Some(known(10_000)), detectors: true };
    let values = Scan { detectors: false, ..scan.clone() };
    let text = logs();
    for (name, scan) in [("a keystroke", &scan), ("a keystroke, values alone", &values)] {
        let mut masker = TextMasker::new(scan.clone(), TextLimits::default());
        let mut output = Vec::new();
        let mut bytes = text.iter().cycle();
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                output.clear();
                masker.push(&[*bytes.next().unwrap()], &mut output);
                masker.idle(&mut output);
            });
        });
    }
    let answer = &text[..4096];
    let mut output = Vec::new();
    criterion.bench_function("4 KiB", |bencher| bencher.iter(|| mask(&scan, answer, &mut output)));
    let mut group = criterion.benchmark_group("build");
    group.sample_size(10);
    group.bench_function("10,000 values", |bencher| bencher.iter(|| known(10_000)));
    group.finish();
}

criterion_group!(benches, known_values, detectors, small);
criterion_main!(benches);
