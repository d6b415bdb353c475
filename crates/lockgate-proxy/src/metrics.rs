//! Counters and gauges, in Prometheus' text form at `/metrics`.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicI64;

use lockgate_core::Timestamp;
use lockgate_wire::mask::Why;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type Code = [(&'static str, String); 1];

/// The data path's metrics.
pub struct Metrics {
    registry: Registry,
    answers: Family<Code, Counter>,
    refusals: Family<Code, Counter>,
    held: Counter,
    unrecorded: Counter,
    sessions: Gauge<i64, AtomicI64>,
    connections: Gauge<i64, AtomicI64>,
    policy_errors: Counter,
    shadow_differences: Family<[(&'static str, &'static str); 2], Counter>,
    shadow_errors: Counter,
    known_values: Family<Code, Gauge<i64, AtomicI64>>,
    known_values_left_out: Family<[(&'static str, String); 2], Gauge<i64, AtomicI64>>,
    known_values_current: Family<Code, Gauge<i64, AtomicI64>>,
    known_values_errors: Family<Code, Counter>,
}

fn of_cluster(cluster: &str) -> Code {
    [("cluster", cluster.to_owned())]
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("lockgate");
        let metrics = Self {
            answers: Family::default(),
            refusals: Family::default(),
            held: Counter::default(),
            unrecorded: Counter::default(),
            sessions: Gauge::default(),
            connections: Gauge::default(),
            policy_errors: Counter::default(),
            shadow_differences: Family::default(),
            shadow_errors: Counter::default(),
            known_values: Family::default(),
            known_values_left_out: Family::default(),
            known_values_current: Family::default(),
            known_values_errors: Family::default(),
            registry: Registry::default(),
        };
        registry.register("answers", "Answers of clusters, by status class", metrics.answers.clone());
        registry.register("refusals", "Requests that Lockgate refused, by reason", metrics.refusals.clone());
        registry.register("held", "Requests held for approval", metrics.held.clone());
        registry.register("unrecorded", "Events that could not be made durable", metrics.unrecorded.clone());
        registry.register("sessions", "Live interactive sessions", metrics.sessions.clone());
        registry.register("connections", "Open client connections", metrics.connections.clone());
        registry.register("policy_errors", "Policy files that could not be loaded", metrics.policy_errors.clone());
        registry.register(
            "shadow_differences",
            "Requests that the candidate policy in shadow mode would have decided otherwise, by effect and its effect",
            metrics.shadow_differences.clone(),
        );
        registry.register(
            "shadow_errors",
            "Candidate policies that could not be loaded or evaluated",
            metrics.shadow_errors.clone(),
        );
        metrics.register_known_values(&mut registry);
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// An answer's head left, with this status.
    pub fn answered(&self, status: u16) {
        self.answers.get_or_create(&[("class", format!("{}xx", status / 100))]).inc();
    }

    /// A refusal left.
    pub fn refused(&self, reason: &str) {
        self.refusals.get_or_create(&[("reason", reason.to_owned())]).inc();
    }

    /// A request is held.
    pub fn held(&self) {
        self.held.inc();
    }

    /// Something could not be made durable.
    pub fn unrecorded(&self) {
        self.unrecorded.inc();
    }

    /// A session began.
    pub fn session_opened(&self) {
        self.sessions.inc();
    }

    /// A session ended.
    pub fn session_closed(&self) {
        self.sessions.dec();
    }

    /// A client connected.
    pub fn connection_opened(&self) {
        self.connections.inc();
    }

    /// A client's connection ended.
    pub fn connection_closed(&self) {
        self.connections.dec();
    }

    /// A policy file could not be loaded; the old one stays.
    pub fn policy_error(&self) {
        self.policy_errors.inc();
    }

    /// The candidate would have decided otherwise; by the effects' words.
    pub fn shadow_differed(&self, effect: &'static str, shadow: &'static str) {
        self.shadow_differences.get_or_create(&[("effect", effect), ("shadow", shadow)]).inc();
    }

    /// A candidate could not be loaded or evaluated; nothing else happens.
    pub fn shadow_error(&self) {
        self.shadow_errors.inc();
    }

    /// So many of a cluster's values are looked for; so many, and parts of values, are not.
    pub fn known_values(&self, cluster: &str, count: usize, left_out: &BTreeMap<Why, usize>) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.known_values.get_or_create(&of_cluster(cluster)).set(number(count));
        for why in Why::ALL {
            let labels = [("cluster", cluster.to_owned()), ("reason", why.as_str().to_owned())];
            let count = left_out.get(&why).copied().unwrap_or_default();
            self.known_values_left_out.get_or_create(&labels).set(number(count));
        }
    }

    /// At this time what is known of a cluster's values is what the cluster has.
    pub fn known_values_current(&self, cluster: &str, now: Timestamp) {
        self.known_values_current.get_or_create(&of_cluster(cluster)).set(now.seconds());
    }

    /// A cluster's Secrets could not be read.
    pub fn known_values_failed(&self, cluster: &str) {
        self.known_values_errors.get_or_create(&of_cluster(cluster)).inc();
    }

    fn register_known_values(&self, registry: &mut Registry) {
        registry.register(
            "known_values",
            "Values of a cluster's Secrets that are looked for",
            self.known_values.clone(),
        );
        registry.register(
            "known_values_left_out",
            "Values of a cluster's Secrets, and parts of them, that are not looked for, by reason",
            self.known_values_left_out.clone(),
        );
        registry.register(
            "known_values_current_timestamp_seconds",
            "When the known values of a cluster were last what the cluster has",
            self.known_values_current.clone(),
        );
        registry.register(
            "known_values_errors",
            "Failed reads of a cluster's Secrets",
            self.known_values_errors.clone(),
        );
    }

    /// The text form.
    ///
    /// # Errors
    /// Only if formatting fails.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
