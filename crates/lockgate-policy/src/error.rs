//! Why a text is no policy: where, what, and how to mend it.

use std::fmt;

use lockgate_expr::{ExpressionError, distance};
use serde_saphyr::{Location, Spanned};

/// Why a document is refused, or what is to be said of one that is not ([`crate::Policy::warnings`]). `Display` gives line, column, the line itself and the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// Line, from 1; 0 where the whole document is meant.
    pub line: u64,
    /// Column, from 1; 0 where the whole document is meant.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub fix: String,
    excerpt: String,
}

impl PolicyError {
    pub(crate) fn at(text: &str, place: Location, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(text, place.line(), place.column(), message.into(), fix.into())
    }

    pub(crate) fn in_line(text: &str, line: u64, column: u64, message: &str, fix: &str) -> Self {
        Self::new(text, line, column, message.into(), fix.into())
    }

    /// A mistake in an expression, told at its own place in the document. `written` is where the expression begins.
    pub(crate) fn expression(text: &str, written: &Spanned<String>, what: &str, error: &ExpressionError) -> Self {
        let (line, column) = within(text, written, error.line, error.column);
        Self::new(text, line, column, format!("{what}: {}", error.fault), error.fault.fix())
    }

    pub(crate) fn whole(message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new("", 0, 0, message.into(), fix.into())
    }

    /// From the YAML reader.
    pub(crate) fn yaml(text: &str, error: &serde_saphyr::Error) -> Self {
        let place = error.location().unwrap_or(Location::UNKNOWN);
        let (message, fix) = yaml_fault(error, &Spot::of(text, place));
        Self::new(text, place.line(), place.column(), message, fix)
    }

    fn new(text: &str, line: u64, column: u64, message: String, fix: String) -> Self {
        let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        let excerpt = match line {
            0 => String::new(),
            _ => text.lines().nth(index).unwrap_or_default().chars().take(200).collect(),
        };
        Self { line, column, message, fix, excerpt }
    }
}

/// What stands at a place of a document, as far as one line tells.
struct Spot<'t> {
    /// The field that the value is for; empty where another line has it.
    field: &'t str,
    value: &'t str,
}

impl<'t> Spot<'t> {
    fn of(text: &'t str, place: Location) -> Self {
        let index = usize::try_from(place.line().saturating_sub(1)).unwrap_or(usize::MAX);
        let column = usize::try_from(place.column().saturating_sub(1)).unwrap_or(usize::MAX);
        let line = text.lines().nth(index).unwrap_or_default();
        let split = line.char_indices().nth(column).map_or(line.len(), |(offset, _)| offset);
        let (before, value) = line.split_at_checked(split).unwrap_or((line, ""));
        let named = before.trim_end().strip_suffix(':').unwrap_or_default();
        let field = named.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let end = value.find([',', '}', ']', '#']).unwrap_or(value.len());
        Self { field, value: value.get(..end).unwrap_or_default().trim() }
    }

    fn as_list(&self) -> String {
        match (self.field, self.value) {
            (_, value) if value.is_empty() || value.contains([':', '{']) => {
                "write it as a list: `[shop]`, or a line `- …` for each entry".to_owned()
            }
            ("", value) => format!("write it as a list: `[{value}]`"),
            (field, value) => format!("write it as a list: `{field}: [{value}]`"),
        }
    }

    fn as_map(&self) -> String {
        match self.field {
            "deny" => "write `deny: {}`, or `deny: {message: …}`".to_owned(),
            "allow" | "ask" | "match" => format!("write `{}: {{}}`", self.field),
            "approvers" => "write `approvers: {groups: [sre]}`".to_owned(),
            "subjects" => "write `subjects: {groups: [deployers]}`, say".to_owned(),
            "labelSelector" => "write `labelSelector: {app: web}`, say".to_owned(),
            _ => "write `{field: value}`, or `{}`".to_owned(),
        }
    }
}

/// Where a field belongs that stands among others, where that is known.
fn belongs(field: &str, among: &[&str]) -> Option<String> {
    let is = |fields: &[&str]| fields.contains(&field);
    let subject = ["ids", "groups", "owners", "kinds"];
    let matched = [
        "subjects",
        "clusters",
        "environments",
        "namespaces",
        "names",
        "apiGroups",
        "resources",
        "verbs",
        "risk",
        "labelSelector",
        "nonResourceURLs",
    ];
    let asked = ["approvers", "count", "fourEyes", "ttl", "scopes"];
    if field == "impersonate" {
        return Some("remove it: whom the cluster sees is said once for a cluster, `clusters[].impersonate` of the configuration".into());
    }
    if among.contains(&"match") {
        return match field {
            _ if is(&matched) => Some(format!("it belongs under `match`: `match: {{{field}: …}}`")),
            _ if is(&subject) => Some(format!("it belongs under `match`: `match: {{subjects: {{{field}: …}}}}`")),
            _ if is(&asked) => Some(format!("it belongs under `ask`: `ask: {{{field}: …}}`")),
            "mask" | "record" | "limits" | "message" => {
                Some(format!("it belongs under the effect: `allow: {{{field}: …}}`, say"))
            }
            "effect" | "action" => Some("write the effect itself: `allow: {}`, `deny: {}` or `ask: {}`".into()),
            _ => None,
        };
    }
    if among.contains(&"nonResourceURLs") {
        return match field {
            _ if is(&subject) => Some(format!("it belongs under `subjects`: `subjects: {{{field}: …}}`")),
            "when" => Some("it belongs beside `match`, not in it".into()),
            _ => None,
        };
    }
    None
}

/// What the reader says, and what to write instead.
fn yaml_fault(error: &serde_saphyr::Error, spot: &Spot<'_>) -> (String, String) {
    use serde_saphyr::Error;
    let words = |message: &str, fix: &str| (message.to_owned(), fix.to_owned());
    match error.without_snippet() {
        Error::SerdeUnknownField { field, expected, .. } => {
            let fix = belongs(field, expected).unwrap_or_else(|| choose(field, expected));
            (format!("unknown field `{field}`"), fix)
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            (format!("unknown word `{variant}`"), choose(variant, expected))
        }
        Error::SerdeMissingField { field, .. } => {
            (format!("the field `{field}` is missing"), format!("add `{field}:`"))
        }
        Error::Eof { .. } => words("the document ends too early", "begin with `apiVersion: lockgate.dev/v1`"),
        Error::MultipleDocuments { .. } => words("a second document begins here", "write one document a file"),
        Error::InvalidBooleanStrict { .. } => words("`true` or `false` belongs here", "write `true` or `false`"),
        Error::InvalidScalar { ty, .. } if ty.contains("bool") => {
            words("`true` or `false` belongs here", "write `true` or `false`")
        }
        Error::InvalidScalar { .. } => words("a whole number belongs here", "write digits, such as `2`"),
        Error::Unexpected { expected, .. } if expected.contains("sequence") => {
            ("a list belongs here".to_owned(), spot.as_list())
        }
        Error::Unexpected { expected, .. } if expected.contains("mapping") => {
            ("a map belongs here".to_owned(), spot.as_map())
        }
        Error::Unexpected { expected, .. } if expected.contains("scalar") => {
            words("one word or number belongs here", "remove the brackets or braces")
        }
        other => {
            let options = serde_saphyr::render_options! { snippets: serde_saphyr::SnippetMode::Off };
            let message = other.render_with_options(options);
            // The place is told once.
            let message = message.split(" at line ").next().unwrap_or_default();
            if let Some(field) = message.strip_prefix("duplicate mapping key: ") {
                let field = field.split(',').next().unwrap_or_default();
                return (format!("the field `{field}` is there twice"), "remove one of the two".to_owned());
            }
            let message = message.to_owned();
            let fix = syntax_fix(&message).to_owned();
            (message, fix)
        }
    }
}

/// By the words of the YAML scanner.
fn syntax_fix(message: &str) -> &'static str {
    let fixes = [
        ("tabs", "indent with spaces"),
        ("trailing content", "put the whole value in double quotes"),
        ("bracket", "close each bracket and brace with its own kind"),
        ("alias", "put a text that begins with `*` or `&` in quotes: '*'"),
        ("anchor", "put a text that begins with `*` or `&` in quotes: '*'"),
        ("quot", "close the quote"),
    ];
    let lower = message.to_lowercase();
    let fix = fixes.into_iter().find(|(word, _)| lower.contains(word));
    fix.map_or("check the indentation and the quotes here", |(_, fix)| fix)
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        write!(f, "{}", self.message)?;
        if !self.excerpt.is_empty() {
            let margin = self.line.to_string().len();
            let indent = usize::try_from(self.column.saturating_sub(1)).unwrap_or(0).min(200);
            write!(f, "\n{:margin$} |\n{} | {}\n{:margin$} | {:indent$}^", "", self.line, self.excerpt, "", "")?;
        }
        write!(f, "\nfix: {}", self.fix)
    }
}

impl std::error::Error for PolicyError {}

/// Where line and column of a YAML scalar's value stand in the document: the line's own text is looked for from where the
/// scalar begins on; where it is written otherwise (escaped, folded), that beginning is the answer.
fn within(text: &str, written: &Spanned<String>, line: usize, column: usize) -> (u64, u64) {
    let start = written.referenced;
    let begins = (start.line(), start.column());
    let Some(wanted) = written.value.lines().nth(line.saturating_sub(1)).filter(|line| !line.trim().is_empty()) else {
        return begins;
    };
    let first = usize::try_from(start.line().saturating_sub(1)).unwrap_or(usize::MAX);
    let last_lines = written.value.lines().count() + 1;
    for (index, source) in text.lines().enumerate().skip(first).take(last_lines) {
        let from = if index == first { usize::try_from(start.column().saturating_sub(1)).unwrap_or(0) } else { 0 };
        let Some(offset) = source.char_indices().nth(from).map(|(offset, _)| offset) else { continue };
        let Some(found) = source.get(offset..).and_then(|rest| rest.find(wanted)) else { continue };
        let before = source.get(..offset + found).unwrap_or_default().chars().count();
        let inside = wanted.get(..column.saturating_sub(1)).unwrap_or_default().chars().count();
        return ((index + 1) as u64, (before + inside + 1) as u64);
    }
    begins
}

/// The nearest known word, if one is near; else all of them.
pub(crate) fn choose(found: &str, known: &[&str]) -> String {
    let near = known.iter().map(|word| (distance(found, word), *word)).min();
    match near {
        Some((steps, word)) if steps <= 2.max(word.len() / 3) => format!("did you mean `{word}`?"),
        _ => format!("use one of {}", known.join(", ")),
    }
}
