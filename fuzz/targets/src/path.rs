//! A request's target. What is accepted has one canonical form, which is read the same again; and a second, naive reading of
//! the path comes to the same segments.

use lockgate_wire::http1::{HeadLimits, Inspector, Passed};
use lockgate_wire::{RequestInfo, Target};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The bytes are a target, with or without a cluster before it.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check(text);
    check(&format!("/clusters/p{text}"));
}

fn check(text: &str) {
    let target = match Target::parse(text) {
        Ok(target) => target,
        Err(error) => return assert!(matches!(error.status().code(), 400 | 404 | 414), "{text:?}: {error}"),
    };
    let path = target.path();
    assert!(!path.contains(['%', '?', '#', ';', '\\']) && !path.contains("//"), "{text:?} became {path:?}");
    assert!(path.split('/').all(|segment| segment != "." && segment != ".."), "{text:?} became {path:?}");
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?} became {path:?}");

    let canonical = format!("/clusters/{}{}", target.cluster(), target.path_and_query());
    assert_eq!(Target::parse(&canonical).as_ref(), Ok(&target), "{text:?} and {canonical:?}");

    let naive = naive_path(text);
    let read = format!("/clusters/{}{path}", target.cluster());
    assert_eq!(naive.trim_end_matches('/'), read.trim_end_matches('/'), "{text:?}");

    for method in METHODS {
        let (one, other) = (RequestInfo::of(method, &target), Target::parse(&canonical));
        let other = other.and_then(|target| RequestInfo::of(method, &target));
        assert_eq!(one, other, "{method} {text:?}");
        if let Ok(info) = one {
            let parts = [info.namespace.as_deref(), info.subresource.as_deref()];
            let named = |part: &str| path.split('/').any(|segment| segment == part);
            assert!(parts.into_iter().flatten().all(named), "{method} {text:?}: {info:?}");
            assert_eq!(info.stream.is_session(), is_session(&path), "{method} {text:?}");
        }
    }

    // What the parser accepts gets as far as the parser: the HTTP layer before it is never the narrower one.
    let head = format!("GET {text} HTTP/1.1\r\nhost: g\r\n\r\n");
    let mut inspector = Inspector::new(HeadLimits { head_bytes_max: 1 << 20, headers_max: 10 });
    assert_eq!(inspector.push(head.as_bytes()), Ok(Passed::Head(head.len())), "{text:?}");
}

/// The path with every escape replaced by what it stands for.
fn naive_path(text: &str) -> String {
    let path = text.split('?').next().unwrap_or_default();
    let mut parts = path.split('%');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        plain.push(char::from(u8::from_str_radix(digits, 16).expect("two digits")));
        plain.push_str(rest);
    }
    plain
}

fn is_session(path: &str) -> bool {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let rest = match segments.as_slice() {
        ["api", _, "namespaces", _, rest @ ..] => rest,
        ["api", _, rest @ ..] => rest,
        _ => return false,
    };
    matches!(rest, ["pods", _, "exec" | "attach" | "portforward"])
}
