//! Regenerates committed tables.

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
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Protobuf(arguments) => protobuf::run(&arguments),
    }
}
