//! Why a text is no expression, and why an expression gave no value.

use std::fmt;

use crate::types::Type;
use crate::{DATA_DEPTH_MAX, EXPRESSION_BYTES_MAX, LOOP_ITEMS_MAX, PATTERN_BYTES_MAX, TREE_DEPTH_MAX, TREE_NODES_MAX};

/// A text that is no expression that may be evaluated, and where in it the trouble is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    /// Line within the expression, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Over [`EXPRESSION_BYTES_MAX`].
    #[error("the expression is longer than {EXPRESSION_BYTES_MAX} bytes")]
    TooLong,
    /// Not CEL; the parser's words.
    #[error("{0}")]
    Syntax(String),
    /// Over [`TREE_DEPTH_MAX`].
    #[error("the expression nests deeper than {TREE_DEPTH_MAX} levels; long sums count one level a term")]
    TooDeep,
    /// Over [`TREE_NODES_MAX`].
    #[error("the expression has more than {TREE_NODES_MAX} parts")]
    TooManyNodes,
    /// A loop in a loop multiplies its cost.
    #[error("a loop (all, exists, map, filter) inside another is not evaluated: its cost is not bounded")]
    NestedLoop,
    /// Protobuf messages do not occur in our data.
    #[error("message literals are not supported")]
    Message,
    /// A name that nothing binds.
    #[error("unknown variable {name}")]
    UnknownVariable {
        /// The name.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// A field that a variable of fixed shape does not have.
    #[error("{variable} has no field {name}")]
    UnknownField {
        /// The variable.
        variable: String,
        /// The name.
        name: String,
        /// The fields that exist.
        known: Vec<String>,
    },
    /// A function that does not exist.
    #[error("unknown function {name}")]
    UnknownFunction {
        /// The name.
        name: String,
        /// The functions that exist.
        known: Vec<String>,
    },
    /// `matches` with a pattern that is not written out, too long, too large or no pattern; and why.
    #[error("matches: {0}")]
    Pattern(String),
    /// `matches` in a loop would compile the pattern for each item.
    #[error("matches inside a loop (all, exists, map, filter) is not evaluated")]
    PatternInLoop,
    /// A value of a type that cannot be used there.
    #[error("this is {found}, where {wanted} belongs")]
    WrongType {
        /// What it is.
        found: Type,
        /// What it should be.
        wanted: Type,
    },
    /// Two types that are never equal, and have no order.
    #[error("{left} cannot be compared with {right}")]
    Incomparable {
        /// The type on the left.
        left: Type,
        /// The type on the right.
        right: Type,
    },
    /// A field of what is no map.
    #[error("{found} has no field {name}")]
    NoFields {
        /// What it is.
        found: Type,
        /// The field.
        name: String,
    },
}

impl Fault {
    /// What to write instead, for people.
    pub fn fix(&self) -> String {
        match self {
            Self::TooLong | Self::TooDeep | Self::TooManyNodes => "split it over several rules".into(),
            Self::Syntax(words) if words.starts_with("`and`") => "write `&&`".into(),
            Self::Syntax(words) if words.starts_with("`or`") => "write `||`".into(),
            Self::Syntax(_) => "see the CEL language's definition: strings in quotes, && || ! for and, or, not".into(),
            Self::NestedLoop => "chain loops (`a.filter(…).exists(…)`), or split the condition over two rules".into(),
            Self::Message => "use a map such as {'key': value}".into(),
            Self::UnknownVariable { name, known }
            | Self::UnknownField { name, known, .. }
            | Self::UnknownFunction { name, known } => choose(name, known),
            Self::Pattern(_) => {
                format!(
                    "write the pattern as a text of at most {PATTERN_BYTES_MAX} bytes, such as matches('^web-[0-9]+$')"
                )
            }
            Self::WrongType { found, wanted } => wrong_type(*found, *wanted),
            Self::Incomparable { left: Type::List, right } | Self::Incomparable { left: right, right: Type::List } => {
                format!("write `{} in LIST`, or LIST.exists(item, …)", example(*right))
            }
            Self::Incomparable { left: Type::Time, .. } | Self::Incomparable { right: Type::Time, .. } => {
                "write a time, as in `now < timestamp('2026-12-24T00:00:00Z')`, or ask it: now.getHours('Europe/Berlin')".into()
            }
            Self::Incomparable { left, right } => {
                format!("compare like with like: {} is {left}, {} is {right}", example(*left), example(*right))
            }
            Self::NoFields { .. } => {
                "leave the field out, or loop over a list: `LIST.exists(item, item.name == 'web')`".into()
            }
            Self::PatternInLoop => "use startsWith, endsWith, contains or == inside a loop".into(),
        }
    }
}

fn wrong_type(found: Type, wanted: Type) -> String {
    match (found, wanted) {
        (Type::Text, Type::Boolean) => {
            "compare it: `subject.id == 'deployer'`, `action.name.startsWith('web-')`".into()
        }
        (Type::List, Type::Boolean) => "ask it: `'sre' in subject.groups`, `change.images.size() > 0`".into(),
        (_, Type::Boolean) => "compare it: `change.replicas.to > 1`, `now < timestamp('2026-12-24T00:00:00Z')`".into(),
        (Type::Text, Type::List) => "use `==` for one text, `.contains(…)` for a part of it".into(),
        (Type::List, Type::Text) => "use `'a' in LIST`, or LIST.exists(item, item.startsWith('a'))".into(),
        (_, wanted) => format!("write {wanted}, such as {}", example(wanted)),
    }
}

/// How a value of the type is written.
const fn example(of: Type) -> &'static str {
    match of {
        Type::Boolean => "true",
        Type::Number => "3",
        Type::Text => "'web'",
        Type::Bytes => "b'web'",
        Type::Time => "now",
        Type::Duration => "duration('10m')",
        Type::List => "['a', 'b']",
        Type::Map => "{'a': 1}",
        Type::Null => "null",
        Type::Any => "object.spec",
    }
}

/// The nearest known word, if one is near; else all of them.
fn choose(found: &str, known: &[String]) -> String {
    let near = known.iter().map(|word| (distance(found, word), word)).min();
    match near {
        Some((steps, word)) if steps <= 2.max(word.len() / 3) => format!("did you mean `{word}`?"),
        _ => format!("use one of {}", known.join(", ")),
    }
}

/// Levenshtein distance, on the first 64 characters.
pub fn distance(left: &str, right: &str) -> usize {
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

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, fault } = self;
        write!(f, "line {line}, column {column} of the expression: {fault}; {}", fault.fix())
    }
}

impl std::error::Error for ExpressionError {}

/// Why an expression gave no usable value. A caller treats this as a refusal, never as a default.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// CEL's own error, such as a missing key. It names keys and types, never values.
    #[error("{expression}: {reason}")]
    Failed {
        /// The expression.
        expression: String,
        /// Why, without any value.
        reason: String,
    },
    /// The value has the wrong type.
    #[error("{expression} is a {found}, not a {expected}")]
    WrongType {
        /// The expression.
        expression: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// Data over [`LOOP_ITEMS_MAX`] under an expression that loops.
    #[error("a list or map has more than {LOOP_ITEMS_MAX} items, too many for an expression with a loop")]
    TooManyItems,
    /// Data over [`DATA_DEPTH_MAX`].
    #[error("the data nests deeper than {DATA_DEPTH_MAX} levels")]
    DataTooDeep,
}
