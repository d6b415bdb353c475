//! Why a text is no policy: where, what, and how to mend it.

use std::fmt;

use serde_saphyr::Location;

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

    pub(crate) fn whole(message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new("", 0, 0, message.into(), fix.into())
    }

    /// From the YAML reader.
    pub(crate) fn yaml(text: &str, error: &serde_saphyr::Error) -> Self {
        let place = error.location().unwrap_or(Location::UNKNOWN);
        let (message, fix) = match error.without_snippet() {
            serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
                (format!("unknown field `{field}`"), choose(field, expected))
            }
            serde_saphyr::Error::SerdeUnknownVariant { variant, expected, .. } => {
                (format!("unknown word `{variant}`"), choose(variant, expected))
            }
            serde_saphyr::Error::SerdeMissingField { field, .. } => {
                (format!("the field `{field}` is missing"), format!("add `{field}:`"))
            }
            other => {
                let options = serde_saphyr::render_options! { snippets: serde_saphyr::SnippetMode::Off };
                (other.render_with_options(options), "check the indentation, the quotes and the type here".into())
            }
        };
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

/// The nearest known word, if one is near; else all of them.
pub(crate) fn choose(found: &str, known: &[&str]) -> String {
    let near = known.iter().map(|word| (distance(found, word), *word)).min();
    match near {
        Some((steps, word)) if steps <= 2.max(word.len() / 3) => format!("did you mean `{word}`?"),
        _ => format!("use one of {}", known.join(", ")),
    }
}

/// Levenshtein distance, on the first 64 characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.chars().take(64).enumerate() {
        let mut next = vec![index + 1];
        for (column, to) in right.iter().enumerate() {
            let keep = row.get(column).copied().unwrap_or(0) + usize::from(from != *to);
            let remove = row.get(column + 1).copied().unwrap_or(0) + 1;
            let insert = next.last().copied().unwrap_or(0) + 1;
            next.push(keep.min(remove).min(insert));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
