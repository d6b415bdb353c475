//! One compiled expression.

use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::common::types::CelBool;
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, Env, ExecutionError, IdedExpr, Value};

use crate::data::Datum;
use crate::error::{EvaluationError, ExpressionError, Fault};
use crate::lint::{Shape, lint};
use crate::types::{self, Type};
use crate::{EXPRESSION_BYTES_MAX, LOOP_ITEMS_MAX, PARSER_DEPTH_MAX};

/// CEL's standard functions: the same constant table for every expression.
static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib().with_optional_support(false)));

/// An expression whose cost is known to be bounded. Cheap to clone.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    program: Arc<IdedExpr>,
    shape: Arc<Shape>,
}

/// A name that expressions may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// The name.
    pub name: &'static str,
    /// Its type.
    pub of: Type,
    /// The fields that it can have, with their types; empty: any.
    pub fields: &'static [(&'static str, Type)],
}

/// The values of an expression's variables. A name that is declared and not here is an error where it is evaluated.
pub type Bindings<'b> = [(&'b str, &'b Datum<'b>)];

impl Variable {
    /// A variable of any shape.
    pub const fn any(name: &'static str) -> Self {
        Self::of(name, Type::Any)
    }

    /// A variable of one type.
    pub const fn of(name: &'static str, of: Type) -> Self {
        Self { name, of, fields: &[] }
    }

    /// A map of these fields and no other.
    pub const fn shaped(name: &'static str, fields: &'static [(&'static str, Type)]) -> Self {
        Self { name, of: Type::Map, fields }
    }
}

impl Expression {
    /// Compiles `text`, which may use `variables` and nothing else.
    pub fn compile(text: &str, variables: &[Variable]) -> Result<Self, ExpressionError> {
        Self::typed(text, variables).map(|(expression, _)| expression)
    }

    /// Compiles what has to say yes or no. Where the type is not known before it runs, [`Self::boolean`] tells.
    pub fn condition(text: &str, variables: &[Variable]) -> Result<Self, ExpressionError> {
        match Self::typed(text, variables)? {
            (expression, Type::Any | Type::Boolean) => Ok(expression),
            (_, found) => {
                let (line, column) = position(text, text.len() - text.trim_start().len());
                Err(ExpressionError { line, column, fault: Fault::WrongType { found, wanted: Type::Boolean } })
            }
        }
    }

    fn typed(text: &str, variables: &[Variable]) -> Result<(Self, Type), ExpressionError> {
        if text.len() > EXPRESSION_BYTES_MAX {
            return Err(ExpressionError { line: 1, column: 1, fault: Fault::TooLong });
        }
        let parser = STANDARD.parser().max_recursion_depth(PARSER_DEPTH_MAX);
        let (program, source) = parser.parse_with_source_info(text).map_err(|errors| syntax(&errors))?;
        let place = |(id, fault): (u64, Fault)| {
            let offset = source.offset_for(id).map_or(0, |(start, _)| start as usize);
            let (line, column) = position(text, of_name(text, offset, &fault));
            ExpressionError { line, column, fault }
        };
        // First what bounds the walk over the types.
        let shape = lint(&program, variables).map_err(place)?;
        let found = types::infer(&program, variables).map_err(place)?;
        Ok((Self { text: text.into(), program: Arc::new(program), shape: Arc::new(shape) }, found))
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the expression names the variable `name`.
    pub fn uses(&self, name: &str) -> bool {
        self.shape.names.contains(&name)
    }

    /// Evaluates to a string.
    pub fn string(&self, variables: &Bindings<'_>) -> Result<String, EvaluationError> {
        match self.evaluate(variables)? {
            Value::String(text) => Ok(text.as_ref().clone()),
            other => Err(self.wrong_type("string", &other)),
        }
    }

    /// Evaluates to a string, or to `None` where the value is absent (a missing key) or null.
    pub fn optional_string(&self, variables: &Bindings<'_>) -> Result<Option<String>, EvaluationError> {
        match self.evaluate_present(variables)? {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_ref().clone())),
            Some(other) => Err(self.wrong_type("string", &other)),
        }
    }

    /// Evaluates to a list of strings. A single string is a list of one; an absent value or null is empty.
    pub fn strings(&self, variables: &Bindings<'_>) -> Result<Vec<String>, EvaluationError> {
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
    pub fn boolean(&self, variables: &Bindings<'_>) -> Result<bool, EvaluationError> {
        self.resolve(variables, |found| match found {
            Err(error) => Err(self.failed(&error)),
            Ok(value) => match value.downcast_ref::<CelBool>() {
                Some(boolean) => Ok(*boolean.inner()),
                None => Err(EvaluationError::WrongType {
                    expression: self.text.as_ref().into(),
                    expected: "boolean",
                    found: value.get_type().name().to_owned(),
                }),
            },
        })
    }

    fn evaluate_present(&self, variables: &Bindings<'_>) -> Result<Option<Value>, EvaluationError> {
        self.resolve(variables, |found| match found.and_then(|value| Value::try_from(value.as_ref())) {
            Ok(value) => Ok(Some(value)),
            Err(ExecutionError::NoSuchKey(_)) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        })
    }

    fn evaluate(&self, variables: &Bindings<'_>) -> Result<Value, EvaluationError> {
        self.resolve(variables, |found| {
            found.and_then(|value| Value::try_from(value.as_ref())).map_err(|error| self.failed(&error))
        })
    }

    /// Runs the program over borrowed values and hands the outcome, which borrows them too, to `finish`.
    fn resolve<T>(
        &self,
        variables: &Bindings<'_>,
        finish: impl FnOnce(Result<CowVal<'_, '_>, ExecutionError>) -> Result<T, EvaluationError>,
    ) -> Result<T, EvaluationError> {
        let too_long = |(name, datum): &(&str, &Datum<'_>)| self.uses(name) && datum.longest > LOOP_ITEMS_MAX;
        if self.shape.loops && variables.iter().any(too_long) {
            return Err(EvaluationError::TooManyItems);
        }
        let bound = Bound(variables);
        let mut context = Context::with_env(Arc::clone(&STANDARD));
        context.set_variable_resolver(&bound);
        finish(Value::resolve_val(&self.program, &context))
    }

    fn failed(&self, error: &ExecutionError) -> EvaluationError {
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

/// Lends values to the interpreter.
struct Bound<'b>(&'b Bindings<'b>);

impl VariableResolver for Bound<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let (_, datum) = self.0.iter().find(|(name, _)| *name == variable)?;
        let value: &'b (dyn Val + 'b) = datum.value.as_ref();
        Some(CowVal::Borrowed(value))
    }
}

/// cel's own texts print the values at fault, and values may be claims or Secret data: only names and types are kept.
fn reason(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::UndeclaredReference(name) => format!("{name} is not there for this request"),
        ExecutionError::NoSuchOverload(overload) => format!("no such operation: {overload}"),
        _ => "it could not be evaluated on this data (types that do not fit, or an index out of range)".into(),
    }
}

fn syntax(errors: &cel::ParseErrors) -> ExpressionError {
    let Some(first) = errors.errors.first() else {
        return ExpressionError { line: 1, column: 1, fault: Fault::Syntax("not a CEL expression".into()) };
    };
    let position = |place: isize| usize::try_from(place).unwrap_or(1).max(1);
    let message = unexpected(&first.msg).chars().take(300).collect();
    ExpressionError { line: position(first.pos.0), column: position(first.pos.1), fault: Fault::Syntax(message) }
}

/// The parser's words, without the list of everything that it would have taken.
fn unexpected(message: &str) -> String {
    let message = message.split(" expecting ").next().unwrap_or_default();
    let token = ["mismatched", "extraneous"].into_iter().find_map(|word| message.split_once(&format!("{word} input ")));
    match token.map(|(_, token)| token.trim_matches('\'')) {
        Some("<EOF>") => "the expression ends too early".to_owned(),
        Some(token) => format!("`{token}` does not belong here"),
        None => message.to_owned(),
    }
}

/// The parser places a call at its parenthesis and a field at its dot; people look for the name.
fn of_name(text: &str, offset: usize, fault: &Fault) -> usize {
    let before = text.get(..offset).unwrap_or_default();
    let found = match fault {
        Fault::UnknownFunction { name, .. } => before.rfind(name.as_str()),
        Fault::Pattern(_) | Fault::PatternInLoop => before.rfind("matches"),
        Fault::NestedLoop => {
            let name = before.trim_end().rfind(|character: char| !character.is_alphanumeric() && character != '_');
            name.map(|dot| dot + 1)
        }
        Fault::UnknownField { name, .. } => {
            text.get(offset..).and_then(|after| after.find(name.as_str())).map(|found| offset + found)
        }
        _ => None,
    };
    found.unwrap_or(offset)
}

/// Line and column, from 1, of a byte.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().len() + 1;
    (line, column)
}
