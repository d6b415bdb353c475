//! What is known of an expression's types before it runs. A comparison of a text with a number, or a text where yes or no
//! belongs, can never give an answer; in a policy it would make a rule that allows nothing, or denies everything.
//!
//! What is not known is `Any`, and goes with everything: this refuses what cannot be, and proves nothing else.

use std::fmt;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, operators};

use crate::error::Fault;
use crate::expression::Variable;

/// The type of a value, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Not known before it is looked at.
    Any,
    /// `true` or `false`.
    Boolean,
    /// A number of any kind.
    Number,
    /// A string.
    Text,
    /// Bytes.
    Bytes,
    /// A timestamp.
    Time,
    /// A duration.
    Duration,
    /// A list.
    List,
    /// A map.
    Map,
    /// `null`
    Null,
}

use Type::{Any, Boolean, Bytes, Duration, List, Map, Null, Number, Text, Time};

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Any => "anything",
            Boolean => "true or false",
            Number => "a number",
            Text => "a text",
            Bytes => "bytes",
            Time => "a time",
            Duration => "a duration",
            List => "a list",
            Map => "a map",
            Null => "null",
        })
    }
}

/// The type of the expression, or the node at which types cannot fit. Recursion is bounded by
/// [`crate::TREE_DEPTH_MAX`], which has been checked.
pub(crate) fn infer(root: &IdedExpr, variables: &[Variable]) -> Result<Type, (u64, Fault)> {
    Inference { variables, bound: Vec::new() }.node(root)
}

struct Inference<'e> {
    variables: &'e [Variable],
    /// The names of loops, innermost last.
    bound: Vec<(&'e str, Type)>,
}

type Inferred = Result<Type, (u64, Fault)>;

impl<'e> Inference<'e> {
    fn node(&mut self, node: &'e IdedExpr) -> Inferred {
        match &node.expr {
            Expr::Literal(literal) => Ok(of_literal(literal)),
            Expr::Ident(name) => Ok(self.name(name)),
            Expr::Select(select) => {
                let operand = self.node(&select.operand)?;
                if !matches!(operand, Any | Map) {
                    return Err((
                        node.id,
                        Fault::NoFields { found: operand, name: select.field.chars().take(64).collect() },
                    ));
                }
                Ok(if select.test { Boolean } else { self.field(&select.operand, &select.field) })
            }
            Expr::Call(call) => self.call(node.id, call),
            Expr::Comprehension(comprehension) => self.comprehension(node.id, comprehension),
            Expr::List(list) => {
                list.elements.iter().try_for_each(|element| self.node(element).map(drop))?;
                Ok(List)
            }
            Expr::Map(_) => Ok(Map),
            Expr::Struct(_) | Expr::Unspecified => Ok(Any),
        }
    }

    fn name(&self, name: &str) -> Type {
        if let Some((_, known)) = self.bound.iter().rev().find(|(bound, _)| *bound == name) {
            return *known;
        }
        self.variables.iter().find(|variable| variable.name == name).map_or(Any, |variable| variable.of)
    }

    fn field(&self, operand: &IdedExpr, field: &str) -> Type {
        let Expr::Ident(name) = &operand.expr else { return Any };
        if self.bound.iter().any(|(bound, _)| bound == name) {
            return Any;
        }
        let variable = self.variables.iter().find(|variable| variable.name == name);
        let fields = variable.map_or(&[][..], |variable| variable.fields);
        fields.iter().find(|(name, _)| *name == field).map_or(Any, |(_, known)| *known)
    }

    fn comprehension(&mut self, id: u64, comprehension: &'e ComprehensionExpr) -> Inferred {
        let range = self.node(&comprehension.iter_range)?;
        if !matches!(range, Any | List | Map) {
            return Err((id, Fault::WrongType { found: range, wanted: List }));
        }
        let accumulator = self.node(&comprehension.accu_init)?;
        let outside = self.bound.len();
        self.bound.push((&comprehension.iter_var, Any));
        self.bound.extend(comprehension.iter_var2.as_deref().map(|name| (name, Any)));
        self.bound.push((&comprehension.accu_var, accumulator));
        let result = [&comprehension.loop_cond, &comprehension.loop_step, &comprehension.result]
            .into_iter()
            .try_fold(Any, |_, part| self.node(part));
        self.bound.truncate(outside);
        result
    }

    fn call(&mut self, id: u64, call: &'e CallExpr) -> Inferred {
        let mut operands = Vec::with_capacity(call.args.len() + 1);
        for operand in call.target.as_deref().into_iter().chain(&call.args) {
            operands.push((operand.id, self.node(operand)?));
        }
        let demand = |position: usize, wanted: &[Type]| match operands.get(position) {
            Some((at, found)) if *found != Any && !wanted.contains(found) => {
                let wanted = wanted.first().copied().unwrap_or(Any);
                Err((*at, Fault::WrongType { found: *found, wanted }))
            }
            _ => Ok(()),
        };
        let (left, right) = (nth(&operands, 0), nth(&operands, 1));
        match call.func_name.as_str() {
            operators::LOGICAL_AND | operators::LOGICAL_OR => {
                demand(0, &[Boolean])?;
                demand(1, &[Boolean])?;
                Ok(Boolean)
            }
            operators::LOGICAL_NOT => demand(0, &[Boolean]).map(|()| Boolean),
            operators::CONDITIONAL => {
                demand(0, &[Boolean])?;
                Ok(if right == nth(&operands, 2) { right } else { Any })
            }
            operators::EQUALS | operators::NOT_EQUALS => {
                if left != right && ![left, right].iter().any(|side| matches!(side, Any | Null)) {
                    return Err((id, Fault::Incomparable { left, right }));
                }
                Ok(Boolean)
            }
            operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS => {
                let ordered = [Number, Text, Bytes, Time, Duration, Boolean, Any];
                let both = [left, right].iter().all(|side| ordered.contains(side));
                if !both || (left != right && left != Any && right != Any) {
                    return Err((id, Fault::Incomparable { left, right }));
                }
                Ok(Boolean)
            }
            operators::IN => demand(1, &[List, Map]).map(|()| Boolean),
            operators::NEGATE | operators::MULTIPLY | operators::DIVIDE | operators::MODULO => Ok(Number),
            operators::ADD if left == right && matches!(left, Number | Text | List) => Ok(left),
            "contains" | "startsWith" | "endsWith" | "matches" => demand(0, &[Text, Bytes]).map(|()| Boolean),
            "size" => demand(0, &[List, Map, Text, Bytes]).map(|()| Number),
            "int" | "uint" | "double" => Ok(Number),
            "string" => Ok(Text),
            "bytes" => Ok(Bytes),
            "bool" => Ok(Boolean),
            "timestamp" => Ok(Time),
            "duration" => Ok(Duration),
            name if name.starts_with("get") => demand(0, &[Time, Duration]).map(|()| Number),
            _ => Ok(Any),
        }
    }
}

fn nth(operands: &[(u64, Type)], position: usize) -> Type {
    operands.get(position).map_or(Any, |(_, known)| *known)
}

const fn of_literal(literal: &LiteralValue) -> Type {
    match literal {
        LiteralValue::Boolean(_) => Boolean,
        LiteralValue::Bytes(_) => Bytes,
        LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => Number,
        LiteralValue::Null => Null,
        LiteralValue::String(_) => Text,
    }
}
