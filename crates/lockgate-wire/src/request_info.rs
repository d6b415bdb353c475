//! What a request asks for, read exactly as the API server's own `RequestInfoFactory` reads it
//! (`k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`), so that our audit log and the cluster's agree.
//!
//! Owns verb, group, version, resource, subresource, namespace, name and the kind of stream. Refuses to know bodies and
//! policy. Narrower than the API server: unknown methods, unknown subresources and trailing path segments are refused.

use lockgate_core::{Action, Risk, Stream, Verb};

use crate::options::query_boolean;
use crate::{Target, WireError, subresource};

/// A request, classified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInfo {
    /// The verb that policy sees. A session (exec, attach, port-forward) is `create` whatever its method: current API
    /// servers ask for `create` too when it is opened over WebSocket with GET (Kubernetes #78741).
    pub verb: Verb,
    /// The verb that the API server writes in its own audit log; differs from `verb` only for a session opened with GET.
    pub server_verb: Verb,
    /// The API group; empty for the core group and for non-resource paths.
    pub api_group: String,
    /// The API version; empty for non-resource paths.
    pub api_version: String,
    /// The resource; empty for non-resource paths.
    pub resource: String,
    /// The subresource.
    pub subresource: Option<String>,
    /// The namespace; for a request on a namespace itself its name.
    pub namespace: Option<String>,
    /// The name in the path, or the one that a list's or watch's field selector requires.
    pub name: Option<String>,
    /// For `*/proxy`: the path behind it, with its leading slash; empty when there is none.
    pub proxy_path: Option<String>,
    /// How the answer flows.
    pub stream: Stream,
    /// The canonical path at the API server.
    pub path: String,
    /// The canonical query; what it says about options is in [`crate::options`].
    pub query: String,
}

impl RequestInfo {
    /// Classifies a request by method and target.
    pub fn of(method: &str, target: &Target) -> Result<Self, WireError> {
        let segments: Vec<&str> = target.segments().iter().map(String::as_str).collect();
        let mut info = Self::non_resource(method, target)?;
        let (group, rest) = match segments.as_slice() {
            ["api", rest @ ..] if rest.len() >= 2 => ("", rest),
            ["apis", group, rest @ ..] if rest.len() >= 2 => (*group, rest),
            _ => return Ok(info),
        };
        let [version, rest @ ..] = rest else { return Ok(info) };
        info.api_group = group.to_owned();
        info.api_version = (*version).to_owned();
        let (watch_prefix, rest) = match rest {
            ["proxy", ..] => {
                return Err(WireError::Path("the /proxy/ prefix is gone from Kubernetes; use the proxy subresource"));
            }
            ["watch"] => return Err(WireError::Path("the /watch/ prefix needs a resource behind it")),
            ["watch", rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        info.server_verb = resource_verb(method, watch_prefix)?;
        info.place(rest)?;
        if watch_prefix && info.subresource.is_some() {
            return Err(WireError::Path("the /watch/ prefix has no subresources"));
        }
        if !watch_prefix {
            info.refine_by_name(target)?;
        }
        info.verb = info.server_verb;
        info.stream = info.stream_kind(target);
        if info.stream.is_session() {
            info.admit_session()?;
        }
        Ok(info)
    }

    /// Whether the request is for a resource, not for a path such as `/healthz` or `/openapi`.
    pub const fn is_resource(&self) -> bool {
        !self.resource.is_empty()
    }

    /// Whether the path is one of discovery: `/api`, `/apis`, and a group's or version's list of resources.
    pub fn is_discovery(&self) -> bool {
        !self.is_resource() && matches!(self.path.split('/').nth(1), Some("api" | "apis"))
    }

    /// The request in the words of the audit record. The name of an object that is being created stands in its body:
    /// the caller adds it.
    pub fn action(&self, risk: Risk) -> Action {
        Action {
            verb: self.verb,
            api_group: self.api_group.clone(),
            api_version: self.api_version.clone(),
            resource: self.resource.clone(),
            subresource: self.subresource.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            path: self.path.clone(),
            risk,
            stream: self.stream,
        }
    }

    fn non_resource(method: &str, target: &Target) -> Result<Self, WireError> {
        let verb = match method {
            "GET" => Verb::Get,
            "HEAD" => Verb::Head,
            "OPTIONS" => Verb::Options,
            "POST" => Verb::Post,
            "PUT" => Verb::Put,
            "PATCH" => Verb::Patch,
            "DELETE" => Verb::Delete,
            other => return Err(WireError::Method { method: other.chars().take(32).collect() }),
        };
        Ok(Self {
            verb,
            server_verb: verb,
            api_group: String::new(),
            api_version: String::new(),
            resource: String::new(),
            subresource: None,
            namespace: None,
            name: None,
            proxy_path: None,
            stream: Stream::None,
            path: target.path(),
            query: target.query(),
        })
    }

    /// Reads `[namespaces/NAMESPACE/]resource[/name[/subresource]]`.
    fn place(&mut self, segments: &[&str]) -> Result<(), WireError> {
        let parts = match segments {
            ["namespaces", namespace, rest @ ..] => {
                self.namespace = Some((*namespace).to_owned());
                match rest {
                    [] | ["status" | "finalize", ..] => segments,
                    _ => rest,
                }
            }
            _ => segments,
        };
        let mut parts = parts.iter();
        self.resource = parts.next().copied().unwrap_or_default().to_owned();
        self.name = parts.next().map(|name| (*name).to_owned());
        self.subresource = parts.next().map(|subresource| (*subresource).to_owned());
        if let Some(subresource) = &self.subresource {
            subresource::check(&self.api_group, &self.resource, subresource)?;
        }
        let tail: Vec<&str> = parts.copied().collect();
        if self.subresource.as_deref() == Some("proxy") {
            let slash = if self.path.ends_with('/') { "/" } else { "" };
            self.proxy_path =
                Some(if tail.is_empty() { slash.to_owned() } else { format!("/{}{slash}", tail.join("/")) });
        } else if !tail.is_empty() {
            return Err(WireError::Path("nothing may follow this subresource"));
        }
        Ok(())
    }

    /// Without a name a read is a list or a watch, and a delete is one of the collection.
    fn refine_by_name(&mut self, target: &Target) -> Result<(), WireError> {
        if self.name.is_some() {
            return Ok(());
        }
        match self.server_verb {
            Verb::Get => {
                self.server_verb = if query_boolean(target, "watch") { Verb::Watch } else { Verb::List };
                self.name = required_name(target.parameter("fieldSelector").unwrap_or_default())?;
            }
            Verb::Delete => self.server_verb = Verb::DeleteCollection,
            _ => {}
        }
        Ok(())
    }

    fn stream_kind(&self, target: &Target) -> Stream {
        if self.server_verb == Verb::Watch {
            return Stream::Watch;
        }
        match (self.api_group.as_str(), self.resource.as_str(), self.subresource.as_deref()) {
            ("", "pods", Some("exec")) => Stream::Exec,
            ("", "pods", Some("attach")) => Stream::Attach,
            ("", "pods", Some("portforward")) => Stream::Portforward,
            ("", "pods", Some("log")) if query_boolean(target, "follow") => Stream::Logs,
            ("", _, Some("proxy")) => Stream::Proxy,
            _ => Stream::None,
        }
    }

    /// The API server serves sessions by GET and POST only.
    fn admit_session(&mut self) -> Result<(), WireError> {
        if !matches!(self.server_verb, Verb::Get | Verb::Create) {
            return Err(WireError::Method { method: self.server_verb.as_str().to_uppercase() });
        }
        self.verb = Verb::Create;
        Ok(())
    }
}

fn resource_verb(method: &str, watch_prefix: bool) -> Result<Verb, WireError> {
    match (method, watch_prefix) {
        ("GET", true) => Ok(Verb::Watch),
        ("GET" | "HEAD", false) => Ok(Verb::Get),
        ("POST", false) => Ok(Verb::Create),
        ("PUT", false) => Ok(Verb::Update),
        ("PATCH", false) => Ok(Verb::Patch),
        ("DELETE", false) => Ok(Verb::Delete),
        (other, _) => Err(WireError::Method { method: other.chars().take(32).collect() }),
    }
}

/// The name that a field selector requires, if it does: the first `metadata.name=…` or `==` among its terms
/// (`k8s.io/apimachinery/pkg/fields`). A name that could not stand in a path is none; a selector that the API server
/// could not parse is refused here already.
fn required_name(selector: &str) -> Result<Option<String>, WireError> {
    let mut required = None;
    for term in split_terms(selector).into_iter().filter(|term| !term.is_empty()) {
        let (field, operator, value) = split_term(term).ok_or_else(|| invalid_selector("a term has no operator"))?;
        let value = unescape(value)?;
        if operator != "!=" && field == "metadata.name" && required.is_none() {
            required = Some(value);
        }
    }
    Ok(required.filter(|name| !matches!(name.as_str(), "" | "." | "..") && !name.contains(['/', '%'])))
}

fn invalid_selector(reason: &str) -> WireError {
    WireError::Option { name: "fieldSelector", reason: reason.to_owned() }
}

/// Splits at commas that no backslash escapes.
fn split_terms(selector: &str) -> Vec<&str> {
    let mut escaped = false;
    selector
        .split(|character| {
            let splits = character == ',' && !escaped;
            escaped = character == '\\' && !escaped;
            splits
        })
        .collect()
}

/// Field, operator and value of one term: the first operator counts, the longer before the shorter.
fn split_term(term: &str) -> Option<(&str, &str, &str)> {
    let (at, _) = term
        .char_indices()
        .find(|(at, _)| term.get(*at..).is_some_and(|rest| rest.starts_with("!=") || rest.starts_with('=')))?;
    let (field, rest) = term.split_at_checked(at)?;
    let operator = ["!=", "==", "="].into_iter().find(|operator| rest.starts_with(operator))?;
    Some((field, operator, rest.strip_prefix(operator)?))
}

fn unescape(value: &str) -> Result<String, WireError> {
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => plain.push(escaped),
                _ => return Err(invalid_selector("it holds an invalid escape sequence")),
            },
            ',' | '=' => return Err(invalid_selector("a value holds an unescaped separator")),
            other => plain.push(other),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(method: &str, path: &str) -> Result<RequestInfo, WireError> {
        RequestInfo::of(method, &Target::parse(&format!("/clusters/p{path}")).unwrap())
    }

    /// One line per request: verb, group/version, resource/subresource, namespace, name.
    fn line(method: &str, path: &str) -> String {
        let info = read(method, path).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let text = |part: &Option<String>| part.clone().unwrap_or_else(|| "-".into());
        format!(
            "{} {}/{} {}/{} {} {}",
            info.server_verb,
            info.api_group,
            info.api_version,
            info.resource,
            text(&info.subresource),
            text(&info.namespace),
            text(&info.name)
        )
    }

    #[test]
    fn requests_are_read_as_the_api_server_s_own_tests_demand() {
        // From TestGetAPIRequestInfo and TestGetNonAPIRequestInfo in k8s.io/apiserver.
        for (method, path, expected) in [
            ("GET", "/api/v1/namespaces", "list /v1 namespaces/- - -"),
            ("GET", "/api/v1/namespaces/other", "get /v1 namespaces/- other other"),
            ("GET", "/api/v1/namespaces/other/pods", "list /v1 pods/- other -"),
            ("GET", "/api/v1/namespaces/other/pods/foo", "get /v1 pods/- other foo"),
            ("HEAD", "/api/v1/namespaces/other/pods/foo", "get /v1 pods/- other foo"),
            ("GET", "/api/v1/pods", "list /v1 pods/- - -"),
            ("HEAD", "/api/v1/pods", "list /v1 pods/- - -"),
            ("GET", "/api/v1/watch/pods", "watch /v1 pods/- - -"),
            ("GET", "/api/v1/pods?watch=true", "watch /v1 pods/- - -"),
            ("GET", "/api/v1/pods?watch=false", "list /v1 pods/- - -"),
            ("GET", "/api/v1/pods?watch=0", "list /v1 pods/- - -"),
            ("GET", "/api/v1/pods?watch=", "watch /v1 pods/- - -"),
            ("GET", "/api/v1/watch/namespaces/other/pods", "watch /v1 pods/- other -"),
            ("GET", "/api/v1/watch/namespaces/other/pods/foo", "watch /v1 pods/- other foo"),
            ("GET", "/api/v1/watch/namespaces/other", "watch /v1 namespaces/- other other"),
            ("GET", "/api/v1/namespaces/other/pods/foo?watch=true", "get /v1 pods/- other foo"),
            ("GET", "/api/v1/namespaces/other/pods/foo/status", "get /v1 pods/status other foo"),
            ("PUT", "/api/v1/namespaces/other/finalize", "update /v1 namespaces/finalize other other"),
            ("PATCH", "/api/v1/namespaces/other/status", "patch /v1 namespaces/status other other"),
            ("POST", "/api/v1/namespaces/other/pods", "create /v1 pods/- other -"),
            ("PUT", "/api/v1/namespaces/other/pods/foo", "update /v1 pods/- other foo"),
            ("PATCH", "/api/v1/namespaces/other/pods/foo", "patch /v1 pods/- other foo"),
            ("DELETE", "/api/v1/namespaces/other/pods/foo", "delete /v1 pods/- other foo"),
            ("DELETE", "/api/v1/nodes", "deletecollection /v1 nodes/- - -"),
            ("DELETE", "/api/v1/namespaces/other/pods", "deletecollection /v1 pods/- other -"),
            ("POST", "/apis/extensions/v1beta3/namespaces/other/pods", "create extensions/v1beta3 pods/- other -"),
            ("GET", "/apis/apps/v1/namespaces/other/deployments/web/scale", "get apps/v1 deployments/scale other web"),
            ("POST", "/api/v1/namespaces/other/pods/foo/eviction", "create /v1 pods/eviction other foo"),
            (
                "POST",
                "/api/v1/namespaces/other/serviceaccounts/foo/token",
                "create /v1 serviceaccounts/token other foo",
            ),
            ("GET", "/", "get / /- - -"),
            ("GET", "/api", "get / /- - -"),
            ("GET", "/api/", "get / /- - -"),
            ("GET", "/api/v1", "get / /- - -"),
            ("GET", "/api/v1/", "get / /- - -"),
            ("GET", "/apis/apps", "get / /- - -"),
            ("GET", "/apis/apps/v1", "get / /- - -"),
            ("GET", "/version/", "get / /- - -"),
            ("POST", "/healthz", "post / /- - -"),
        ] {
            assert_eq!(line(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn c17_a_field_selector_on_the_name_gives_the_name() {
        let name = |selector: &str| {
            let path = format!("/api/v1/namespaces/shop/configmaps?fieldSelector={selector}");
            read("GET", &path).map(|info| info.name)
        };
        for selector in [
            "metadata.name%3Dapp",
            "metadata.name%3D%3Dapp",
            "metadata.name=app,metadata.namespace=x",
            "spec.x!=1,metadata.name=app,,",
        ] {
            assert_eq!(name(selector), Ok(Some("app".into())), "{selector}");
        }
        for selector in [
            "",
            "metadata.name!%3Dapp",
            "metadata.name%3D",
            "metadata.namespace%3Dapp",
            "metadata.name=..",
            "metadata.name=a%252Fb",
            "metadata.name=a%2Fb",
            "xmetadata.name=a",
        ] {
            assert_eq!(name(selector), Ok(None), "{selector}");
        }
        assert_eq!(name("metadata.name=a%5C,b"), Ok(Some("a,b".into())));
        for selector in ["metadata.name", "a=b=c", "metadata.name=a%5Cx", "metadata.name=a%5C"] {
            assert_eq!(name(selector).unwrap_err().status().code(), 400, "{selector}");
        }
        // Watch too; the legacy prefix has no selector, and a delete's is never a name.
        assert_eq!(line("GET", "/api/v1/pods?watch=1&fieldSelector=metadata.name%3Da"), "watch /v1 pods/- - a");
        assert_eq!(line("GET", "/api/v1/watch/pods?fieldSelector=metadata.name%3Da"), "watch /v1 pods/- - -");
        assert_eq!(line("DELETE", "/api/v1/pods?fieldSelector=metadata.name%3Da"), "deletecollection /v1 pods/- - -");
    }

    #[test]
    fn bypass_row_11_exec_is_exec_whatever_the_method() {
        for (path, stream) in
            [("exec?command=id", Stream::Exec), ("attach", Stream::Attach), ("portforward", Stream::Portforward)]
        {
            let path = format!("/api/v1/namespaces/shop/pods/web/{path}");
            let (by_get, by_post) = (read("GET", &path).unwrap(), read("POST", &path).unwrap());
            assert_eq!((by_get.verb, by_get.server_verb, by_get.stream), (Verb::Create, Verb::Get, stream));
            assert_eq!((by_post.verb, by_post.server_verb, by_post.stream), (Verb::Create, Verb::Create, stream));
            for method in ["PUT", "PATCH", "DELETE"] {
                assert_eq!(read(method, &path).unwrap_err().status().code(), 405, "{method}");
            }
        }
    }

    #[test]
    fn bypass_row_12_every_proxy_is_a_proxy_with_its_tail() {
        for (path, tail) in [
            ("/api/v1/nodes/n/proxy", ""),
            ("/api/v1/nodes/n/proxy/", "/"),
            ("/api/v1/nodes/n/proxy/exec/shop/web/app", "/exec/shop/web/app"),
            ("/api/v1/namespaces/shop/services/https:web:443/proxy/a/", "/a/"),
            ("/api/v1/namespaces/shop/pods/web/proxy/x", "/x"),
        ] {
            let info = read("GET", path).unwrap();
            assert_eq!((info.stream, info.proxy_path.as_deref()), (Stream::Proxy, Some(tail)), "{path}");
            assert_eq!(info.path, path);
        }
    }

    #[test]
    fn streams_are_seen() {
        let stream = |path: &str| read("GET", path).unwrap().stream;
        assert_eq!(stream("/api/v1/namespaces/shop/pods/web/log?follow=true"), Stream::Logs);
        assert_eq!(stream("/api/v1/namespaces/shop/pods/web/log?follow=false"), Stream::None);
        assert_eq!(stream("/api/v1/pods?watch=1"), Stream::Watch);
        assert_eq!(stream("/api/v1/pods"), Stream::None);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (method, path, code) in [
            ("TRACE", "/api/v1/pods", 405),
            ("CONNECT", "/healthz", 405),
            ("get", "/api/v1/pods", 405),
            ("OPTIONS", "/api/v1/pods", 405),
            ("POST", "/api/v1/watch/pods", 405),
            ("GET", "/api/v1/watch", 400),
            ("GET", "/api/v1/watch/namespaces/a/pods/p/exec", 400),
            ("GET", "/api/v1/proxy/nodes/n", 400),
            ("GET", "/api/v1/namespaces/a/pods/p/exec/x", 400),
            ("GET", "/api/v1/namespaces/a/pods/p/shell", 400),
            ("GET", "/api/v1/namespaces/a/configmaps/p/status", 400),
            ("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/a/status", 400),
            ("GET", "/apis/example.com/v1/namespaces/a/widgets/p/exec", 400),
            ("GET", "/api/v1/namespaces/a/status/x", 400),
        ] {
            assert_eq!(read(method, path).map_err(|error| error.status().code()), Err(code), "{method} {path}");
        }
        for subresource in ["status", "scale"] {
            assert!(read("GET", &format!("/apis/example.com/v1/namespaces/a/widgets/p/{subresource}")).is_ok());
        }
    }

    proptest! {
        #[test]
        fn a_classified_request_names_what_its_path_names(
            method in "GET|HEAD|POST|PUT|PATCH|DELETE",
            path in "(/(api|apis|v1|apps|namespaces|watch|pods|p|exec|proxy|status|a:b)){0,9}",
        ) {
            if let Ok(info) = read(&method, &path) {
                prop_assert_eq!(&info.path, if path.is_empty() { "/" } else { &path });
                for part in [&info.namespace, &info.name, &info.subresource].into_iter().flatten() {
                    prop_assert!(path.split('/').any(|segment| segment == part));
                }
                let is_exec = info.is_resource() && info.resource == "pods" && path.ends_with("/exec") && info.subresource.is_some();
                prop_assert_eq!(info.stream.is_session(), is_exec);
                prop_assert_eq!(info.stream == Stream::Proxy, info.proxy_path.is_some());
            }
        }
    }
}
