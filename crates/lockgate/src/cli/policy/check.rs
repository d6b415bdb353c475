//! `lockgate policy check FILE…`

use std::path::{Path, PathBuf};

use clap::Args;
use lockgate_console::inert;
use lockgate_policy::test::PolicyTest;
use lockgate_policy::{Policy, PolicyError};
use serde_json::{Value, json};

use crate::cli::Exit;
use crate::cli::output::{Output, Style};

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The files: policies, or tests of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// What was found in one file.
enum Found {
    Valid { name: String, rules: usize, revision: String },
    ValidTest { name: String, cases: usize },
    Unreadable(String),
    Wrong(PolicyError),
}

pub(crate) fn run(out: &Output, command: &Check) -> anyhow::Result<Exit> {
    let found: Vec<(&Path, Found)> = command.files.iter().map(|path| (path.as_path(), look(path))).collect();
    let value = Value::Array(found.iter().map(|(path, found)| as_json(path, found)).collect());
    out.report(&value, |style| found.iter().map(|(path, found)| in_words(style, path, found)).collect())?;
    let all = found.iter().all(|(_, found)| matches!(found, Found::Valid { .. } | Found::ValidTest { .. }));
    Ok(if all { Exit::Done } else { Exit::Failed })
}

fn look(path: &Path) -> Found {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return Found::Unreadable(error.to_string()),
    };
    if text.lines().any(|line| line.trim_end() == "kind: PolicyTest") {
        return match PolicyTest::parse(&text) {
            Ok(test) => Found::ValidTest { name: test.name, cases: test.cases.len() },
            Err(error) => Found::Wrong(error),
        };
    }
    match Policy::parse(&text) {
        Ok(policy) => Found::Valid {
            name: policy.name().to_owned(),
            rules: policy.rule_count(),
            revision: policy.revision().to_owned(),
        },
        Err(error) => Found::Wrong(error),
    }
}

fn as_json(path: &Path, found: &Found) -> Value {
    let file = path.display().to_string();
    match found {
        Found::Valid { name, rules, revision } => {
            json!({"file": file, "valid": true, "name": name, "rules": rules, "digest": revision, "errors": []})
        }
        Found::ValidTest { name, cases } => {
            json!({"file": file, "valid": true, "name": name, "cases": cases, "errors": []})
        }
        Found::Unreadable(why) => json!({"file": file, "valid": false, "errors": [{"message": why}]}),
        Found::Wrong(error) => json!({"file": file, "valid": false, "errors": [{
            "line": error.line, "column": error.column, "message": error.message, "fix": error.fix,
        }]}),
    }
}

fn in_words(style: Style, path: &Path, found: &Found) -> String {
    let file = inert::line(&path.display().to_string()).into_owned();
    match found {
        Found::Valid { name, rules, revision } => {
            let name = if name.is_empty() { String::new() } else { format!("policy {}, ", inert::line(name)) };
            let short = revision.get(..12).unwrap_or(revision);
            format!("{file}: {} ({name}{}, revision {short})\n", style.green("valid"), super::count(*rules, "rule"))
        }
        Found::ValidTest { name, cases } => {
            let name = if name.is_empty() { String::new() } else { format!(" {}", inert::line(name)) };
            format!("{file}: {} (policy test{name}, {})\n", style.green("valid"), super::count(*cases, "case"))
        }
        Found::Unreadable(why) => format!("{file}: {}: {why}\n", style.red("cannot be read")),
        // Its own text has the excerpt and the fix; it is made inert line by line.
        Found::Wrong(error) => {
            let place = if error.line == 0 { String::new() } else { format!(":{}:{}", error.line, error.column) };
            let text = inert::lines(&error.to_string());
            let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
            let message = inert::line(&error.message);
            format!("{}{}: {message}\n{rest}\n", style.bold(&format!("{file}{place}")), style.red(": error"))
        }
    }
}
