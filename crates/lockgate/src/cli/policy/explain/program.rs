//! Runs the command that is to be explained: the real program, with a kubeconfig that knows nothing but the stand-in.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::responder::Responder;
use crate::cli::Wrong;

/// What is kept of each of the program's outputs; the rest is read and dropped.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// A command that only waits for events, and has asked for nothing for so long, is ended.
const QUIET: Duration = Duration::from_secs(2);
/// Between two looks at whether it only waits.
const LOOK: Duration = Duration::from_millis(200);

/// Options by which kubectl or helm would talk to a real cluster all the same.
const ELSEWHERE: [&str; 6] =
    ["--kubeconfig", "--server", "--kube-apiserver", "--kube-context", "--context", "--cluster"];

/// Variables by which they would.
const ELSEWHERE_VARIABLES: [&str; 10] = [
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "KUBERNETES_MASTER",
    "HELM_KUBEAPISERVER",
    "HELM_KUBEASGROUPS",
    "HELM_KUBEASUSER",
    "HELM_KUBECAFILE",
    "HELM_KUBECONTEXT",
    "HELM_KUBETLS_SERVER_NAME",
    "HELM_KUBETOKEN",
];

/// How the program ended.
pub(super) struct Ended {
    pub(super) end: End,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With this exit code; `None`: by a signal.
    Exited(Option<i32>),
    /// It waited for events that never come, and was ended.
    OnlyWaited,
    /// It took too long, and was ended.
    TooLong,
}

/// A directory of our own, gone when this is dropped.
pub(super) struct Room(PathBuf);

impl Room {
    /// # Errors
    /// When the directory for temporary files takes no directory.
    pub(super) fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("lockgate-explain-{}", secret()?));
        fs::DirBuilder::new().mode(0o700).create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "a temporary directory stays");
        }
    }
}

/// 128 random bits, in hexadecimal.
pub(super) fn secret() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).context("/dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The program's file, by path or in `PATH`.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_file());
    }
    let directories = std::env::var_os("PATH")?;
    std::env::split_paths(&directories).map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// The name without its directory.
pub(super) fn name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// Refuses a command that names a cluster itself: it would be run against that one.
///
/// # Errors
/// [`Wrong`], with the option.
pub(super) fn refuse_elsewhere(command: &[String]) -> Result<(), Wrong> {
    let program = command.first().map(|program| name(program)).unwrap_or_default();
    if !matches!(program, "kubectl" | "helm") {
        return Ok(());
    }
    for argument in command.iter().skip(1).take_while(|argument| *argument != "--") {
        let option = argument.split('=').next().unwrap_or_default();
        let short = program == "kubectl" && argument.starts_with("-s") && !argument.starts_with("--");
        if ELSEWHERE.contains(&option) || short {
            return Err(Wrong(format!(
                "{option} would take {program} to a real cluster: leave it out, the command is run against a stand-in \
                 (--kubeconfig FILE before the -- lets the stand-in read from a real one)"
            )));
        }
    }
    Ok(())
}

/// Runs it to its end, until it only waits, or until `limit`.
///
/// # Errors
/// When it cannot be started.
pub(super) async fn run(
    program: &Path,
    arguments: &[String],
    responder: &Responder,
    room: &Room,
    place: &Place<'_>,
    limit: Duration,
) -> anyhow::Result<Ended> {
    let kubeconfig = room.path().join("kubeconfig");
    write_kubeconfig(&kubeconfig, &format!("{}/clusters/{}", responder.url, place.cluster), place)?;
    let mut command = Command::new(program);
    for variable in ELSEWHERE_VARIABLES {
        command.env_remove(variable);
    }
    command
        .args(arguments)
        .env("KUBECONFIG", &kubeconfig)
        .env("KUBECACHEDIR", room.path().join("cache"))
        .env("HELM_CACHE_HOME", room.path().join("helm"))
        // A person's own defaults for kubectl could name a server.
        .env("KUBECTL_KUBERC", "false")
        .env("KUBERC", "off")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(proxy);
    }
    let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let outputs = async { tokio::join!(keep(stdout), keep(stderr)) };
    let watched = watch(&mut child, responder, limit);
    tokio::pin!(outputs, watched);
    let mut kept = None;
    let end = loop {
        tokio::select! {
            end = &mut watched => break end?,
            both = &mut outputs, if kept.is_none() => kept = Some(both),
        }
    };
    // A child of the program may hold its outputs open for ever.
    let kept = match kept {
        Some(kept) => kept,
        None => tokio::time::timeout(QUIET, &mut outputs).await.unwrap_or_default(),
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ended { end, stdout: text(kept.0), stderr: text(kept.1) })
}

async fn watch(child: &mut tokio::process::Child, responder: &Responder, limit: Duration) -> anyhow::Result<End> {
    let mut requests = responder.requests();
    let deadline = tokio::time::Instant::now() + limit;
    let mut last = tokio::time::Instant::now();
    let end = loop {
        tokio::select! {
            status = child.wait() => return Ok(End::Exited(status.context("the program")?.code())),
            Ok(()) = requests.changed() => last = tokio::time::Instant::now(),
            () = tokio::time::sleep(LOOK) => {}
        }
        if responder.is_followed() && last.elapsed() >= QUIET {
            break End::OnlyWaited;
        }
        if tokio::time::Instant::now() >= deadline {
            break End::TooLong;
        }
    };
    child.kill().await.context("cannot end the program")?;
    Ok(end)
}

/// Reads to the end, keeps the beginning.
async fn keep(source: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut source) = source else { return kept };
    let mut buffer = [0_u8; 8192];
    while let Ok(count) = source.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        let room = OUTPUT_BYTES_MAX.saturating_sub(kept.len());
        kept.extend_from_slice(buffer.get(..count.min(room)).unwrap_or_default());
    }
    kept
}

/// What the command's kubeconfig says.
pub(super) struct Place<'p> {
    pub(super) cluster: &'p str,
    pub(super) namespace: &'p str,
}

fn write_kubeconfig(path: &Path, server: &str, place: &Place<'_>) -> anyhow::Result<()> {
    let value = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": place.cluster,
        "clusters": [{"name": place.cluster, "cluster": {"server": server}}],
        "users": [{"name": "explained", "user": {}}],
        "contexts": [{"name": place.cluster, "context":
            {"cluster": place.cluster, "user": "explained", "namespace": place.namespace}}],
    });
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map_err(anyhow::Error::from)
        .and_then(|mut file| Ok(std::io::Write::write_all(&mut file, value.to_string().as_bytes())?))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The program's file.
///
/// # Errors
/// When there is none: the message names the next step.
pub(super) fn located(program: &str) -> anyhow::Result<PathBuf> {
    if let Some(path) = find(program) {
        return Ok(path);
    }
    if program.is_empty() {
        bail!("no command: write it behind --, such as -- kubectl delete namespace shop");
    }
    Err(anyhow!(
        "{program} is not there{}\n  next: install it, name it by its path (-- /path/to/{name} …), or give the request \
         itself: lockgate policy explain … DELETE /api/v1/namespaces/shop",
        if program.contains('/') { "" } else { " (looked in PATH)" },
        name = name(program),
    ))
}

/// Arguments as a shell would take them back.
pub(super) fn quoted(command: &[String]) -> String {
    let plain =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c));
    let one = |text: &String| {
        if plain(text) { text.clone() } else { format!("'{}'", text.replace('\'', r"'\''")) }
    };
    command.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_command_that_names_a_cluster_itself_is_refused() {
        for wrong in [
            "kubectl --kubeconfig=admin delete ns shop",
            "/usr/bin/kubectl --server https://x get pods",
            "kubectl -s https://x get pods",
            "kubectl -shttps://x get pods",
            "kubectl --context prod get pods",
            "helm --kube-context prod list",
        ] {
            assert!(refuse_elsewhere(&command(wrong)).is_err(), "{wrong}");
        }
        for right in ["kubectl delete ns shop", "kubectl exec p -- ls -s", "helm template -s x ."] {
            assert!(refuse_elsewhere(&command(right)).is_ok(), "{right}");
        }
    }

    #[test]
    fn a_command_reads_back_from_its_quotes() {
        let words = ["kubectl", "exec", "p", "--", "sh", "-c", "echo 'a b'"].map(str::to_owned);
        assert_eq!(quoted(&words), r"kubectl exec p -- sh -c 'echo '\''a b'\'''");
    }
}
