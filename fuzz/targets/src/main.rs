//! `fuzz-targets [TARGET] --seconds N [--seed N]`: the mutation loop for a time. A failing input is written to
//! `fuzz/artifacts/<target>/` and named; put it into the corpus with its fix.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fuzz_targets::mutate::{Numbers, corpus, mutated};
use fuzz_targets::{TARGETS, Target};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    let named = arguments.first().filter(|argument| !argument.starts_with("--"));
    let chosen: Vec<&Target> = TARGETS.iter().filter(|(name, _)| named.is_none_or(|named| named == name)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        eprintln!("no such target; there are {}", names.join(", "));
        return ExitCode::FAILURE;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_secs());
    let seed = option("--seed").unwrap_or(now);
    let seconds = Duration::from_secs(option("--seconds").unwrap_or(10));
    let failed = chosen.into_iter().filter(|target| !holds(target, seconds, seed)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one target for a time, and says how it went.
fn holds((name, run): &Target, time: Duration, seed: u64) -> bool {
    let inputs = match corpus(name) {
        Ok(inputs) => inputs,
        Err(error) => {
            eprintln!("{name}: its corpus cannot be read: {error}");
            return false;
        }
    };
    let (mut numbers, from, mut tried) = (Numbers::new(seed), Instant::now(), 0_u64);
    while from.elapsed() < time {
        let input = mutated(&inputs, &mut numbers);
        tried += 1;
        if catch_unwind(AssertUnwindSafe(|| run(&input))).is_err() {
            keep(name, seed, tried, &input);
            return false;
        }
    }
    println!("{name}: {tried} inputs from seed {seed}, all as they must be");
    true
}

fn keep(name: &str, seed: u64, tried: u64, input: &[u8]) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../artifacts").join(name);
    let file = directory.join(format!("{seed}-{tried}"));
    match std::fs::create_dir_all(&directory).and_then(|()| std::fs::write(&file, input)) {
        Ok(()) => eprintln!("{name}: input {tried} from seed {seed} fails: {}", file.display()),
        Err(error) => eprintln!("{name}: input {tried} from seed {seed} fails and cannot be kept ({error}): {input:?}"),
    }
}
