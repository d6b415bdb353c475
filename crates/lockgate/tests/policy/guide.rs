//! The commands of docs/policy.md print what the guide says. Its documents are the files; kubectl's are tried in the
//! end-to-end tests. `UPDATE_GUIDE=1` writes what came out into the guide instead.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Room, record};

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/policy.md");

/// A policy with a mistake.
const TYPO: &str = "\
apiVersion: lockgate.dev/v1
kind: Policy
rules:
- name: before-noon
  when: now.getHours('Europe/Berlin') < '12'
  allow: {}
";

/// A test that hopes for too much.
const HOPES: &str = "\
apiVersion: lockgate.dev/v1
kind: PolicyTest
defaults: {subject: {id: deployer, groups: [deployers]}, cluster: {name: shop}}
mustAllow:
- get pods web -n shop
- delete pods web -n shop
";

/// What the agents `deployer` and `reporter` did.
fn history() -> String {
    let of_apps = |mut record: Value| {
        record["action"]["apiGroup"] = json!("apps");
        record
    };
    let records = [
        record(6, "list", "pods", None, "masked", "allow", Some(200)),
        of_apps(record(5, "patch", "deployments", Some("web"), "write", "allow", Some(200))),
        of_apps(record(4, "patch", "deployments", Some("web"), "write", "allow", Some(200))),
        record(3, "delete", "pods", Some("web-1"), "destructive", "allow", Some(200)),
        record(2, "create", "pods", Some("debug"), "ask", "allow", Some(201)),
        record(1, "get", "secrets", Some("db"), "masked", "deny", None),
    ];
    let line = |(index, mut record): (usize, Value)| {
        let agent = if index == 0 { "reporter" } else { "deployer" };
        record["subject"]["id"] = json!(agent);
        record["subject"]["groups"] = json!([format!("{agent}s")]);
        format!("{record}\n")
    };
    records.into_iter().enumerate().map(line).collect()
}

/// The guide's documents, by the names that its commands use.
fn room(guide: &str) -> Room {
    let mut room = Room::new().with("typo.yaml", TYPO).with("hopes.test.yaml", HOPES).with("history.jsonl", &history());
    for block in guide.split("```yaml\n").skip(1) {
        let document = block.split("```").next().unwrap();
        let name = document.split("metadata: {name: ").nth(1).and_then(|rest| rest.split(['}', ',']).next());
        match name {
            Some(name) if document.contains("kind: PolicyTest") => {
                room = room.with(&format!("{name}.test.yaml"), document)
            }
            Some(name) => room = room.with(&format!("{name}.yaml"), document),
            None => {}
        }
    }
    room
}

/// What the command prints. Its words have no spaces in them.
fn printed(room: &Room, command: &str) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    assert_eq!(words.first(), Some(&"lockgate"), "{command}");
    let output = room.run(&words[1..]);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn its_commands_print_what_it_says() {
    let guide = std::fs::read_to_string(GUIDE).unwrap();
    let room = room(&guide);
    let (mut real, mut inside, mut kept, mut commands) = (String::new(), false, true, 0);
    for line in guide.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ => {}
        }
        if inside && line.starts_with("$ ") {
            let command = line.trim_start_matches("$ ");
            // Of kubectl's requests, the end-to-end tests know.
            kept = command.contains(" kubectl ");
            real.push_str(&format!("{line}\n"));
            if !kept {
                real.push_str(&printed(&room, command));
                commands += 1;
            }
        } else if !inside || kept || line == "```console" {
            kept = true;
            real.push_str(&format!("{line}\n"));
        }
    }
    assert!(commands >= 5, "{commands} commands");
    if std::env::var_os("UPDATE_GUIDE").is_some() {
        std::fs::write(Path::new(GUIDE), &real).unwrap();
    }
    assert_eq!(guide, real, "UPDATE_GUIDE=1 writes what came out");
}
