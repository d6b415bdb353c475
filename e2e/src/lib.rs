//! What the end-to-end tests share: where everything is, running real clients both ways, asking the product as a person would.
//!
//! It knows the product only from outside: its commands, its wire, `demo.json`. Test files are one per promise, in `tests/`.
//!
//! Start with `environment::Environment::get`, then `program::kubectl`.

pub mod agent;
pub mod browser;
pub mod environment;
pub mod gateway;
pub mod http;
pub mod normalise;
pub mod oracle;
pub mod person;
pub mod program;
pub mod standalone;
pub mod token;
pub mod websocket;

use std::time::Duration;

use tokio::time::Instant;

/// How long something that must come about may take, on a busy machine.
pub const COMES_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Asks until the answer is there.
///
/// # Panics
/// If it is not there in time, with what was waited for.
pub async fn until<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + COMES_WITHIN;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "not within {} s: {what}", COMES_WITHIN.as_secs());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits for one thing that must come about.
///
/// # Panics
/// If it does not in time.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(COMES_WITHIN, future).await {
        Ok(done) => done,
        Err(_) => panic!("not within {} s: {what}", COMES_WITHIN.as_secs()),
    }
}

/// Hex SHA-256.
pub fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A word that no other test of this run and no earlier run used: for names and canaries.
///
/// # Panics
/// If the system gives no random bytes.
pub fn unique() -> String {
    let mut bytes = [0; 5];
    aws_lc_rs::rand::fill(&mut bytes).expect("random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
