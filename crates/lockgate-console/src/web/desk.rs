//! The sign-in desk: browsers' sessions and sign-ins under way, in memory and bounded. A restart signs everybody out.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use http::{HeaderMap, header};
use lockgate_auth::Authenticated;
use lockgate_core::Timestamp;
use subtle::ConstantTimeEq;
use url::{Origin, Url};

use crate::context::{ConsoleContext, SignIn};
use crate::identity::{Caller, Role};
use crate::oidc::{self, Freshness, Oidc, OidcError, Trip};

/// `__Host-`: only over HTTPS, only for this host, the whole of it.
pub(crate) const SESSION_COOKIE: &str = "__Host-lockgate";
pub(crate) const TRIP_COOKIE: &str = "__Host-lockgate-sign-in";

/// Browsers signed in at a time; the oldest session gives way.
const SESSIONS_MAX: usize = 10_000;
/// Sign-ins under way; the oldest gives way.
const TRIPS_MAX: usize = 1_000;
/// A working day. Deciding needs a far younger sign-in anyway.
const SESSION_LIFETIME: Duration = Duration::from_secs(8 * 3600);
/// How long a person may take at the identity provider.
pub(crate) const TRIP_LIFETIME: Duration = Duration::from_secs(600);
/// How long the provider's discovery document is believed.
const DISCOVERY_LIFETIME: Duration = Duration::from_secs(3600);

/// See the module's text.
pub(crate) struct SignInDesk {
    pub(crate) settings: SignIn,
    sessions: Mutex<Bounded<[u8; 32], Session>>,
    trips: Mutex<Bounded<String, UnderWay>>,
    provider: Mutex<Option<(tokio::time::Instant, Arc<Oidc>)>>,
}

/// A browser that is signed in. Its key is the SHA-256 of the cookie: a copy of memory's keys signs nobody in.
struct Session {
    who: Authenticated,
    csrf: String,
}

/// A sign-in under way.
pub(crate) struct UnderWay {
    pub(crate) trip: Trip,
    pub(crate) next: String,
}

impl SignInDesk {
    pub(crate) fn new(settings: SignIn) -> Self {
        Self {
            settings,
            sessions: Mutex::new(Bounded::new(SESSIONS_MAX, SESSION_LIFETIME)),
            trips: Mutex::new(Bounded::new(TRIPS_MAX, TRIP_LIFETIME)),
            provider: Mutex::new(None),
        }
    }

    /// Who this browser is signed in as.
    pub(crate) fn caller(&self, headers: &HeaderMap, context: &ConsoleContext, now: Timestamp) -> Option<Caller> {
        let key = digest_of(cookie(headers, SESSION_COOKIE)?);
        let sessions = lock(&self.sessions);
        let Session { who, csrf } = sessions.get(&key, now)?;
        Some(Caller {
            subject: who.subject.clone(),
            auth_time: who.auth_time,
            expires_at: who.expires_at,
            role: Role::of(&who.subject, context),
            csrf: Some(csrf.clone()),
        })
    }

    /// Signs a browser in; the session that it had before ends. Returns the new cookie's value.
    pub(crate) fn sign_in(&self, headers: &HeaderMap, who: Authenticated, now: Timestamp) -> Result<String, OidcError> {
        let (value, csrf) = (oidc::random()?, oidc::random()?);
        self.sign_out(headers);
        lock(&self.sessions).insert(digest_of(&value), Session { who, csrf }, now);
        Ok(value)
    }

    pub(crate) fn sign_out(&self, headers: &HeaderMap) {
        if let Some(value) = cookie(headers, SESSION_COOKIE) {
            lock(&self.sessions).remove(&digest_of(value));
        }
    }

    /// Begins a sign-in. Returns its state (the cookie's value too) and where the browser goes.
    pub(crate) async fn begin(
        &self,
        freshness: Freshness,
        next: String,
        now: Timestamp,
    ) -> Result<(String, Url), OidcError> {
        let oidc = self.oidc().await?;
        let trip = Trip::new(freshness)?;
        let url = trip.url(&oidc.provider, &oidc.client, &self.redirect(), &self.settings.scopes);
        let state = trip.state.clone();
        lock(&self.trips).insert(state.clone(), UnderWay { trip, next }, now);
        Ok((state, url))
    }

    /// Ends the sign-in of this state, once, and only for the browser that began it.
    pub(crate) fn end(&self, headers: &HeaderMap, state: &str, now: Timestamp) -> Option<UnderWay> {
        let own = cookie(headers, TRIP_COOKIE)?;
        let same: bool = own.as_bytes().ct_eq(state.as_bytes()).into();
        if !same {
            return None;
        }
        let mut trips = lock(&self.trips);
        trips.get(&state.to_owned(), now)?;
        trips.remove(&state.to_owned())
    }

    pub(crate) fn redirect(&self) -> Url {
        let mut url = self.settings.public_url.clone();
        url.set_path(&format!("{}/sign-in/callback", url.path().trim_end_matches('/')));
        url
    }

    /// The origin that our own forms are sent from.
    pub(crate) fn origin(&self) -> Origin {
        self.settings.public_url.origin()
    }

    /// The provider's client, discovered at the first sign-in and again every hour.
    pub(crate) async fn oidc(&self) -> Result<Arc<Oidc>, OidcError> {
        let known = lock(&self.provider).clone();
        if let Some((at, oidc)) = known
            && at.elapsed() < DISCOVERY_LIFETIME
        {
            return Ok(oidc);
        }
        let SignIn { outbound, issuer, client, .. } = &self.settings;
        let oidc = Arc::new(Oidc::discover(outbound.clone(), issuer, client.clone()).await?);
        *lock(&self.provider) = Some((tokio::time::Instant::now(), oidc.clone()));
        Ok(oidc)
    }
}

/// A map that forgets what is too old, and the oldest when it is full.
struct Bounded<K, V> {
    entries: HashMap<K, (Timestamp, V)>,
    entries_max: usize,
    lifetime: Duration,
}

impl<K: Hash + Eq + Clone, V> Bounded<K, V> {
    fn new(entries_max: usize, lifetime: Duration) -> Self {
        Self { entries: HashMap::new(), entries_max, lifetime }
    }

    fn get(&self, key: &K, now: Timestamp) -> Option<&V> {
        self.entries.get(key).filter(|(at, _)| now.since(*at) < self.lifetime).map(|(_, value)| value)
    }

    fn insert(&mut self, key: K, value: V, now: Timestamp) {
        if self.entries.len() >= self.entries_max {
            let lifetime = self.lifetime;
            self.entries.retain(|_, (at, _)| now.since(*at) < lifetime);
        }
        if self.entries.len() >= self.entries_max
            && let Some(oldest) = self.entries.iter().min_by_key(|(_, (at, _))| *at).map(|(key, _)| key.clone())
        {
            self.entries.remove(&oldest);
        }
        self.entries.insert(key, (now, value));
    }

    fn remove(&mut self, key: &K) -> Option<V> {
        self.entries.remove(key).map(|(_, value)| value)
    }
}

/// The value of a cookie that is there exactly once.
fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

fn digest_of(value: &str) -> [u8; 32] {
    let mut out = [0; 32];
    let digest = digest::digest(&digest::SHA256, value.as_bytes());
    out.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    out
}

/// Nothing panics while the lock is held; were it so, the map would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_map_forgets_the_old_first() {
        let at = Timestamp::from_seconds;
        let mut map = Bounded::new(2, Duration::from_secs(10));
        map.insert("a", 1, at(0));
        map.insert("b", 2, at(5));
        assert_eq!(map.get(&"a", at(10)), None);
        map.insert("c", 3, at(6));
        assert_eq!((map.get(&"a", at(6)), map.get(&"b", at(6)), map.get(&"c", at(6))), (None, Some(&2), Some(&3)));
        assert_eq!(map.entries.len(), 2);
    }

    #[test]
    fn a_cookie_counts_only_when_it_is_there_once() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "x=1; __Host-lockgate=v; y=2".parse().unwrap());
        assert_eq!(cookie(&headers, SESSION_COOKIE), Some("v"));
        headers.append(header::COOKIE, "__Host-lockgate=w".parse().unwrap());
        assert_eq!(cookie(&headers, SESSION_COOKIE), None);
    }
}
