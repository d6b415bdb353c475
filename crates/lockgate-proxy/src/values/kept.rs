//! The values that are kept of one cluster's Secrets, and when each is forgotten.
//!
//! Pure: it is told what the cluster says, and what time it is. What came first stays when there is no room, so that
//! whoever makes many Secrets pushes nothing out.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use lockgate_wire::mask::{LeftOut, ValueLabel, Why};
use lockgate_wire::secrets::SecretObject;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::FollowLimits;

/// A value's bytes, cleared when the last owner lets go: an index that is being built is one.
pub(super) type Bytes = Arc<Zeroizing<Box<[u8]>>>;

/// When a value came, counted from the first one.
pub(super) type Number = u64;

/// A value to look for.
pub(super) struct Value {
    pub(super) label: ValueLabel,
    pub(super) bytes: Bytes,
}

/// Where a Secret is: namespace and name.
type Place = (String, String);

/// The values of one cluster.
pub(super) struct Kept {
    limits: FollowLimits,
    values: BTreeMap<Number, Value>,
    /// The values of each Secret that is there, by key.
    secrets: HashMap<Place, BTreeMap<String, Number>>,
    /// Values that are in no Secret any more, and since when; the oldest first.
    retired: VecDeque<(Instant, Number)>,
    /// What is not even kept, by key.
    refused: HashMap<Place, Vec<(String, Why)>>,
    /// The Secrets that the list under way has shown.
    seen: Option<HashSet<Place>>,
    last: Number,
    bytes: usize,
}

impl Kept {
    pub(super) fn new(limits: FollowLimits) -> Self {
        Self {
            limits,
            values: BTreeMap::new(),
            secrets: HashMap::new(),
            retired: VecDeque::new(),
            refused: HashMap::new(),
            seen: None,
            last: 0,
            bytes: 0,
        }
    }

    /// A list begins: what it does not show until [`Kept::listed`] is gone.
    pub(super) fn list(&mut self) {
        self.seen = Some(HashSet::new());
    }

    /// The list is whole. Says whether anything is gone.
    pub(super) fn listed(&mut self, now: Instant) -> bool {
        let seen = self.seen.take().unwrap_or_default();
        let gone: Vec<Place> = self.secrets.keys().filter(|place| !seen.contains(*place)).cloned().collect();
        for place in &gone {
            self.gone(&place.0, &place.1, now);
        }
        !gone.is_empty()
    }

    /// A Secret is there, new or changed. Says whether that brought a value or took one away.
    pub(super) fn set(&mut self, secret: SecretObject, now: Instant) -> bool {
        let SecretObject { namespace, name, values } = secret;
        let place = (namespace, name);
        if let Some(seen) = &mut self.seen {
            seen.insert(place.clone());
        }
        let mut before = self.secrets.remove(&place).unwrap_or_default();
        let (mut after, mut refused, mut is_changed) = (BTreeMap::new(), Vec::new(), false);
        for (key, value) in values {
            let value = value.expose().as_slice();
            if let Some(number) = before.get(&key).copied().filter(|number| self.is(*number, value)) {
                before.remove(&key);
                after.insert(key, number);
            } else if let Some(why) = self.refusal(value) {
                refused.push((key, why));
            } else if !value.is_empty() {
                let label = ValueLabel { namespace: place.0.clone(), secret: place.1.clone(), key: key.clone() };
                after.insert(key, self.keep(label, value));
                is_changed = true;
            }
        }
        is_changed |= !before.is_empty();
        before.into_values().for_each(|number| self.retired.push_back((now, number)));
        self.refused.remove(&place);
        if !refused.is_empty() {
            self.refused.insert(place.clone(), refused);
        }
        // One without values is remembered too: a list may show it no more.
        self.secrets.insert(place, after);
        is_changed
    }

    /// A Secret is gone; its values are kept for a while.
    pub(super) fn gone(&mut self, namespace: &str, name: &str, now: Instant) {
        let place = (namespace.to_owned(), name.to_owned());
        let values = self.secrets.remove(&place).unwrap_or_default();
        values.into_values().for_each(|number| self.retired.push_back((now, number)));
        self.refused.remove(&place);
    }

    /// Forgets what has been retired for long enough. Says how much.
    pub(super) fn forget(&mut self, now: Instant) -> usize {
        let mut forgotten = 0;
        while let Some(&(since, _)) = self.retired.front()
            && now.duration_since(since) >= self.limits.retired
        {
            self.forget_oldest();
            forgotten += 1;
        }
        forgotten
    }

    /// When there is something to forget again.
    pub(super) fn next_to_forget(&self) -> Option<Instant> {
        self.retired.front().map(|(since, _)| *since + self.limits.retired)
    }

    /// The values that came after `number`, in the order in which they came.
    pub(super) fn after(&self, number: Number) -> impl Iterator<Item = Value> {
        let values = self.values.range(number.saturating_add(1)..);
        values.map(|(_, value)| Value { label: value.label.clone(), bytes: Arc::clone(&value.bytes) })
    }

    /// The last value's number.
    pub(super) const fn last(&self) -> Number {
        self.last
    }

    /// How many values.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// What is not kept, and why.
    pub(super) fn refused(&self) -> Vec<LeftOut> {
        let left_out = |((namespace, secret), keys): (&Place, &Vec<(String, Why)>)| {
            let label =
                |key: &str| ValueLabel { namespace: namespace.clone(), secret: secret.clone(), key: key.into() };
            let left_out = keys.iter().map(|(key, why)| LeftOut { label: label(key), part: None, why: *why });
            left_out.collect::<Vec<_>>()
        };
        self.refused.iter().flat_map(left_out).collect()
    }

    fn is(&self, number: Number, value: &[u8]) -> bool {
        self.values.get(&number).is_some_and(|known| ***known.bytes == *value)
    }

    /// Why a value is not even kept. The oldest retired ones make room.
    fn refusal(&mut self, value: &[u8]) -> Option<Why> {
        // Longer ones are looked for by their parts only, and only text has parts.
        let is_text = value.len() <= self.limits.document_bytes_max && std::str::from_utf8(value).is_ok();
        if value.len() > self.limits.values.value_bytes_max && !is_text {
            return Some(Why::TooLong);
        }
        while self.is_full(value) && !self.retired.is_empty() {
            self.forget_oldest();
        }
        self.is_full(value).then_some(Why::NoRoom)
    }

    fn is_full(&self, value: &[u8]) -> bool {
        self.values.len() >= self.limits.values.values_max || self.bytes + value.len() > self.limits.kept_bytes_max
    }

    fn keep(&mut self, label: ValueLabel, value: &[u8]) -> Number {
        self.last += 1;
        self.bytes += value.len();
        self.values.insert(self.last, Value { label, bytes: Arc::new(Zeroizing::new(value.into())) });
        self.last
    }

    fn forget_oldest(&mut self) {
        let value = self.retired.pop_front().and_then(|(_, number)| self.values.remove(&number));
        self.bytes -= value.map_or(0, |value| value.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lockgate_core::Secret;

    use super::*;

    const MINUTES: Duration = Duration::from_secs(60);

    fn limits() -> FollowLimits {
        FollowLimits { retired: 10 * MINUTES, ..FollowLimits::default() }
    }

    fn secret(name: &str, values: &[(&str, &str)]) -> SecretObject {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), Secret::new(value.as_bytes().to_vec())));
        SecretObject { namespace: "shop".into(), name: name.into(), values: values.collect() }
    }

    fn texts(kept: &Kept, after: Number) -> Vec<String> {
        kept.after(after).map(|value| String::from_utf8(value.bytes.to_vec()).unwrap()).collect()
    }

    #[test]
    fn a_rotated_value_is_kept_for_a_while() {
        let (mut kept, start) = (Kept::new(limits()), Instant::now());
        assert!(kept.set(secret("db", &[("password", "one"), ("user", "app")]), start));
        assert!(!kept.set(secret("db", &[("password", "one"), ("user", "app")]), start), "nothing is new");
        let last = kept.last();
        assert!(kept.set(secret("db", &[("password", "two"), ("user", "app")]), start + MINUTES));
        assert_eq!(texts(&kept, last), ["two"], "only what is new");
        assert_eq!(texts(&kept, 0), ["one", "app", "two"]);
        assert_eq!(kept.next_to_forget(), Some(start + 11 * MINUTES));
        assert_eq!(kept.forget(start + 11 * MINUTES - Duration::from_millis(1)), 0);
        assert_eq!(kept.forget(start + 11 * MINUTES), 1);
        assert_eq!(texts(&kept, 0), ["app", "two"]);
        assert_eq!((kept.next_to_forget(), kept.bytes), (None, 6));
    }

    #[test]
    fn what_a_whole_list_does_not_show_is_gone() {
        let (mut kept, now) = (Kept::new(limits()), Instant::now());
        kept.set(secret("db", &[("password", "one")]), now);
        kept.set(secret("tls", &[("key", "two")]), now);
        kept.list();
        kept.set(secret("tls", &[("key", "two")]), now);
        assert_eq!(kept.forget(now + 10 * MINUTES), 0, "a list that is not whole takes nothing away");
        assert!(kept.listed(now));
        assert_eq!(kept.forget(now + 10 * MINUTES), 1);
        assert_eq!(texts(&kept, 0), ["two"]);
        kept.gone("shop", "tls", now);
        kept.gone("shop", "unknown", now);
        assert_eq!(kept.forget(now + 10 * MINUTES), 1);
        assert_eq!((kept.len(), kept.bytes), (0, 0));
    }

    #[test]
    fn what_came_first_stays_and_what_is_retired_makes_room() {
        let values = lockgate_wire::mask::ValueLimits { values_max: 2, ..Default::default() };
        let mut kept = Kept::new(FollowLimits { values, kept_bytes_max: 10, ..limits() });
        let now = Instant::now();
        kept.set(secret("a", &[("k", "aaaa")]), now);
        kept.set(secret("b", &[("k", "bbbb")]), now);
        assert!(!kept.set(secret("c", &[("k", "cccc")]), now));
        let refused = kept.refused();
        assert_eq!((refused.len(), refused[0].label.secret.as_str(), refused[0].why), (1, "c", Why::NoRoom));
        kept.gone("shop", "a", now);
        assert!(kept.set(secret("c", &[("k", "cccc")]), now), "the retired one makes room");
        assert_eq!(texts(&kept, 0), ["bbbb", "cccc"]);
        assert_eq!(kept.refused(), []);
        kept.gone("shop", "b", now);
        assert!(!kept.set(secret("d", &[("k", "ddddddd")]), now), "bytes are counted too");
        kept.gone("shop", "d", now);
        assert_eq!(kept.refused(), []);
    }

    #[test]
    fn what_has_no_parts_and_is_too_long_is_not_kept() {
        let mut kept = Kept::new(limits());
        let now = Instant::now();
        let long = FollowLimits::default().values.value_bytes_max + 1;
        let text = SecretObject {
            namespace: "shop".into(),
            name: "text".into(),
            values: vec![
                ("text".into(), Secret::new(vec![b'a'; long])),
                ("binary".into(), Secret::new(vec![0xff; long])),
                ("larger".into(), Secret::new(vec![b'a'; FollowLimits::default().document_bytes_max + 1])),
                ("empty".into(), Secret::new(Vec::new())),
            ],
        };
        kept.set(text, now);
        assert_eq!(kept.len(), 1);
        let refused: Vec<_> = kept.refused().into_iter().map(|left_out| (left_out.label.key, left_out.why)).collect();
        assert_eq!(refused, [("binary".to_owned(), Why::TooLong), ("larger".to_owned(), Why::TooLong)]);
    }
}
