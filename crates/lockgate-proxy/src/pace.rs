//! How fast an agent may be: one bucket of tokens for each agent and limit, in memory, so for each replica by itself.
//!
//! A bucket is one instant: when it will be full again. Nothing runs in the background.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lockgate_core::{RateLimit, Subject, SubjectKind, Timestamp};

/// Buckets that are remembered. When there are more, the fullest is forgotten: whoever was last heard of longest ago.
pub const BUCKETS_MAX: usize = 20_000;

/// Buckets looked at to find one to forget.
const LOOKED_AT: usize = 64;

/// All buckets.
#[derive(Debug)]
pub struct Pace {
    buckets: Mutex<HashMap<Key, Timestamp>>,
    buckets_max: usize,
}

/// Whose bucket: a principal's, for the gateway's own limit or for one rule in one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    issuer: String,
    id: String,
    kind: SubjectKind,
    owner: Option<String>,
    cluster: Option<String>,
    rule: Option<String>,
}

impl Pace {
    /// Remembers at most so many buckets.
    pub fn new(buckets_max: usize) -> Self {
        Self { buckets: Mutex::default(), buckets_max: buckets_max.max(1) }
    }

    /// Takes one token. A full bucket holds all of a window's tokens and is refilled at an even pace.
    ///
    /// # Errors
    /// How long to wait for the next token.
    pub fn take(
        &self,
        subject: &Subject,
        cluster: Option<&str>,
        rule: Option<&str>,
        rate: RateLimit,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let key = Key {
            issuer: subject.issuer.clone(),
            id: subject.id.clone(),
            kind: subject.kind,
            owner: subject.owner.clone(),
            cluster: cluster.map(str::to_owned),
            rule: rule.map(str::to_owned),
        };
        let window = Duration::from_secs(rate.per_seconds);
        let token = window.checked_div(rate.requests.max(1)).unwrap_or(window);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = buckets.get(&key).copied().unwrap_or(now).max(now);
        let after = full_at.plus(token);
        if after.since(now) > window {
            return Err(after.since(now).saturating_sub(window));
        }
        if buckets.len() >= self.buckets_max && !buckets.contains_key(&key) {
            forget_one(&mut buckets);
        }
        buckets.insert(key, after);
        Ok(())
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new(BUCKETS_MAX)
    }
}

/// Forgets the fullest of some buckets. To be forgotten is to be full: nobody is refused for it.
fn forget_one(buckets: &mut HashMap<Key, Timestamp>) {
    let fullest = buckets.iter().take(LOOKED_AT).min_by_key(|(_, full_at)| **full_at).map(|(key, _)| key.clone());
    if let Some(key) = fullest {
        buckets.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(id: &str) -> Subject {
        Subject {
            issuer: "https://idp".into(),
            id: id.into(),
            kind: SubjectKind::Agent,
            owner: None,
            on_behalf_of: None,
            groups: Vec::new(),
            token_id: None,
        }
    }

    const RATE: RateLimit = RateLimit { requests: 3, per_seconds: 60 };

    #[test]
    fn a_bucket_holds_a_window_and_refills_evenly() {
        let (pace, agent, start) = (Pace::default(), agent("a"), Timestamp::from_seconds(0));
        let take = |at| pace.take(&agent, None, None, RATE, at);
        for _ in 0..3 {
            assert_eq!(take(start), Ok(()));
        }
        assert_eq!(take(start), Err(Duration::from_secs(20)));
        let almost = start.plus(Duration::from_secs(19));
        assert_eq!(take(almost), Err(Duration::from_secs(1)), "a refusal takes no token");
        assert_eq!(take(start.plus(Duration::from_secs(20))), Ok(()));
        assert_eq!(take(start.plus(Duration::from_secs(20))), Err(Duration::from_secs(20)));
        let much_later = start.plus(Duration::from_secs(3600));
        for _ in 0..3 {
            assert_eq!(take(much_later), Ok(()), "it never holds more than a window");
        }
        assert!(take(much_later).is_err());
    }

    #[test]
    fn every_agent_rule_and_cluster_has_its_own() {
        let (pace, at) = (Pace::default(), Timestamp::from_seconds(0));
        let one = RateLimit { requests: 1, per_seconds: 60 };
        for (id, cluster, rule) in [
            ("a", None, None),
            ("b", None, None),
            ("a", Some("shop"), Some("r")),
            ("a", Some("other"), Some("r")),
            ("a", Some("shop"), Some("s")),
        ] {
            assert_eq!(pace.take(&agent(id), cluster, rule, one, at), Ok(()), "{id} {cluster:?} {rule:?}");
            assert!(pace.take(&agent(id), cluster, rule, one, at).is_err(), "{id} {cluster:?} {rule:?}");
        }
    }

    #[test]
    fn what_is_remembered_has_a_limit() {
        let (pace, at) = (Pace::new(2), Timestamp::from_seconds(0));
        for (number, id) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let at = at.plus(Duration::from_secs(number as u64));
            assert_eq!(pace.take(&agent(id), None, None, RATE, at), Ok(()));
        }
        let buckets = pace.buckets.lock().unwrap();
        let mut known: Vec<_> = buckets.keys().map(|key| key.id.as_str()).collect();
        known.sort_unstable();
        assert_eq!(known, ["c", "d"], "the fullest are forgotten");
    }
}
