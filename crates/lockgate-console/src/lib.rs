//! JSON API and web console: the front door for people, and for agents that wait for an approval.
//!
//! Owns who may see and decide what ([`access`]), the routes ([`routes`]), the JSON API, the pages, and browser
//! sign-in. Refuses to know clusters and the gateway: it shares nothing with the proxy but the store, and every wait is
//! "notify plus poll". Some modules are shared with the command line: [`inert`], [`yaml`], [`asciicast`], [`recording`],
//! [`oidc`], [`outbound`].
//!
//! Start at `routes.rs`: one table says for every route who may use it; a handler cannot be reached without it.

mod access;
mod api;
pub mod asciicast;
mod assets;
mod context;
mod identity;
pub mod inert;
pub mod oidc;
pub mod outbound;
mod problem;
pub mod recording;
mod routes;
mod serve;
mod web;
pub mod yaml;

pub use context::{Console, ConsoleContext, Groups, RouteAccess, SignIn};
pub use identity::Authenticator;
pub use serve::{ServeError, serve};
