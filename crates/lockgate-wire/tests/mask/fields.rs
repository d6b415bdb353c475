//! Fields that the configuration names, and what a search finds in the strings that pass.

use std::sync::Arc;

use lockgate_wire::mask::{FieldRule, FieldRules, FindSecrets, Found, MaskLimits, MaskPlan, Masker, Profile, Reason};

use super::quoted;

fn rules(paths: &[&str]) -> Arc<FieldRules> {
    let rule = |path: &&str| FieldRule {
        group: "example.com".to_owned(),
        kind: "Database".to_owned(),
        path: (*path).to_owned(),
    };
    Arc::new(FieldRules::compile(&paths.iter().map(rule).collect::<Vec<_>>()).unwrap())
}

fn plan(group: &str, resource: &str) -> MaskPlan {
    MaskPlan::for_resource(group, resource, false, Profile::Strict)
}

/// Masks at every split.
pub(crate) fn masked(make: impl Fn() -> Masker, input: &str) -> String {
    let run = |pieces: &[&[u8]]| {
        let mut masker = make();
        let mut output = Vec::new();
        for piece in pieces {
            masker.push(piece, &mut output).unwrap();
        }
        masker.finish(&mut output).unwrap();
        (String::from_utf8(output).unwrap(), masker.counts().clone())
    };
    let bytes = input.as_bytes();
    let expected = run(&[bytes]);
    for split in 1..bytes.len() {
        let (head, tail) = bytes.split_at(split);
        assert_eq!(run(&[head, tail]), expected, "split at {split}");
    }
    assert_eq!(run(&bytes.chunks(1).collect::<Vec<_>>()), expected, "byte by byte");
    expected.0
}

#[test]
fn leak_13_fields_of_custom_resources() {
    let database = |value: &str, note: &str| {
        format!(
            "{{\"apiVersion\":\"example.com/v1\",\"kind\":\"Database\",\"metadata\":{{\"name\":\"a\"}},\
             \"spec\":{{\"password\":{value},\"users\":[{{\"name\":\"u\",\"key\":{value}}},[{{\"key\":{value}}}]],\
             \"options\":{{\"a\":{value},\"b\":{value}}},\"list\":[{value},{value}],\"note\":{note}}},\"status\":{{\"any\":{{\"secret\":{value}}},\"password\":{note}}}}}"
        )
    };
    let rules = rules(&["spec.password", "spec.users.key", "spec.options", "spec.list", "status.*.secret"]);
    let field = quoted(Reason::Field.placeholder());
    for value in ["\"hunter2\"", "7", "true"] {
        for plan in [plan("example.com", "databases"), plan("", ""), plan("", "services")] {
            let make = || Masker::new(plan, MaskLimits::default()).with_fields(rules.clone());
            assert_eq!(masked(make, &database(value, "\"n\"")), database(&field, "\"n\""));
            let list = |database: &str| format!("{{\"kind\":\"List\",\"items\":[{database},{database}]}}");
            assert_eq!(masked(make, &list(&database(value, "\"n\""))), list(&database(&field, "\"n\"")));
            // An object of another kind, or group, is none of them.
            for other in
                [database(value, "1").replace("Database", "Other"), database(value, "1").replace("example.com", "x.y")]
            {
                assert_eq!(masked(make, &other), other);
            }
            // One that has not said what it is may be one.
            let silent = |value: &str| format!("{{\"spec\":{{\"password\":{value},\"other\":1}},\"kind\":\"Other\"}}");
            assert_eq!(masked(make, &silent(value)), silent(&field));
        }
    }
    let applied = |value: &str| {
        let text = database(value, "1");
        format!("{{\"metadata\":{{\"annotations\":{{\"{}\":{}}}}}}}", super::LAST_APPLIED, quoted(&text))
    };
    let make = || Masker::new(plan("example.com", "databases"), MaskLimits::default()).with_fields(rules.clone());
    assert_eq!(masked(make, &applied("\"hunter2\"")), applied(&field));
}

/// Finds one word.
#[derive(Debug)]
struct Word(&'static [u8]);

impl FindSecrets for Word {
    fn find(&self, _name: &[u8], text: &[u8], found: &mut Vec<Found>) {
        for (start, window) in text.windows(self.0.len()).enumerate() {
            if window == self.0 {
                found.push(Found { start, end: start + self.0.len(), reason: Reason::KnownValue });
            }
        }
    }
}

#[test]
fn leaks_13_and_14_what_is_found_in_strings_that_pass() {
    let finder: Arc<dyn FindSecrets> = Arc::new(Word(b"hunter2!"));
    let found = Reason::KnownValue.placeholder();
    for plan in [
        plan("", "events"),
        plan("", "pods"),
        plan("", "secrets"),
        plan("example.com", "widgets"),
        plan("", "configmaps"),
    ] {
        let make = || Masker::new(plan, MaskLimits::default()).searched_by(finder.clone());
        for (input, expected) in [
            (
                "{\"message\":\"a hunter2! b\",\"n\":[1,{\"x\":[\"hunter2!\",\"plain\"]}]}",
                "{\"message\":\"a # b\",\"n\":[1,{\"x\":[\"#\",\"plain\"]}]}",
            ),
            ("{\"status\":{\"m\":\"\\thunter2\\u0021\\n\",\"k\":\"\"}}", "{\"status\":{\"m\":\"\\t#\\n\",\"k\":\"\"}}"),
            (
                "{\"rows\":[{\"cells\":[\"a\",\"hunter2!\",3]}],\"metadata\":{\"annotations\":{\"a\":\"hunter2!\"},\"labels\":{\"b\":\"\\\\\"}}}",
                "{\"rows\":[{\"cells\":[\"a\",\"#\",3]}],\"metadata\":{\"annotations\":{\"a\":\"#\"},\"labels\":{\"b\":\"\\\\\"}}}",
            ),
            (
                "{\"spec\":{\"volumes\":[{\"name\":\"hunter2!hunter2!\"}],\"x\":\"hunter2\"}}",
                "{\"spec\":{\"volumes\":[{\"name\":\"#\"}],\"x\":\"hunter2\"}}",
            ),
        ] {
            // A Secret's answer masks what its messages quote; these quote nothing.
            assert_eq!(masked(make, input), expected.replace('#', found), "{plan:?}");
        }
    }
}

#[test]
fn a_string_that_is_too_large_to_be_searched_is_masked_whole() {
    let finder: Arc<dyn FindSecrets> = Arc::new(Word(b"hunter2!"));
    let limits = MaskLimits { annotation_bytes_max: 20, ..MaskLimits::default() };
    for (resource, spec) in [("services", "spec"), ("pods", "spec"), ("pods", "status")] {
        let make = || Masker::new(plan("", resource), limits).searched_by(finder.clone());
        let input = |text: &str| format!("{{\"{spec}\":{{\"a\":\"{text}\",\"b\":1}}}}");
        assert_eq!(masked(make, &input(&"x".repeat(20))), input(&"x".repeat(20)));
        assert_eq!(masked(make, &input(&"x".repeat(21))), input(Reason::Large.placeholder()));
    }
}
