//! The real binary's system calls, in their order: the record of a call is flushed to the disk before the first byte goes
//! towards the API server. `strace` (Debian's) watches one request.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::process::Stdio;

use e2e::standalone::{Certificate, Directory, Gateway, Issuer, Protocol, Server, Settings, whole};
use e2e::{unique, within};
use http::{Response, StatusCode};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const CALLS: &str = "trace=connect,write,writev,sendto,sendmsg,pwrite64,fsync,fdatasync";

/// `strace` on a running process.
struct Trace {
    strace: Child,
}

impl Trace {
    /// Attaches to every thread of `pid`.
    async fn attach(pid: u32, output: &Path) -> Self {
        let mut command = Command::new("strace");
        // -yy: descriptors with their file, or both ends of their socket. -s: a whole page of the database.
        command.args(["-f", "-yy", "-s", "8192", "-e", CALLS, "-e", "signal=none", "-o"]).arg(output);
        command.args(["-p", &pid.to_string()]).stderr(Stdio::piped()).kill_on_drop(true);
        let mut strace = command.spawn().expect("strace; install it with apt-get install strace");
        let mut said = BufReader::new(strace.stderr.take().unwrap()).lines();
        let attached = async {
            loop {
                let line = said.next_line().await.unwrap().expect("strace attaches; may this user trace processes?");
                if line.contains(&format!("Process {pid} attached")) {
                    return;
                }
            }
        };
        within("strace attaches", attached).await;
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        Self { strace }
    }

    /// Detaches; the output is then whole.
    async fn detach(mut self) {
        let pid = self.strace.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
        within("strace ends", self.strace.wait()).await.unwrap();
    }
}

/// One system call of the trace. Its begin and end are the indices of lines: other threads' calls stand between them.
#[derive(Debug)]
struct Call {
    begin: usize,
    /// None if it had not returned when the trace ended.
    end: Option<usize>,
    text: String,
}

/// Joins `PID NAME(… <unfinished ...>` and `PID <... NAME resumed>…`.
fn calls(trace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut open: HashMap<&str, usize> = HashMap::new();
    for (line, text) in trace.lines().enumerate() {
        let Some((thread, text)) = text.trim_start().split_once(' ') else { continue };
        let text = text.trim_start();
        if let Some(rest) = text.strip_prefix("<... ") {
            let Some(call) = open.remove(thread) else { continue };
            calls[call].text.push_str(rest);
            calls[call].end = Some(line);
        } else if let Some(begun) = text.strip_suffix("<unfinished ...>") {
            open.insert(thread, calls.len());
            calls.push(Call { begin: line, end: None, text: begun.to_owned() });
        } else {
            calls.push(Call { begin: line, end: Some(line), text: text.to_owned() });
        }
    }
    calls
}

impl Call {
    fn is(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.text.strip_prefix(name).is_some_and(|rest| rest.starts_with('(')))
    }

    /// The file of its descriptor.
    fn file(&self) -> Option<&str> {
        self.text.split_once('<')?.1.split_once('>').map(|(file, _)| file)
    }

    fn succeeded(&self) -> bool {
        self.end.is_some() && self.text.trim_end().ends_with("= 0")
    }
}

/// Checks one request with this marker in its path.
fn check(trace: &str, marker: &str, api_port: u16) {
    let calls = calls(trace);
    let towards = format!("->127.0.0.1:{api_port}]");
    let begins_upstream = |call: &&Call| {
        let sends = call.is(&["write", "writev", "sendto", "sendmsg"]) && call.text.contains(&towards);
        let connects = call.is(&["connect"]) && call.text.contains(&format!("htons({api_port})"));
        sends || connects
    };
    let first = calls.iter().find(begins_upstream).unwrap_or_else(|| panic!("nothing went upstream:\n{trace}"));
    let recorded: Vec<&Call> =
        calls.iter().filter(|call| call.is(&["pwrite64"]) && call.text.contains(marker)).collect();
    let files: BTreeSet<&str> = recorded.iter().filter_map(|call| call.file()).collect();
    assert!(!recorded.is_empty(), "the record's bytes were not seen:\n{trace}");
    let is_flushed = |write: &Call| {
        calls.iter().any(|flush| {
            let same = flush.is(&["fsync", "fdatasync"]) && flush.file() == write.file() && flush.succeeded();
            same && write.end.is_some_and(|end| end < flush.begin) && flush.end.is_some_and(|end| end < first.begin)
        })
    };
    // What follows the answer is the record's end.
    let early: Vec<&&Call> = recorded.iter().filter(|write| write.begin < first.begin).collect();
    let flushed = early.iter().filter(|write| is_flushed(write)).count();
    let sent: String = first.text.chars().take(60).collect();
    eprintln!("{} writes of the record to {files:?}, {flushed} flushed before {sent}", recorded.len());
    assert!(!early.is_empty() && flushed == early.len(), "not all of the record is flushed before {sent}:\n{trace}");
}

/// A list without a limit gets a connection of its own, so that the trace has everything from `connect` on; a get goes over the
/// shared connection, which a first request has opened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_record_is_flushed_before_the_first_byte_goes_upstream() {
    let (directory, certificate) = (Directory::new("flush"), Certificate::new());
    let api = Server::start(&certificate, |_head, _body| {
        let object = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x"}}"#;
        Response::builder().header("content-type", "application/json").body(whole(object)).unwrap()
    })
    .await;
    let issuer = Issuer::start(&certificate).await;
    let settings = Settings::new(directory.path(), &certificate, &issuer, &api.url());
    let gateway = Gateway::start(directory.path(), settings).await;
    let client = gateway.client(&certificate.certificate, &issuer.agent(&["deployers".to_owned()]));
    let mut connection = client.connect(Protocol::Http1).await.unwrap();
    let warm = connection.send("GET", "/api/v1/namespaces/shop/configmaps/warm", b"").await.unwrap();
    assert_eq!(warm.0, StatusCode::OK);
    for (name, rest) in [("get", "/configmaps/x"), ("list", "/configmaps")] {
        let marker = format!("{name}-{}", unique());
        let output = directory.path().join(format!("{name}.trace"));
        let trace = Trace::attach(gateway.pid(), &output).await;
        let path = format!("/api/v1/namespaces/{marker}{rest}");
        let answer = within("an answer", connection.send("GET", &path, b"")).await.unwrap();
        trace.detach().await;
        assert_eq!(answer.0, StatusCode::OK);
        check(&std::fs::read_to_string(&output).unwrap(), &marker, api.address.port());
    }
}

#[test]
fn a_byte_before_the_flush_is_found() {
    let trace = |order: [&str; 3]| order.join("\n");
    let record = r#"1  pwrite64(7</s/lockgate.sqlite-wal>, "…marker…", 4096, 24) = 4096"#;
    let flush = "1  fdatasync(7</s/lockgate.sqlite-wal>) = 0";
    let send = r#"2  write(9<TCP:[127.0.0.1:4->127.0.0.1:6443]>, "…", 60) = 60"#;
    check(&trace([record, flush, send]), "marker", 6443);
    for wrong in [[record, send, flush], [send, record, flush], [flush, record, send]] {
        assert!(std::panic::catch_unwind(|| check(&trace(wrong), "marker", 6443)).is_err(), "{wrong:?}");
    }
    let open = "1  fdatasync(7</s/lockgate.sqlite-wal> <unfinished ...>";
    let closed = "1  <... fdatasync resumed>) = 0";
    let late = [record, open, send, closed].join("\n");
    assert!(std::panic::catch_unwind(|| check(&late, "marker", 6443)).is_err());
    check(&[record, open, closed, send].join("\n"), "marker", 6443);
}
