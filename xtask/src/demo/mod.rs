//! The whole product on this machine: cluster, shop, identity provider, gateway and console, in one command.
//!
//! `launch.rs` prepares everything and starts a *supervisor* (`supervisor.rs`), which runs the identity provider (`identity.rs`, `idp/`)
//! and the gateway until it is told to end. `demo.json` (`place.rs`) says where everything is. `tour/` plays the story by itself.
//! The demo holds no knowledge of how Lockgate works: it writes configuration and uses the same commands as anybody else.

use std::path::PathBuf;

use anyhow::{Result, bail};

mod certificates;
mod configuration;
mod http;
mod identity;
mod launch;
mod place;
mod shop;
mod sign_in;
mod summary;
mod supervisor;
mod tour;

use place::{Demo, Place};
use supervisor::Attachment;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Play the story by itself, check every step, end everything (with --detach: leave it running)
    #[arg(long, conflicts_with = "stop")]
    tour: bool,
    /// Return when all is ready; end it with --stop
    #[arg(long, conflicts_with = "stop")]
    detach: bool,
    /// End the demo that runs, or clear what a killed one left
    #[arg(long)]
    stop: bool,
    /// A cluster that you have, by its context in your kubeconfig, instead of one of the demo's own
    #[arg(long, value_name = "NAME", conflicts_with = "stop")]
    context: Option<String>,
    /// Another demo of this clone, beside the usual one: its directory [default: target/demo]
    #[arg(long, value_name = "DIRECTORY", global = true)]
    state: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Sign a demo person in afresh, without a browser, and write the client file
    SignIn {
        /// Who
        #[arg(value_parser = [identity::APPROVER, identity::AUDITOR])]
        person: String,
    },
    /// Whether the demo runs, and where everything is
    Status,
    /// Pictures of the console in light, dark and phone width, with a real browser
    Screenshots {
        /// Where to put them [default: screenshots/ in the demo's directory]
        directory: Option<PathBuf>,
    },
    /// Keep the demo's programs running; started by `demo`
    #[command(hide = true)]
    Supervise {
        #[arg(long)]
        attached: bool,
    },
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let place = Place::of_this_clone(arguments.state.as_deref())?;
    match &arguments.command {
        Some(Command::SignIn { person }) => {
            let client = launch::sign_person_in(&place, &running_demo(&place)?, person)?;
            println!("{}", client.display());
            Ok(())
        }
        Some(Command::Status) => status(&place),
        Some(Command::Screenshots { directory }) => {
            running_demo(&place)?;
            crate::test::run_example("screenshots", place.directory(), directory.as_deref())
        }
        Some(Command::Supervise { attached }) => {
            supervisor::run(&place, if *attached { Attachment::Attached } else { Attachment::Detached })
        }
        None if arguments.stop => {
            let was_there = launch::stop(&place)?;
            if !was_there {
                eprintln!("· no demo runs here");
            }
            Ok(())
        }
        None => demo(&place, &arguments),
    }
}

fn demo(place: &Place, arguments: &Arguments) -> Result<()> {
    if launch::running(place).is_some() {
        if arguments.tour {
            // Somebody's demo: it stays as it is.
            return tour::play(&running_demo(place)?, place);
        }
        bail!("a demo of this clone runs already: cargo xtask demo status shows it, cargo xtask demo --stop ends it");
    }
    let attachment = if arguments.detach { Attachment::Detached } else { Attachment::Attached };
    let (demo, running) = launch::start(place, arguments.context.as_deref(), attachment)?;
    let toured = if arguments.tour { tour::play(&demo, place) } else { Ok(()) };
    match attachment {
        Attachment::Detached => {
            summary::print(&demo, attachment);
            running.leave();
            toured
        }
        Attachment::Attached if arguments.tour => toured.and(running.end(place)),
        Attachment::Attached => {
            summary::print(&demo, attachment);
            running.until_interrupted(place)
        }
    }
}

fn running_demo(place: &Place) -> Result<Demo> {
    if launch::running(place).is_none() {
        bail!("no demo runs here: cargo xtask demo");
    }
    place.demo()
}

fn status(place: &Place) -> Result<()> {
    let Some(report) = launch::running(place) else {
        bail!("no demo runs here: cargo xtask demo");
    };
    println!("state       {} ({} restarts)", report.detail, report.restarts);
    summary::print(&place.demo()?, Attachment::Detached);
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn every_command_finds_another_demo() {
        for line in ["--detach --state d", "--stop --state d", "sign-in approver --state d", "status --state d"] {
            let words = std::iter::once("demo").chain(line.split_whitespace());
            assert_eq!(CommandLine::parse_from(words).arguments.state, Some(PathBuf::from("d")), "{line}");
        }
    }
}
