//! `lockgate policy schema [Policy|PolicyTest]`

use clap::{Args, ValueEnum};
use lockgate_policy::schema;

use crate::cli::Exit;
use crate::cli::output::data;

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Of which kind
    #[arg(value_enum, default_value_t = Kind::Policy)]
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    #[value(name = "Policy", alias = "policy")]
    Policy,
    #[value(name = "PolicyTest", aliases = ["policytest", "policy-test"])]
    PolicyTest,
}

pub(crate) fn run(command: &Schema) -> anyhow::Result<Exit> {
    data(match command.kind {
        Kind::Policy => schema::POLICY,
        Kind::PolicyTest => schema::POLICY_TEST,
    })?;
    Ok(Exit::Done)
}
