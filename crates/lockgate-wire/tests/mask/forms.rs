//! The forms of an answer, one test each, at every split.

use lockgate_wire::PLACEHOLDER as P;
use lockgate_wire::mask::{MaskLimits, MaskPlan, Masker, Profile, Reason};

use super::{LAST_APPLIED, at_every_split, custom, masked, pods, quoted, secrets, unchanged};

fn watch(resource: &str) -> MaskPlan {
    MaskPlan::for_resource("", resource, true, Profile::Secrets)
}

#[test]
fn a_secret_keeps_all_but_its_values() {
    let secret = |a: &str, b: &str, c: &str| {
        format!(
            "{{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\n \"metadata\":{{\"name\":\"db\",\"labels\":{{\"data\":\"x\"}}}} , \
             \"data\" : {{ \"user\":{a},\t\"pass word\":{b} }},\"stringData\":{{\"x\":{c}}},\"immutable\":true,\"type\":\"Opaque\"}}\n"
        )
    };
    let input = secret("\"YQ==\"", "\"YWI\\u003d\"", "\"q\\\"\\\\\"");
    let p = quoted(P);
    let (output, summary) = at_every_split(secrets(), input.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(output).unwrap(), secret(&p, &p, &p));
    assert_eq!((summary.masked, summary.objects), (3, 1));
}

#[test]
fn values_of_every_type_are_masked() {
    let p = quoted(P);
    for value in ["\"\"", "1", "-1.5e+3", "true", "false", "null", "[1,\"a]\"]", "{\"a\":{\"b\":\"}\"}}", "[]", "{}"] {
        assert_eq!(
            masked(secrets(), &format!("{{\"data\":{{\"k\":{value},\"l\":1}}}}")),
            format!("{{\"data\":{{\"k\":{p},\"l\":{p}}}}}")
        );
    }
    unchanged(secrets(), "{\"data\":null,\"stringData\":{}}");
    for whole in ["\"x\"", "7", "true", "[\"a\",{\"b\":1}]"] {
        assert_eq!(
            masked(secrets(), &format!("{{\"data\":{whole} ,\"type\":\"t\"}}")),
            format!("{{\"data\":{p} ,\"type\":\"t\"}}")
        );
    }
}

#[test]
fn escaped_repeated_and_miscased_names_count() {
    let p = quoted(P);
    for name in ["da\\u0074a", "\\u0064\\u0061\\u0074\\u0061", "string\\u0044ata", "Data", "DATA", "stringdata"] {
        assert_eq!(
            masked(secrets(), &format!("{{\"{name}\":{{\"k\":\"v\"}}}}")),
            format!("{{\"{name}\":{{\"k\":{p}}}}}")
        );
    }
    assert_eq!(
        masked(secrets(), "{\"data\":{\"k\":1,\"k\":2},\"data\":{\"k\":3}}"),
        format!("{{\"data\":{{\"k\":{p},\"k\":{p}}},\"data\":{{\"k\":{p}}}}}")
    );
}

#[test]
fn lists_with_items_of_every_shape() {
    let p = quoted(P);
    let list = |v: &str| {
        format!(
            "{{\"kind\":\"SecretList\",\"apiVersion\":\"v1\",\"metadata\":{{\"resourceVersion\":\"5\",\"continue\":\"c\"}},\"items\":[\
             {{\"metadata\":{{\"name\":\"a\"}},\"data\":{{\"k\":{v}}},\"type\":\"Opaque\"}},\
             {{\"data\":{{\"k\":{v}}},\"kind\":\"ConfigMap\"}},{{}}]}}"
        )
    };
    assert_eq!(masked(secrets(), &list("\"YQ==\"")), list(&p));

    let mixed = |secret: &str, config: &str| {
        format!(
            "{{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[\
             {{\"apiVersion\":\"v1\",\"data\":{{\"k\":{secret}}},\"kind\":\"Secret\"}},\
             {{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"data\":{{\"k\":{secret}}}}},\
             {{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"data\":{{\"k\":{config}}}}},\
             {{\"apiVersion\":\"example.com/v1\",\"data\":{{\"k\":{config}}},\"kind\":\"Secret\"}},\
             {{\"kind\":\"List\",\"items\":[{{\"data\":{{\"k\":{secret}}}}}]}}]}}"
        )
    };
    assert_eq!(masked(custom(), &mixed("\"v\"", "\"c\"")), mixed(&p, "\"c\""));
}

#[test]
fn built_in_lists_say_no_kind_and_pass() {
    unchanged(
        MaskPlan::for_resource("", "configmaps", false, Profile::Secrets),
        "{\"kind\":\"ConfigMapList\",\"apiVersion\":\"v1\",\"items\":[{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"v\"}}]}",
    );
    let typed =
        |v: &str| format!("{{\"items\":[{{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"data\":{{\"k\":{v}}}}}]}}");
    assert_eq!(masked(pods(), &typed("\"v\"")), typed(&quoted(P)));
}

#[test]
fn embedded_secrets_in_revisions_and_custom_resources() {
    let revision = |v: &str| {
        format!(
            "{{\"kind\":\"ControllerRevision\",\"apiVersion\":\"apps/v1\",\"metadata\":{{\"name\":\"r\"}},\
             \"data\":{{\"spec\":{{\"manifests\":[{{\"apiVersion\":\"v1\",\"data\":{{\"k\":{v}}},\"kind\":\"Secret\"}}],\"data\":{{\"k\":1}}}}}},\"revision\":1}}"
        )
    };
    let plan = MaskPlan::for_resource("apps", "controllerrevisions", false, Profile::Secrets);
    assert_eq!(masked(plan, &revision("\"v\"")), revision(&quoted(P)));

    let widget = |v: &str| {
        format!(
            "{{\"apiVersion\":\"example.com/v1\",\"data\":[1],\"kind\":\"Widget\",\"spec\":{{\"data\":{{\"k\":\"kept\"}},\
             \"object\":{{\"kind\":\"Secret\",\"stringData\":{{\"k\":{v}}}}}}}}}"
        )
    };
    assert_eq!(masked(custom(), &widget("\"v\"")), widget(&quoted(P)));
}

#[test]
fn watch_events_are_masked_one_by_one_and_do_not_wait() {
    let event = |v: &str| {
        format!(
            "{{\"type\":\"ADDED\",\"object\":{{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{{}},\"data\":{{\"k\":{v}}}}}}}"
        )
    };
    let input = format!("{}\n{}{}\n", event("\"YQ==\""), event("1"), event("{}"));
    let expected = event(&quoted(P));
    assert_eq!(masked(watch("secrets"), &input), format!("{expected}\n{expected}{expected}\n"));

    let mut masker = Masker::new(watch("secrets"), MaskLimits::default());
    for value in ["\"YQ==\"", "\"Yg==\""] {
        let mut output = Vec::new();
        for byte in event(value).as_bytes() {
            masker.push(&[*byte], &mut output).unwrap();
        }
        assert_eq!(String::from_utf8(output).unwrap(), expected, "an event waits for the next");
    }
    assert_eq!(masker.finish(&mut Vec::new()).unwrap().objects, 2);
}

#[test]
fn bookmarks_and_errors_pass_a_watch_unchanged() {
    for event in [
        "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"12746\",\
         \"creationTimestamp\":null,\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n",
        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\
         \"message\":\"too old resource version: 1 (12746)\",\"reason\":\"Expired\",\"code\":410}}\n",
        "",
    ] {
        unchanged(watch("secrets"), event);
        unchanged(watch("pods"), event);
    }
}

#[test]
fn a_watch_may_answer_a_status_or_send_tables() {
    unchanged(watch("secrets"), "{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"no\",\"code\":403}");
    let event = |v: &str| {
        format!(
            "{{\"type\":\"ADDED\",\"object\":{{\"kind\":\"Table\",\"columnDefinitions\":null,\"rows\":[{{\"cells\":[\"db\",\"Opaque\",1,\"3d\"],\
             \"object\":{{\"metadata\":{{}},\"data\":{{\"k\":{v}}}}}}}]}}}}"
        )
    };
    assert_eq!(masked(watch("secrets"), &event("7")), event(&quoted(P)));
}

#[test]
fn tables_keep_their_cells_and_lose_the_rows_values() {
    let table = |value: &str, applied: &str| {
        format!(
            "{{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{{}},\"columnDefinitions\":[{{\"name\":\"Name\"}}],\
             \"rows\":[{{\"cells\":[\"db\",\"Opaque\",2,\"3d\"],\"object\":{{\"kind\":\"Secret\",\"metadata\":{{\"annotations\":{{\"{LAST_APPLIED}\":{applied},\"note\":\"n\"}}}},\
             \"data\":{{\"k\":{value}}}}}}}]}}"
        )
    };
    let applied = |v: &str| quoted(&format!("{{\"apiVersion\":\"v1\",\"data\":{{\"k\":{v}}},\"kind\":\"Secret\"}}\n"));
    let expected = table(&quoted(P), &applied(&quoted(P)));
    assert_eq!(masked(secrets(), &table("\"YQ==\"", &applied("\"YQ==\""))), expected);
}

#[test]
fn metadata_only_answers_are_masked_in_the_annotation() {
    let list = |applied: &str| {
        format!(
            "{{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/v1\",\"items\":[{{\"kind\":\"PartialObjectMetadata\",\
             \"metadata\":{{\"annotations\":{{\"{LAST_APPLIED}\":{applied}}}}}}}]}}"
        )
    };
    // Within an answer about secrets the annotation holds a Secret whatever it says.
    for content in ["{\"stringData\":{\"k\":%},\"kind\":\"ConfigMap\"}", "{\"kind\":\"Secret\",\"data\":{\"k\":%}}"] {
        let applied = |v: &str| quoted(&content.replace('%', v));
        assert_eq!(masked(secrets(), &list(&applied("\"v\\n\""))), list(&applied(&quoted(P))));
    }
}

#[test]
fn the_annotation_of_other_kinds_is_masked_only_if_it_holds_a_secret() {
    let pod = |applied: &str| {
        format!(
            "{{\"kind\":\"Pod\",\"metadata\":{{\"annotations\":{{\"a\":\"b\",\"{LAST_APPLIED}\" : {applied}}}}},\"spec\":{{}}}}"
        )
    };
    for content in [
        "{\"apiVersion\":\"v1\",\"data\":{\"k\":\"v\"},\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"\\u00e9\"}}\n",
        "{\"apiVersion\":\"example.com/v1\",\"data\":{\"k\":\"v\"},\"kind\":\"Secret\"}",
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"spec\":{\"n\":1.0}}",
    ] {
        for plan in [pods(), custom()] {
            unchanged(plan, &pod(&quoted(content)));
            unchanged(plan, &pod(&quoted(content).replace("kind", "\\u006bind")));
        }
    }
    let secret =
        |v: &str| pod(&quoted(&format!("{{\"apiVersion\":\"v1\",\"data\":{{\"k\":{v}}},\"kind\":\"Secret\"}}\n")));
    for plan in [pods(), custom()] {
        assert_eq!(masked(plan, &secret("\"YQ==\"")), secret(&quoted(P)));
    }
}

#[test]
fn an_annotation_that_is_not_an_object_is_masked_whole() {
    let object =
        |applied: &str| format!("{{\"metadata\":{{\"annotations\":{{\"{LAST_APPLIED}\":{applied},\"a\":1}}}}}}");
    for applied in [
        "\"\"",
        "\"hunter2\"",
        "\"{\\\"data\\\":\"",
        "\"[1]\"",
        "\"{} {}\"",
        "\"{\\\"kind\\\":1}\"",
        "\"\\ud800\"",
        "\"\\q\"",
        "17",
        "[\"x\"]",
        "{\"x\":{}}",
        "true",
        "\"{\\\"kind\\\":\\\"Pod\\\",\\\"kind\\\":\\\"Secret\\\"}\"",
    ] {
        for plan in [secrets(), pods(), custom()] {
            assert_eq!(masked(plan, &object(applied)), object(&quoted(Reason::Annotation.placeholder())), "{applied}");
        }
    }
}

#[test]
fn an_annotation_over_the_limit_is_masked_whole_at_every_split() {
    let limits = MaskLimits { annotation_bytes_max: 40, ..MaskLimits::default() };
    let object =
        |applied: &str| format!("{{\"metadata\":{{\"annotations\":{{\"{LAST_APPLIED}\":{applied},\"a\":1}}}}}}");
    let fits = format!("{{\"a\":\"{}\"}}", "x".repeat(28));
    assert_eq!(quoted(&fits).len(), 42);
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(29));
    for (content, expected) in [(&fits, &fits[..]), (&large, Reason::Annotation.placeholder())] {
        let input = object(&quoted(content));
        for size in 1..=input.len() {
            let (output, _) = super::pieces(pods(), limits, input.as_bytes().chunks(size)).unwrap();
            assert_eq!(String::from_utf8(output).unwrap(), object(&quoted(expected)));
        }
    }
}

#[test]
fn set_values_in_a_secrets_managed_fields_are_masked() {
    let secret = |value: &str, spelled: &str| {
        format!(
            "{{\"metadata\":{{\"managedFields\":[{{\"manager\":\"kubectl\",\"operation\":\"Update\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{{\
             \"f:data\":{{\".\":{{}},\"f:k\":{{}}}},\"f:metadata\":{{\"f:finalizers\":{{{value}:{{}},{spelled}:{{}},\"k:{{\\\"uid\\\":\\\"1\\\"}}\":{{}}}}}}}}}}]}}}}"
        )
    };
    let p = format!("\"v:\\\"{P}\\\"\"");
    assert_eq!(
        masked(secrets(), &secret("\"v:\\\"hunter2 hunter2 hunter2\\\"\"", "\"\\u0076\\u003a\\\"h\\\"\"")),
        secret(&p, &p)
    );
    unchanged(pods(), &secret("\"v:\\\"a\\\"\"", "\"v:1\""));
}

#[test]
fn a_status_about_secrets_keeps_its_facts_and_loses_quoted_values() {
    let status = |value: &str| {
        format!(
            "{{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{{}},\"status\":\"Failure\",\
             \"message\":\"Secret \\\"db\\\" is invalid: data[a b]: Invalid value: \\\"{value}\\\": bad\",\"reason\":\"Invalid\",\
             \"details\":{{\"name\":\"db\",\"kind\":\"Secret\",\"causes\":[{{\"reason\":\"FieldValueInvalid\",\
             \"message\":\"Invalid value: \\\"{value}\\\": bad\",\"field\":\"data[a b]\"}}]}},\"code\":422}}\n"
        )
    };
    assert_eq!(masked(secrets(), &status("hunter2")), status("**masked by lockgate**"));
    unchanged(pods(), &status("hunter2"));
}

#[test]
fn odd_texts_pass_byte_for_byte() {
    for text in [
        "{}",
        " \t\r\n{ }\n\n",
        "{\"\":\"\",\"a\\\\\":\"\\\\\\\"\",\"n\":-0.10e+05,\"u\":\"\\ud83d\\ude00\\ud800 \u{1f600}\"}",
        "{\"a\":[[],[[]],{},{\"b\":[1,2 , 3]}],\"t\":true,\"f\":false,\"z\":null}",
        "{\"items\":null,\"metadata\":null,\"rows\":[],\"object\":7,\"kind\":null,\"details\":[],\"message\":null}",
        "{\"items\":{},\"metadata\":[{\"annotations\":[1]}],\"rows\":{\"object\":[[]]},\"kind\":{\"kind\":[]}}",
    ] {
        for plan in [secrets(), pods(), custom()] {
            unchanged(plan, text);
        }
    }
}

#[test]
fn objects_where_arrays_belong_are_looked_into() {
    let p = quoted(P);
    for text in [
        "{\"items\":{\"data\":{\"k\":%}}}",
        "{\"items\":[[{\"data\":{\"k\":%}}]]}",
        "{\"rows\":{\"object\":{\"data\":{\"k\":%}}}}",
        "{\"rows\":[[{\"object\":[{\"data\":{\"k\":%}}]}]]}",
    ] {
        assert_eq!(masked(secrets(), &text.replace('%', "\"v\"")), text.replace('%', &p));
    }
}
