//! What the commands print: data on stdout, everything else on stderr; inert on the way.

use std::io::{IsTerminal, Write};

use anyhow::Context;
use comfy_table::{Attribute, Cell, Color, Table, presets};
use lockgate_console::{inert, yaml};
use serde_json::Value;

use super::{Format, Global};

/// How data is printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    format: Format,
    /// What was asked for, if anything.
    asked: Option<Format>,
    color: bool,
}

/// A column's value, with the meaning that may colour it.
#[derive(Debug)]
pub(crate) struct Column(pub(crate) &'static str, pub(crate) String);

impl Output {
    /// What the options and the terminal say.
    pub(crate) fn new(global: &Global) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let asked = global.output;
        let format = asked.unwrap_or(if terminal { Format::Table } else { Format::Json });
        let silent = global.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { format, asked, color: terminal && !silent }
    }

    /// A list: one array, or a table with a head.
    ///
    /// # Errors
    /// When stdout is gone.
    pub(crate) fn list(&self, values: &Value, row: impl Fn(&Value) -> Vec<Column>) -> anyhow::Result<()> {
        match self.format {
            Format::Json => data(&json(values)?),
            Format::Yaml => data(&yaml::document(values)),
            Format::Table => {
                let rows: Vec<_> = values.as_array().into_iter().flatten().map(row).collect();
                if rows.is_empty() {
                    return note("Nothing found.");
                }
                data(&self.table(&rows))
            }
        }
    }

    /// One object: a value, or lines of `name  value` that `fields` picks, then what `rest` says in YAML.
    ///
    /// # Errors
    /// When stdout is gone.
    pub(crate) fn show(&self, value: &Value, fields: impl Fn(&Value) -> Vec<Column>) -> anyhow::Result<()> {
        match self.format {
            Format::Json => data(&json(value)?),
            Format::Yaml => data(&yaml::document(value)),
            Format::Table => {
                let fields = fields(value);
                let width = fields.iter().map(|Column(name, _)| name.len()).max().unwrap_or(0);
                let mut text = String::new();
                for Column(name, field) in &fields {
                    if field.contains('\n') {
                        // A document of its own, already inert line by line.
                        text.push_str(&format!("{name}\n"));
                        inert::lines(field).lines().for_each(|line| text.push_str(&format!("  {line}\n")));
                    } else if !field.is_empty() {
                        text.push_str(&format!("{name:width$}  {}\n", inert::line(field)));
                    }
                }
                data(&text)
            }
        }
    }

    /// One of a stream of values: a JSON line, a YAML document, or a row without a head.
    ///
    /// # Errors
    /// When stdout is gone.
    pub(crate) fn item(&self, value: &Value, row: impl Fn(&Value) -> Vec<Column>) -> anyhow::Result<()> {
        match self.format {
            Format::Json => data(&format!("{}\n", inert::json(&value.to_string()))),
            Format::Yaml => data(&format!("---\n{}", yaml::document(value))),
            Format::Table => {
                let line: Vec<_> = row(value).iter().map(|Column(_, text)| inert::line(text).into_owned()).collect();
                data(&format!("{}\n", line.join("  ")))
            }
        }
    }

    /// A report for people: `text` says it in words, unless JSON or YAML was asked for. Also when stdout is no terminal, as in
    /// the log of a pipeline.
    ///
    /// # Errors
    /// When stdout is gone.
    pub(crate) fn report(&self, value: &Value, text: impl FnOnce(Style) -> String) -> anyhow::Result<()> {
        match self.asked {
            Some(Format::Json) => data(&json(value)?),
            Some(Format::Yaml) => data(&yaml::document(value)),
            Some(Format::Table) | None => data(&text(Style { color: self.color })),
        }
    }

    /// A file that another program reads (a kubeconfig): YAML unless JSON was asked for.
    ///
    /// # Errors
    /// When stdout is gone.
    pub(crate) fn document(&self, value: &Value) -> anyhow::Result<()> {
        match self.format {
            Format::Json if !std::io::stdout().is_terminal() => data(&json(value)?),
            _ => data(&yaml::document(value)),
        }
    }

    fn table(&self, rows: &[Vec<Column>]) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).force_no_tty();
        if self.color {
            table.enforce_styling();
        }
        let head = rows.first().into_iter().flatten().map(|Column(name, _)| Cell::new(name.to_uppercase()));
        table.set_header(head.map(|cell| if self.color { cell.add_attribute(Attribute::Dim) } else { cell }));
        for row in rows {
            table.add_row(row.iter().map(|Column(_, text)| self.cell(text)));
        }
        let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n");
        lines.collect()
    }

    fn cell(&self, text: &str) -> Cell {
        let cell = Cell::new(inert::line(text));
        let color = match text {
            "pending" | "ask" | "open" | "live" => Color::Yellow,
            "approved" | "consumed" | "completed" | "allow" => Color::Green,
            "denied" | "deny" | "refused" | "failed" | "aborted" | "frozen" => Color::Red,
            "indeterminate" | "unknown" => Color::Magenta,
            _ => return cell,
        };
        if self.color { cell.fg(color) } else { cell }
    }
}

/// How the words of a report may be dressed; plain when there is no terminal or colours are not wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    color: bool,
}

impl Style {
    pub(crate) fn bold(self, text: &str) -> String {
        self.dress("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.dress("2", text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.dress("31", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.dress("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.dress("33", text)
    }

    /// An effect in its colour: allow, ask, deny, refused.
    pub(crate) fn effect(self, effect: &str) -> String {
        match effect {
            "allow" => self.green(effect),
            "ask" => self.yellow(effect),
            _ => self.red(effect),
        }
    }

    fn dress(self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Data, on stdout.
///
/// # Errors
/// When stdout is gone.
pub(crate) fn data(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to stdout")
}

/// Anything else, on stderr.
///
/// # Errors
/// When stderr is gone.
pub(crate) fn note(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stderr().lock(), "{text}").context("cannot write to stderr")
}

/// The text at a JSON pointer; numbers and booleans in their JSON form, empty when there is nothing.
pub(crate) fn at(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A time as people read it: whole seconds.
pub(crate) fn time(value: &Value, pointer: &str) -> String {
    let text = at(value, pointer);
    text.split_once('.').map_or_else(|| text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

/// `agent:deployer`
pub(crate) fn subject(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        Some(subject) if subject.is_object() => format!("{}:{}", at(subject, "/kind"), at(subject, "/id")),
        _ => "-".to_owned(),
    }
}

/// `delete namespaces shop`, or the path of what is no resource.
pub(crate) fn action(value: &Value, pointer: &str) -> String {
    let Some(action) = value.pointer(pointer).filter(|action| action.is_object()) else { return String::new() };
    let mut resource = at(action, "/resource");
    if resource.is_empty() {
        return format!("{} {}", at(action, "/verb"), at(action, "/path"));
    }
    let subresource = at(action, "/subresource");
    if !subresource.is_empty() {
        resource = format!("{resource}/{subresource}");
    }
    let (namespace, name) = (at(action, "/namespace"), at(action, "/name"));
    let target = match (namespace.is_empty(), name.is_empty()) {
        (true, _) => name,
        (false, true) => format!("in {namespace}"),
        (false, false) if namespace == name => name,
        (false, false) => format!("{namespace}/{name}"),
    };
    format!("{} {resource} {target}", at(action, "/verb")).trim_end().to_owned()
}

fn json(value: &Value) -> anyhow::Result<String> {
    Ok(inert::json(&serde_json::to_string_pretty(value)?) + "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAIN: Output = Output { format: Format::Table, asked: None, color: false };

    #[test]
    fn a_table_is_inert_and_has_no_trailing_space() {
        let rows = vec![
            vec![Column("id", "1".into()), Column("summary", "delete \u{1b}[2Jshop".into())],
            vec![Column("id", "22".into()), Column("summary", "x".into())],
        ];
        assert_eq!(PLAIN.table(&rows), " ID  SUMMARY\n 1   delete \\x1b[2Jshop\n 22  x\n");
    }

    #[test]
    fn an_action_reads_like_a_command() {
        let value =
            json!({"action": {"verb": "delete", "resource": "namespaces", "namespace": "shop", "name": "shop"}});
        assert_eq!(action(&value, "/action"), "delete namespaces shop");
        let exec = json!({"action": {"verb": "create", "resource": "pods", "subresource": "exec", "namespace": "shop", "name": "web"}});
        assert_eq!(action(&exec, "/action"), "create pods/exec shop/web");
        let path = json!({"action": {"verb": "get", "resource": "", "path": "/version"}});
        assert_eq!(action(&path, "/action"), "get /version");
    }

    #[test]
    fn a_time_is_shown_in_seconds() {
        assert_eq!(time(&json!({"at": "2026-11-25T01:02:03.000045Z"}), "/at"), "2026-11-25T01:02:03Z");
    }
}
