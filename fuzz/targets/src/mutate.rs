//! A small mutation loop for stable toolchains: no coverage, but the same properties, and the same inputs from the same seed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Largest input, in bytes.
const INPUT_BYTES_MAX: usize = 4096;

/// Pieces that parsers of this kind trip over.
const TOKENS: [&str; 56] = [
    "/",
    "//",
    "/../",
    "/./",
    "%2e",
    "%2F",
    "%25",
    "%65",
    "%00",
    ";",
    "?",
    "#",
    "&",
    "=",
    "+",
    "%",
    "proxy",
    "exec",
    "/watch/",
    "namespaces",
    "/api/v1/",
    "/apis/apps/v1/",
    "watch=true",
    "dryRun=All",
    "container=a",
    "command=sh",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\0",
    ": ",
    "Content-Length: 1\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Host: g\r\n",
    " HTTP/1.1\r\n",
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    "null",
    "\"op\":\"add\"",
    "\"path\":\"/spec\"",
    "~0",
    "~2",
    "---\n",
    "- ",
    "&a ",
    "*a",
    "deny: {}",
    "allow: {}",
    "ask: {}",
    "when: ",
    "match: {}",
    "k8s\0",
];

/// Numbers from a seed (xorshift64*), for inputs that can be made again.
pub struct Numbers(u64);

impl Numbers {
    /// From a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `limit`; 0 where that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap_or_default().checked_rem(limit).unwrap_or_default()
    }
}

/// The committed inputs of a target, in the order of their names.
///
/// # Errors
/// The directory or a file cannot be read.
pub fn corpus(target: &str) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(target);
    let mut files =
        fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    files.into_iter().map(|file| fs::read(&file).map(|bytes| (file, bytes))).collect()
}

/// One more input, made of those there are.
pub fn mutated(corpus: &[(PathBuf, Vec<u8>)], numbers: &mut Numbers) -> Vec<u8> {
    let pick = |numbers: &mut Numbers| corpus.get(numbers.below(corpus.len())).map(|(_, bytes)| bytes.clone());
    let mut input = pick(numbers).unwrap_or_default();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(input.len() + 1);
        let end = at + numbers.below((input.len() - at + 1).min(32));
        match numbers.below(7) {
            0 => drop(input.splice(at..end, [])),
            1 => drop(input.splice(at..at, [u8::try_from(numbers.below(256)).unwrap_or_default()])),
            2 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << numbers.below(8);
                }
            }
            3 | 4 => {
                let token = TOKENS.get(numbers.below(TOKENS.len())).copied().unwrap_or_default();
                drop(input.splice(at..at, token.bytes()));
            }
            5 => {
                let piece = input.get(at..end).unwrap_or_default().to_vec();
                drop(input.splice(at..at, piece));
            }
            _ => {
                let other = pick(numbers).unwrap_or_default();
                let from = numbers.below(other.len() + 1);
                drop(input.splice(at..end, other.get(from..).unwrap_or_default().iter().copied()));
            }
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}
