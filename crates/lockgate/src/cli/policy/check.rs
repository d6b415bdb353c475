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

    /// Warnings fail too
    #[arg(long)]
    strict: bool,
}

/// What was found in one file.
enum Found {
    Valid { name: String, rules: usize, revision: String, warnings: Vec<PolicyError> },
    ValidTest { name: String, cases: usize },
    Unreadable(String),
    Wrong(PolicyError),
}

pub(crate) fn run(out: &Output, command: &Check) -> anyhow::Result<Exit> {
    let found: Vec<(&Path, Found)> = command.files.iter().map(|path| (path.as_path(), look(path))).collect();
    let value = Value::Array(found.iter().map(|(path, found)| as_json(path, found)).collect());
    out.report(&value, |style| found.iter().map(|(path, found)| in_words(style, path, found)).collect())?;
    let passes = |found: &Found| match found {
        Found::Valid { warnings, .. } => !command.strict || warnings.is_empty(),
        Found::ValidTest { .. } => true,
        Found::Unreadable(_) | Found::Wrong(_) => false,
    };
    Ok(if found.iter().all(|(_, found)| passes(found)) { Exit::Done } else { Exit::Failed })
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
            warnings: policy.warnings(&text),
        },
        Err(error) => Found::Wrong(error),
    }
}

fn as_json(path: &Path, found: &Found) -> Value {
    let file = path.display().to_string();
    match found {
        Found::Valid { name, rules, revision, warnings } => {
            let warnings: Vec<Value> = warnings.iter().map(mistake).collect();
            json!({
                "file": file, "valid": true, "name": name, "rules": rules, "digest": revision, "errors": [],
                "warnings": warnings,
            })
        }
        Found::ValidTest { name, cases } => {
            json!({"file": file, "valid": true, "name": name, "cases": cases, "errors": []})
        }
        Found::Unreadable(why) => json!({"file": file, "valid": false, "errors": [{"message": why}]}),
        Found::Wrong(error) => json!({"file": file, "valid": false, "errors": [mistake(error)]}),
    }
}

fn mistake(error: &PolicyError) -> Value {
    json!({"line": error.line, "column": error.column, "message": error.message, "fix": error.fix})
}

fn in_words(style: Style, path: &Path, found: &Found) -> String {
    let file = inert::line(&path.display().to_string()).into_owned();
    match found {
        Found::Valid { name, rules, revision, warnings } => {
            let name = if name.is_empty() { String::new() } else { format!("policy {}, ", inert::line(name)) };
            let short = revision.get(..12).unwrap_or(revision);
            let rules = super::count(*rules, "rule");
            let warnings = warnings.iter().map(|warning| told(style, &file, &style.yellow(": warning"), warning));
            let valid = format!("{file}: {} ({name}{rules}, revision {short})\n", style.green("valid"));
            std::iter::once(valid).chain(warnings).collect()
        }
        Found::ValidTest { name, cases } => {
            let name = if name.is_empty() { String::new() } else { format!(" {}", inert::line(name)) };
            format!("{file}: {} (policy test{name}, {})\n", style.green("valid"), super::count(*cases, "case"))
        }
        Found::Unreadable(why) => format!("{file}: {}: {why}\n", style.red("cannot be read")),
        Found::Wrong(error) => told(style, &file, &style.red(": error"), error),
    }
}

/// Its own text has the excerpt and the fix; it is made inert line by line.
fn told(style: Style, file: &str, what: &str, error: &PolicyError) -> String {
    let place = if error.line == 0 { String::new() } else { format!(":{}:{}", error.line, error.column) };
    let text = inert::lines(&error.to_string());
    let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
    let message = inert::line(&error.message);
    format!("{}{what}: {message}\n{rest}\n", style.bold(&format!("{file}{place}")))
}
