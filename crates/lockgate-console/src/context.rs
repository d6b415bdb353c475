//! What the console is made of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use lockgate_core::Timestamp;
use lockgate_store::Store;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::identity::Authenticator;
use crate::oidc::ClientId;
use crate::outbound::Outbound;
use crate::routes;
use crate::web::SignInDesk;

/// Everything that the composition root decides.
pub struct ConsoleContext {
    /// The durable truth; the only thing shared with the gateway.
    pub store: Store,
    /// Says who a bearer token speaks for.
    pub authenticator: Arc<dyn Authenticator>,
    /// How people sign in with a browser.
    pub sign_in: SignIn,
    /// Members may see everything and decide.
    pub approvers: Groups,
    /// Members may see everything.
    pub auditors: Groups,
    /// How long ago the person who decides may have signed in. The store refuses more than five minutes by itself.
    pub sign_in_age_max: Duration,
    /// The environment of each cluster, by its name (`production`, `staging`, …): colours the pages.
    pub environments: BTreeMap<String, String>,
    /// Ends the streaming answers when the process is to end.
    pub shutdown: CancellationToken,
}

/// Groups of people, as the tokens name them. None: nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups(pub Vec<String>);

impl Groups {
    /// Whether any of these groups is among them.
    pub(crate) fn has_any(&self, groups: &[String]) -> bool {
        groups.iter().any(|group| self.0.contains(group))
    }
}

/// How people sign in with a browser.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// The identity provider.
    pub issuer: Url,
    /// The console's own client there. Its id must be among the audiences of humans, since ID tokens are for it.
    pub client: ClientId,
    /// What to ask for; `openid` is needed.
    pub scopes: Vec<String>,
    /// Where browsers find this console: `https://host:port/`. The redirect is `sign-in/callback` below it.
    pub public_url: Url,
    /// The HTTPS client that reaches the provider.
    pub outbound: Outbound,
}

/// A route and who may use it, in words: for documentation and for the test that covers them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteAccess {
    /// The HTTP method.
    pub method: http::Method,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// Bearer token or browser session, and who.
    pub who: String,
}

/// The console.
pub struct Console;

impl Console {
    /// The routes: everything that [`crate::serve`] serves.
    pub fn router(context: ConsoleContext) -> Router {
        let desk = SignInDesk::new(context.sign_in.clone());
        routes::router(Arc::new(App { context, desk }))
    }

    /// Every route that [`Console::router`] has.
    pub fn routes() -> Vec<RouteAccess> {
        let who = |route: &routes::Route| format!("{:?} {:?}", route.door, route.access).to_lowercase();
        routes::table()
            .iter()
            .map(|route| RouteAccess { method: route.method.clone(), path: route.path, who: who(route) })
            .collect()
    }
}

/// What handlers share.
pub(crate) struct App {
    pub(crate) context: ConsoleContext,
    pub(crate) desk: SignInDesk,
}

impl App {
    pub(crate) fn store(&self) -> &Store {
        &self.context.store
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.context.store.clock().now()
    }
}
