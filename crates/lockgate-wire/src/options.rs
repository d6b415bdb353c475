//! The options in effect, wherever the client wrote them.
//!
//! The trap is `DELETE …?dryRun=All` with a `DeleteOptions` body: a body that is not empty wins as a whole and the API server
//! does not even look at the query (`k8s.io/apiserver/pkg/endpoints/handlers/delete.go`), so that it is a real delete.

use lockgate_core::{ExecOptions, Options, PatchType, Stream, Verb};
use serde_json::Value;

use crate::body::media_type;
use crate::{RequestInfo, Target, WireError};

/// The query parameters that `DeleteOptions` in a body replace; drop them when a body is injected.
pub const DELETE_PARAMETERS: [&str; 7] = [
    "dryRun",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents",
    "propagationPolicy",
    "resourceVersion",
    "uid",
];

const UNSAFE_DELETE: &str = "ignoreStoreReadErrorWithClusterBreakingPotential";

/// Reads the effective options. `body` is the decoded body; `content_type` tells what a PATCH is.
pub fn effective(
    info: &RequestInfo,
    target: &Target,
    content_type: Option<&str>,
    body: Option<&Value>,
) -> Result<Options, WireError> {
    let mut options = Options::default();
    if !info.is_resource() || info.stream == Stream::Proxy {
        return Ok(options);
    }
    match info.verb {
        Verb::List | Verb::Watch => read_selectors(&mut options, target)?,
        Verb::Delete | Verb::DeleteCollection => {
            match body {
                Some(body) => read_delete_body(&mut options, body)?,
                None => read_delete_query(&mut options, target, info.verb)?,
            }
            if info.verb == Verb::DeleteCollection {
                read_selectors(&mut options, target)?;
            }
        }
        Verb::Create | Verb::Update | Verb::Patch if !info.stream.is_session() => {
            read_write_query(&mut options, target)?;
            options.patch_type = patch_type(info.verb, content_type)?;
        }
        _ => {}
    }
    if matches!(info.stream, Stream::Exec | Stream::Attach) {
        options.exec = Some(exec_options(info.stream, target));
    }
    Ok(options)
}

/// A boolean parameter as Kubernetes converts it: absent, `false` and `0` are false, anything else is true, empty too.
pub(crate) fn query_boolean(target: &Target, name: &str) -> bool {
    target.parameter(name).is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
}

fn exec_options(stream: Stream, target: &Target) -> ExecOptions {
    ExecOptions {
        container: target.parameter("container").filter(|name| !name.is_empty()).map(str::to_owned),
        argv: if stream == Stream::Exec {
            target.parameters("command").map(str::to_owned).collect()
        } else {
            Vec::new()
        },
        stdin: query_boolean(target, "stdin"),
        stdout: query_boolean(target, "stdout"),
        stderr: query_boolean(target, "stderr"),
        tty: query_boolean(target, "tty"),
    }
}

fn read_selectors(options: &mut Options, target: &Target) -> Result<(), WireError> {
    options.label_selector = text(target, "labelSelector");
    // An empty one is kept: who sends it means to narrow the request, and does not.
    options.field_selector = target.parameter("fieldSelector").map(str::to_owned);
    options.limit = integer(target, "limit")?;
    // With one number that it cannot read, the API server forgets the name in the field selector too, and refuses the list only after
    // it has authorised it without a name (`RequestInfoFactory`): such a request means two things.
    integer(target, "timeoutSeconds")?;
    Ok(())
}

fn read_write_query(options: &mut Options, target: &Target) -> Result<(), WireError> {
    options.dry_run = dry_run(target.parameters("dryRun"))?;
    options.field_manager = text(target, "fieldManager");
    options.field_validation = text(target, "fieldValidation");
    options.force = target.parameter("force").map(|_| query_boolean(target, "force"));
    Ok(())
}

fn read_delete_query(options: &mut Options, target: &Target, verb: Verb) -> Result<(), WireError> {
    if query_boolean(target, UNSAFE_DELETE) {
        return Err(refused_unsafe_delete());
    }
    options.dry_run = dry_run(target.parameters("dryRun"))?;
    options.grace_period_seconds = integer(target, "gracePeriodSeconds")?;
    let orphan = target.parameter("orphanDependents").map(|_| query_boolean(target, "orphanDependents"));
    options.propagation_policy = propagation(target.parameter("propagationPolicy"), orphan)?;
    options.precondition_uid = text(target, "uid");
    // In the query of a collection delete the same word means the list's resourceVersion; as a precondition it would be
    // refused by the API server, so that reading it as both is safe only for a single object.
    if verb == Verb::Delete {
        options.precondition_resource_version = text(target, "resourceVersion");
    }
    Ok(())
}

fn read_delete_body(options: &mut Options, body: &Value) -> Result<(), WireError> {
    let fields = body.as_object().ok_or_else(|| invalid("DeleteOptions", "it must be an object"))?;
    if fields.get("kind").is_some_and(|kind| !kind.is_null() && kind != "" && kind != "DeleteOptions") {
        return Err(invalid("kind", "the body of a DELETE must be DeleteOptions"));
    }
    let field = |name: &str| fields.get(name).filter(|value| !value.is_null());
    if field(UNSAFE_DELETE).is_some_and(|value| value != &Value::Bool(false)) {
        return Err(refused_unsafe_delete());
    }
    if let Some(value) = field("dryRun") {
        let values = value.as_array().ok_or_else(|| invalid("dryRun", "it must be a list"))?;
        options.dry_run = dry_run(values.iter().map(|value| value.as_str().unwrap_or("?")))?;
    }
    if let Some(value) = field("gracePeriodSeconds") {
        let seconds = value.as_i64().ok_or_else(|| invalid("gracePeriodSeconds", "it must be an integer"))?;
        options.grace_period_seconds = Some(seconds);
    }
    let orphan = match field("orphanDependents") {
        Some(value) => Some(value.as_bool().ok_or_else(|| invalid("orphanDependents", "it must be a boolean"))?),
        None => None,
    };
    let policy = match field("propagationPolicy") {
        Some(value) => Some(value.as_str().ok_or_else(|| invalid("propagationPolicy", "it must be a string"))?),
        None => None,
    };
    options.propagation_policy = propagation(policy, orphan)?;
    if let Some(preconditions) = field("preconditions") {
        let text = |name: &'static str| match preconditions.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(invalid("preconditions", "its fields must be strings")),
        };
        options.precondition_uid = text("uid")?;
        options.precondition_resource_version = text("resourceVersion")?;
    }
    Ok(())
}

fn dry_run<'a>(values: impl Iterator<Item = &'a str>) -> Result<bool, WireError> {
    let mut dry_run = false;
    for value in values {
        // An unknown stage is refused rather than guessed: the API server accepts only `All`.
        if value != "All" {
            return Err(invalid("dryRun", "the only value is All"));
        }
        dry_run = true;
    }
    Ok(dry_run)
}

/// `orphanDependents` is the old spelling of `propagationPolicy`; both together are invalid, as upstream.
fn propagation(policy: Option<&str>, orphan: Option<bool>) -> Result<Option<String>, WireError> {
    match (policy, orphan) {
        (Some(_), Some(_)) => Err(invalid("propagationPolicy", "it cannot be set together with orphanDependents")),
        (Some(policy @ ("Orphan" | "Background" | "Foreground")), None) => Ok(Some(policy.to_owned())),
        (Some(_), None) => Err(invalid("propagationPolicy", "it must be Orphan, Background or Foreground")),
        (None, Some(true)) => Ok(Some("Orphan".to_owned())),
        (None, Some(false)) => Ok(Some("Background".to_owned())),
        (None, None) => Ok(None),
    }
}

fn patch_type(verb: Verb, content_type: Option<&str>) -> Result<Option<PatchType>, WireError> {
    let media_type = media_type(content_type.unwrap_or_default());
    let patch_type = match media_type.as_str() {
        "application/json-patch+json" => Some(PatchType::Json),
        "application/merge-patch+json" => Some(PatchType::Merge),
        "application/strategic-merge-patch+json" => Some(PatchType::Strategic),
        "application/apply-patch+yaml" => Some(PatchType::Apply),
        _ => None,
    };
    if patch_type.is_some() == (verb == Verb::Patch) {
        return Ok(patch_type);
    }
    Err(WireError::ContentType { content_type: media_type })
}

fn text(target: &Target, name: &str) -> Option<String> {
    target.parameter(name).filter(|value| !value.is_empty()).map(str::to_owned)
}

fn integer(target: &Target, name: &'static str) -> Result<Option<i64>, WireError> {
    match target.parameter(name) {
        None => Ok(None),
        Some(value) => value.parse().map(Some).map_err(|_| invalid(name, "it must be an integer")),
    }
}

fn invalid(name: &'static str, reason: &str) -> WireError {
    WireError::Option { name, reason: reason.to_owned() }
}

fn refused_unsafe_delete() -> WireError {
    invalid(UNSAFE_DELETE, "this gateway does not pass deletes that break the API server's own safeguards")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(method: &str, path: &str, content_type: Option<&str>, body: Option<Value>) -> Result<Options, WireError> {
        let target = Target::parse(&format!("/clusters/p{path}")).unwrap();
        let info = RequestInfo::of(method, &target).unwrap();
        effective(&info, &target, content_type, body.as_ref())
    }

    const NAMESPACE: &str = "/api/v1/namespaces/shop";

    #[test]
    fn bypass_row_28_the_body_of_a_delete_wins_as_a_whole() {
        let by_query = read("DELETE", &format!("{NAMESPACE}?dryRun=All&propagationPolicy=Orphan"), None, None).unwrap();
        assert!(by_query.dry_run);
        assert_eq!(by_query.propagation_policy.as_deref(), Some("Orphan"));
        let body = json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0});
        let by_body =
            read("DELETE", &format!("{NAMESPACE}?dryRun=All&propagationPolicy=Orphan"), None, Some(body)).unwrap();
        assert!(!by_body.dry_run, "the API server ignores the query");
        assert_eq!(by_body, Options { grace_period_seconds: Some(0), ..Options::default() });
        // An empty object is a body too.
        assert!(!read("DELETE", &format!("{NAMESPACE}?dryRun=All"), None, Some(json!({}))).unwrap().dry_run);
        assert!(read("DELETE", NAMESPACE, None, Some(json!({"dryRun": ["All"]}))).unwrap().dry_run);
    }

    #[test]
    fn delete_options_that_have_no_meaning_are_refused() {
        for query in [
            "dryRun=all",
            "dryRun=",
            "gracePeriodSeconds=x",
            "gracePeriodSeconds=",
            "propagationPolicy=orphan",
            "propagationPolicy=Orphan&orphanDependents=true",
            "ignoreStoreReadErrorWithClusterBreakingPotential=true",
        ] {
            assert!(read("DELETE", &format!("{NAMESPACE}?{query}"), None, None).is_err(), "{query}");
        }
        for body in [
            json!([]),
            json!("x"),
            json!({"kind": "Pod"}),
            json!({"dryRun": "All"}),
            json!({"dryRun": ["x"]}),
            json!({"dryRun": [1]}),
            json!({"gracePeriodSeconds": "1"}),
            json!({"propagationPolicy": 1}),
            json!({"orphanDependents": "x"}),
            json!({"preconditions": {"uid": 1}}),
            json!({"ignoreStoreReadErrorWithClusterBreakingPotential": true}),
        ] {
            assert!(read("DELETE", NAMESPACE, None, Some(body.clone())).is_err(), "{body}");
        }
        assert_eq!(
            read("DELETE", &format!("{NAMESPACE}?orphanDependents=0"), None, None)
                .unwrap()
                .propagation_policy
                .as_deref(),
            Some("Background")
        );
        let preconditions = json!({"preconditions": {"uid": "u", "resourceVersion": "1"}, "dryRun": null});
        let options = read("DELETE", NAMESPACE, None, Some(preconditions)).unwrap();
        assert_eq!(
            (options.precondition_uid.as_deref(), options.precondition_resource_version.as_deref()),
            (Some("u"), Some("1"))
        );
        assert_eq!(
            read("DELETE", &format!("{NAMESPACE}?uid=u"), None, None).unwrap().precondition_uid.as_deref(),
            Some("u")
        );
    }

    #[test]
    fn a_collection_delete_keeps_its_selectors_whatever_its_body() {
        let path = format!("{NAMESPACE}/pods?labelSelector=app%3Dweb&resourceVersion=7");
        for body in [None, Some(json!({"dryRun": ["All"]}))] {
            let options = read("DELETE", &path, None, body).unwrap();
            assert_eq!(options.label_selector.as_deref(), Some("app=web"));
            assert_eq!(options.precondition_resource_version, None);
        }
    }

    #[test]
    fn write_options_come_from_the_query_and_the_patch_from_its_content_type() {
        let path = format!(
            "{NAMESPACE}/configmaps/a?dryRun=All&dryRun=All&fieldManager=kubectl&force=true&fieldValidation=Strict"
        );
        let options = read("PATCH", &path, Some("application/apply-patch+yaml"), Some(json!({}))).unwrap();
        assert_eq!((options.dry_run, options.force, options.patch_type), (true, Some(true), Some(PatchType::Apply)));
        assert_eq!(
            (options.field_manager.as_deref(), options.field_validation.as_deref()),
            (Some("kubectl"), Some("Strict"))
        );
        for (method, content_type) in
            [("PATCH", None), ("PATCH", Some("application/json")), ("PUT", Some("application/merge-patch+json"))]
        {
            assert_eq!(
                read(method, &path, content_type, None).unwrap_err().status().code(),
                415,
                "{method} {content_type:?}"
            );
        }
        let media = Some("application/strategic-merge-patch+json; charset=utf-8");
        assert_eq!(read("PATCH", &path, media, None).unwrap().patch_type, Some(PatchType::Strategic));
    }

    #[test]
    fn a_read_whose_numbers_cannot_be_read_is_refused() {
        for query in [
            "timeoutSeconds=abc",
            "timeoutSeconds=",
            "limit=abc",
            "watch=1&timeoutSeconds=1.5",
            "limit=9223372036854775808",
        ] {
            for path in ["pods", "pods?fieldSelector=metadata.name%3Da"] {
                let separator = if path.contains('?') { '&' } else { '?' };
                let path = format!("{NAMESPACE}/{path}{separator}{query}");
                assert_eq!(read("GET", &path, None, None).unwrap_err().status().code(), 400, "{path}");
            }
        }
        assert!(read("GET", &format!("{NAMESPACE}/pods?timeoutSeconds=%2B5&limit=-1"), None, None).is_ok());
    }

    #[test]
    fn exec_options_are_an_array_not_a_line() {
        let path = format!(
            "{NAMESPACE}/pods/web/exec?command=sh&command=-c&command=ls+%7C+wc&container=app&stdin=true&stdout=1&stderr=FALSE&tty"
        );
        let exec = read("GET", &path, None, None).unwrap().exec.unwrap();
        assert_eq!(exec.argv, ["sh", "-c", "ls | wc"]);
        assert_eq!(
            (exec.container.as_deref(), exec.stdin, exec.stdout, exec.stderr, exec.tty),
            (Some("app"), true, true, false, true)
        );
        let attach = read("POST", &format!("{NAMESPACE}/pods/web/attach?command=x&stdin=true"), None, None)
            .unwrap()
            .exec
            .unwrap();
        assert!(attach.argv.is_empty() && attach.stdin);
    }

    proptest! {
        #[test]
        fn a_body_decides_alone(dry_run in any::<bool>(), query_dry_run in any::<bool>(), seconds in proptest::option::of(0_i64..100)) {
            let query = if query_dry_run { "?dryRun=All" } else { "" };
            let body = json!({"dryRun": if dry_run { vec!["All"] } else { vec![] }, "gracePeriodSeconds": seconds});
            let options = read("DELETE", &format!("{NAMESPACE}{query}"), None, Some(body)).unwrap();
            prop_assert_eq!((options.dry_run, options.grace_period_seconds), (dry_run, seconds));
        }
    }
}
