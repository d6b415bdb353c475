//! A stream of text. However it is cut, as many bytes come out as go in, the same ones; no known value is left in them in
//! a spelling that a plain search finds; what waits is bounded; and letting go while idle gives no more away than it says.

use std::sync::{Arc, LazyLock};

use lockgate_wire::mask::{KnownValues, Scan, TextLimits, TextMasker, ValueLabel, ValueLimits};

/// Values that begin, end and hold each other, and some that need escapes.
const VALUES: [&str; 6] = [
    "Zr8Kw2Lx9Vb4Nt6Q",
    "4Nt6Q-Hs7Jd5Pw3f",
    "k7Qx$k7Qwx",
    "x$k7Qwx-k7Qx$k7Q",
    "p\"ss <w\u{f6}rd>&\\ 1",
    "{\"password\": \"Tr0ub4dor&3-in-a-file\"}",
];

/// What may wait on account of detectors: a URL's authority is the longest.
const DETECTOR_BYTES_MAX: usize = 512;

/// A released beginning has under five bytes.
const IDLE_BYTES_MAX: usize = 5;

static KNOWN: LazyLock<Arc<KnownValues>> = LazyLock::new(|| {
    let mut builder = KnownValues::builder(ValueLimits::default());
    for value in VALUES {
        let label = ValueLabel { namespace: "shop".into(), secret: "db".into(), key: "password".into() };
        builder.add(label, value.as_bytes());
    }
    Arc::new(builder.build().0)
});

/// The first byte is how long the pieces are, the rest is the text.
pub fn run(data: &[u8]) {
    let Some((&size, text)) = data.split_first() else { return };
    let scan = Scan { values: Some(Arc::clone(&KNOWN)), detectors: true };
    let expected = whole(&scan, text);
    for size in [usize::from(size) + 1, 1, text.len().max(1)] {
        let limits = TextLimits { piece_bytes_max: size.max(7) };
        let mut masker = TextMasker::new(scan.clone(), limits);
        let mut output = Vec::new();
        for piece in text.chunks(size) {
            masker.push(piece, &mut output);
            let most = KNOWN.longest_spelling_bytes() + DETECTOR_BYTES_MAX;
            assert!(masker.withheld_bytes() <= most, "{} bytes wait", masker.withheld_bytes());
        }
        masker.finish(&mut output);
        assert!(output == expected, "{}\n{}", show(&output), show(&expected));
    }
    for value in &VALUES[..5] {
        for spelled in [value.as_bytes().to_vec(), hex(value), value.replace('"', "\\\"").into_bytes()] {
            let is_spelled = spelled == value.as_bytes() || !value.contains('\\');
            assert!(!is_spelled || !holds(&expected, &spelled), "{value} is left in {}", show(&expected));
        }
    }
    interactive(&scan, text, &expected);
}

/// Idle after each byte: what differs from the masked text was let go at the beginning of a secret.
fn interactive(scan: &Scan, text: &[u8], expected: &[u8]) {
    let mut masker = TextMasker::new(scan.clone(), TextLimits::default());
    let mut output = Vec::new();
    for byte in text {
        masker.push(std::slice::from_ref(byte), &mut output);
        masker.idle(&mut output);
    }
    masker.finish(&mut output);
    assert_eq!(output.len(), text.len());
    let mut run = 0;
    for ((&came, &masked), &was) in output.iter().zip(expected).zip(text) {
        assert!(came == was || came == masked);
        assert!(came != was || masked == was || masked == b'*');
        // A value inside another one may let go a beginning of its own.
        run = if came == masked { 0 } else { run + 1 };
        assert!(run < VALUES.len() * IDLE_BYTES_MAX, "{}", show(&output));
    }
}

fn whole(scan: &Scan, text: &[u8]) -> Vec<u8> {
    let mut hits = Vec::new();
    scan.find(text, &mut hits);
    let mut masked = text.to_vec();
    for hit in hits {
        let secret = &mut masked[hit.start..hit.end];
        secret.iter_mut().filter(|byte| !matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b'*');
    }
    masked
}

fn hex(value: &str) -> Vec<u8> {
    value.bytes().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
