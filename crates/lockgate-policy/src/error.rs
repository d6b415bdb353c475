//! Why a text is no policy: where, what, and how to mend it.

use std::fmt;

use lockgate_expr::{ExpressionError, distance};
use serde_saphyr::{Location, Spanned};

/// A refused policy document. `Display` gives line, column, the line itself and the fix.
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

    pub(crate) fn in_line(text: &str, line: u64, column: usize, message: &str, fix: &str) -> Self {
        Self::new(text, line, column as u64, message.into(), fix.into())
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
        let (message, fix) = yaml_fault(error);
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

/// What the reader says, and what to write instead.
fn yaml_fault(error: &serde_saphyr::Error) -> (String, String) {
    use serde_saphyr::Error;
    let words = |message: &str, fix: &str| (message.to_owned(), fix.to_owned());
    match error.without_snippet() {
        Error::SerdeUnknownField { field, expected, .. } => {
            (format!("unknown field `{field}`"), choose(field, expected))
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
            words("a list belongs here", "write it as a list: `[shop]`, or a line `- …` for each entry")
        }
        Error::Unexpected { expected, .. } if expected.contains("mapping") => {
            words("a map belongs here", "write `{field: value}`, or `{}`")
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
