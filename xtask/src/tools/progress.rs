//! What a person sees while something slow runs: a bar on a terminal, plain lines elsewhere. Always on stderr.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Without a terminal, how often a slow step says how far it is.
const PLAIN_EVERY_SECONDS: u64 = 20;

/// One slow step. Dropped without `done`, it leaves the last message and says nothing of success.
pub(crate) struct Progress {
    what: String,
    usual: Option<&'static str>,
    started: Instant,
    bar: Option<ProgressBar>,
    said_at_seconds: AtomicU64,
}

impl Progress {
    /// Announces `what`; `usual` says how long it takes as a rule, so that nobody wonders whether it hangs.
    pub(crate) fn start(what: impl Into<String>, usual: Option<&'static str>) -> Self {
        let what = what.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(style("{spinner} {prefix} {msg} {elapsed}"));
            bar.set_prefix(what.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let progress = Self { what, usual, started: Instant::now(), bar, said_at_seconds: AtomicU64::new(0) };
        match &progress.bar {
            Some(bar) => bar.set_message(progress.usual_in_brackets()),
            None => eprintln!("· {}{}", progress.what, progress.usual_in_brackets()),
        }
        progress
    }

    /// The step's present part, for example the component that is waited for.
    pub(crate) fn part(&self, part: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(part.to_owned()),
            None => eprintln!("  {} {part}", self.elapsed()),
        }
    }

    /// How far: `position` of `total` `unit`s. Plain output is limited to a line every twenty seconds.
    pub(crate) fn at(&self, position: u64, total: u64, unit: &str) {
        if let Some(bar) = &self.bar {
            if bar.length() != Some(total) {
                bar.set_style(style("{spinner} {prefix} [{bar:30}] {pos}/{len} {msg} {elapsed}"));
                bar.set_length(total);
                bar.set_message(format!("{unit}{}", self.usual_in_brackets()));
            }
            bar.set_position(position.min(total));
            return;
        }
        let seconds = self.started.elapsed().as_secs();
        if seconds >= self.said_at_seconds.load(Ordering::Relaxed) + PLAIN_EVERY_SECONDS {
            self.said_at_seconds.store(seconds, Ordering::Relaxed);
            eprintln!("  {} {}: {position} of {total} {unit}{}", self.elapsed(), self.what, self.usual_in_brackets());
        }
    }

    pub(crate) fn done(self, result: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!("✓ {} {result} ({})", self.what, self.elapsed());
    }

    fn elapsed(&self) -> String {
        duration(self.started.elapsed())
    }

    fn usual_in_brackets(&self) -> String {
        self.usual.map(|usual| format!(" (usually {usual})")).unwrap_or_default()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar
            && !bar.is_finished()
        {
            bar.abandon();
        }
    }
}

/// `7.3 s` below a minute, `4:05 min` above.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{}:{:02} min", seconds / 60, seconds % 60)
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_at_a_glance() {
        assert_eq!(duration(Duration::from_millis(7_340)), "7.3 s");
        assert_eq!(duration(Duration::from_secs(245)), "4:05 min");
    }
}
