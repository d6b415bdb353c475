//! A request's query. What is accepted is written in one form, which is read the same again; options and argv come out as a
//! second, naive reading of the text has them.

use lockgate_wire::{RequestInfo, Target, options};

const MERGE: Option<&str> = Some("application/merge-patch+json");

/// Method, path, content type.
const REQUESTS: [(&str, &str, Option<&str>); 6] = [
    ("POST", "/api/v1/namespaces/a/pods/b/exec", None),
    ("GET", "/api/v1/namespaces/a/pods", None),
    ("DELETE", "/api/v1/namespaces/a/pods/b", None),
    ("DELETE", "/api/v1/namespaces/a/pods", None),
    ("PATCH", "/api/v1/namespaces/a/pods/b", MERGE),
    ("GET", "/api/v1/namespaces/a/pods/b/log", None),
];

/// The bytes are a query.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for (method, path, content_type) in REQUESTS {
        let Ok(target) = Target::parse(&format!("/clusters/p{path}?{text}")) else { continue };
        let canonical = format!("/clusters/p{path}?{}", target.query());
        let again = Target::parse(&canonical);
        assert_eq!(again.as_ref(), Ok(&target), "{text:?} and {canonical:?}");
        let Ok(info) = RequestInfo::of(method, &target) else { continue };
        let read = options::effective(&info, &target, content_type, None);
        assert_eq!(read, again.and_then(|again| options::effective(&info, &again, content_type, None)), "{text:?}");
        let Ok(read) = read else { continue };
        if let Some(exec) = &read.exec {
            assert_eq!(exec.argv, values(text, "command"), "{text:?}");
            let container = values(text, "container");
            assert!(container.iter().all(|name| Some(name) == container.first()), "{text:?}: two containers");
            assert_eq!(exec.container.clone().unwrap_or_default(), container.first().cloned().unwrap_or_default());
        }
        if matches!(method, "DELETE" | "PATCH") {
            assert_eq!(read.dry_run, values(text, "dryRun").iter().any(|value| value == "All"), "{text:?}");
        }
        let without = target.path_and_query_without(&["dryRun"]);
        assert!(values(without.split_once('?').map_or("", |(_, query)| query), "dryRun").is_empty(), "{without}");
    }
}

/// All values of a parameter, read piece by piece.
fn values(query: &str, wanted: &str) -> Vec<String> {
    let pieces = query.split('&').map(|piece| piece.split_once('=').unwrap_or((piece, "")));
    pieces.filter(|(name, _)| plain(name) == wanted).map(|(_, value)| plain(value)).collect()
}

fn plain(text: &str) -> String {
    let text = text.replace('+', " ");
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).expect("UTF-8")
}
