#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

type Read = (String, String, Vec<(String, Vec<u8>)>);

fn plain(secret: SecretObject) -> Read {
    let values = secret.values.into_iter().map(|(key, value)| (key, value.expose().clone())).collect();
    (secret.namespace, secret.name, values)
}

fn list(pieces: &[&[u8]]) -> Result<(Vec<Read>, ListEnd), Unreadable> {
    let (mut reader, mut read) = (ListReader::new(), Vec::new());
    for piece in pieces {
        reader.push(piece, &mut |secret| read.push(plain(secret)))?;
    }
    Ok((read, reader.finish()?))
}

fn watch(pieces: &[&[u8]]) -> Result<Vec<String>, Unreadable> {
    let (mut reader, mut read) = (WatchReader::new(), Vec::new());
    for piece in pieces {
        reader.push(piece, &mut |event| {
            read.push(match event {
                WatchEvent::Set(secret, version) => format!("set {:?} at {version}", plain(secret)),
                other => format!("{other:?}"),
            });
        })?;
    }
    Ok(read)
}

fn secret(name: &str, data: Value) -> Value {
    let applied = r#"{"data":{"password":"]}\\\"[{"}}"#;
    json!({
        "metadata": {"name": name, "namespace": "shop", "resourceVersion": "7", "annotations": {"applied": applied}},
        "data": data, "type": "Opaque",
    })
}

fn page() -> String {
    let data =
        json!({"a": STANDARD.encode("one \"{[\\"), "b": STANDARD.encode([0, 255, 128]), "empty": "", "none": null});
    let items = [secret("db", data), secret("bare", Value::Null), secret("tls", json!({"k": STANDARD.encode("v")}))];
    json!({
        "kind": "SecretList", "apiVersion": "v1",
        "metadata": {"resourceVersion": "42", "continue": "next\"]}", "remainingItemCount": 3}, "items": items,
    })
    .to_string()
}

#[test]
fn a_page_reads_the_same_however_it_is_cut() {
    let page = page();
    let (read, end) = list(&[page.as_bytes()]).unwrap();
    let names: Vec<_> = read.iter().map(|(namespace, name, _)| (namespace.as_str(), name.as_str())).collect();
    assert_eq!(names, [("shop", "db"), ("shop", "bare"), ("shop", "tls")]);
    let values = [("a", b"one \"{[\\".to_vec()), ("b", vec![0, 255, 128]), ("empty", vec![]), ("none", vec![])];
    assert_eq!(read[0].2, values.map(|(key, value)| (key.to_owned(), value)));
    assert_eq!(end, ListEnd { resource_version: "42".into(), continue_token: Some("next\"]}".into()) });
    for at in 0..=page.len() {
        let (one, other) = page.as_bytes().split_at(at);
        assert_eq!(list(&[one, other]).unwrap(), (read.clone(), end.clone()), "cut at {at}");
    }
    let bytes: Vec<&[u8]> = page.as_bytes().chunks(1).collect();
    assert_eq!(list(&bytes).unwrap(), (read, end));
}

#[test]
fn a_list_whose_metadata_comes_last_or_that_is_laid_out_reads_the_same() {
    let value: Value = serde_json::from_str(&page()).unwrap();
    let expected = list(&[page().as_bytes()]).unwrap();
    let last = format!("{{\"kind\":\"SecretList\",\"items\":{},\"metadata\":{}}}\n", value["items"], value["metadata"]);
    assert_eq!(list(&[last.as_bytes()]).unwrap(), expected);
    assert_eq!(list(&[serde_json::to_string_pretty(&value).unwrap().as_bytes()]).unwrap(), expected);
    let empty = br#"{"kind":"SecretList","metadata":{"resourceVersion":"1","continue":""},"items":[]}"#;
    let end = ListEnd { resource_version: "1".into(), continue_token: None };
    assert_eq!(list(&[empty]).unwrap(), (vec![], end.clone()));
    let null = br#"{"kind":"SecretList","metadata":{"resourceVersion":"1"},"items":null}"#;
    assert_eq!(list(&[null]).unwrap(), (vec![], end));
}

#[test]
fn a_list_that_is_cut_or_is_none_is_an_error() {
    let page = page();
    for at in 0..page.len() {
        assert_eq!(list(&[&page.as_bytes()[..at]]), Err(Unreadable::Cut), "cut at {at}");
    }
    for (wrong, what) in [
        (page.replace("SecretList", "ConfigMapList"), "list"),
        (page.replace(",\"resourceVersion\":\"42\"", ""), "list"),
        (page.replace("\"name\":\"db\",", ""), "Secret"),
        (page.replace("\"a\":\"", "\"a\":\"*"), "Secret"),
        (page.replace("\"items\":[", "\"items\":[7,"), "list"),
        (page.replace("\"items\":[", "\"items\":[\"x\","), "list"),
        (page.replace("\"items\":[", "\"items\":[{]},"), "Secret"),
        (format!("{page}]"), "list"),
        (format!("{page}x"), "list"),
    ] {
        assert_eq!(list(&[wrong.as_bytes()]), Err(Unreadable::Malformed(what)), "{wrong}");
    }
    let status = br#"{"kind":"Status","status":"Failure","code":403,"details":{"causes":[]}}"#;
    assert_eq!(list(&[status]), Err(Unreadable::Malformed("list")));
}

#[test]
fn what_is_larger_than_any_secret_is_an_error() {
    let long = "A".repeat(OBJECT_BYTES_MAX);
    let event = format!("{{\"type\":\"ADDED\",\"object\":{{\"data\":{{\"a\":\"{long}\"}}}}}}");
    assert_eq!(watch(&[event.as_bytes()]), Err(Unreadable::TooLarge { bytes_max: OBJECT_BYTES_MAX }));
    let envelope = format!("{{\"metadata\":\"{}\"", "A".repeat(ENVELOPE_BYTES_MAX));
    assert_eq!(list(&[envelope.as_bytes()]), Err(Unreadable::TooLarge { bytes_max: ENVELOPE_BYTES_MAX }));
}

#[test]
fn a_watch_reads_the_same_however_it_is_cut() {
    let set = secret("db", json!({"a": STANDARD.encode("new")}));
    let bookmark = json!({"kind": "Secret", "metadata": {"resourceVersion": "9", "creationTimestamp": null}});
    let status = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"});
    let events = [("ADDED", &set), ("MODIFIED", &set), ("DELETED", &set), ("BOOKMARK", &bookmark), ("ERROR", &status)];
    let text: String =
        events.iter().map(|(kind, object)| format!("{}\n", json!({"type": kind, "object": object}))).collect();
    let expected = watch(&[text.as_bytes()]).unwrap();
    let set = "set (\"shop\", \"db\", [(\"a\", [110, 101, 119])]) at 7";
    assert_eq!(
        expected,
        [
            set,
            set,
            "Gone { namespace: \"shop\", name: \"db\", version: \"7\" }",
            "Bookmark(\"9\")",
            "Failed { code: 410, reason: \"Expired\" }",
        ]
    );
    for at in 0..=text.len() {
        let (one, other) = text.as_bytes().split_at(at);
        assert_eq!(watch(&[one, other]).unwrap(), expected, "cut at {at}");
    }
    for wrong in ["[]", "1", "{\"type\":\"SYNC\",\"object\":{}}", "}", "{\"type\":\"ADDED\"}", "{}"] {
        assert!(watch(&[wrong.as_bytes()]).is_err(), "{wrong}");
    }
}

#[test]
fn invariant_8_debug_shows_no_content() {
    let mut shown = Vec::new();
    let mut reader = ListReader::new();
    reader.push(page().as_bytes(), &mut |secret| shown.push(format!("{secret:?}"))).unwrap();
    shown.push(format!("{reader:?}"));
    assert!(!shown.iter().any(|text| text.contains("one \\") || text.contains("110")), "{shown:?}");
}

proptest! {
    /// As a reading of the whole document has it.
    #[test]
    fn a_page_is_read_as_serde_json_reads_it(
        secrets in prop::collection::vec((".{1,12}", prop::collection::btree_map("[a-z.]{1,8}", prop::collection::vec(any::<u8>(), 0..40), 0..4)), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let items: Vec<Value> = secrets
            .iter()
            .map(|(name, data)| {
                let data = data.iter().map(|(key, value)| (key.clone(), json!(STANDARD.encode(value)))).collect();
                secret(name, Value::Object(data))
            })
            .collect();
        let page = json!({"kind": "SecretList", "metadata": {"resourceVersion": "1"}, "items": items}).to_string();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(page.len() + 1)).collect();
        places.extend([0, page.len()]);
        places.sort_unstable();
        let pieces: Vec<&[u8]> = places.windows(2).map(|ends| &page.as_bytes()[ends[0]..ends[1]]).collect();
        let (read, _) = list(&pieces).unwrap();
        let expected: Vec<Read> = secrets
            .into_iter()
            .map(|(name, data)| ("shop".to_owned(), name, data.into_iter().collect()))
            .collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in "[\\[\\]{}\",:\\\\a]{0,60}") {
        list(&[bytes.as_bytes()]).ok();
        watch(&[bytes.as_bytes()]).ok();
    }
}
