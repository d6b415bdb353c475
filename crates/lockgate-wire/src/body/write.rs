//! What a write must bring. A body that nobody can read is one on which nobody decided, so it never goes upstream.

use lockgate_core::{Options, PatchType, Stream, Verb};
use serde_json::Value;

use crate::{RequestInfo, WireError};

/// Refuses a create, update or patch whose body is missing or is not what its kind of write takes: an object, or for a
/// JSON Patch a list of operations that every reader understands alike.
pub fn check_write(info: &RequestInfo, options: &Options, body: Option<&Value>) -> Result<(), WireError> {
    let writes = matches!(info.verb, Verb::Create | Verb::Update | Verb::Patch) && info.is_resource();
    if !writes || info.stream.is_session() || info.stream == Stream::Proxy {
        return Ok(());
    }
    let refused = |what: &str| Err(WireError::Body(what.to_owned()));
    match (body, options.patch_type) {
        (None, _) => refused("it is empty"),
        (Some(Value::Array(operations)), Some(PatchType::Json)) => operations.iter().try_for_each(check_operation),
        (Some(_), Some(PatchType::Json)) => refused("a JSON Patch is a list of operations"),
        (Some(Value::Object(_)), _) => Ok(()),
        (Some(_), _) => refused("it is not an object"),
    }
}

/// One operation of RFC 6902. The API server's library skips whatever stands before a path's first slash, and leaves
/// escapes that it does not know as they are; neither is guessed at here.
fn check_operation(operation: &Value) -> Result<(), WireError> {
    let refused = |what: &'static str| Err(WireError::Body(format!("an operation of the JSON Patch has {what}")));
    let text = |name: &str| operation.get(name).and_then(Value::as_str);
    match text("op") {
        Some("add" | "remove" | "replace" | "test") => {}
        Some("move" | "copy") if text("from").is_some_and(is_pointer) => {}
        Some("move" | "copy") => return refused("no `from` that is a JSON pointer"),
        _ => return refused("no `op` that is one of add, remove, replace, move, copy and test"),
    }
    if !text("path").is_some_and(is_pointer) {
        return refused("no `path` that is a JSON pointer");
    }
    Ok(())
}

/// RFC 6901: empty, or each part begins with a slash and a tilde stands only in `~0` and `~1`.
fn is_pointer(text: &str) -> bool {
    (text.is_empty() || text.starts_with('/')) && text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Target;

    fn check(method: &str, path: &str, patch_type: Option<PatchType>, body: Option<Value>) -> Result<(), WireError> {
        let info = RequestInfo::of(method, &Target::parse(&format!("/clusters/p{path}")).unwrap()).unwrap();
        check_write(&info, &Options { patch_type, ..Options::default() }, body.as_ref())
    }

    const MAPS: &str = "/api/v1/namespaces/shop/configmaps";
    const MAP: &str = "/api/v1/namespaces/shop/configmaps/a";

    #[test]
    fn a_write_without_an_object_is_refused() {
        let types = [Some(PatchType::Merge), Some(PatchType::Strategic), Some(PatchType::Apply)];
        let patches = types.map(|patch_type| ("PATCH", MAP, patch_type));
        for (method, path, patch_type) in [("POST", MAPS, None), ("PUT", MAP, None)].into_iter().chain(patches) {
            assert_eq!(check(method, path, patch_type, Some(json!({}))), Ok(()), "{method}");
            for body in [None, Some(json!(null)), Some(json!([])), Some(json!("x")), Some(json!(1))] {
                let error = check(method, path, patch_type, body.clone()).unwrap_err();
                assert_eq!(error.status().code(), 400, "{method} {body:?}");
            }
        }
        assert!(check("PATCH", MAP, Some(PatchType::Json), None).is_err());
        assert!(check("PATCH", MAP, Some(PatchType::Json), Some(json!({}))).is_err());
    }

    #[test]
    fn what_is_no_write_of_an_object_needs_no_body() {
        for (method, path) in [
            ("GET", MAP),
            ("DELETE", MAP),
            ("DELETE", MAPS),
            ("POST", "/api/v1/namespaces/shop/pods/p/exec"),
            ("POST", "/api/v1/namespaces/shop/services/s/proxy/x"),
            ("POST", "/healthz"),
        ] {
            assert_eq!(check(method, path, None, None), Ok(()), "{method} {path}");
        }
    }

    #[test]
    fn a_json_patch_that_two_programs_could_read_differently_is_refused() {
        let patch = |operation: Value| check("PATCH", MAP, Some(PatchType::Json), Some(json!([operation])));
        for operation in [
            json!({"op": "add", "path": "/data/a", "value": "1"}),
            json!({"op": "replace", "path": "", "value": {}}),
            json!({"op": "remove", "path": "/metadata/annotations/a~1b~0c"}),
            json!({"op": "move", "from": "/data/a", "path": "/data/b"}),
        ] {
            assert_eq!(patch(operation.clone()), Ok(()), "{operation}");
        }
        for operation in [
            json!({"op": "Add", "path": "/data/a", "value": "1"}),
            json!({"op": "add", "path": "x/spec/nodeName", "value": "1"}),
            json!({"op": "add", "path": "spec", "value": "1"}),
            json!({"op": "add", "path": "/a~2b", "value": "1"}),
            json!({"op": "add", "path": "/a~", "value": "1"}),
            json!({"op": "add", "path": ["/a"], "value": "1"}),
            json!({"op": "add", "value": "1"}),
            json!({"op": "copy", "path": "/data/a"}),
            json!({"op": "copy", "from": "data/b", "path": "/data/a"}),
            json!({"path": "/data/a"}),
            json!({"op": 1, "path": "/data/a"}),
            json!("add"),
            json!(null),
        ] {
            assert!(patch(operation.clone()).is_err(), "{operation}");
        }
    }
}
