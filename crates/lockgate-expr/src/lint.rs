//! Shows that an expression's cost is bounded, from its syntax tree and without recursion: a hostile tree must not be
//! able to overflow the stack of its own judge.

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr};

use crate::expression::ExpressionError;
use crate::{TREE_DEPTH_MAX, TREE_NODES_MAX};

/// What the walk learns.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Whether the expression loops over data.
    pub(crate) loops: bool,
    /// The declared variables that it names.
    pub(crate) names: Vec<Box<str>>,
}

struct Visit<'e> {
    node: &'e IdedExpr,
    depth: usize,
    in_loop: bool,
}

/// Walks the tree with a stack of our own: depth, node count, no loop within a loop, no name but the declared ones.
pub(crate) fn lint(root: &IdedExpr, variables: &[&str]) -> Result<Shape, ExpressionError> {
    let mut shape = Shape::default();
    let mut bound: Vec<&str> = Vec::new();
    let mut used: Vec<&str> = Vec::new();
    let mut nodes = 0_usize;
    let mut pending = vec![Visit { node: root, depth: 1, in_loop: false }];
    while let Some(visit) = pending.pop() {
        nodes += 1;
        if nodes > TREE_NODES_MAX {
            return Err(ExpressionError::TooManyNodes);
        }
        if visit.depth > TREE_DEPTH_MAX {
            return Err(ExpressionError::TooDeep);
        }
        match &visit.node.expr {
            Expr::Ident(name) => used.push(name),
            Expr::Comprehension(comprehension) => {
                if visit.in_loop {
                    return Err(ExpressionError::NestedLoop);
                }
                shape.loops = true;
                bound.extend([comprehension.iter_var.as_str(), comprehension.accu_var.as_str()]);
                bound.extend(comprehension.iter_var2.as_deref());
            }
            Expr::Struct(_) => return Err(ExpressionError::Message),
            _ => {}
        }
        push_children(&visit, &mut pending);
    }
    match used.iter().find(|name| !variables.contains(name) && !bound.contains(name)) {
        None => {
            let names = variables.iter().filter(|name| used.contains(name)).map(|name| Box::from(*name)).collect();
            Ok(Shape { names, ..shape })
        }
        Some(name) => {
            Err(ExpressionError::UnknownVariable { name: name.chars().take(64).collect(), known: variables.join(", ") })
        }
    }
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
