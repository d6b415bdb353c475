//! The requests: everything that the API server serves by its own discovery, crossed with methods, places, queries and bodies, what it
//! does not serve, and what random paths over the words of its grammar make. The same for the same API server, whenever it is made.

mod bodies;
mod discovery;
mod known;
mod paths;
mod queries;
mod random;

use std::collections::HashSet;

use serde_json::Value;

pub use self::discovery::{Resource, discover};
pub use self::known::{not_canonical, recorded};
use self::random::Random;
use super::Agent;

/// The namespace in which the resident has all rights.
pub const NAMESPACE: &str = "oracle";
/// Name of the object of each kind that is there.
pub const NAME: &str = "a";

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// Who sends it.
    pub agent: Agent,
    /// The method.
    pub method: &'static str,
    /// Path and query, behind the cluster's prefix.
    pub target: String,
    /// The body's content type.
    pub content_type: Option<&'static str>,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

impl Call {
    /// A request without a body.
    pub fn new(agent: Agent, method: &'static str, target: impl Into<String>) -> Self {
        Self { agent, method, target: target.into(), content_type: None, body: Vec::new() }
    }

    /// The same with a JSON body.
    #[must_use]
    pub fn with(mut self, content_type: &'static str, body: &Value) -> Self {
        self.content_type = Some(content_type);
        self.body = body.to_string().into_bytes();
        self
    }

    /// The name that an object in the body has.
    pub fn name_in_body(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        body.pointer("/metadata/name")?.as_str().map(str::to_owned)
    }

    /// Method, path and query, as differences and failures name it.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// Calls in order, none of them twice.
#[derive(Default)]
struct Collection {
    calls: Vec<Call>,
    known: HashSet<(&'static str, String, Option<&'static str>)>,
}

impl Collection {
    fn add(&mut self, call: Call) {
        if self.known.insert((call.method, call.target.clone(), call.content_type)) {
            self.calls.push(call);
        }
    }
}

/// Every request of the corpus for an API server that serves `resources`, distinct by method, target and content type.
pub fn corpus(resources: &[Resource]) -> Vec<Call> {
    let mut collection = Collection::default();
    let mut random = Random::new(0x6f72_6163_6c65);
    recorded().into_iter().for_each(|call| collection.add(call));
    for resource in resources {
        paths::of_resource(&mut collection, resource, &mut random);
        queries::of_resource(&mut collection, resource, &mut random);
    }
    known::unserved(&mut collection, &mut random);
    known::odd_names(&mut collection);
    known::streams(&mut collection);
    known::non_resource(&mut collection);
    paths::random(&mut collection, &mut random);
    collection.calls
}
