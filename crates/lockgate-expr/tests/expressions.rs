//! What an expression may be, and what it gives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use lockgate_expr::{Datum, EvaluationError, Expression, ExpressionError, Fault, Field, Type, Variable};
use serde_json::{Value, json};

fn compile(text: &str) -> Result<Expression, ExpressionError> {
    Expression::compile(text, &[Variable::any("claims")])
}

fn fault(text: &str) -> Fault {
    compile(text).expect_err(text).fault
}

fn claims() -> Value {
    json!({"sub": "bot", "x/y": "z", "groups": ["a", "b"], "level": 7, "nested": {"team": "t"}, "flag": true, "none": null})
}

#[test]
fn claims_map_to_strings_and_lists() {
    let claims = claims();
    let claims = Datum::json(&claims).unwrap();
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
    let claims = Datum::json(&claims).unwrap();
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
        let error = compile(text).unwrap().boolean(&[("claims", &Datum::json(&secret).unwrap())]).expect_err(text);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{text}: {error}");
    }
}

#[test]
fn what_could_cost_without_bound_is_refused_before_it_runs() {
    let nested = "claims.groups.all(a, claims.groups.all(b, true))";
    let mapped = "claims.groups.map(a, claims.groups.map(b, b)).size() > 0";
    for text in [nested, mapped] {
        assert_eq!(fault(text), Fault::NestedLoop, "{text}");
    }
    assert!(compile("claims.groups.filter(a, a != '').exists(b, b == 'x')").is_ok(), "a chain is not a nest");
    assert_eq!(fault(&format!("'{}'", "x".repeat(1024))), Fault::TooLong);
    assert_eq!(fault(&vec!["1"; 300].join("+")), Fault::TooDeep);
    assert_eq!(fault(&format!("1 in [{}]", vec!["1"; 450].join(","))), Fault::TooManyNodes);
    for (open, close) in [("(", ")"), ("[", "]"), ("size(", ")")] {
        let text = format!("{}1{}", open.repeat(100), close.repeat(100));
        assert!(compile(&text).is_err(), "{open}");
    }
    assert!(matches!(fault("secrets.x"), Fault::UnknownVariable { .. }));
    assert!(matches!(fault("claims.sub +"), Fault::Syntax { .. }));
    for text in ["", "Foo{a: 1}", "claims.?sub"] {
        assert!(compile(text).is_err(), "{text}");
    }
    let long = json!({"groups": vec!["g"; 1_001]});
    let looping = compile("claims.groups.exists(g, g == 'x')").unwrap();
    let long = Datum::json(&long).unwrap();
    assert_eq!(looping.boolean(&[("claims", &long)]), Err(EvaluationError::TooManyItems));
    assert_eq!(compile("claims.groups").unwrap().strings(&[("claims", &long)]).unwrap().len(), 1_001);
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    assert_eq!(Datum::json(&deep).map(drop), Err(EvaluationError::DataTooDeep));
}

#[test]
fn a_pattern_is_bounded_before_it_runs() {
    let claims = claims();
    let claims = Datum::json(&claims).unwrap();
    assert_eq!(compile("claims.sub.matches('^b.t$')").unwrap().boolean(&[("claims", &claims)]), Ok(true));
    for (text, why) in [
        ("claims.sub.matches(claims.sub)", "written out"),
        ("claims.sub.matches('(')", "no regular expression"),
        ("claims.sub.matches('a(?=b)')", "no regular expression"),
        ("claims.sub.matches('((a{100}){100}){100}')", "too large"),
        ("matches(claims.sub, '(a{1000}){1000}')", "too large"),
    ] {
        assert!(matches!(fault(text), Fault::Pattern(message) if message.contains(why)), "{text}");
    }
    let long = format!("claims.sub.matches('{}')", "a".repeat(257));
    assert!(matches!(fault(&long), Fault::Pattern(message) if message.contains("longer")));
    assert_eq!(fault("claims.groups.exists(g, g.matches('a'))"), Fault::PatternInLoop);
}

#[test]
fn a_mistake_is_told_with_its_place_and_its_fix() {
    let shaped =
        [Variable::shaped("action", &[("verb", Type::Text), ("namespace", Type::Text)]), Variable::any("object")];
    for (text, line, column, message, fix) in [
        ("objekt.spec == 1", 1, 1, "unknown variable objekt", "did you mean `object`?"),
        ("true &&\n  objekt.spec == 1", 2, 3, "unknown variable objekt", "object"),
        ("action.vreb == 'get'", 1, 8, "action has no field vreb", "did you mean `verb`?"),
        ("has(action.nmespace)", 1, 12, "action has no field nmespace", "did you mean `namespace`?"),
        ("action.verb.startWith('g')", 1, 13, "unknown function startWith", "did you mean `startsWith`?"),
        ("true && frob(1)", 1, 9, "unknown function frob", "use one of"),
        ("object.a.all(x, object.b.all(y, x == y))", 1, 26, "a loop", "chain loops"),
        ("action.verb =", 1, 0, "", "CEL"),
        ("object.x == Foo{a: 1}", 1, 16, "message literals", "a map"),
    ] {
        let error = Expression::compile(text, &shaped).expect_err(text);
        assert!(error.to_string().contains(message) && error.fault.fix().contains(fix), "{text}: {error}");
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(column == 0 || error.column == column, "{text}: {error}");
    }
    assert!(Expression::compile("object.anything.at.all == 1 && action.verb == 'get'", &shaped).is_ok());
    assert!(Expression::compile("object.a.exists(action, action.x == 1)", &shaped).is_ok(), "a loop's own name");
}

#[test]
fn a_time_has_hours_also_in_another_zone() {
    let now = Datum::instant(1_795_600_800_000_000); // 2026-11-25T10:00:00Z, a Wednesday
    let variables = [("now", &now)];
    let holds = |text: &str| Expression::compile(text, &[Variable::any("now")]).unwrap().boolean(&variables);
    for text in [
        "now.getHours() == 10",
        "now.getHours('Europe/Berlin') == 11",
        "now.getHours('+05:30') == 15",
        "now.getDayOfWeek() == 3",
        "now > timestamp('2026-11-25T09:59:59Z') && now - timestamp('2026-11-25T09:00:00Z') == duration('1h')",
    ] {
        assert_eq!(holds(text), Ok(true), "{text}");
    }
    assert!(holds("now.getHours('Middle/Earth') == 1").is_err());
}

#[test]
fn a_map_of_fields_is_what_json_would_be() {
    let groups = vec!["a".to_owned(), "b".to_owned()];
    let fields =
        Datum::map([("id", Field::Text("bot")), ("groups", Field::Texts(&groups)), ("flag", Field::Flag(true))]);
    let subject = [Variable::shaped("subject", &[("id", Type::Text), ("groups", Type::List), ("flag", Type::Boolean)])];
    let text = "subject.id == 'bot' && 'b' in subject.groups && subject.flag && subject.groups == ['a', 'b']";
    assert_eq!(Expression::compile(text, &subject).unwrap().boolean(&[("subject", &fields)]), Ok(true));
    let unbound = Expression::compile("subject.id == 'x'", &subject).unwrap().boolean(&[]);
    assert!(
        matches!(unbound, Err(EvaluationError::Failed { reason, .. }) if reason == "subject is not there for this request")
    );
}

proptest::proptest! {
    /// Whatever is written: an answer or an error, never a panic or an overflow of the (2 MiB) stack.
    #[test]
    fn any_text_compiles_or_is_refused(text in "[a-z0-9(){}\\[\\].,+*!?:<>=&|'\" -]{0,200}") {
        if let Ok(expression) = compile(&text) {
            let claims = claims();
            let claims = Datum::json(&claims).unwrap();
            let evaluated = expression.strings(&[("claims", &claims)]);
            proptest::prop_assert!(evaluated.is_ok() || evaluated.is_err());
        }
    }
}

#[test]
fn types_that_cannot_fit_are_told_before_it_runs() {
    let variables = [
        Variable::shaped(
            "x",
            &[
                ("text", Type::Text),
                ("texts", Type::List),
                ("flag", Type::Boolean),
                ("number", Type::Number),
                ("map", Type::Map),
            ],
        ),
        Variable::of("now", Type::Time),
        Variable::any("object"),
    ];
    for (text, column, message) in [
        ("x.text", 1, "this is a text, where true or false belongs"),
        ("  x.texts", 3, "this is a list, where true or false belongs"),
        ("x", 1, "this is a map, where true or false belongs"),
        ("x.number + 1", 1, "this is a number, where true or false belongs"),
        ("object.a ? 1 : 2", 1, "this is a number, where true or false belongs"),
        ("x.texts.map(text, text)", 1, "this is a list, where true or false belongs"),
        ("x.text == 3", 8, "a text cannot be compared with a number"),
        ("x.flag == 'true'", 8, "true or false cannot be compared with a text"),
        ("x.texts == 'a'", 9, "a list cannot be compared with a text"),
        ("now > '2026-12-24T00:00:00Z'", 5, "a time cannot be compared with a text"),
        ("now.getHours() < '7'", 16, "a number cannot be compared with a text"),
        ("x.texts < x.texts", 9, "a list cannot be compared with a list"),
        ("x.flag && x.text", 12, "this is a text, where true or false belongs"),
        ("!x.text", 3, "this is a text, where true or false belongs"),
        ("'a' in x.text", 9, "this is a text, where a list belongs"),
        ("x.texts.startsWith('a')", 2, "this is a list, where a text belongs"),
        ("x.number.size() > 1", 2, "this is a number, where a list belongs"),
        ("x.text.all(item, item == 'a')", 11, "this is a text, where a list belongs"),
        ("x.texts.exists(item, x.text)", 23, "this is a text, where true or false belongs"),
        ("x.texts.name == 'a'", 8, "a list has no field name"),
        ("now.hour == 3", 4, "a time has no field hour"),
    ] {
        let error = Expression::condition(text, &variables).expect_err(text);
        assert_eq!(error.fault.to_string(), message, "{text}");
        assert_eq!((error.line, error.column), (1, column), "{text}: {error}");
        assert!(!error.fault.fix().is_empty());
    }
    for text in [
        "object",
        "object.a.b",
        "object.a && object.b",
        "object.a == 3 || object.a == 'x'",
        "x.map == null",
        "x.map.to > 3 && x.map.from == 'a'",
        "x.texts.exists(item, item.startsWith('a')) && x.texts.exists_one(item, item == 'b')",
        "x.texts.map(item, item + '/').filter(item, item != '').size() > 1",
        "x.texts.exists(x, x.anything)",
        "x.texts.exists(now, now == 'a')",
        "x.texts == ['a'] && x.texts[0] == 'a' && x.texts + ['b'] == ['a', 'b']",
        "now - duration('1h') < timestamp('2026-12-24T00:00:00Z') && now - now > duration('1s')",
        "(x.flag ? x.text : x.number) == 3",
        "string(x.number) == x.text && int(x.text) == x.number && size(x.text) > -1",
        "has(x.map.to) && !has(object.b) && x.number * 2 > 3",
    ] {
        assert_eq!(Expression::condition(text, &variables).err(), None, "{text}");
    }
    // An expression that need not say yes or no.
    assert!(Expression::compile("x.text", &variables).is_ok());
}

#[test]
fn data_made_late_is_what_cel_makes_itself() {
    let json =
        json!({"a": {"b": [1, "x", null, {"c": true}], "n": 1.5}, "big": u64::MAX, "texts": ["a", "b"], "empty": {}});
    let object = Datum::json(&json).unwrap();
    let variables = [("object", &object)];
    for text in [
        "object.a.b == [1, 'x', null, {'c': true}]",
        "[1, 'x', null, {'c': true}] == object.a.b",
        "{'b': [1, 'x', null, {'c': true}], 'n': 1.5} == object.a && object.a == object.a",
        "object.a != {'b': []} && object.empty == {} && {} == object.empty",
        "'b' in object.a && !('c' in object.a) && 'a' in object.texts && {'c': true} in object.a.b",
        "object.a.b[3].c && object.a['b'][0] == 1 && object['big'] == 18446744073709551615u",
        "object.texts + ['c'] == ['a', 'b', 'c'] && ['c'] + object.texts == ['c', 'a', 'b']",
        "size(object.a) == 2 && object.texts.size() == 2",
        "object.texts.all(text, text in object.texts) && object.a.exists(key, key == 'n')",
        "object.texts.map(text, text + '!') == ['a!', 'b!']",
        "[object.a, object.empty].filter(map, has(map.n)).size() == 1",
        "(true ? object.a : object.empty).n == 1.5 && [object.a][0].b[1] == 'x'",
        "has(object.a.b) && !has(object.a.c) && type(object.a) == type({}) && type(object.texts) == type([])",
        "dyn(object).a.n == 1.5",
    ] {
        let expression =
            Expression::compile(text, &[Variable::any("object")]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(expression.boolean(&variables), Ok(true), "{text}");
        // Once more, with what is made by now.
        assert_eq!(expression.boolean(&variables), Ok(true), "{text}");
    }
    let missing = Expression::compile("object.a.c == 1", &[Variable::any("object")]).unwrap();
    assert!(matches!(missing.boolean(&variables), Err(EvaluationError::Failed { .. })));
    let mut deep = json!(1);
    for _ in 0..70 {
        deep = json!([deep]);
    }
    assert_eq!(Datum::json(&deep).err(), Some(EvaluationError::DataTooDeep));
}
