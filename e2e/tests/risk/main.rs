//! Every row of docs/risk-classes.md, with real kubectl or a raw request against the real cluster: what the log says that the
//! request was. The gateway denies everything but reads, by one rule for each class, so that nothing is executed and the live
//! object is read wherever it makes a difference.

mod cases;
mod ground;

use std::collections::HashSet;

use e2e::environment::Environment;
use e2e::program::{Said, run_with_input};
use serde_json::Value;

use crate::cases::{Case, Send, Verdict};
use crate::ground::Ground;

const TABLE: &str = include_str!("../../../docs/risk-classes.md");

/// First cells of the table, in order.
fn rows() -> Vec<&'static str> {
    let rows: Vec<&str> = TABLE
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|line| line.split(" | ").next())
        .filter(|row| *row != "what")
        .collect();
    assert!(rows.len() > 30, "the table is read");
    rows
}

#[test]
fn no_row_is_without_a_case_and_no_case_without_a_row() {
    let cases = cases::all(&cases::Names::default());
    let rows = rows();
    for row in &rows {
        assert!(cases.iter().any(|case| row.starts_with(case.row)), "no case for the row {row:?}");
    }
    for case in &cases {
        let matches = rows.iter().filter(|row| row.starts_with(case.row)).count();
        assert_eq!(matches, 1, "{:?} is the beginning of exactly one row", case.row);
    }
}

#[tokio::test]
async fn every_row_is_classed_as_the_table_says() {
    let ground = Ground::prepare().await;
    let mut seen = HashSet::new();
    let mut wrong = Vec::new();
    for case in cases::all(&ground.names) {
        if let Err(message) = check(&ground, &case, &mut seen).await {
            wrong.push(format!("{}: {} {:?}: {message}", case.row, case.what, case.send));
        }
    }
    ground.clear().await;
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

/// Sends the case's request and compares what the log says about it.
async fn check(ground: &Ground, case: &Case, seen: &mut HashSet<String>) -> Result<(), String> {
    let (status, said) = send(ground, case).await;
    let risk = match case.verdict {
        Verdict::Class(risk) => risk,
        Verdict::Refused(expected) => {
            return if status == Some(expected) || status.is_none() && said.contains("impersonation headers") {
                Ok(())
            } else {
                Err(format!("status {status:?}: {said}"))
            };
        }
    };
    let records = ground.records(case).await;
    let new: Vec<&Value> =
        records.iter().filter(|record| record["id"].as_str().is_some_and(|id| seen.insert(id.to_owned()))).collect();
    let Some(record) = new.first() else { return Err(format!("no record of it; the client said: {said}")) };
    let found = record.pointer("/action/risk").and_then(Value::as_str).unwrap_or("nothing");
    if found != risk {
        let reasons = record.pointer("/decision/reasons").cloned().unwrap_or_default();
        return Err(format!("classed {found}, not {risk} ({reasons}); the client said: {said}"));
    }
    let harmless =
        matches!(risk, "read" | "masked") && !case.is_write() || record.get("upstream").is_none_or(Value::is_null);
    if harmless { Ok(()) } else { Err("it went upstream".to_owned()) }
}

/// The HTTP status of a raw request, and what the client said.
async fn send(ground: &Ground, case: &Case) -> (Option<u16>, String) {
    match &case.send {
        Send::Kubectl { arguments, input } => {
            let Said { stdout, stderr, .. } =
                run_with_input(ground.kubectl(arguments), input.as_deref().unwrap_or_default().as_bytes()).await;
            let said = [stdout, stderr].concat();
            (None, String::from_utf8_lossy(&said).chars().take(600).collect())
        }
        Send::Raw { method, path, headers, body } => {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, *value)).collect();
            let answer = ground.door.send(method, path, &headers, body.as_bytes()).await;
            (Some(answer.status.as_u16()), answer.text().chars().take(600).collect())
        }
    }
}

/// A pod of the demo that runs.
fn demo_pod() -> String {
    Environment::get().demo.pod.clone()
}
