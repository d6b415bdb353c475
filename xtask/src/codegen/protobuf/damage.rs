//! Damaged protobuf bodies: whatever lockgate-wire still reads, the API server's own serializers read as the same JSON.
//!
//! It may refuse more than they do (unknown fields, text that is not UTF-8, repeated fields), never read something else.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate_wire::protobuf::Protobuf;
use serde_json::Value;

use super::report;

/// Damaged bodies made of each object.
const DAMAGES: usize = 16;
/// What begins every body; with it damaged nobody reads the rest.
const MAGIC_BYTES: usize = 4;

pub(super) struct Outcome {
    bodies: usize,
    read: usize,
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = self.bodies - self.read;
        write!(formatter, "of {} damaged bodies {refused} are refused, ", self.bodies)?;
        write!(formatter, "and {} are read as the API server reads them", self.read)
    }
}

/// `lines` of base64 protobuf, a tab, and JSON.
pub(super) fn check(generator: &Path, lines: &str) -> Result<Outcome> {
    let protobuf = Protobuf::load()?;
    let (mut random, mut bodies) = (Random(0x6461_6d61_6765), 0);
    let (mut encoded, mut read) = (String::new(), Vec::new());
    for line in lines.lines() {
        let (wire, _json) = line.split_once('\t').context("a line without a tab")?;
        let wire = STANDARD.decode(wire)?;
        for _ in 0..DAMAGES {
            let damaged = random.damage(&wire);
            bodies += 1;
            if let Ok(value) = protobuf.decode(&damaged) {
                encoded += &STANDARD.encode(&damaged);
                encoded.push('\n');
                read.push(value);
            }
        }
    }
    let answers = decode(generator, encoded)?;
    let mut faults = Vec::new();
    for (ours, theirs) in read.iter().zip(answers.lines()) {
        match serde_json::from_str::<Value>(theirs) {
            Ok(theirs) if theirs == *ours => {}
            Ok(theirs) => faults.push(format!("read as {ours}\n  by the API server as {theirs}")),
            Err(_) => faults.push(format!("read as {ours}\n  and refused by the API server")),
        }
    }
    ensure!(answers.lines().count() == read.len(), "the generator answered {} lines", answers.lines().count());
    report(&faults)?;
    Ok(Outcome { bodies, read: read.len() })
}

fn decode(generator: &Path, encoded: String) -> Result<String> {
    let mut command = Command::new(generator);
    let mut child = command.arg("decode").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    // Beside the reading below, or both would wait for each other.
    let feeding = std::thread::spawn(move || stdin.write_all(encoded.as_bytes()));
    let output = child.wait_with_output()?;
    feeding.join().map_err(|_| anyhow::anyhow!("feeding the generator failed"))??;
    ensure!(output.status.success(), "{} decode failed ({})", generator.display(), output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// Numbers that are the same in every run (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end.max(1) as u64).unwrap_or_default()
    }

    /// A bit flipped, another wire type, another byte, cut off, a byte more or less, a stretch twice.
    fn damage(&mut self, wire: &[u8]) -> Vec<u8> {
        let mut bytes = wire.to_vec();
        let at = MAGIC_BYTES + self.below(wire.len().saturating_sub(MAGIC_BYTES));
        match self.below(7) {
            0 => change(&mut bytes, at, |byte| byte ^ (1 << self.below(8))),
            1 => change(&mut bytes, at, |byte| (byte & !7) | u8::try_from(self.below(8)).unwrap_or_default()),
            2 => change(&mut bytes, at, |_| u8::try_from(self.below(256)).unwrap_or_default()),
            3 => bytes.truncate(at),
            4 => bytes.insert(at.min(wire.len()), u8::try_from(self.below(256)).unwrap_or_default()),
            5 => drop((at < bytes.len()).then(|| bytes.remove(at))),
            _ => {
                let end = (at + 1 + self.below(24)).min(wire.len());
                let stretch = wire.get(at..end).unwrap_or_default().to_vec();
                bytes.splice(end..end, stretch);
            }
        }
        bytes
    }
}

fn change(bytes: &mut [u8], at: usize, to: impl FnOnce(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = to(*byte);
    }
}
