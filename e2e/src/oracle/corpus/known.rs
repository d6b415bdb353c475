//! Requests that people thought of: names that are odd but legal, streams, what is served by nobody, paths that are no resources, and
//! what real clients were recorded to send.

use serde_json::Value;

use super::bodies::{call, ways};
use super::random::Random;
use super::{Call, Collection, NAME, NAMESPACE};
use crate::oracle::Agent::{Resident, Stranger};

/// A group of which the API server knows that another server serves it, which is not there.
pub(super) const AGGREGATED_GROUP: &str = "aggregated.example.com";

/// Requests of kubectl and helm as they were recorded: method, target, content type and body, a tab between them
/// (`examples/record_requests.rs`).
const RECORDED: &str = include_str!("../../../tests/oracle/recorded.tsv");

/// What stands in the log in place of a Secret's value: base64 of `**masked by lockgate**`.
const PLACEHOLDER: &str = "KiptYXNrZWQgYnkgbG9ja2dhdGUqKg==";

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Groups, versions and resources that the API server does not serve, or that another server would.
pub(super) fn unserved(collection: &mut Collection, random: &mut Random) {
    let roots = [
        "/apis/aggregated.example.com/v1",
        "/apis/nobody.example.com/v1",
        "/apis/nobody.example.com/v1alpha7",
        "/apis/apps/v1beta9",
        "/api/v2",
        "/apis/extensions/v1beta1",
        "/apis/metrics.k8s.io/v1beta1",
        "/apis/watch/v1",
        "/api/watch",
        "/apis/apps/watch",
        "/apis/namespaces/namespaces",
    ];
    let places = [
        "things".to_owned(),
        format!("things/{NAME}"),
        format!("things/{NAME}/status"),
        format!("things/{NAME}/scale"),
        format!("namespaces/{NAMESPACE}/things"),
        format!("namespaces/{NAMESPACE}/things/{NAME}"),
        format!("namespaces/{NAMESPACE}/things/{NAME}/status"),
        "namespaces".to_owned(),
        format!("namespaces/{NAMESPACE}"),
        format!("namespaces/{NAMESPACE}/status"),
        format!("namespaces/{NAMESPACE}/finalize"),
        "watch/things".to_owned(),
        format!("watch/namespaces/{NAMESPACE}/things/{NAME}"),
    ];
    for root in roots {
        for place in &places {
            for way in ways(random) {
                let target = format!("{root}/{place}");
                collection.add(call(Stranger, way, target, ("nobody.example.com/v1", "Thing"), Some("made")));
            }
        }
    }
}

/// Names as clients write them.
pub(super) fn odd_names(collection: &mut Collection) {
    let long = "n".repeat(253);
    let names = [
        "system:node",
        "system%3Anode",
        "system%3anode",
        "%73ystem",
        "a.b.c",
        "A_b~c",
        "a@b",
        "a=b",
        "a,b",
        "a+b",
        "a%2Bb",
        "a%2Cb",
        "a%40b",
        "a'b",
        "(a)",
        "a*",
        "a!b",
        "$a",
        "a&b",
        "a%26b",
        "...",
        "..a",
        "a..b",
        "-",
        "0",
        "status",
        "proxy",
        "watch",
        "namespaces",
        "finalize",
        "scale",
        "api",
        long.as_str(),
    ];
    for name in names {
        let places = [
            format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}"),
            format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles/{name}"),
            format!("/api/v1/namespaces/{name}"),
            format!("/api/v1/namespaces/{name}/{name}"),
            format!("/api/v1/namespaces/{name}/configmaps"),
            format!("/api/v1/namespaces/{name}/configmaps/{name}"),
            format!("/api/v1/namespaces/{name}/status"),
            format!("/api/v1/{name}"),
            format!("/api/v1/nodes/{name}/status"),
            format!("/apis/{name}/v1/things/{name}"),
            format!("/apis/example.com/{name}/widgets/{name}/scale"),
            format!("/api/v1/namespaces/{name}/pods/{name}/log"),
            format!("/api/v1/watch/namespaces/{name}"),
            format!("/api/v1/watch/namespaces/{name}/pods/{name}"),
        ];
        for place in places {
            for method in ["GET", "DELETE"] {
                collection.add(Call::new(Stranger, method, place.clone()));
            }
        }
    }
}

/// Everything that is more than one answer.
pub(super) fn streams(collection: &mut Collection) {
    let pod = format!("/api/v1/namespaces/{NAMESPACE}/pods/{NAME}");
    let service = format!("/api/v1/namespaces/{NAMESPACE}/services");
    let rests = [
        "/log",
        "/log?follow=true",
        "/log?follow=false&tailLines=1",
        "/log?container=app&timestamps=true&previous=1",
        "/exec?command=ls",
        "/exec?command=sh&command=-c&command=a%20%7C%20b&stdin=true&stdout=1&tty=false&container=app",
        "/attach?stdin=1&stdout=1",
        "/portforward?ports=80&ports=443",
        "/portforward",
        "/proxy",
        "/proxy/",
        "/proxy/a/b.html?x=1&x=2",
        "/proxy/exec/a",
        "/proxy/watch?watch=true",
        "/proxy/namespaces/b/pods",
    ];
    let tails = ["proxy", "proxy/", "proxy/a", "proxy/a/b/", "proxy/api/v1/namespaces/b/secrets/c", "proxy/a?b=c"];
    let proxied = [format!("{service}/{NAME}"), format!("{service}/https:{NAME}:443"), "/api/v1/nodes/a".to_owned()];
    let proxied = proxied.iter().flat_map(|one| tails.iter().map(move |tail| format!("{one}/{tail}")));
    let targets = rests.iter().map(|rest| format!("{pod}{rest}")).chain(proxied);
    for target in targets {
        for agent in [Stranger, Resident] {
            // One of each target and method: the resident's only where the stranger's is not taken.
            let methods: &[&str] =
                if agent == Stranger { &["POST", "PUT", "DELETE", "HEAD", "OPTIONS"] } else { &["GET"] };
            for method in METHODS.iter().filter(|method| methods.contains(method)) {
                collection.add(Call::new(agent, method, target.clone()));
            }
        }
    }
}

/// Paths outside the resources.
pub(super) fn non_resource(collection: &mut Collection) {
    for path in [
        "/",
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v2",
        "/apis",
        "/apis/",
        "/apis/apps",
        "/apis/apps/",
        "/apis/apps/v1",
        "/apis/apps/v1/",
        "/apis/nobody.example.com",
        "/apis/nobody.example.com/v1",
        "/apis/aggregated.example.com",
        "/apis/aggregated.example.com/v1",
        "/version",
        "/version/",
        "/healthz",
        "/healthz/",
        "/healthz/etcd",
        "/livez?verbose",
        "/livez/ping",
        "/readyz?exclude=etcd&exclude=log",
        "/readyz",
        "/metrics",
        "/metrics/slis",
        "/openapi/v2",
        "/openapi/v2?timeout=32s",
        "/openapi/v3",
        "/openapi/v3/api/v1",
        "/openapi/v3/apis/apps/v1",
        "/openid/v1/jwks",
        "/.well-known/openid-configuration",
        "/debug/pprof/",
        "/debug/pprof/goroutine?debug=1",
        "/debug/flags/v",
        "/debug/api_priority_and_fairness/dump_queues",
        "/logs",
        "/logs/",
        "/logs/kube-apiserver.log",
        "/configz",
        "/flagz",
        "/statusz",
        "/swaggerapi",
        "/ui",
        "/API/v1/pods",
        "/Apis/apps/v1/deployments",
        "/apiserver/pods",
        "/watch/pods",
        "/proxy/nodes/a",
        "/namespaces/a/pods/b",
        "/static/a.css",
        "/a:b/c%3Ad",
    ] {
        for method in METHODS {
            let call = match method {
                "POST" | "PUT" => Call::new(Stranger, method, path).with("application/json", &serde_json::json!({})),
                _ => Call::new(Stranger, method, path),
            };
            collection.add(call);
        }
    }
}

/// What a gateway must not pass on: every line would be read in more than one way by those who come after it.
pub fn not_canonical() -> Vec<Call> {
    let parts = [
        "/api/v1//pods",
        "//api/v1/pods",
        "/api/v1/pods//",
        "/api/v1/pods/",
        "/api/v1/./pods",
        "/api/v1/../v1/pods",
        "/api/v1/namespaces/a/../b/pods",
        "/api/v1/namespaces/%2e%2e/pods",
        "/api/v1/namespaces/%2E/pods",
        "/api/v1/namespaces/a%2Fpods",
        "/api/v1/namespaces/a%2fpods/b",
        "/api/v1/namespaces/a%252Fb",
        "/api/v1/namespaces/a%25",
        "/api/v1/namespaces/a%00",
        "/api/v1/namespaces/a%0ab",
        "/api/v1/namespaces/a%20b",
        "/api/v1/namespaces/a;b/pods",
        "/api/v1/namespaces/a%3Bb/pods",
        "/api/v1/namespaces/a%5Cb/pods",
        "/api/v1/namespaces/a%zz",
        "/api/v1/namespaces/a%4",
        "/api/v1/namespaces/%C3%A9",
        "/api/v1/pods?watch=true&watch=false",
        "/api/v1/pods?fieldSelector=metadata.name%3Da&fieldSelector=metadata.name%3Db",
        "/api/v1/pods?limit=1&limit=2",
        "/api/v1/pods?a=%zz",
        "/api/v1/pods?a=1;b=2",
        "/api/v1/pods?=1",
        "/api/v1/pods?a=%00",
        "/api/v1/namespaces/a/pods/b/exec?command=a%00",
        "/api/v1/proxy/nodes/a",
        "/apis/apps/v1/proxy/a/b",
        "/api/v1/watch",
        "/api/v1/namespaces/a/pods/b/exec/c",
        "/api/v1/namespaces/a/pods/b/log/c",
        "/api/v1/namespaces/a/pods/b/shell",
        "/api/v1/namespaces/a/configmaps/b/status",
        "/api/v1/watch/namespaces/a/pods/b/log",
    ];
    let methods = ["GET", "POST", "DELETE"];
    let with_parts = parts.into_iter().flat_map(|part| methods.map(|method| Call::new(Resident, method, part)));
    let methods = ["TRACE", "LINK", "get", "PROPFIND", "OPTIONS"];
    with_parts.chain(methods.map(|method| Call::new(Resident, method, "/api/v1/pods"))).collect()
}

/// What real clients were recorded to send.
///
/// # Panics
/// If the file is not what the recorder writes.
pub fn recorded() -> Vec<Call> {
    let lines = RECORDED.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| recorded_call(line).unwrap_or_else(|| panic!("not a recorded request: {line}"))).collect()
}

fn recorded_call(line: &'static str) -> Option<Call> {
    let mut fields = line.split('\t');
    let (method, target) = (fields.next()?, fields.next()?);
    let call = Call::new(Stranger, method, target);
    match (fields.next()?, fields.next()?) {
        ("", _) => Some(call),
        // The log has placeholders where the clients sent values, and what sends one back asks for the value that stands there.
        (content_type, body) => {
            let body = body.replace(PLACEHOLDER, "c2VjcmV0");
            Some(call.with(content_type, &serde_json::from_str::<Value>(&body).ok()?))
        }
    }
}
