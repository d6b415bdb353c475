//! A clock that stands still until a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use lockgate_core::{Clock, Timestamp};

/// Stands at one instant. Clones share it.
#[derive(Debug, Clone)]
pub struct PausedClock {
    microseconds: Arc<AtomicI64>,
}

impl PausedClock {
    /// A clock that stands at this instant.
    pub fn at(instant: Timestamp) -> Self {
        Self { microseconds: Arc::new(AtomicI64::new(instant.microseconds())) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).expect("a test moves the clock by less than 292,000 years");
        self.microseconds.fetch_add(by, Ordering::SeqCst);
    }
}

impl Default for PausedClock {
    /// Stands at 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self::at(Timestamp::from_seconds(1_767_225_600))
    }
}

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microseconds(self.microseconds.load(Ordering::SeqCst))
    }
}
