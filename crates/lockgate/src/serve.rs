//! The composition root: configuration in, a running gateway and console out. Nothing is decided here.

mod console;
mod descriptors;
mod drain;
mod memory;
mod operations;
pub(crate) mod policy;
mod tls;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use arc_swap::{ArcSwap, ArcSwapOption};
use lockgate_auth::{Cluster, Issuers};
use lockgate_proxy::gateway::{Gateway, Limits};
use lockgate_proxy::listener::{self, ListenerLimits};
use lockgate_proxy::metrics::Metrics;
use lockgate_proxy::pace::Pace;
use lockgate_proxy::upstream::SelfUpstream;
use lockgate_proxy::values::{self, FollowLimits};
use lockgate_proxy::{Upstream, UpstreamLimits, Values};
use lockgate_store::{Store, SystemClock};
use lockgate_wire::protobuf::Protobuf;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing_subscriber::EnvFilter;

use crate::config::{Config, Loaded, RateConfig};

/// Runs until a signal ends it.
///
/// # Errors
/// When the configuration is not valid or a part cannot start.
pub(crate) async fn run(path: &Path) -> anyhow::Result<()> {
    log_to_stderr()?;
    descriptors::raise_limit();
    memory::keep_out_of_dumps();
    let loaded = Loaded::read(path)?;
    let config = &loaded.config;
    if config.clusters.iter().any(|cluster| cluster.own.is_some()) {
        memory::lock();
    }
    let server_tls = tls::server(&loaded)?;
    let policy = policy::read(&loaded)?;
    let shadow = policy::read_shadow(&loaded)?;
    let issuers = Arc::new(Issuers::new(config.issuers.clone())?);
    let clock = Arc::new(SystemClock);
    let directory = loaded.path(&config.store.directory);
    let store = Store::open_directory(&directory, clock, replica(config))
        .await
        .with_context(|| format!("store: {}", directory.display()))?;
    let policy = policy::store(&store, policy).await.context("store the policy")?;

    let (gateway, own) = compose(&loaded, issuers.clone(), store.clone(), policy, shadow)?;
    let gateway = Arc::new(gateway);
    let listening = Listening::bind(config).await?;
    // Started after everything that can be refused: from here on the gateway runs.
    let stop = CancellationToken::new();
    let side = TaskTracker::new();
    side.spawn(upkeep(store.clone(), stop.clone()));
    for upstream in own {
        side.spawn(values::follow(Arc::clone(&gateway), upstream, FollowLimits::default(), stop.clone()));
    }
    side.spawn(policy::follow_store(Arc::clone(&gateway), stop.clone()));
    side.spawn(policy::follow_file(policy::source(&loaded), Arc::clone(&gateway), stop.clone()));
    side.spawn(policy::follow_shadow(policy::shadow_source(&loaded), Arc::clone(&gateway), stop.clone()));
    side.spawn(operations::serve(listening.operations, Arc::clone(&gateway), stop.clone()));
    console::start(&loaded, listening.console, &server_tls, issuers, &store, &side, &stop)?;
    let limits = ListenerLimits {
        connections_max: config.limits.connections.unwrap_or(ListenerLimits::default().connections_max),
        ..ListenerLimits::default()
    };
    let acceptor = TlsAcceptor::from(tls::with_http2(&server_tls));
    gateway.tasks.spawn(listener::serve(Arc::clone(&gateway), listening.gateway, acceptor, limits));
    tracing::info!(gateway = %config.listen.gateway, console = %config.listen.console, "serving");

    drain::until_signal().await?;
    drain::drain(&gateway, config.limits.drain).await;
    stop.cancel();
    side.close();
    side.wait().await;
    store.shutdown().await.context("close the store")
}

/// Validates a configuration and its policy, without listening or writing.
///
/// # Errors
/// The first thing that is wrong, with its line and the fix.
pub(crate) async fn check(path: &Path) -> anyhow::Result<()> {
    let loaded = Loaded::read(path)?;
    tls::server(&loaded)?;
    let policy = policy::read(&loaded)?.policy;
    let shadow = policy::read_shadow(&loaded)?;
    let issuers = Issuers::new(loaded.config.issuers.clone())?;
    for cluster in &loaded.config.clusters {
        Cluster::load(cluster)?.load_self(cluster)?;
    }
    console::check(&loaded)?;
    issuers.close().await;
    say(&format!(
        "{}: valid; policy {} revision {}{}, {} clusters, {} issuers",
        path.display(),
        policy.name(),
        policy.short_revision(),
        shadow.map(|shadow| format!(", shadow revision {}", shadow.short_revision())).unwrap_or_default(),
        loaded.config.clusters.len(),
        loaded.config.issuers.len(),
    ))
}

/// Heartbeats, and closes what crashed processes left open.
async fn upkeep(store: Store, stop: CancellationToken) {
    store.upkeep(stop).await;
}

fn say(line: &str) -> anyhow::Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{line}").context("stdout")
}

/// `RUST_LOG` says what is logged; by default what an operator should know.
fn log_to_stderr() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|error| anyhow::anyhow!("the log cannot be set up: {error}"))
}

fn replica(config: &Config) -> String {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    config.replica.clone().or_else(host).filter(|name| !name.is_empty()).unwrap_or_else(|| "lockgate".into())
}

fn compose(
    loaded: &Loaded,
    issuers: Arc<Issuers>,
    store: Store,
    policy: lockgate_policy::Policy,
    shadow: Option<lockgate_policy::Policy>,
) -> anyhow::Result<(Gateway, Vec<SelfUpstream>)> {
    let tasks = TaskTracker::new();
    // A pooled connection outlives its calls: it must not count as one, or no shutdown would end before its deadline.
    let connections = TaskTracker::new();
    let (mut clusters, mut own) = (BTreeMap::new(), Vec::new());
    for config in &loaded.config.clusters {
        let cluster = Arc::new(Cluster::load(config)?);
        if let Some(cluster) = cluster.load_self(config)? {
            let upstream = SelfUpstream::over_tls(Arc::new(cluster), Arc::clone(store.clock()), &connections);
            own.push(upstream.with_context(|| format!("cluster {}: self", config.name))?);
        }
        let upstream = Upstream::over_tls(cluster, UpstreamLimits::default(), Arc::clone(store.clock()), &connections)
            .with_context(|| format!("cluster {}", config.name))?;
        clusters.insert(config.name.clone(), Arc::new(upstream));
    }
    let defaults = Limits::default();
    let limits = Limits {
        hold: loaded.config.limits.hold.unwrap_or(defaults.hold),
        agent_rate: loaded.config.limits.agent_rate.map(RateConfig::limit),
        session_idle_max: loaded.config.limits.session_idle.unwrap_or(defaults.session_idle_max),
        session_max: loaded.config.limits.session.unwrap_or(defaults.session_max),
        ..defaults
    };
    let values = Values::of_clusters(own.iter().map(|upstream| upstream.cluster().name.clone()));
    let gateway = Gateway {
        issuers,
        clusters,
        policy: ArcSwap::from_pointee(policy),
        shadow: ArcSwapOption::from_pointee(shadow),
        store,
        protobuf: Protobuf::load().context("the protobuf tables")?,
        body_budget: Arc::new(Semaphore::new(limits.body_budget_bytes)),
        limits,
        pace: Pace::default(),
        values,
        metrics: Metrics::default(),
        tasks,
        draining: CancellationToken::new(),
        ending: CancellationToken::new(),
    };
    Ok((gateway, own))
}

/// Every socket, bound before anything starts, so that a taken port is an error and not a surprise.
struct Listening {
    gateway: TcpListener,
    console: TcpListener,
    operations: TcpListener,
}

impl Listening {
    async fn bind(config: &Config) -> anyhow::Result<Self> {
        let bind = async |what: &str, address| {
            TcpListener::bind(address)
                .await
                .with_context(|| format!("listen.{what}: cannot listen on {address}; is another program there?"))
        };
        let (gateway, console, metrics) = (config.listen.gateway, config.listen.console, config.listen.metrics);
        if gateway == console || gateway == metrics || console == metrics {
            bail!("listen: gateway, console and metrics need an address each");
        }
        Ok(Self {
            gateway: bind("gateway", gateway).await?,
            console: bind("console", console).await?,
            operations: bind("metrics", metrics).await?,
        })
    }
}
