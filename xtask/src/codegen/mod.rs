//! Regenerates committed tables.

use std::path::Path;

use anyhow::Result;
use clap::Subcommand;

mod protobuf;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The types of Kubernetes protobuf bodies, from the Go modules
    Protobuf(protobuf::Arguments),
    /// The requests of kubectl and helm that the oracle tests send, recorded through a gateway (built with `cargo build`)
    Requests,
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Protobuf(arguments) => protobuf::run(&arguments),
        Command::Requests => crate::test::run_example("record_requests", Path::new("target/e2e"), None),
    }
}
