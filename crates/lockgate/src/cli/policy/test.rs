//! `lockgate policy test FILE…`: cases that a policy must allow, ask, deny and mask.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use http::{HeaderMap, HeaderValue, header};
use lockgate_console::inert;
use lockgate_policy::test::{PolicyTest, RawRequest, Report, Understood, run as run_test};
use lockgate_wire::protobuf::Protobuf;
use serde_json::{Value, json};

use super::{Source, count, explain};
use crate::cli::Exit;
use crate::cli::output::{Output, Style};

#[derive(Debug, Args)]
pub(crate) struct Test {
    #[command(flatten)]
    source: Source,
    /// The test files (kind PolicyTest)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Also print the cases that hold
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(out: &Output, command: &Test) -> anyhow::Result<Exit> {
    let policy = command.source.read()?.policy;
    let protobuf = Protobuf::load().context("the protobuf tables")?;
    let mut reports = Vec::with_capacity(command.files.len());
    for path in &command.files {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let test = PolicyTest::parse(&text).map_err(|error| anyhow!("{}: {error}", path.display()))?;
        reports.push((path.display().to_string(), run_test(&policy, &test, &|request| read(&protobuf, request))));
    }
    let failed: usize = reports.iter().map(|(_, report)| report.failed()).sum();
    let cases: usize = reports.iter().map(|(_, report)| report.cases.len()).sum();
    let value = json!({
        "policy": {"name": policy.name(), "digest": policy.revision()}, "cases": cases, "failed": failed,
        "tests": reports.iter().map(|(file, report)| one_as_json(file, report)).collect::<Vec<_>>(),
    });
    out.report(&value, |style| {
        let mut text: String =
            reports.iter().map(|(file, report)| in_words(style, file, report, command.all)).collect();
        let sum = format!("{} of {} hold", cases - failed, count(cases, "case"));
        let verdict = if failed == 0 { style.green("ok") } else { style.red("FAILED") };
        text.push_str(&format!("{verdict}: {sum}\n"));
        text
    })?;
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}

/// A method and a path, as the gateway would read them.
fn read(protobuf: &Protobuf, request: &RawRequest) -> Result<Understood, String> {
    let mut headers = HeaderMap::new();
    if let Some(content_type) = &request.content_type {
        let value = HeaderValue::from_str(content_type).map_err(|_| format!("{content_type:?} is no media type"))?;
        headers.insert(header::CONTENT_TYPE, value);
    }
    let body = request.body.as_ref().map(Value::to_string).unwrap_or_default();
    let target = format!("/clusters/test{}", request.target);
    let reading = explain::read(protobuf, &request.method, &target, &headers, body.as_bytes())?;
    Ok(Understood { action: reading.action, options: reading.options, object: reading.object })
}

fn one_as_json(file: &str, report: &Report) -> Value {
    let mut value = json!(report);
    super::set(&mut value, &["file"], file);
    super::set(&mut value, &["failed"], report.failed());
    value
}

/// The failed cases as a diff.
fn in_words(style: Style, file: &str, report: &Report, all: bool) -> String {
    let mut text = String::new();
    for case in report.cases.iter().filter(|case| all || !case.holds()) {
        let words = case.to_string();
        let mut lines = words.lines();
        let head = lines.next().unwrap_or_default();
        let place = format!("{}:{}", inert::line(file), case.line);
        let (word, color) = if case.holds() { ("ok", style.green("ok")) } else { ("FAIL", style.red("FAIL")) };
        let name = head.strip_prefix(&format!("{word} line {}: ", case.line)).unwrap_or(head);
        text.push_str(&format!("{color} {place}: {}\n", style.bold(&inert::line(name))));
        for line in lines.filter(|_| !case.holds()) {
            let line = inert::line(line);
            text.push_str(&match line.chars().next() {
                Some('-') => style.red(&line),
                Some('+') => style.green(&line),
                _ => line.into_owned(),
            });
            text.push('\n');
        }
    }
    text
}
