//! What breaks an answer off.

use lockgate_wire::mask::{MaskError, MaskLimits, MaskPlan, Masker, Profile};

use super::{at_every_split, custom, pods, secrets, whole};

#[test]
fn what_is_no_object_is_refused() {
    for text in ["[]", "\"x\"", "1", "null", "\u{feff}{}", "<html>", "}"] {
        assert!(matches!(at_every_split(secrets(), text.as_bytes()), Err(MaskError::NotAnObject { .. })), "{text}");
    }
}

#[test]
fn what_breaks_off_is_refused() {
    let text = b"{\"kind\":\"Secret\",\"metadata\":{\"managedFields\":[{\"v:1\":{}}]},\"data\":{\"a\":\"b\",\"c\":1}}";
    for end in 0..text.len() {
        assert_eq!(at_every_split(secrets(), &text[..end]), Err(MaskError::Truncated), "{end}");
    }
    let watch = MaskPlan::for_resource("", "secrets", true, Profile::Secrets);
    for end in 1..text.len() {
        assert_eq!(whole(watch, &text[..end]), Err(MaskError::Truncated), "{end}");
    }
}

#[test]
fn what_is_no_json_is_refused() {
    for text in [
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{\"a\":1 2}",
        "{\"a\":1]",
        "{\"items\":[}",
        "{\"items\":[1,]}",
        "{\"items\":[,]}",
        "{\"items\":[{]}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":\"b\"\"c\"}",
        "{\"a\":1:2}",
        "{\"a\"::1}",
        "{\"a\":x}",
        "{1:2}",
        "{\"data\":{\"k\":\"v\"]}",
        "{\"data\":{\"k\" \"v\"}}",
        "{\"a\":tru\"x\"}",
        "{\x0c}",
    ] {
        assert!(matches!(at_every_split(secrets(), text.as_bytes()), Err(MaskError::Syntax { .. })), "{text}");
    }
}

#[test]
fn leak_31_trailing_data_is_refused_but_for_watches() {
    for text in ["{}{}", "{} x", "{}\n{}", "{}]", "{}}"] {
        assert!(matches!(at_every_split(secrets(), text.as_bytes()), Err(MaskError::TrailingData { .. })), "{text}");
    }
    let watch = MaskPlan::for_resource("", "pods", true, Profile::Secrets);
    assert_eq!(whole(watch, b"{}{}\n{}").unwrap().1.objects, 3);
    assert!(matches!(whole(watch, b"{} x"), Err(MaskError::NotAnObject { offset: 3 })));
    assert!(matches!(whole(watch, b"{},{}"), Err(MaskError::NotAnObject { offset: 2 })));
}

#[test]
fn depth_bombs_are_refused_wherever_they_stand() {
    let limits = MaskLimits { depth_max: 40, ..MaskLimits::default() };
    for (open, close) in [
        ("[", "]"),
        ("{\"a\":", "}"),
        ("{\"data\":{\"k\":", "}}"),
        ("{\"metadata\":{\"managedFields\":[", "]}}"),
        ("{\"items\":[", "]}"),
    ] {
        for plan in [secrets(), pods(), custom()] {
            let brackets = open.matches(['{', '[']).count();
            for (levels, deep) in [(39 / brackets, false), (40 / brackets + 1, true), (100_000, true)] {
                let text = format!("{{\"a\":{}1{}}}", open.repeat(levels), close.repeat(levels));
                let result = super::pieces(plan, limits, text.as_bytes().chunks(4096));
                assert_eq!(result.is_err(), deep, "{open} × {levels}: {result:?}");
                if deep {
                    assert_eq!(result, Err(MaskError::TooDeep { depth_max: 40 }));
                }
            }
        }
    }
}

#[test]
fn a_secret_that_shows_itself_too_late_breaks_the_answer_off() {
    for (plan, text) in [
        (pods(), "{\"data\":{\"k\":\"v\"},\"kind\":\"Secret\"}"),
        (pods(), "{\"items\":[{\"kind\":\"Pod\",\"data\":{\"k\":1},\"kind\":\"Secret\"}]}"),
        (custom(), "{\"kind\":\"Widget\",\"stringData\":{\"k\":1},\"k\\u0069nd\":\"S\\u0065cret\"}"),
        (custom(), "{\"kind\":\"Widget\",\"spec\":{\"data\":{\"k\":1},\"kind\":\"Secret\",\"apiVersion\":\"v1\"}}"),
    ] {
        assert!(matches!(at_every_split(plan, text.as_bytes()), Err(MaskError::SecretAfterData { .. })), "{text}");
    }
    // Without a core apiVersion an embedded thing is no API object, and a custom kind may well be named so.
    for text in [
        "{\"kind\":\"Widget\",\"spec\":{\"data\":{\"k\":1},\"kind\":\"Secret\"}}",
        "{\"apiVersion\":\"example.com/v1\",\"data\":{\"k\":1},\"kind\":\"Secret\"}",
    ] {
        super::unchanged(custom(), text);
    }
}

#[test]
fn a_failure_stays() {
    let mut masker = Masker::new(secrets(), MaskLimits::default());
    let mut output = Vec::new();
    let failure = masker.push(b"{\"data\":{\"k\":\"v\"}} x", &mut output).unwrap_err();
    let length = output.len();
    assert_eq!(masker.push(b"{}", &mut output), Err(failure));
    assert_eq!(output.len(), length);
    assert_eq!(masker.finish(&mut output), Err(failure));
}
