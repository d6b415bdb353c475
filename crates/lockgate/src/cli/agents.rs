//! `lockgate agents`

use clap::Subcommand;
use lockgate_console::inert;
use serde_json::{Value, json};

use super::Exit;
use super::api::Api;
use super::output::{self, Column, Output, at, subject, time};

#[derive(Debug, Subcommand)]
pub(crate) enum Agents {
    /// List who is frozen and who called lately
    List {
        /// Only those that are frozen
        #[arg(long)]
        frozen: bool,
    },
    /// Show one, with its freezes
    Show {
        /// Its key, `agt_…`, or its id where only one has it
        agent: String,
    },
    /// Stop every change by one; needs a fresh sign-in (`lockgate login --fresh`)
    Freeze {
        /// Its key, `agt_…`, or its id where only one has it
        agent: String,
        /// Why: goes to the agent and into the record
        #[arg(long)]
        note: String,
    },
    /// Let a frozen one go on; needs a fresh sign-in (`lockgate login --fresh`)
    Clear {
        /// Its key, `agt_…`, or its id where only one has it
        agent: String,
        /// Why it may go on: goes into the record
        #[arg(long)]
        note: String,
    },
}

pub(crate) async fn run(api: &Api, out: &Output, command: &Agents) -> anyhow::Result<Exit> {
    match command {
        Agents::List { frozen } => {
            let mut agents = api.get("/api/v1/agents", &[]).await?;
            if let (true, Some(list)) = (*frozen, agents.as_array_mut()) {
                list.retain(|agent| agent.get("freeze").is_some());
            }
            out.list(&agents, row)?;
        }
        Agents::Show { agent } => out.show(&api.get(&path(agent), &[]).await?, fields)?,
        Agents::Freeze { agent, note } => {
            let freeze = api.post(&format!("{}/freeze", path(agent)), &json!({"note": note})).await?;
            output::note(&format!("{} is frozen: it may read, and changes nothing.", inert::line(agent)))?;
            out.show(&freeze, freeze_fields)?;
        }
        Agents::Clear { agent, note } => {
            let freeze = api.post(&format!("{}/clear", path(agent)), &json!({"note": note})).await?;
            output::note(&format!("{} may go on.", inert::line(agent)))?;
            out.show(&freeze, freeze_fields)?;
        }
    }
    Ok(Exit::Done)
}

fn path(agent: &str) -> String {
    let name: String = url::form_urlencoded::byte_serialize(agent.as_bytes()).collect();
    format!("/api/v1/agents/{}", name.replace('+', "%20"))
}

fn row(value: &Value) -> Vec<Column> {
    vec![
        Column("key", at(value, "/key")),
        Column("who", subject(value, "/subject")),
        Column("owner", at(value, "/subject/owner")),
        Column("last seen", time(value, "/lastSeenAt")),
        Column("state", if value.get("freeze").is_some() { "frozen" } else { "free" }.to_owned()),
        Column("why", why(value.get("freeze").unwrap_or(&Value::Null))),
    ]
}

fn fields(value: &Value) -> Vec<Column> {
    let mut fields = vec![
        Column("Key", at(value, "/key")),
        Column("Who", subject(value, "/subject")),
        Column("Owner", at(value, "/subject/owner")),
        Column("Issuer", at(value, "/subject/issuer")),
        Column("Last seen", time(value, "/lastSeenAt")),
        Column("State", if value.get("freeze").is_some() { "frozen" } else { "free" }.to_owned()),
    ];
    for freeze in value.pointer("/freezes").and_then(Value::as_array).into_iter().flatten() {
        let cleared = match freeze.get("cleared").filter(|cleared| !cleared.is_null()) {
            Some(word) => {
                format!("; cleared by {} at {}: {}", subject(word, "/by"), time(word, "/at"), at(word, "/note"))
            }
            None => String::new(),
        };
        fields.push(Column("Frozen", format!("{} ({}){cleared}", time(freeze, "/at"), why(freeze))));
    }
    fields
}

fn freeze_fields(value: &Value) -> Vec<Column> {
    vec![
        Column("Freeze", at(value, "/id")),
        Column("Who", subject(value, "/subject")),
        Column("Since", time(value, "/at")),
        Column("Why", why(value)),
        Column("Cleared by", value.get("cleared").map(|word| subject(word, "/by")).unwrap_or_default()),
        Column("Note", at(value, "/cleared/note")),
        Column("Audit", at(value, "/auditId")),
    ]
}

/// Why a freeze is there, in words; empty for none.
fn why(freeze: &Value) -> String {
    match at(freeze, "/cause/kind").as_str() {
        "denials" => {
            let tickets = freeze.pointer("/cause/approvals").and_then(Value::as_array);
            let ids: Vec<_> = tickets.into_iter().flatten().filter_map(Value::as_str).collect();
            format!("denied in a row: {}", ids.join(", "))
        }
        "human" => format!("stopped by {}: {}", subject(freeze, "/cause/by"), at(freeze, "/cause/note")),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_segment_of_the_path() {
        assert_eq!(path("agt_0123"), "/api/v1/agents/agt_0123");
        assert_eq!(path("a/b c?d"), "/api/v1/agents/a%2Fb%20c%3Fd");
    }

    #[test]
    fn a_freeze_says_why() {
        let denials = json!({"cause": {"kind": "denials", "approvals": ["apr_1", "apr_2"]}});
        assert_eq!(why(&denials), "denied in a row: apr_1, apr_2");
        let human = json!({"cause": {"kind": "human", "by": {"kind": "human", "id": "ada"}, "note": "runs wild"}});
        assert_eq!(why(&human), "stopped by human:ada: runs wild");
        assert_eq!(why(&Value::Null), "");
    }
}
