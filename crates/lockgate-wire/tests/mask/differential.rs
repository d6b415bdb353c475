//! The masker against its naive twin, on random answers, in random pieces.

use lockgate_wire::mask::{MaskError, MaskLimits, MaskPlan, Profile};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::oracle::{About, Oracle, Tree};
use super::{LAST_APPLIED, at_every_split, custom, pieces, pods, secrets, whole};

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,6}", "[\u{0}-\u{ff}]{0,8}", "[\\\\\"{}\\[\\],:]{0,8}", any::<String>()]
}

fn name() -> impl Strategy<Value = String> {
    let known = select(vec![
        "annotations",
        "apiVersion",
        "causes",
        "data",
        "details",
        "items",
        "kind",
        LAST_APPLIED,
        "managedFields",
        "metadata",
        "object",
        "rows",
        "stringData",
        "Data",
        "spec",
        "v:\"x\"",
        "f:data",
    ]);
    prop_oneof![6 => known.prop_map(str::to_owned), 2 => text()]
}

fn leaf() -> impl Strategy<Value = Tree> {
    let scalar = select(vec!["null", "true", "false", "0", "-1.50", "1e9", "18446744073709551616"]);
    prop_oneof![scalar.prop_map(|text| Tree::Scalar(text.to_owned())), text().prop_map(Tree::Text)]
}

fn kind() -> impl Strategy<Value = (String, Tree)> {
    let kinds = select(vec!["Secret", "Secret", "SecretList", "ConfigMap", "List", "Widget"]);
    kinds.prop_map(|kind| ("kind".to_owned(), Tree::Text(kind.to_owned())))
}

fn api_version() -> impl Strategy<Value = (String, Tree)> {
    let versions = select(vec!["v1", "v1", "apps/v1", "example.com/v1"]);
    versions.prop_map(|version| ("apiVersion".to_owned(), Tree::Text(version.to_owned())))
}

fn message() -> impl Strategy<Value = (String, Tree)> {
    let messages = select(vec!["plain words", "sent \"hunter2\" to us", "sent \"hunter2"]);
    messages.prop_map(|text| ("message".to_owned(), Tree::Text(text.to_owned())))
}

fn applied(tree: impl Strategy<Value = Tree>) -> impl Strategy<Value = (String, Tree)> {
    tree.prop_map(|tree| {
        let annotation = Tree::Object(vec![(LAST_APPLIED.to_owned(), Tree::Text(tree.write()))]);
        ("metadata".to_owned(), Tree::Object(vec![("annotations".to_owned(), annotation)]))
    })
}

fn object(value: impl Strategy<Value = Tree> + Clone + 'static) -> impl Strategy<Value = Tree> {
    let member = prop_oneof![
        6 => (name(), value.clone()),
        2 => kind(),
        2 => api_version(),
        1 => message(),
        1 => applied(value),
    ];
    vec(member, 0..7).prop_map(Tree::Object)
}

fn value() -> impl Strategy<Value = Tree> + Clone {
    leaf().prop_recursive(
        7,
        96,
        6,
        |inner| prop_oneof![1 => vec(inner.clone(), 0..5).prop_map(Tree::Array), 4 => object(inner)],
    )
}

fn plan() -> impl Strategy<Value = (About, bool, MaskPlan)> {
    select(vec![
        (About::Secrets, false, secrets()),
        (About::BuiltIn, false, pods()),
        (About::BuiltIn, true, MaskPlan::for_resource("apps", "controllerrevisions", false, Profile::Secrets)),
        (About::Custom, true, custom()),
    ])
}

/// Spells some characters of the text's strings as escapes, which changes no meaning.
fn respelled(text: &str, every: usize) -> String {
    let mut output = String::new();
    let (mut in_string, mut escaped, mut hexadecimal, mut count) = (false, false, 0, 0);
    for character in text.chars() {
        count += 1;
        if hexadecimal > 0 {
            hexadecimal -= 1;
        } else if escaped && character == 'u' {
            hexadecimal = 4;
        } else if in_string && !escaped && character.is_ascii_alphanumeric() && count % every == 0 {
            output.push_str(&format!("\\u{:04x}", u32::from(character)));
            continue;
        }
        if !escaped && character == '"' {
            in_string = !in_string;
        }
        escaped = in_string && !escaped && character == '\\';
        output.push(character);
    }
    output
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_masker_agrees_with_its_naive_twin(
        tree in object(value()),
        (about, embedded, plan) in plan(),
        every in 1_usize..9,
        size in 1_usize..200,
    ) {
        let input = respelled(&tree.write(), every);
        let mut expected = Tree::parse(&input).unwrap();
        let twin = Oracle { about, embedded, nesting: 0 }.root(&mut expected);
        match pieces(plan, MaskLimits::default(), input.as_bytes().chunks(size)) {
            Ok((output, summary)) => {
                prop_assert!(twin.is_ok(), "{input}");
                let output = String::from_utf8(output).unwrap();
                let found = Tree::parse(&output).unwrap();
                prop_assert_eq!(&found, &expected, "{}\n→ {}", input, output);
                if summary.masked == 0 {
                    prop_assert_eq!(output, input);
                }
            }
            Err(MaskError::SecretAfterData { .. }) => prop_assert!(twin.is_err(), "{input}"),
            Err(error) => prop_assert!(false, "{error} for {input}"),
        }
    }

    #[test]
    fn the_pieces_do_not_matter(tree in object(value()), (_, _, plan) in plan()) {
        let input = tree.write();
        if input.len() < 160 {
            at_every_split(plan, input.as_bytes()).ok();
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_pass_what_is_not_balanced(
        bytes in vec(prop_oneof![select(b"{}[]\",:\\ 1etn\"".to_vec()), any::<u8>()], 0..80),
        (_, _, plan) in plan(),
    ) {
        if let Ok((output, summary)) = whole(plan, &bytes) {
            prop_assert_eq!(summary.objects, 1);
            if serde_json::from_slice::<serde_json::Value>(&bytes).is_ok() {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&output).is_ok());
            }
        }
    }

    #[test]
    fn what_serde_reads_is_refused_for_late_secrets_only(tree in object(value()), (_, _, plan) in plan()) {
        let result = whole(plan, tree.write().as_bytes());
        prop_assert!(matches!(result, Ok(_) | Err(MaskError::SecretAfterData { .. })), "{:?} for {}", result, tree.write());
    }
}
