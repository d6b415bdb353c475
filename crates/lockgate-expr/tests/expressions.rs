//! What an expression may be, and what it gives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use lockgate_expr::{EvaluationError, Expression, ExpressionError};
use serde_json::{Value, json};

fn compile(text: &str) -> Result<Expression, ExpressionError> {
    Expression::compile(text, &["claims"])
}

fn claims() -> Value {
    json!({"sub": "bot", "x/y": "z", "groups": ["a", "b"], "level": 7, "nested": {"team": "t"}, "flag": true, "none": null})
}

#[test]
fn claims_map_to_strings_and_lists() {
    let claims = claims();
    let variables = [("claims", &claims)];
    for (text, expected) in [
        ("claims.sub", "bot"),
        ("claims[\"x/y\"]", "z"),
        ("claims.nested.team", "t"),
        ("'agent-' + claims.sub", "agent-bot"),
        ("has(claims.gone) ? claims.gone : claims.sub", "bot"),
    ] {
        assert_eq!(compile(text).unwrap().string(&variables).as_deref(), Ok(expected), "{text}");
    }
    assert_eq!(compile("claims.groups").unwrap().strings(&variables).unwrap(), ["a", "b"]);
    assert_eq!(compile("claims.sub").unwrap().strings(&variables).unwrap(), ["bot"]);
    assert_eq!(compile("claims.groups.filter(g, g != 'a')").unwrap().strings(&variables).unwrap(), ["b"]);
    assert!(compile("claims.gone").unwrap().strings(&variables).unwrap().is_empty());
    assert_eq!(compile("claims.gone").unwrap().optional_string(&variables), Ok(None));
    assert_eq!(compile("claims.none").unwrap().optional_string(&variables), Ok(None));
    for (text, expected) in [
        ("claims.level > 3", true),
        ("claims.level == 7 && claims.flag", true),
        ("claims.groups.exists(g, g == 'b')", true),
        ("'c' in claims.groups", false),
        ("claims.sub.startsWith('b')", true),
        ("claims.groups.size() == 2", true),
    ] {
        assert_eq!(compile(text).unwrap().boolean(&variables), Ok(expected), "{text}");
    }
}

#[test]
fn a_wrong_type_or_a_missing_value_is_an_error_that_shows_no_value() {
    let claims = claims();
    let variables = [("claims", &claims)];
    assert!(matches!(compile("claims.gone").unwrap().string(&variables), Err(EvaluationError::Failed { .. })));
    assert!(matches!(compile("claims.level").unwrap().string(&variables), Err(EvaluationError::WrongType { .. })));
    assert!(matches!(compile("claims.sub").unwrap().boolean(&variables), Err(EvaluationError::WrongType { .. })));
    assert!(matches!(compile("claims.level").unwrap().strings(&variables), Err(EvaluationError::WrongType { .. })));
    let secret = json!({"a": "hunter2", "b": {"c": "hunter2"}, "l": ["hunter2"]});
    for text in [
        "claims.a + 1",
        "claims.b.c.d",
        "claims.a / claims.a",
        "claims.l[claims.a]",
        "claims.b < claims.a",
        "claims.l[9]",
    ] {
        let error = compile(text).unwrap().boolean(&[("claims", &secret)]).expect_err(text);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{text}: {error}");
    }
}

#[test]
fn what_could_cost_without_bound_is_refused_before_it_runs() {
    let nested = "claims.groups.all(a, claims.groups.all(b, true))";
    let mapped = "claims.groups.map(a, claims.groups.map(b, b)).size() > 0";
    for text in [nested, mapped] {
        assert_eq!(compile(text), Err(ExpressionError::NestedLoop), "{text}");
    }
    assert!(compile("claims.groups.filter(a, a != '').exists(b, b == 'x')").is_ok(), "a chain is not a nest");
    assert_eq!(compile(&format!("'{}'", "x".repeat(1024))), Err(ExpressionError::TooLong));
    assert_eq!(compile(&vec!["1"; 300].join("+")), Err(ExpressionError::TooDeep));
    for (open, close) in [("(", ")"), ("[", "]"), ("size(", ")")] {
        let text = format!("{}1{}", open.repeat(100), close.repeat(100));
        assert!(compile(&text).is_err(), "{open}");
    }
    assert!(matches!(compile("secrets.x"), Err(ExpressionError::UnknownVariable { .. })));
    assert!(matches!(compile("claims.sub +"), Err(ExpressionError::Syntax { .. })));
    for text in ["", "Foo{a: 1}", "claims.?sub"] {
        assert!(compile(text).is_err(), "{text}");
    }
    let long = json!({"groups": vec!["g"; 1_001]});
    let looping = compile("claims.groups.exists(g, g == 'x')").unwrap();
    assert_eq!(looping.boolean(&[("claims", &long)]), Err(EvaluationError::TooManyItems));
    assert_eq!(compile("claims.groups").unwrap().strings(&[("claims", &long)]).unwrap().len(), 1_001);
}

proptest::proptest! {
    /// Whatever is written: an answer or an error, never a panic or an overflow of the (2 MiB) stack.
    #[test]
    fn any_text_compiles_or_is_refused(text in "[a-z0-9(){}\\[\\].,+*!?:<>=&|'\" -]{0,200}") {
        if let Ok(expression) = compile(&text) {
            let claims = claims();
            let evaluated = expression.strings(&[("claims", &claims)]);
            proptest::prop_assert!(evaluated.is_ok() || evaluated.is_err());
        }
    }
}
