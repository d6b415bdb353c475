//! One compiled expression.

use std::fmt;
use std::sync::Arc;

use cel::{Context, Env, IdedExpr, Value};

use crate::lint::{Shape, lint};
use crate::{
    DATA_DEPTH_MAX, EXPRESSION_BYTES_MAX, LOOP_ITEMS_MAX, PARSER_DEPTH_MAX, TREE_DEPTH_MAX, TREE_NODES_MAX, data,
};

/// An expression whose cost is known to be bounded. Cheap to clone.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    program: Arc<IdedExpr>,
    environment: Arc<Env>,
    shape: Shape,
}

/// Why a text is no expression that may be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// Over [`EXPRESSION_BYTES_MAX`].
    #[error("the expression is longer than {EXPRESSION_BYTES_MAX} bytes; split it over several rules")]
    TooLong,
    /// Not CEL.
    #[error("line {line}, column {column} of the expression: {message}")]
    Syntax {
        /// Line within the expression, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
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
    #[error("message literals are not supported; use a map such as {{'key': value}}")]
    Message,
    /// A name that nothing binds.
    #[error("unknown variable {name}; known here: {known}")]
    UnknownVariable {
        /// The name.
        name: String,
        /// The names that exist, for people.
        known: String,
    },
}

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

impl Expression {
    /// Compiles `text`, which may use `variables` and nothing else.
    pub fn compile(text: &str, variables: &[&str]) -> Result<Self, ExpressionError> {
        if text.len() > EXPRESSION_BYTES_MAX {
            return Err(ExpressionError::TooLong);
        }
        let environment = Env::stdlib().with_optional_support(false);
        let program =
            environment.parser().max_recursion_depth(PARSER_DEPTH_MAX).parse(text).map_err(|errors| syntax(&errors))?;
        let shape = lint(&program, variables)?;
        Ok(Self { text: text.into(), program: Arc::new(program), environment: Arc::new(environment), shape })
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the expression names the variable `name`.
    pub fn uses(&self, name: &str) -> bool {
        self.shape.names.iter().any(|used| used.as_ref() == name)
    }

    /// Evaluates to a string.
    pub fn string(&self, variables: &[(&str, &serde_json::Value)]) -> Result<String, EvaluationError> {
        match self.evaluate(variables)? {
            Value::String(text) => Ok(text.as_ref().clone()),
            other => Err(self.wrong_type("string", &other)),
        }
    }

    /// Evaluates to a string, or to `None` where the value is absent (a missing key) or null.
    pub fn optional_string(&self, variables: &[(&str, &serde_json::Value)]) -> Result<Option<String>, EvaluationError> {
        match self.evaluate_present(variables)? {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_ref().clone())),
            Some(other) => Err(self.wrong_type("string", &other)),
        }
    }

    /// Evaluates to a list of strings. A single string is a list of one; an absent value or null is empty.
    pub fn strings(&self, variables: &[(&str, &serde_json::Value)]) -> Result<Vec<String>, EvaluationError> {
        match self.evaluate_present(variables)? {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.as_ref().clone()]),
            Some(Value::List(items)) => items
                .iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text.as_ref().clone()),
                    other => Err(self.wrong_type("list of strings", other)),
                })
                .collect(),
            Some(other) => Err(self.wrong_type("list of strings", &other)),
        }
    }

    /// Evaluates to a boolean.
    pub fn boolean(&self, variables: &[(&str, &serde_json::Value)]) -> Result<bool, EvaluationError> {
        match self.evaluate(variables)? {
            Value::Bool(boolean) => Ok(boolean),
            other => Err(self.wrong_type("boolean", &other)),
        }
    }

    fn evaluate_present(&self, variables: &[(&str, &serde_json::Value)]) -> Result<Option<Value>, EvaluationError> {
        match self.resolve(variables)? {
            Ok(value) => Ok(Some(value)),
            Err(cel::ExecutionError::NoSuchKey(_)) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn evaluate(&self, variables: &[(&str, &serde_json::Value)]) -> Result<Value, EvaluationError> {
        self.resolve(variables)?.map_err(|error| self.failed(&error))
    }

    fn resolve(&self, variables: &[(&str, &serde_json::Value)]) -> Result<cel::ResolveResult, EvaluationError> {
        let mut context = Context::with_env(Arc::clone(&self.environment));
        for (name, json) in variables {
            context.add_variable_from_value(*name, data::value(json, self.shape.loops)?);
        }
        Ok(context.resolve(&self.program))
    }

    fn failed(&self, error: &cel::ExecutionError) -> EvaluationError {
        EvaluationError::Failed { expression: self.text.as_ref().into(), reason: reason(error) }
    }

    fn wrong_type(&self, expected: &'static str, found: &Value) -> EvaluationError {
        EvaluationError::WrongType {
            expression: self.text.as_ref().into(),
            expected,
            found: found.type_of().to_string(),
        }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.text)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// cel's own texts print the values at fault, and values may be claims or Secret data: only names and types are kept.
fn reason(error: &cel::ExecutionError) -> String {
    match error {
        cel::ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        cel::ExecutionError::UndeclaredReference(name) => format!("unknown name: {name}"),
        cel::ExecutionError::NoSuchOverload(overload) => format!("no such operation: {overload}"),
        _ => "it could not be evaluated on this data (types that do not fit, or an index out of range)".into(),
    }
}

fn syntax(errors: &cel::ParseErrors) -> ExpressionError {
    let Some(first) = errors.errors.first() else {
        return ExpressionError::Syntax { line: 1, column: 1, message: "not a CEL expression".into() };
    };
    let position = |place: isize| usize::try_from(place).unwrap_or(1).max(1);
    let message = first.msg.chars().take(300).collect();
    ExpressionError::Syntax { line: position(first.pos.0), column: position(first.pos.1), message }
}
