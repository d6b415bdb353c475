//! The commands of the README: cluster, demo, test, tidy, code generation.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod cluster;
mod codegen;
mod demo;
mod fuzz;
mod test;
mod tidy;
mod tools;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The commands of the README")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A real Kubernetes cluster without a container engine: up, down, status
    Cluster(cluster::Arguments),
    /// The whole product on this machine: cluster, identity provider, gateway, console
    Demo(demo::Arguments),
    /// Everything that must hold: format, lints, tidy, unit, property and end-to-end tests
    Test(test::Arguments),
    /// The architecture's rules that text can check
    Tidy(tidy::Arguments),
    /// The fuzz targets on the stable toolchain, without coverage: mutations of the committed inputs, for a time.
    /// libFuzzer needs a nightly toolchain: `cargo +nightly fuzz run <target>` (fuzz/README.md)
    Fuzz(fuzz::Arguments),
    /// Regenerate committed tables
    Codegen(codegen::Arguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain of causes on one line, no backtrace: these are words for a person.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Cluster(arguments) => cluster::run(arguments),
        Command::Demo(arguments) => demo::run(arguments),
        Command::Test(arguments) => test::run(arguments),
        Command::Tidy(arguments) => tidy::run(arguments),
        Command::Fuzz(arguments) => fuzz::run(arguments),
        Command::Codegen(arguments) => codegen::run(arguments),
    }
}
