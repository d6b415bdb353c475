//! Shows that an expression's cost is bounded, from its syntax tree and without recursion: a hostile tree must not be
//! able to overflow the stack of its own judge. On the way it refuses names that nothing has: a misspelt field would make
//! a condition that can never be evaluated.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue};

use crate::error::Fault;
use crate::expression::Variable;
use crate::{PATTERN_BYTES_MAX, PATTERN_SIZE_BYTES_MAX, TREE_DEPTH_MAX, TREE_NODES_MAX};

/// CEL's standard functions, by name, as far as our data can use them; the macros (`has`, `all`, …) are expanded before.
/// `matches` is judged by itself.
const FUNCTIONS: [&str; 25] = [
    "bool",
    "bytes",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "int",
    "matches",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
];
/// The macros, for people who misspell one.
const MACROS: [&str; 6] = ["all", "exists", "exists_one", "filter", "has", "map"];

/// What the walk learns.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Whether the expression loops over data.
    pub(crate) loops: bool,
    /// The declared variables that it names.
    pub(crate) names: Vec<&'static str>,
}

struct Visit<'e> {
    node: &'e IdedExpr,
    depth: usize,
    in_loop: bool,
}

/// Walks the tree with a stack of our own: depth, node count, no loop within a loop, no name but the declared ones. The
/// number in the error is the node's.
pub(crate) fn lint(root: &IdedExpr, variables: &[Variable]) -> Result<Shape, (u64, Fault)> {
    let mut shape = Shape::default();
    let mut bound: Vec<&str> = Vec::new();
    let mut used: Vec<(u64, &str)> = Vec::new();
    let mut fields: Vec<(u64, &str, &str)> = Vec::new();
    let mut nodes = 0_usize;
    let mut pending = vec![Visit { node: root, depth: 1, in_loop: false }];
    while let Some(visit) = pending.pop() {
        let refuse = |fault| Err((visit.node.id, fault));
        nodes += 1;
        if nodes > TREE_NODES_MAX {
            return refuse(Fault::TooManyNodes);
        }
        if visit.depth > TREE_DEPTH_MAX {
            return refuse(Fault::TooDeep);
        }
        match &visit.node.expr {
            Expr::Ident(name) => used.push((visit.node.id, name)),
            Expr::Select(select) => {
                if let Expr::Ident(variable) = &select.operand.expr {
                    fields.push((visit.node.id, variable, &select.field));
                }
            }
            Expr::Call(call) => function(call, visit.in_loop).map_err(|fault| (visit.node.id, fault))?,
            Expr::Comprehension(comprehension) => {
                if visit.in_loop {
                    return refuse(Fault::NestedLoop);
                }
                shape.loops = true;
                bound.extend([comprehension.iter_var.as_str(), comprehension.accu_var.as_str()]);
                bound.extend(comprehension.iter_var2.as_deref());
            }
            Expr::Struct(_) => return refuse(Fault::Message),
            _ => {}
        }
        push_children(&visit, &mut pending);
    }
    let unknown = |name: &str| !bound.contains(&name) && !variables.iter().any(|variable| variable.name == name);
    if let Some((id, name)) = used.iter().filter(|(_, name)| unknown(name)).min() {
        let known = variables.iter().map(|variable| variable.name.to_owned()).collect();
        return Err((*id, Fault::UnknownVariable { name: shortened(name), known }));
    }
    for (id, name, field) in fields {
        let variable = variables.iter().find(|variable| variable.name == name && !bound.contains(&name));
        if let Some(variable) = variable
            .filter(|variable| !variable.fields.is_empty() && !variable.fields.iter().any(|(known, _)| *known == field))
        {
            let known = variable.fields.iter().map(|(field, _)| (*field).to_owned()).collect();
            return Err((id, Fault::UnknownField { variable: name.to_owned(), name: shortened(field), known }));
        }
    }
    let named = variables.iter().map(|variable| variable.name);
    shape.names = named.filter(|name| used.iter().any(|(_, used)| used == name)).collect();
    Ok(shape)
}

/// Operators have names that no word can have (`_&&_`, `@in`).
fn function(call: &CallExpr, in_loop: bool) -> Result<(), Fault> {
    let name = call.func_name.as_str();
    if name.contains(['_', '@', '!', '-']) && !MACROS.contains(&name) {
        return Ok(());
    }
    if !FUNCTIONS.contains(&name) {
        let known = FUNCTIONS.into_iter().chain(MACROS).map(str::to_owned).collect();
        return Err(Fault::UnknownFunction { name: shortened(name), known });
    }
    if name != "matches" {
        return Ok(());
    }
    if in_loop {
        return Err(Fault::PatternInLoop);
    }
    let Some(Expr::Literal(LiteralValue::String(pattern))) = call.args.last().map(|argument| &argument.expr) else {
        return Err(Fault::Pattern("the pattern must be written out".into()));
    };
    let pattern: &str = pattern.inner();
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(Fault::Pattern(format!("the pattern is longer than {PATTERN_BYTES_MAX} bytes")));
    }
    // The engine runs in time linear in the text; what remains to bound is the size of the compiled pattern.
    match regex::RegexBuilder::new(pattern).size_limit(PATTERN_SIZE_BYTES_MAX).build() {
        Ok(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(_)) => Err(Fault::Pattern("the pattern is too large once compiled".into())),
        Err(_) => Err(Fault::Pattern(
            "this is no regular expression (of the RE2 family: no look-around, no back-references)".into(),
        )),
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}

fn push_children<'e>(visit: &Visit<'e>, pending: &mut Vec<Visit<'e>>) {
    let depth = visit.depth + 1;
    let mut push = |node: &'e IdedExpr, in_loop: bool| pending.push(Visit { node, depth, in_loop });
    match &visit.node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Call(call) => {
            call.target.iter().for_each(|target| push(target, visit.in_loop));
            call.args.iter().for_each(|argument| push(argument, visit.in_loop));
        }
        Expr::Comprehension(comprehension) => {
            // The range is evaluated once, outside the loop; all else once an item.
            push(&comprehension.iter_range, visit.in_loop);
            for part in
                [&comprehension.accu_init, &comprehension.loop_cond, &comprehension.loop_step, &comprehension.result]
            {
                push(part, true);
            }
        }
        Expr::List(list) => list.elements.iter().for_each(|element| push(element, visit.in_loop)),
        Expr::Map(map) => {
            for entry in &map.entries {
                match &entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        push(&entry.key, visit.in_loop);
                        push(&entry.value, visit.in_loop);
                    }
                    EntryExpr::StructField(field) => push(&field.value, visit.in_loop),
                }
            }
        }
        Expr::Select(select) => push(&select.operand, visit.in_loop),
        Expr::Struct(message) => {
            for entry in &message.entries {
                match &entry.expr {
                    EntryExpr::StructField(field) => push(&field.value, visit.in_loop),
                    EntryExpr::MapEntry(entry) => push(&entry.value, visit.in_loop),
                }
            }
        }
    }
}
