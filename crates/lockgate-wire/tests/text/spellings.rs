//! A known value is found however it is spelled, and what is left of it does not tell.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::{known, mask, scan, show};
use lockgate_wire::mask::Scan;

const VALUES: [&[u8]; 4] =
    [b"Zr8Kw2Lx9Vb4Nt6Qm1Hs", b"p\"ss <w\xc3\xb6rd>&\\ 1\n2", b"\x00\x01\xfe\xff\x80 binary \x7f\x1b", b"Tr0ub4dor&3"];

fn percent(value: &[u8], kept: &[u8], plus: bool, lower: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for &byte in value {
        match byte {
            b' ' if plus => out.push(b'+'),
            _ if byte.is_ascii_alphanumeric() || kept.contains(&byte) => out.push(byte),
            _ if lower => out.extend(format!("%{byte:02x}").bytes()),
            _ => out.extend(format!("%{byte:02X}").bytes()),
        }
    }
    out
}

#[test]
fn every_spelling_is_masked_whole() {
    let scan = Scan { values: Some(known(&VALUES)), detectors: false };
    for value in VALUES {
        let hex = |upper: bool| {
            let digits = value.iter().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
            digits.collect::<String>().into_bytes()
        };
        let mut spelled = vec![value.to_vec(), hex(false), hex(true)];
        for lower in [false, true] {
            spelled.push(percent(value, b"-_.~", false, lower));
            spelled.push(percent(value, b"-_.~", true, lower));
            spelled.push(percent(value, b"-_.*", true, lower));
            spelled.push(percent(value, b"-_.~!'()*", false, lower));
        }
        if let Ok(text) = std::str::from_utf8(value) {
            let json = serde_json::to_string(text).unwrap();
            let twice = serde_json::to_string(&json).unwrap();
            spelled.push(json.as_bytes()[1..json.len() - 1].to_vec());
            spelled.push(twice.as_bytes()[3..twice.len() - 3].to_vec());
        }
        for spelled in spelled {
            let masked = mask(&scan, &[b"> ".as_slice(), &spelled, b" <"].concat());
            let rest = masked.strip_prefix("> ").and_then(|rest| rest.strip_suffix(" <")).unwrap();
            assert!(rest.chars().all(|character| matches!(character, '*' | '\n')), "{} {masked}", show(&spelled));
        }
    }
}

#[test]
fn base64_at_each_alignment_leaves_no_whole_byte() {
    let scan = Scan { values: Some(known(&VALUES)), detectors: false };
    for value in VALUES {
        for before in 0..5 {
            for behind in 0..4 {
                let text = [&b"user:"[..before], value, &b"tail"[..behind]].concat();
                for encoded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    let masked = mask(&scan, encoded.as_bytes());
                    // A character that shares bits with a neighbour stays: one at each end, four bits of the value.
                    let first = before * 8 / 6;
                    let last = ((before + value.len()) * 8).div_ceil(6);
                    let left = masked[first..last].bytes().filter(|byte| *byte != b'*').count();
                    assert!(left <= 2, "{masked}");
                }
            }
        }
    }
}

#[test]
fn a_document_keeps_its_braces_and_loses_its_password() {
    let document = "{\n  \"user\": \"app\",\n  \"password\": \"Zr8Kw2Lx9Vb4Nt6Qm1Hs3Jd5\",\n  \"pin\": 1\n}\n";
    let scan = Scan { values: Some(known(&[document.as_bytes()])), detectors: false };
    let log = "{\"n\": 1, \"ok\": true}\ncounter 1 2 3 true\nconnecting with Zr8Kw2Lx9Vb4Nt6Qm1Hs3Jd5\n";
    let expected = "{\"n\": 1, \"ok\": true}\ncounter 1 2 3 true\nconnecting with ************************\n";
    assert_eq!(mask(&scan, log.as_bytes()), expected);
    assert_eq!(mask(&scan, document.as_bytes()), document.replace("Zr8Kw2Lx9Vb4Nt6Qm1Hs3Jd5", &"*".repeat(24)));
}

#[test]
fn lines_of_a_text_are_found_by_themselves() {
    let key = "-----BEGIN DATA-----\nMIIEvgIBADANBgkqhkiG9w0B\nAQEFAASCBKgwggSkAgEAAoIB\n-----END DATA-----\n";
    let scan = Scan { values: Some(known(&[key.as_bytes()])), detectors: false };
    let log = "stdout F   MIIEvgIBADANBgkqhkiG9w0B\nstdout F   AQEFAASCBKgwggSkAgEAAoIB\n";
    assert_eq!(
        mask(&scan, log.as_bytes()),
        "stdout F   ************************\nstdout F   ************************\n"
    );
}

#[test]
fn hits_say_whose_value_it_is() {
    let values = known(&[b"Zr8Kw2Lx9Vb4Nt6Qm1Hs", b"Tr0ub4dor&3"]);
    let scan = Scan { values: Some(values.clone()), detectors: true };
    let mut hits = Vec::new();
    scan.find(b"x Tr0ub4dor&3 password=hunter22", &mut hits);
    let names: Vec<String> = hits.iter().map(|hit| hit.reason.to_string()).collect();
    assert_eq!(names, ["known-value", "password"]);
    let lockgate_wire::mask::HitReason::Value(id) = hits[0].reason else { panic!("{hits:?}") };
    assert_eq!(values.label(id).unwrap().key, "value-1");
}

#[test]
fn masking_twice_changes_nothing_more() {
    let scan = scan(&VALUES);
    let pem = "-----BEGIN PRIVATE KEY-----\nMIIEvgIBADANBgkqhkiG9w0B\n-----END PRIVATE KEY-----\nafter";
    for text in ["password=hunter22 Zr8Kw2Lx9Vb4Nt6Qm1Hs postgres://a:bcdef@h/x", pem, &pem.replace('\n', "\\n")] {
        let once = mask(&scan, text.as_bytes());
        assert_ne!(once, text);
        assert_eq!(mask(&scan, once.as_bytes()), once);
    }
}
