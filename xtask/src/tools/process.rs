//! Running other programs: quietly with their words on failure, or slowly with progress and a log.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use super::Progress;

/// Lines of a log that an error shows.
const TAIL_LINES: usize = 25;
/// How far below other work a build runs (`nice`).
const BUILD_NICENESS: &str = "10";

/// Runs `command` to its end and gives its standard output; its own words are the error when it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = run(command)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed ({}): {}", shown(command), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// As `output`, for commands whose output nobody needs.
pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

fn run(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", shown(command)))
}

/// A command that gives way to the Rust build beside it.
pub(crate) fn build_command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("nice");
    command.args(["-n", BUILD_NICENESS]).arg(program);
    command
}

/// Runs a slow build: every line goes to `log`, each line of standard error is one step of `total` on the progress display.
/// On failure the end of the log is in the error.
pub(crate) fn build(command: &mut Command, log: &Path, progress: &Progress, total: u64, unit: &str) -> Result<()> {
    if let Some(directory) = log.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {}", shown(command)))?;
    if let Some(stderr) = child.stderr.take() {
        let mut lines = 0;
        for line in BufReader::new(stderr).lines() {
            writeln!(file, "{}", line?)?;
            lines += 1;
            progress.at(lines, total, unit);
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{} failed ({status}). The end of {}:\n{}", shown(command), log.display(), log_tail(log));
    }
    Ok(())
}

/// The last lines of a log, for an error message.
pub(crate) fn log_tail(log: &Path) -> String {
    let Ok(bytes) = fs::read(log) else {
        return format!("  ({} cannot be read)", log.display());
    };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(TAIL_LINES)).map(|line| format!("  {line}\n")).collect()
}

fn shown(command: &Command) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    command.get_args().take(6).fold(program, |shown, argument| format!("{shown} {}", argument.to_string_lossy()))
}
