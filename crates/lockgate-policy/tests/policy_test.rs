//! `kind: PolicyTest`: what is read, what holds, what a failure looks like.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use lockgate_core::{Options, Risk, Stream, Verb};
use lockgate_policy::test::{Asked, PolicyTest, RawRequest, Report, Understood, run};
use lockgate_policy::{Policy, Preset};

const POLICY: &str = "\
apiVersion: lockgate.dev/v1
kind: Policy
metadata: {name: shop}
preset: operate
rules:
- name: control-plane
  match: {namespaces: [kube-system]}
  deny: {message: Off limits.}
- name: helm
  match: {resources: [secrets], labelSelector: {owner: helm}}
  allow: {mask: off}
- name: secrets
  match: {resources: [secrets], verbs: [get]}
  ask: {approvers: {groups: [sre]}, count: 2, fourEyes: true}
- name: look-around
  match: {resources: [pods/exec], namespaces: [shop]}
  when: action.argv.size() > 0 && action.argv[0] in ['ls', 'cat']
  allow: {}
";

const HEAD: &str = "\
apiVersion: lockgate.dev/v1
kind: PolicyTest
metadata: {name: shop}
defaults:
  subject: {id: bot, groups: [deployers], owner: alice}
  cluster: {name: shop, environment: production}
";

fn no_raw(_: &RawRequest) -> Result<Understood, String> {
    Err("nobody reads paths here".into())
}

fn report(cases: &str) -> Report {
    let test = PolicyTest::parse(&format!("{HEAD}{cases}")).unwrap_or_else(|error| panic!("{error}"));
    run(&Policy::parse(POLICY).unwrap_or_else(|error| panic!("{error}")), &test, &no_raw)
}

#[test]
fn cases_of_all_four_lists_hold() {
    let report = report(
        "mustAllow:
- get pods web -n shop
- list pods -n shop
- get /healthz
- request: create pods/exec web -n shop -- ls -l /
  rule: look-around
- {request: list secrets -n shop -l owner=helm, mask: 'off'}
- request: patch deployments web -n shop
  cluster: {name: shop, environment: staging}
  rule: operate/routine
mustAsk:
- {request: get secrets db -n shop, rule: secrets, approvers: {groups: [sre]}, count: 2, fourEyes: true}
- {request: patch deployments web -n shop, rule: operate/routine-in-production}
- request: delete namespaces shop
  cluster: {name: shop, fourEyes: true}
  count: 2
- {request: create pods/exec web -n shop, argv: [sh, -c, ls -l]}
mustDeny:
- get pods -n kube-system
- create serviceaccounts/token default -n shop
- patch clusterroles.rbac.authorization.k8s.io admin
mustMask:
- list configmaps -n other
- get widgets.example.com w -n shop
- {request: get secrets db -n shop}
",
    );
    assert!(report.holds(), "{report}");
    assert_eq!(report.cases.len(), 16);
    assert_eq!(report.to_string(), "shop: 16 of 16 cases hold");
}

#[test]
fn a_failure_reads_like_a_diff() {
    let report =
        report("mustAllow:\n- name: the shop can be emptied\n  request: delete namespaces shop\n  rule: routine\n");
    assert_eq!(
        report.to_string(),
        "FAIL line 8: the shop can be emptied
  delete namespaces shop by agent:bot on shop (production), risk mass
- verdict: allow
+ verdict: ask
- rule: routine
+ rule: operate/mass
  because rule `operate/mass` asks a human for agent:bot to delete namespaces/shop in cluster shop
shop: 0 of 1 cases hold, 1 do not"
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["cases"][0]["misses"][0], serde_json::json!({"field": "verdict", "wanted": "allow", "got": "ask"}));
    assert_eq!((&json["cases"][0]["line"], &json["cases"][0]["expected"]), (&8.into(), &"allow".into()));
}

#[test]
fn a_method_and_a_path_are_read_by_whoever_knows_urls() {
    let text = format!(
        "{HEAD}mustDeny:\n- {{request: 'DELETE /api/v1/namespaces/kube-system', object: {{a: 1}}, contentType: application/json}}\n"
    );
    let test = PolicyTest::parse(&text).unwrap();
    let Asked::Raw(raw) = &test.cases[0].asked else { panic!("raw") };
    assert_eq!((raw.method.as_str(), raw.target.as_str()), ("DELETE", "/api/v1/namespaces/kube-system"));
    assert_eq!(
        (raw.content_type.as_deref(), &raw.body),
        (Some("application/json"), &Some(serde_json::json!({"a": 1})))
    );
    let policy = Preset::Operate.policy().unwrap();
    let unread = run(&policy, &test, &no_raw);
    assert!(!unread.holds());
    assert!(unread.to_string().contains("+ request: nobody reads paths here"), "{unread}");
    let read = run(&policy, &test, &|_| {
        let Asked::Understood(understood) =
            &PolicyTest::parse(&format!("{HEAD}mustDeny:\n- delete namespaces kube-system\n")).unwrap().cases[0].asked
        else {
            panic!("understood")
        };
        Ok(understood.as_ref().clone())
    });
    assert!(read.holds(), "{read}");
}

#[test]
fn the_words_of_a_request_mean_what_the_gateway_would_read() {
    let read = |request: &str| {
        let test =
            PolicyTest::parse(&format!("{HEAD}mustDeny:\n- {request}\n")).unwrap_or_else(|error| panic!("{error}"));
        let Asked::Understood(understood) = &test.cases[0].asked else { panic!("{request}") };
        understood.as_ref().clone()
    };
    let delete = read("delete namespaces shop").action;
    assert_eq!((delete.verb, delete.namespace.as_deref(), delete.risk), (Verb::Delete, Some("shop"), Risk::Mass));
    assert_eq!(delete.path, "/api/v1/namespaces/shop");
    let scale = read("patch deployments/scale web -n shop").action;
    assert_eq!((scale.api_group.as_str(), scale.subresource.as_deref()), ("apps", Some("scale")));
    assert_eq!(scale.path, "/apis/apps/v1/namespaces/shop/deployments/web/scale");
    let watch = read("watch secrets -n shop --field-selector metadata.name=db");
    assert_eq!((watch.action.name.as_deref(), watch.action.stream), (Some("db"), Stream::Watch));
    assert_eq!(watch.action.path, "/api/v1/namespaces/shop/secrets");
    assert_eq!(watch.options.field_selector.as_deref(), Some("metadata.name=db"));
    let dry = read("create deployments web -n shop --dry-run");
    assert_eq!((dry.action.risk, dry.options), (Risk::Masked, Options { dry_run: true, ..Options::default() }));
    assert_eq!(dry.action.path, "/apis/apps/v1/namespaces/shop/deployments");
    assert_eq!(read("list events -A").action.api_group, "", "kubectl too takes the core group's");
}

#[test]
fn a_wrong_case_says_where_and_how_to_mend_it() {
    for (cases, line, message, fix) in [
        ("mustAllow:\n- gett pods -n shop\n", 8, "`gett` is no verb of the API", "did you mean `get`?"),
        ("mustAllow:\n- exec pods/web\n", 8, "`exec` is no verb", "write `create pods/exec`"),
        ("mustAllow:\n- get pod web\n", 8, "`pod` is the singular", "did you mean `pods`?"),
        ("mustAllow:\n- get widgets web\n", 8, "`widgets` is no built-in resource", "in the plural"),
        ("mustAllow:\n- get pods web db\n", 8, "`db` is one name too many", "VERB RESOURCE NAME"),
        ("mustAllow:\n- get\n", 8, "`get` needs a resource", "get pods"),
        ("mustAllow:\n- get pods web -n\n", 8, "-n needs a value", "-n VALUE"),
        ("mustAllow:\n- get pods web --nmespace x\n", 8, "unknown flag --nmespace", "-n"),
        ("mustAllow:\n- delete pods -n shop\n", 8, "delete needs a name", "deletecollection"),
        ("mustAllow:\n- get pods web -n shop -- ls\n", 8, "only an exec has an argv", "pods/exec"),
        ("mustAllow:\n- ''\n", 8, "the request is empty", "get pods"),
        ("mustAllow:\n- DELETE\n", 8, "`DELETE` needs a path", "/api/v1"),
        ("mustAllow:\n- rule: x\n", 8, "a case has no request", "add `request:`"),
        ("mustAllow:\n- {request: get pods, rules: x}\n", 8, "unknown field `rules`", "did you mean `rule`?"),
        ("mustAllow:\n- {request: get pods, count: 2}\n", 8, "what an ask says", "mustAsk"),
        ("mustAllow:\n- {request: get pods, now: noon}\n", 8, "now is `noon`", "2026-11-25T09:30:00Z"),
        ("mustPass:\n- get pods\n", 7, "unknown field `mustPass`", "did you mean `mustMask`?"),
        ("mustAllow: []\n", 0, "the test has no case", "mustAllow"),
    ] {
        let error = PolicyTest::parse(&format!("{HEAD}{cases}")).expect_err(cases);
        assert_eq!(error.line, line, "{cases}{error}");
        assert!(error.message.contains(message), "{cases}{error}");
        assert!(error.fix.contains(fix), "{cases}{error}");
    }
    let wrong = PolicyTest::parse("apiVersion: lockgate.dev/v1\nkind: Policy\n").expect_err("a kind");
    assert_eq!(wrong.fix, "write `kind: PolicyTest`");
}
