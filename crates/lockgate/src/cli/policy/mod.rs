//! `lockgate policy`: policies that people can check, read, test and try before they are in force.
//!
//! Owns how a policy's answers are asked for and told. Refuses to decide anything itself: every verdict is
//! `lockgate-policy`'s, of a request as `lockgate-wire` reads it.

mod check;
mod explain;
mod judge;
mod records;
mod schema;
mod simulate;
mod suggest;
mod test;

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use lockgate_policy::Preset;
use serde_json::Value;

use super::output::Output;
use super::{Exit, Global, Wrong};
use crate::config;

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Check policy files: line, column, the fix
    Check(check::Check),
    /// What would happen: runs a command against a recording stand-in of the cluster, or takes a method and a path
    Explain(explain::Explain),
    /// Run test files: what a policy must allow, ask, deny and mask
    Test(test::Test),
    /// Try a candidate over recorded history: what would change
    Simulate(simulate::Simulate),
    /// The least that would have let an agent do what it did: policy, cluster RBAC, EKS access entry
    Suggest(suggest::Suggest),
    /// The JSON Schema of the documents, for editors
    Schema(schema::Schema),
}

pub(crate) async fn run(global: &Global, out: &Output, command: &Policy) -> anyhow::Result<Exit> {
    match command {
        Policy::Check(command) => check::run(out, command),
        Policy::Explain(command) => explain::run(out, command).await,
        Policy::Test(command) => test::run(out, command),
        Policy::Simulate(command) => simulate::run(global, out, command).await,
        Policy::Suggest(command) => suggest::run(global, out, command).await,
        Policy::Schema(command) => schema::run(command),
    }
}

/// Where the configuration is looked for when no policy is named.
const CONFIGURATIONS: [&str; 2] = ["lockgate.yaml", "/etc/lockgate/lockgate.yaml"];

/// Which policy: a file, a shipped preset, or the one of a configuration [default: of lockgate.yaml here or in /etc/lockgate].
#[derive(Debug, Args)]
#[group(required = false, multiple = false, id = "policy source")]
pub(crate) struct Source {
    /// The policy's file
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The configuration whose policy is meant [default: lockgate.yaml here, else in /etc/lockgate]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A policy that ships with Lockgate
    #[arg(long, value_enum, value_name = "NAME")]
    preset: Option<PresetName>,
}

/// The shipped policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PresetName {
    /// Reads only
    Observe,
    /// The default for agents
    Operate,
    /// For people
    Admin,
}

/// A policy, and the configuration that named it, if one did.
pub(crate) struct Chosen {
    pub(crate) policy: lockgate_policy::Policy,
    pub(crate) config: Option<config::Loaded>,
}

impl Source {
    /// Reads and compiles it.
    ///
    /// # Errors
    /// A file that cannot be read, or is no policy: with line, column and fix.
    pub(crate) fn read(&self) -> anyhow::Result<Chosen> {
        let nothing_named = self.policy.is_none() && self.preset.is_none();
        let found = || CONFIGURATIONS.iter().map(PathBuf::from).find(|path| path.exists()).filter(|_| nothing_named);
        if let Some(path) = &self.config.clone().or_else(found) {
            let loaded = config::Loaded::read(path)?;
            let policy = crate::serve::policy::read(&loaded)?.policy;
            return Ok(Chosen { policy, config: Some(loaded) });
        }
        let policy = match (&self.policy, self.preset) {
            (Some(path), _) => {
                let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
                lockgate_policy::Policy::parse(&text).map_err(|error| anyhow!("{}: {error}", path.display()))?
            }
            (None, Some(preset)) => preset.shipped().policy().map_err(|error| anyhow!("{error}"))?,
            (None, None) => {
                let looked = CONFIGURATIONS.join(" and ");
                let message = format!(
                    "which policy? --policy FILE, --config FILE or --preset NAME (no configuration was found at {looked})"
                );
                return Err(Wrong(message).into());
            }
        };
        Ok(Chosen { policy, config: None })
    }
}

impl PresetName {
    pub(crate) const fn shipped(self) -> Preset {
        match self {
            Self::Observe => Preset::Observe,
            Self::Operate => Preset::Operate,
            Self::Admin => Preset::Admin,
        }
    }
}

/// `1 rule`, `2 rules`
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Sets a field of a JSON object, with its parents: a value that is no object becomes one.
pub(crate) fn set(value: &mut Value, path: &[&str], new: impl Into<Value>) {
    let mut at = value;
    for name in path {
        if !at.is_object() {
            *at = Value::Object(serde_json::Map::new());
        }
        at = match at {
            Value::Object(fields) => fields.entry(*name).or_insert(Value::Null),
            other => other,
        };
    }
    *at = new.into();
}
