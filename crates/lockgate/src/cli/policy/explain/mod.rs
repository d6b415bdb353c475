//! `lockgate policy explain`: what would happen, request by request.
//!
//! A command behind `--` is run for real, with a kubeconfig that leads to a stand-in of the cluster ([`responder`], [`world`]) and
//! nowhere else: what is explained are the requests that the program itself makes. Or one request is given as method and path.

mod discovery;
mod live;
mod objects;
mod program;
mod report;
mod responder;
mod world;

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use http::{HeaderMap, HeaderValue, header};
use lockgate_core::limit::REQUEST_BODY_BYTES_MAX;
use lockgate_wire::protobuf::Protobuf;

use super::judge::{self, Scene};
use super::{Chosen, Source};
use crate::cli::output::Output;
use crate::cli::{Exit, Wrong, duration};
use live::Live;
use program::{End, Ended, Place, Room};
pub(super) use responder::read;
use responder::{Recorded, Responder};
use world::World;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lockgate policy explain --preset operate --as agent:x -- kubectl delete namespace shop
  lockgate policy explain --config lockgate.yaml --as agent:x --groups deployers -- kubectl apply -f web.yaml
  lockgate policy explain --policy policy.yaml --as agent:x DELETE /api/v1/namespaces/shop")]
pub(crate) struct Explain {
    #[command(flatten)]
    source: Source,
    /// Who asks: agent:ID or human:ID
    #[arg(long = "as", value_name = "WHO")]
    who: String,
    /// The caller's groups
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    groups: Vec<String>,
    /// Who answers for the agent
    #[arg(long, value_name = "ID")]
    owner: Option<String>,
    /// The issuer of the caller's token [default: the configuration's first]
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The cluster, as Lockgate names it [default: the configuration's only one]
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// How the cluster is marked, such as production [default: as the configuration says]
    #[arg(long, value_name = "WORD")]
    environment: Option<String>,
    /// The namespace of the command's kubeconfig
    #[arg(long, value_name = "NAME", default_value = "default")]
    namespace: String,
    /// Answer reads as if nothing existed, so that apply creates [default for helm]
    #[arg(long)]
    absent: bool,
    /// Take discovery and reads from the cluster of this kubeconfig; nothing is written to it
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context in that kubeconfig
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    context: Option<String>,
    /// End the command after this long
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    timeout: Duration,
    /// Also say of allowed reads why earlier rules did not decide
    #[arg(long)]
    all: bool,
    /// The request's body, for METHOD and PATH; - is stdin
    #[arg(long, value_name = "FILE", requires = "request")]
    body: Option<PathBuf>,
    /// The body's media type
    #[arg(long, value_name = "TYPE", default_value = "application/json", requires = "body")]
    content_type: String,
    /// One request: its method, and path with query, such as DELETE /api/v1/namespaces/shop
    #[arg(value_names = ["METHOD", "PATH"], num_args = 2)]
    request: Vec<String>,
    /// The command to run: kubectl, helm or another client that reads KUBECONFIG
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "request")]
    command: Vec<String>,
}

/// What is explained.
enum Subject {
    Command { command: Vec<String>, ended: Ended, live: bool },
    Request,
}

pub(crate) async fn run(out: &Output, command: &Explain) -> anyhow::Result<Exit> {
    let chosen = command.source.read()?;
    let scene = scene(command, &chosen)?;
    let protobuf = Protobuf::load().context("the protobuf tables")?;
    let (subject, recorded) = match command.request.as_slice() {
        [method, path] => (Subject::Request, vec![one(command, &scene, &protobuf, method, path).await?]),
        _ => record(command, &scene, protobuf).await?,
    };
    if recorded.is_empty()
        && let Subject::Command { command, ended, .. } = &subject
    {
        return nothing_recorded(command, ended);
    }
    let explained: Vec<report::Explained> =
        recorded.into_iter().map(|request| report::Explained::of(&chosen.policy, &scene, request)).collect();
    let value = report::as_json(&chosen.policy, &scene, &subject, &explained);
    out.report(&value, |style| report::in_words(style, &chosen.policy, &scene, &subject, &explained, command.all))?;
    // A command that failed before it asked for anything has explained nothing.
    let failed = matches!(&subject, Subject::Command { ended, .. } if !matches!(ended.end, End::Exited(Some(0)) | End::OnlyWaited));
    Ok(if failed && explained.iter().all(report::Explained::is_discovery) { Exit::Failed } else { Exit::Done })
}

fn scene(command: &Explain, chosen: &Chosen) -> anyhow::Result<Scene> {
    let config = chosen.config.as_ref().map(|loaded| &loaded.config);
    let clusters = config.map(|config| config.clusters.as_slice()).unwrap_or_default();
    let known = match (&command.cluster, clusters) {
        (Some(name), _) => clusters.iter().find(|cluster| cluster.name == *name),
        (None, [one]) => Some(one),
        (None, []) => None,
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|cluster| cluster.name.as_str()).collect();
            return Err(
                Wrong(format!("the configuration has several clusters: say --cluster {}", names.join("|"))).into()
            );
        }
    };
    if let (Some(name), None, Some(_)) = (&command.cluster, known, config) {
        return Err(Wrong(format!("--cluster {name}: the configuration has no cluster of that name")).into());
    }
    let issuer = command.issuer.clone().or_else(|| config?.issuers.first().map(|issuer| issuer.url.clone()));
    let name = command.cluster.clone().or_else(|| known.map(|cluster| cluster.name.clone()));
    let environment = command.environment.clone().or_else(|| known.map(|cluster| cluster.environment.clone()));
    Ok(Scene {
        subject: judge::subject(
            &command.who,
            issuer.unwrap_or_default(),
            command.owner.clone(),
            command.groups.clone(),
        )?,
        cluster: name.unwrap_or_else(|| "default".into()),
        environment: environment.unwrap_or_default(),
        four_eyes: known.is_some_and(|cluster| cluster.four_eyes),
        now: Some(lockgate_core::Timestamp::from_microseconds(jiff::Timestamp::now().as_microsecond())),
    })
}

/// The one request that was given.
async fn one(
    command: &Explain,
    scene: &Scene,
    protobuf: &Protobuf,
    method: &str,
    path: &str,
) -> anyhow::Result<Recorded> {
    if !path.starts_with('/') {
        return Err(
            Wrong(format!("{path}: a path at the cluster begins with /, such as /api/v1/namespaces/shop")).into()
        );
    }
    let body = match &command.body {
        None => Vec::new(),
        Some(file) => read_body(file)?,
    };
    let mut headers = HeaderMap::new();
    if !body.is_empty() {
        let value = HeaderValue::from_str(&command.content_type)
            .map_err(|_| Wrong(format!("--content-type {}: no media type", command.content_type)))?;
        headers.insert(header::CONTENT_TYPE, value);
    }
    let method = method.to_ascii_uppercase();
    let reading = responder::read(protobuf, &method, &format!("/clusters/{}{path}", scene.cluster), &headers, &body);
    let old_object = match (&command.kubeconfig, &reading) {
        (Some(kubeconfig), Ok(reading)) => {
            let room = Room::new()?;
            let kubectl = program::located("kubectl")?;
            let live = Live::start(&kubectl, kubeconfig, command.context.as_deref(), room.path()).await?;
            world::named_object(&live, &reading.info).await?
        }
        _ => None,
    };
    Ok(Recorded { method, request_uri: path.to_owned(), reading, old_object })
}

fn read_body(file: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    let limit = u64::try_from(REQUEST_BODY_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut body = Vec::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().take(limit).read_to_end(&mut body)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(limit).read_to_end(&mut body))
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    if body.len() > REQUEST_BODY_BYTES_MAX {
        anyhow::bail!("{}: a body has at most {REQUEST_BODY_BYTES_MAX} bytes", file.display());
    }
    Ok(body)
}

/// Runs the command against the stand-in.
async fn record(command: &Explain, scene: &Scene, protobuf: Protobuf) -> anyhow::Result<(Subject, Vec<Recorded>)> {
    program::refuse_elsewhere(&command.command)?;
    let Some((program, arguments)) = command.command.split_first() else {
        let message = "say what to explain: -- kubectl … or METHOD PATH (see --help)";
        return Err(Wrong(message.to_owned()).into());
    };
    let file = program::located(program)?;
    let room = Room::new()?;
    let live = match &command.kubeconfig {
        None => None,
        Some(kubeconfig) => {
            let kubectl = if program::name(program) == "kubectl" { file.clone() } else { program::located("kubectl")? };
            Some(Live::start(&kubectl, kubeconfig, command.context.as_deref(), room.path()).await?)
        }
    };
    let is_live = live.is_some();
    let absent = command.absent || (program::name(program) == "helm" && !is_live);
    let responder = Responder::start(World::new(live, absent), protobuf, program::secret()?).await?;
    let place = Place { cluster: &scene.cluster, namespace: &command.namespace };
    let ended = program::run(&file, arguments, &responder, &room, &place, command.timeout).await?;
    let recorded = responder.recorded();
    if recorded.is_empty()
        && let Some(stray) = responder.stray()
    {
        anyhow::bail!(
            "{} asked for {stray} without the path of the kubeconfig's server, as --raw does: through Lockgate that is 404, since \
             no cluster is named. Sent as --raw /clusters/{}/… it is read as {stray}: explain that with METHOD and PATH instead \
             of a command",
            program::name(program),
            scene.cluster
        );
    }
    Ok((Subject::Command { command: command.command.clone(), ended, live: is_live }, recorded))
}

fn nothing_recorded(command: &[String], ended: &Ended) -> anyhow::Result<Exit> {
    let name = command.first().map(|program| program::name(program)).unwrap_or_default();
    let said = lockgate_console::inert::lines(ended.stderr.trim_end());
    let how = match ended.end {
        End::Exited(Some(0)) => {
            anyhow::bail!("{name} made no request: the command needs no cluster, or does not read KUBECONFIG")
        }
        End::Exited(Some(code)) => format!("ended with exit code {code}"),
        End::Exited(None) => "was ended by a signal".to_owned(),
        End::OnlyWaited | End::TooLong => "did not end in time".to_owned(),
    };
    anyhow::bail!("{name} {how} before its first request{}{said}", if said.is_empty() { "" } else { ":\n" })
}
