//! The console, composed: what `console:` in the configuration says, the store, and the trusted issuers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use lockgate_auth::Issuers;
use lockgate_console::oidc::ClientId;
use lockgate_console::outbound::{Outbound, Roots};
use lockgate_console::{Console, ConsoleContext, Groups, SignIn};
use lockgate_core::Secret;
use lockgate_store::Store;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{ConsoleConfig, Loaded};

/// How old a sign-in may be to decide, unless configured.
const FRESH_SIGN_IN: Duration = Duration::from_secs(300);

/// Starts the console where it is configured.
///
/// # Errors
/// A URL, secret or certificate that cannot be used.
pub(super) fn start(
    loaded: &Loaded,
    listener: TcpListener,
    tls: &ServerConfig,
    issuers: Arc<Issuers>,
    store: &Store,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let Some(config) = &loaded.config.console else {
        tracing::warn!("no `console:` is configured: nobody can decide approvals or read the log through this process");
        return Ok(());
    };
    let context = ConsoleContext {
        store: store.clone(),
        authenticator: issuers,
        sign_in: sign_in(loaded, config)?,
        approvers: Groups(config.approvers.groups.clone()),
        auditors: Groups(config.auditors.groups.clone()),
        sign_in_age_max: config.fresh_sign_in.unwrap_or(FRESH_SIGN_IN),
        environments: loaded
            .config
            .clusters
            .iter()
            .map(|cluster| (cluster.name.clone(), cluster.environment.clone()))
            .collect(),
        shutdown: stop.clone(),
    };
    let router = Console::router(context);
    let (tls, stop) = (super::tls::with_http2(tls), stop.clone());
    tasks.spawn(async move {
        if let Err(error) = lockgate_console::serve(listener, Some(tls), router, stop).await {
            tracing::error!(%error, "the console ended");
        }
    });
    Ok(())
}

/// Checks what [`start`] would refuse, without starting anything.
pub(super) fn check(loaded: &Loaded) -> anyhow::Result<()> {
    loaded.config.console.as_ref().map_or(Ok(()), |config| sign_in(loaded, config).map(drop))
}

fn sign_in(loaded: &Loaded, config: &ConsoleConfig) -> anyhow::Result<SignIn> {
    let secret = config.sign_in.client_secret.as_ref();
    let secret = secret.map(|reference| loaded.resolve("console.signIn.clientSecret", reference)).transpose()?;
    let issuer = loaded.config.issuers.iter().find(|issuer| issuer.url == config.sign_in.issuer);
    let authority = issuer.and_then(|issuer| issuer.certificate_authority.as_ref());
    let roots = match authority {
        Some(reference) => Roots::SystemAnd(
            std::fs::read(&reference.file)
                .with_context(|| format!("issuers: cannot read {}", reference.file.display()))?,
        ),
        None => Roots::System,
    };
    Ok(SignIn {
        issuer: config.sign_in.issuer.parse().map_err(|error| anyhow!("console.signIn.issuer: {error}"))?,
        client: ClientId {
            id: config.sign_in.client_id.clone(),
            secret: secret.map(|secret| Secret::new(secret.expose().trim().to_owned())),
        },
        scopes: config.sign_in.scopes.clone(),
        public_url: config.url.parse().map_err(|error| anyhow!("console.url: {error}"))?,
        outbound: Outbound::new(&roots).map_err(|error| anyhow!("console.signIn: {error}"))?,
    })
}
