//! A canary in every form of an answer: it never comes out raw, in base64 at any alignment, or JSON-escaped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use lockgate_wire::mask::{MaskPlan, Profile};

use super::{LAST_APPLIED, at_every_split, quoted, secrets};

/// Has what JSON, Go and shells escape.
const CANARY: &str = "c4nary \"q\" \\ <&> \n\u{7} é😀 end";

/// Every spelling of the canary that a client could read it from.
fn spellings() -> Vec<String> {
    let mut spellings = vec![CANARY.to_owned(), "c4nary".to_owned()];
    let mut escaped = CANARY.to_owned();
    for _ in 0..3 {
        let literal = quoted(&escaped);
        escaped = literal[1..literal.len() - 1].to_owned();
        spellings.push(escaped.clone());
    }
    for shift in 0..3 {
        let mut bytes = vec![b'x'; shift];
        bytes.extend_from_slice(CANARY.as_bytes());
        let encoded = STANDARD_NO_PAD.encode(&bytes);
        // Without the characters that neighbours share.
        let start = (shift * 8).div_ceil(6);
        spellings.push(encoded[start..encoded.len() - 1].to_owned());
    }
    spellings
}

/// The forms, each with the canary raw, in base64 or inside more text.
fn forms() -> Vec<(&'static str, MaskPlan, String)> {
    let raw = quoted(CANARY);
    let encode =
        |prefix: &str| quoted(&base64::engine::general_purpose::STANDARD.encode(format!("{prefix}{CANARY}{prefix}")));
    let data = format!(
        "\"data\":{{\"a\":{},\"b\":{},\"c\":{}}},\"stringData\":{{\"d\":{raw},\"e\":[{raw}]}}",
        encode(""),
        encode("x"),
        encode("xy")
    );
    let applied = quoted(&format!("{{\"apiVersion\":\"v1\",{data},\"kind\":\"Secret\"}}\n"));
    let twice = quoted(&format!(
        "{{\"kind\":\"Secret\",\"metadata\":{{\"annotations\":{{\"{LAST_APPLIED}\":{applied}}}}},{data}}}"
    ));
    let metadata = |applied: &str| {
        format!(
            "\"metadata\":{{\"name\":\"db\",\"annotations\":{{\"{LAST_APPLIED}\":{applied}}},\"managedFields\":[{{\"fieldsV1\":{{\"f:x\":{{{}:{{}}}}}}}}]}}",
            quoted(&format!("v:{raw}"))
        )
    };
    let secret =
        format!("{{\"kind\":\"Secret\",\"apiVersion\":\"v1\",{},{data},\"type\":\"Opaque\"}}", metadata(&applied));
    let sorted = format!("{{\"apiVersion\":\"v1\",{data},\"kind\":\"Secret\",{}}}", metadata(&twice));
    let bare = format!("{{{},{data}}}", metadata(&applied));
    let said = quoted(&format!("Secret \"db\" is invalid: data: Invalid value: {raw}: no"));
    let watch = MaskPlan::for_resource("", "secrets", true, Profile::Secrets);
    let custom = MaskPlan::for_resource("example.com", "widgets", false, Profile::Secrets);
    vec![
        ("get", secrets(), secret.clone()),
        ("kind last", secrets(), sorted.clone()),
        ("no kind", secrets(), bare.clone()),
        ("list", secrets(), format!("{{\"kind\":\"SecretList\",\"items\":[{bare},{secret}]}}")),
        (
            "watch",
            watch,
            format!("{{\"type\":\"ADDED\",\"object\":{secret}}}\n{{\"type\":\"DELETED\",\"object\":{bare}}}\n"),
        ),
        (
            "watched table",
            watch,
            format!(
                "{{\"type\":\"ADDED\",\"object\":{{\"kind\":\"Table\",\"rows\":[{{\"cells\":[],\"object\":{secret}}}]}}}}"
            ),
        ),
        ("table", secrets(), format!("{{\"kind\":\"Table\",\"rows\":[{{\"cells\":[\"db\"],\"object\":{bare}}}]}}")),
        ("metadata only", secrets(), format!("{{\"kind\":\"PartialObjectMetadata\",{}}}", metadata(&twice))),
        (
            "status",
            secrets(),
            format!(
                "{{\"kind\":\"Status\",\"message\":{said},\"details\":{{\"causes\":[{{\"message\":{said}}}]}},\"code\":422}}"
            ),
        ),
        ("mixed list", custom, format!("{{\"kind\":\"List\",\"items\":[{secret},{sorted},{bare}]}}")),
        ("embedded", custom, format!("{{\"kind\":\"Widget\",\"spec\":{{\"x\":[{sorted}]}}}}")),
        (
            "revision",
            MaskPlan::for_resource("apps", "controllerrevisions", true, Profile::Secrets),
            format!("{{\"object\":{{\"kind\":\"ControllerRevision\",\"data\":{{\"x\":{secret}}}}}}}"),
        ),
        (
            "annotation of another kind",
            MaskPlan::for_resource("", "pods", false, Profile::Secrets),
            format!("{{\"kind\":\"Pod\",\"metadata\":{{\"annotations\":{{\"{LAST_APPLIED}\":{twice}}}}}}}"),
        ),
    ]
}

#[test]
fn leaks_1_2_3_5_7_9_the_canary_never_comes_out() {
    let spellings = spellings();
    for (form, plan, input) in forms() {
        assert!(spellings.iter().any(|spelling| input.contains(spelling)), "{form} holds no canary");
        let (output, summary) = at_every_split(plan, input.as_bytes()).unwrap();
        let output = String::from_utf8(output).unwrap();
        assert!(summary.masked > 0);
        for spelling in &spellings {
            assert!(!output.contains(spelling.as_str()), "{form} shows {spelling}: {output}");
        }
    }
}

#[test]
fn every_spelling_is_one_that_the_forms_can_show() {
    let all: String = forms().into_iter().map(|(_, _, input)| input).collect();
    let missing: Vec<String> = spellings().into_iter().skip(1).filter(|spelling| !all.contains(spelling)).collect();
    assert_eq!(missing, Vec::<String>::new());
}
