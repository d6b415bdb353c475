//! How much the detectors find, and how much they find that is none: over a corpus of true and false examples.

use lockgate_wire::mask::Hit;

use super::{detectors, streamed};
use lockgate_wire::mask::TextLimits;

/// Floors; the figures of the day are in the documentation's page on masking.
const PRECISION_MIN: f64 = 0.97;
const RECALL_MIN: f64 = 0.92;

/// Characters that look random and are the same on every run.
struct Characters(u64);

impl Characters {
    fn next(&mut self, alphabet: &[u8]) -> char {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(alphabet[(self.0 >> 33) as usize % alphabet.len()])
    }

    fn of(&mut self, class: &str, length: usize) -> String {
        let upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let lower = "abcdefghijklmnopqrstuvwxyz";
        let digits = "0123456789";
        let alphabet = match class {
            "alnum" => format!("{upper}{lower}{digits}"),
            "alpha" => format!("{upper}{lower}"),
            "lower" => format!("{lower}{digits}"),
            "upper" => format!("{upper}234567"),
            "digits" => digits.to_owned(),
            "hex" => "0123456789abcdef".to_owned(),
            "b64" => format!("{upper}{lower}{digits}+/"),
            "b64url" => format!("{upper}{lower}{digits}-_"),
            other => panic!("no class {other}"),
        };
        (0..length).map(|_| self.next(alphabet.as_bytes())).collect()
    }
}

/// A line's text and where its secrets are.
fn expand(line: &str, characters: &mut Characters) -> (String, Vec<(usize, usize)>) {
    let mut text = String::new();
    let mut secrets = Vec::new();
    let mut rest = line;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '«' => secrets.push((text.len(), 0)),
            '»' => secrets.last_mut().unwrap().1 = text.len(),
            '¶' => text.push('\n'),
            '{' if rest.starts_with("uuid}") => {
                let part = |characters: &mut Characters, length| characters.of("hex", length);
                let parts: Vec<String> = [8, 4, 4, 4, 12].map(|length| part(characters, length)).into();
                text.push_str(&parts.join("-"));
                rest = &rest["uuid}".len()..];
            }
            '{' => match template(rest) {
                Some((class, length, behind)) => {
                    text.push_str(&characters.of(class, length));
                    rest = behind;
                }
                None => text.push('{'),
            },
            _ => text.push(character),
        }
    }
    (text, secrets)
}

fn template(rest: &str) -> Option<(&str, usize, &str)> {
    let (inside, behind) = rest.split_once('}')?;
    let (class, length) = inside.split_once(':')?;
    class.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(())?;
    Some((class, length.parse().ok()?, behind))
}

fn lines(corpus: &'static str) -> impl Iterator<Item = &'static str> {
    corpus.lines().filter(|line| !line.is_empty() && !line.starts_with("# "))
}

#[test]
fn detectors_hold_their_precision_and_recall() {
    let secrets = include_str!("../corpus/detectors/secrets.txt");
    let harmless = include_str!("../corpus/detectors/harmless.txt");
    let scan = detectors();
    let mut characters = Characters(1);
    let (mut wanted, mut seen, mut hits_right, mut hits_wrong) = (0, 0, 0, 0);
    let mut report = Vec::new();
    for line in lines(secrets).chain(lines(harmless)) {
        let (text, secrets) = expand(line, &mut characters);
        let mut hits = Vec::new();
        scan.find(text.as_bytes(), &mut hits);
        let covered = |at: usize| hits.iter().any(|hit: &Hit| (hit.start..hit.end).contains(&at));
        for &(start, end) in &secrets {
            wanted += 1;
            if (start..end).all(covered) {
                seen += 1;
            } else {
                report.push(format!("missed: {line}"));
            }
        }
        for hit in &hits {
            if secrets.iter().any(|&(start, end)| hit.start < end && start < hit.end) {
                hits_right += 1;
            } else {
                hits_wrong += 1;
                report.push(format!("false ({}): {line}", hit.reason));
            }
        }
        let streamed = streamed(&scan, TextLimits::default(), text.as_bytes().chunks(9)).0;
        assert_eq!(streamed, super::whole(&scan, text.as_bytes()).0, "{line}");
    }
    let precision = f64::from(hits_right) / f64::from(hits_right + hits_wrong);
    let recall = f64::from(seen) / f64::from(wanted);
    for line in report {
        println!("{line}");
    }
    let harmless = lines(harmless).count();
    println!("{wanted} secrets, {harmless} lines without: precision {precision:.3}, recall {recall:.3}");
    assert!(precision >= PRECISION_MIN, "precision {precision:.3}");
    assert!(recall >= RECALL_MIN, "recall {recall:.3}");
}
