//! The programs that a test run starts, each in a process group of its own, so that an interrupt ends them and what they started.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// As a shell says it of a program that was interrupted.
const EXIT_INTERRUPTED: i32 = 130;

#[derive(Default)]
pub(super) struct Jobs {
    groups: Mutex<Vec<Pid>>,
    interrupted: AtomicBool,
}

impl Jobs {
    /// From now on Ctrl-C and SIGTERM end the running programs, and the run goes to its end in order: the cluster is taken down. A second
    /// one ends at once.
    pub(super) fn watch_signals(self: &Arc<Self>) -> Result<()> {
        let jobs = Arc::clone(self);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                loop {
                    if let Err(error) = next_signal().await {
                        eprintln!("signals are not watched: {error:#}");
                        return;
                    }
                    if jobs.is_interrupted() {
                        std::process::exit(EXIT_INTERRUPTED);
                    }
                    eprintln!("interrupted: cleaning up (again to leave at once)");
                    jobs.interrupt();
                }
            });
        })?;
        Ok(())
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    /// Runs `command` to its end, its output straight to ours.
    pub(super) fn run(&self, command: &mut Command) -> Result<()> {
        let (mut child, group) = self.start(command)?;
        let status = child.wait();
        self.forget(group);
        let status = status?;
        if !status.success() {
            bail!("{} failed ({status})", shown(command));
        }
        Ok(())
    }

    /// Starts `command` beside others; its words come to standard error, each line marked with `name`.
    pub(super) fn start_beside(self: &Arc<Self>, name: &'static str, command: &mut Command) -> Result<Beside> {
        command.stderr(Stdio::piped());
        let (mut child, group) = self.start(command)?;
        let stderr = child.stderr.take().context("no standard error to read")?;
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                eprintln!("[{name}] {line}");
            }
        });
        Ok(Beside { name, child, group, reader, jobs: Arc::clone(self) })
    }

    fn start(&self, command: &mut Command) -> Result<(Child, Pid)> {
        let mut groups = self.groups();
        // Under the lock: an interrupt comes either before, and is seen here, or after, and finds the group.
        if self.is_interrupted() {
            bail!("interrupted");
        }
        command.stdin(Stdio::null()).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot run {}", shown(command)))?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
        groups.push(group);
        Ok((child, group))
    }

    fn interrupt(&self) {
        let groups = self.groups();
        self.interrupted.store(true, Ordering::SeqCst);
        groups.iter().for_each(|group| end(*group));
    }

    fn forget(&self, group: Pid) {
        self.groups().retain(|known| *known != group);
    }

    fn groups(&self) -> MutexGuard<'_, Vec<Pid>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A program that runs beside others.
pub(super) struct Beside {
    name: &'static str,
    child: Child,
    group: Pid,
    reader: JoinHandle<()>,
    jobs: Arc<Jobs>,
}

impl Beside {
    pub(super) fn wait(mut self) -> Result<()> {
        let status = self.child.wait();
        self.jobs.forget(self.group);
        if self.reader.join().is_err() {
            bail!("reading what {} says failed", self.name);
        }
        let status = status?;
        if !status.success() {
            bail!("{} failed ({status}), see the lines marked [{}]", self.name, self.name);
        }
        Ok(())
    }

    /// Ends it, for its result is no longer wanted.
    pub(super) fn end(self) {
        end(self.group);
        if let Err(error) = self.wait() {
            eprintln!("ended early: {error:#}");
        }
    }
}

fn end(group: Pid) {
    // It may have ended by itself: that is as good.
    if let Err(error) = kill_process_group(group, Signal::TERM)
        && error != rustix::io::Errno::SRCH
    {
        eprintln!("cannot end process group {}: {error}", group.as_raw_nonzero());
    }
}

async fn next_signal() -> Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn shown(command: &Command) -> String {
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    std::iter::once(command.get_program().to_string_lossy()).chain(arguments).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_ends_what_runs_and_nothing_starts_after_it() {
        let jobs = Arc::new(Jobs::default());
        let sleeping = jobs.start_beside("sleep", Command::new("sh").args(["-c", "sleep 60 & wait"])).unwrap();
        let group = sleeping.group;
        jobs.interrupt();
        assert!(sleeping.wait().is_err());
        assert!(jobs.run(&mut Command::new("true")).is_err());
        // Its children too.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while kill_process_group(group, Signal::TERM).is_ok() {
            assert!(std::time::Instant::now() < deadline, "a grandchild survived");
            std::thread::yield_now();
        }
    }

    #[test]
    fn failures_are_told_with_their_command() {
        let error = Jobs::default().run(Command::new("false").arg("--flag")).unwrap_err();
        assert!(error.to_string().starts_with("false --flag failed"), "{error}");
        Jobs::default().run(&mut Command::new("true")).unwrap();
    }
}
