//! What the profiles mask beside Secrets, one test a rule, at every split.

use lockgate_wire::mask::{MaskLimits, MaskPlan, Masker, Profile, Reason};
use serde_json::{Value, json};

use super::{LAST_APPLIED, at_every_split, masked, quoted, unchanged};

fn strict(group: &str, resource: &str) -> MaskPlan {
    MaskPlan::for_resource(group, resource, false, Profile::Strict)
}

fn balanced(group: &str, resource: &str) -> MaskPlan {
    MaskPlan::for_resource(group, resource, false, Profile::Balanced)
}

/// Every plan under which a pod template may come.
fn carriers(profile: Profile) -> Vec<MaskPlan> {
    [
        ("", "pods"),
        ("", "podtemplates"),
        ("", "replicationcontrollers"),
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("apps", "controllerrevisions"),
        ("batch", "jobs"),
        ("batch", "cronjobs"),
        ("example.com", "widgets"),
        ("", ""),
    ]
    .into_iter()
    .map(|(group, resource)| MaskPlan::for_resource(group, resource, false, profile))
    .collect()
}

/// `text` with each `#reason` in it as that reason's placeholder.
fn placed(text: &str) -> String {
    let mut text = text.to_owned();
    for reason in Reason::all() {
        text = text.replace(&format!("#{}#", reason.name()), reason.placeholder());
    }
    text
}

/// Masks `value` (as text, in the order of its keys) and compares.
fn check(plan: MaskPlan, input: &str, expected: &str) {
    assert_eq!(masked(plan, input), placed(expected), "{plan:?}");
}

#[test]
fn leak_11_config_maps_lose_their_values() {
    let list = |data: &str, binary: &str| {
        format!(
            "{{\"kind\":\"ConfigMapList\",\"items\":[{{\"metadata\":{{\"name\":\"a\"}},\"data\":{{\"level\":\"{data}\",\"n\":1,\"z\":null}},\
             \"binaryData\":{{\"k\":\"{binary}\"}}}},{{\"immutable\":true}}]}}"
        )
    };
    let expected = list("#configmap#", "#binary configmap#")
        .replace(":1,", ":\"#configmap#\",")
        .replace(":null", ":\"#configmap#\"");
    check(strict("", "configmaps"), &list("debug", "YQ=="), &expected);
    // By kind, with the kind first, and last as Kubernetes writes untyped objects.
    let mixed = |first: &str, last: &str| {
        format!(
            "{{\"items\":[{{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"data\":{{\"k\":\"{first}\"}}}},\
             {{\"apiVersion\":\"v1\",\"data\":{{\"k\":\"{last}\"}},\"kind\":\"ConfigMap\"}},\
             {{\"apiVersion\":\"example.com/v1\",\"data\":{{\"k\":\"kept\"}},\"kind\":\"ConfigMap\"}}]}}"
        )
    };
    check(strict("example.com", "widgets"), &mixed("debug", "debug"), &mixed("#configmap#", "#secret#"));
    // In a template of something else.
    let widget = |value: &str| {
        format!(
            "{{\"apiVersion\":\"example.com/v1\",\"kind\":\"W\",\"spec\":{{\"x\":[{{\"kind\":\"ConfigMap\",\"data\":{{\"k\":\"{value}\"}}}}],\"data\":{{\"k\":1}}}}}}"
        )
    };
    check(strict("example.com", "widgets"), &widget("debug"), &widget("#configmap#"));
}

#[test]
fn balanced_masks_config_maps_by_key() {
    let map = |password: &str, binary: &str| {
        format!(
            "{{\"data\":{{\"level\":\"debug\",\"db.password\":\"{password}\",\"API_KEY\":{{}},\"PASSWORD_FILE\":\"/x\"}},\"binaryData\":{{\"k\":\"{binary}\"}}}}"
        )
    };
    let expected = map("#configmap#", "#binary configmap#").replace("{}", "\"#configmap#\"");
    check(balanced("", "configmaps"), &map("hunter2", "YQ=="), &expected);
    let long = format!("{{\"data\":{{\"{}\":\"x\"}}}}", "k".repeat(300));
    check(balanced("", "configmaps"), &long, &long.replace("\"x\"", "\"#configmap#\""));
}

#[test]
fn leak_12_environment_of_every_template() {
    let template = |value: &str| {
        format!(
            "{{\"spec\":{{\"containers\":[{{\"name\":\"a\",\"image\":\"i\",\"env\":[{{\"name\":\"LEVEL\",\"value\":\"{value}\"}},\
             {{\"value\":\"{value}\",\"name\":\"X\"}},{{\"name\":\"REF\",\"valueFrom\":{{\"secretKeyRef\":{{\"name\":\"s\",\"key\":\"k\"}}}}}}],\
             \"envFrom\":[{{\"secretRef\":{{\"name\":\"s\"}}}}],\"resources\":{{\"limits\":{{\"cpu\":\"1\"}}}}}}],\
             \"initContainers\":[{{\"env\":[{{\"name\":\"A\",\"value\":\"{value}\"}}]}}]}}}}"
        )
    };
    for plan in carriers(Profile::Strict) {
        for (open, close) in [
            ("", ""),
            ("{\"spec\":{\"replicas\":2,\"template\":", "}}"),
            ("{\"spec\":{\"jobTemplate\":{\"spec\":{\"template\":", "}}}}"),
            ("{\"items\":[{\"metadata\":{},\"spec\":{\"template\":", "}}]}"),
        ] {
            let wrap = |value: &str| format!("{open}{}{close}", template(value));
            check(plan, &wrap("hunter2"), &wrap("#environment#"));
        }
        let (_, summary) = at_every_split(plan, template("hunter2").as_bytes()).unwrap();
        assert_eq!(summary.masked, 3);
    }
    let revision = |value: &str| format!("{{\"data\":{}}}", template(value));
    check(strict("apps", "controllerrevisions"), &revision("hunter2"), &revision("#environment#"));
    let pod_template = |value: &str| format!("{{\"template\":{}}}", template(value));
    check(strict("", "podtemplates"), &pod_template("hunter2"), &pod_template("#environment#"));
    let odd = "{\"spec\":{\"env\":[{\"value\":1},{\"value\":{\"a\":[2]}},[{\"value\":true}],\"A=b\",7,null],\"Env\":{\"A\":\"b\",\"C\":3,\"D\":{\"E\":\"f\"},\"n\":null,\"F\":{\"valueFrom\":{\"x\":\"kept\"}}}}}";
    let expected = "{\"spec\":{\"env\":[{\"value\":\"#environment#\"},{\"value\":\"#environment#\"},[{\"value\":\"#environment#\"}],\"A=#environment#\",\"#environment#\",null],\"Env\":{\"A\":\"#environment#\",\"C\":\"#environment#\",\"D\":{\"E\":\"#environment#\"},\"n\":null,\"F\":{\"valueFrom\":{\"x\":\"kept\"}}}}}";
    for plan in carriers(Profile::Strict) {
        check(plan, odd, expected);
    }
}

#[test]
fn balanced_masks_the_environment_by_name() {
    let pod = |value: &str| {
        format!(
            "{{\"spec\":{{\"env\":[{{\"name\":\"LEVEL\",\"value\":\"debug\"}},{{\"name\":\"DB_PASSWORD\",\"value\":\"{value}\"}},\
             {{\"value\":\"{value}\",\"name\":\"LEVEL\"}},{{\"name\":\"TOKEN\",\"name\":\"LEVEL\",\"value\":\"{value}\"}}],\
             \"x\":{{\"env\":{{\"LEVEL\":\"debug\",\"apiKey\":\"{value}\"}}}}}}}}"
        )
    };
    for plan in carriers(Profile::Balanced) {
        check(plan, &pod("hunter2"), &pod("#environment#"));
    }
}

#[test]
fn leak_12_command_lines() {
    let pod = |program: &str, flag: &str, value: &str, script: &str| {
        format!(
            "{{\"spec\":{{\"containers\":[{{\"command\":[\"{program}\",\"-c\",\"{script}\"],\"args\":[\"--password={flag}\",\"--password\",\"{value}\",\"$(HOST)\"],\
             \"livenessProbe\":{{\"exec\":{{\"command\":[\"cat\",\"{value}\"]}}}},\"lifecycle\":{{\"preStop\":{{\"exec\":{{\"command\":[\"sh\",\"-c\",\"{script}\"]}}}}}}}}]}}}}"
        )
    };
    for plan in carriers(Profile::Strict) {
        check(
            plan,
            &pod("/bin/sh", "hunter2", "hunter2", "export A=\\\"hunter2\\\""),
            &pod("/bin/sh", "#argument#", "#argument#", "#argument#"),
        );
        let odd = "{\"spec\":{\"command\":\"run --password hunter2\",\"args\":[1,{\"name\":\"a\",\"value\":\"b\"},[\"c\"],true,null],\"x\":{\"args\":{\"a\":\"kept\"}}}}";
        let expected = "{\"spec\":{\"command\":\"#argument#\",\"args\":[\"#argument#\",{\"name\":\"a\",\"value\":\"#argument#\"},[\"#argument#\"],\"#argument#\",null],\"x\":{\"args\":{\"a\":\"kept\"}}}}";
        check(plan, odd, expected);
    }
    for plan in carriers(Profile::Balanced) {
        let expected =
            pod("/bin/sh", "#argument#", "#argument#", "run").replace("\"cat\",\"#argument#\"", "\"cat\",\"hunter2\"");
        check(plan, &pod("/bin/sh", "hunter2", "hunter2", "run"), &expected);
    }
}

#[test]
fn leak_12_headers_of_probes() {
    let pod = |authorization: &str, accept: &str| {
        format!(
            "{{\"spec\":{{\"livenessProbe\":{{\"httpGet\":{{\"port\":80,\"httpHeaders\":[{{\"name\":\"Authorization\",\"value\":\"{authorization}\"}},{{\"name\":\"Accept\",\"value\":\"{accept}\"}}]}}}}}}}}"
        )
    };
    for plan in carriers(Profile::Strict) {
        check(plan, &pod("Basic aGk=", "*"), &pod("#header#", "#header#"));
    }
    for plan in carriers(Profile::Balanced) {
        check(plan, &pod("Basic aGk=", "*"), &pod("#header#", "*"));
    }
}

#[test]
fn what_is_no_template_passes() {
    let object = "{\"kind\":\"Service\",\"spec\":{\"env\":[{\"value\":\"x\"}],\"args\":[\"x\"]},\"status\":{\"env\":[{\"value\":\"x\"}]}}";
    unchanged(strict("", "services"), object);
    unchanged(strict("apiextensions.k8s.io", "customresourcedefinitions"), object);
    let pod =
        "{\"kind\":\"Pod\",\"status\":{\"env\":[{\"value\":\"x\"}]},\"metadata\":{\"labels\":{\"env\":\"prod\"}}}";
    unchanged(strict("", "pods"), pod);
    let names =
        "{\"spec\":{\"environment\":\"prod\",\"argument\":1,\"commands\":[\"x\"],\"value\":\"v\",\"name\":\"n\"}}";
    for plan in carriers(Profile::Strict) {
        unchanged(plan, names);
    }
}

#[test]
fn leaks_20_and_21_credentials_that_are_issued() {
    let token = |value: &str| {
        format!(
            "{{\"kind\":\"TokenRequest\",\"spec\":{{\"audiences\":[\"a\"],\"expirationSeconds\":3600}},\"status\":{{\"token\":\"{value}\",\"expirationTimestamp\":\"t\"}}}}"
        )
    };
    let review = |value: &str| {
        format!(
            "{{\"kind\":\"TokenReview\",\"spec\":{{\"token\":\"{value}\"}},\"status\":{{\"authenticated\":true,\"user\":{{\"username\":\"u\"}}}}}}"
        )
    };
    let request = |value: &str| {
        format!(
            "{{\"items\":[{{\"spec\":{{\"request\":\"YQ==\",\"signerName\":\"s\"}},\"status\":{{\"conditions\":[],\"certificate\":\"{value}\"}}}}]}}"
        )
    };
    for plan in [strict, balanced] {
        check(plan("", "serviceaccounts/token"), &token("ey.J.x"), &token("#token#"));
        check(plan("authentication.k8s.io", "tokenreviews"), &review("ey.J.x"), &review("#token#"));
        check(
            plan("certificates.k8s.io", "certificatesigningrequests"),
            &request("Y2VydA=="),
            &request("#certificate#"),
        );
    }
}

#[test]
fn leaks_2_and_4_annotations_that_copy_manifests() {
    let pod = |value: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"env": [{"name": "A", "value": value}]}]}})
            .to_string()
    };
    let object = |key: &str, text: &str| {
        format!("{{\"kind\":\"Service\",\"metadata\":{{\"annotations\":{{\"a\":\"b\",\"{key}\":{}}}}}}}", quoted(text))
    };
    let masked_pod = pod(Reason::Environment.placeholder());
    let list = |pod: &str| format!(" [{pod}, [1], \"x\"]\n");
    for plan in [strict("", "services"), strict("", "pods"), strict("example.com", "widgets"), strict("", "secrets")] {
        for key in [LAST_APPLIED, "kapp.k14s.io/original", "example.com/unknown", "kubectl.kubernetes.io/x"] {
            if key == LAST_APPLIED && plan == strict("", "secrets") {
                continue;
            }
            check(plan, &object(key, &pod("hunter2")), &object(key, &masked_pod));
            if key != LAST_APPLIED {
                check(plan, &object(key, &list(&pod("hunter2"))), &object(key, &list(&masked_pod)));
            }
        }
        for (key, text) in [
            ("kapp.k14s.io/original", "no JSON"),
            ("objectset.rio.cattle.io/applied", "H4sIAAAA"),
            ("kubernetes.io/change-cause", "kubectl set env deploy/a PASSWORD=hunter2"),
            ("example.com/unknown", "apiVersion: v1\nkind: Secret\ndata: {a: aHVudGVyMg==}\n"),
            ("example.com/unknown", "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"data\":{\"a\":\"b\"}} trailing"),
            ("example.com/unknown", "[{\"apiVersion\":\"v1\",\"data\":{}, \"kind\":\"Secret\""),
            (
                "example.com/unknown",
                "{\"kind\":\"W\",\"spec\":{\"data\":{\"a\":1},\"kind\":\"Secret\",\"apiVersion\":\"v1\"}}",
            ),
        ] {
            check(plan, &object(key, text), &object(key, "#annotation#"));
        }
        for text in
            ["", "true", "{{ template }}", "[x] done", "{\"a\":[1, 2],\"b\":\"\\u00e9\"}", "deployment.kubernetes.io"]
        {
            unchanged(plan, &object("example.com/unknown", text));
        }
        let odd = "{\"metadata\":{\"annotations\":{\"a\":1,\"b\":null,\"c\":{\"d\":[\"e\"]},\"f\":[1]}}}";
        unchanged(plan, odd);
    }
    let balanced = balanced("", "services");
    unchanged(balanced, &object("kubernetes.io/change-cause", "kubectl scale deploy/a"));
    unchanged(balanced, &object("example.com/unknown", &pod("hunter2")));
    let applied = |value: &str| object(LAST_APPLIED, &pod(value).replace("\"A\"", "\"TOKEN\""));
    check(balanced, &applied("hunter2"), &applied(Reason::Environment.placeholder()));
}

#[test]
fn leak_2_config_maps_in_annotations_keep_their_keys() {
    let map = |value: &str| {
        let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": value}}).to_string();
        let annotations: Value = json!({ LAST_APPLIED: applied });
        json!({"kind": "ConfigMap", "metadata": {"annotations": annotations}}).to_string()
    };
    check(strict("", "configmaps"), &map("hunter2"), &map(Reason::ConfigMap.placeholder()));
    check(strict("", "pods"), &map("hunter2"), &map(Reason::ConfigMap.placeholder()));
}

#[test]
fn leak_5_messages_lose_what_they_print() {
    let status = |message: &str| {
        format!(
            "{{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":{0},\"reason\":\"Invalid\",\"details\":{{\"causes\":[{{\"message\":{0},\"field\":\"spec\"}}]}}}}",
            quoted(message)
        )
    };
    let dump = "Pod \"p\" is invalid: spec: Forbidden: no\n  core.PodSpec{\n- Value: \"hunter2\",\n  }\n";
    let scrubbed = "Pod \"p\" is invalid: spec: Forbidden: no\n  **masked by lockgate**\n";
    check(strict("", "pods"), &status(dump), &status(scrubbed));
    check(balanced("apps", "deployments"), &status(dump), &status(scrubbed));
    let quotes = "ConfigMap \"c\" is invalid: data: Invalid value: \"hunter2\": no";
    check(strict("", "configmaps"), &status(quotes), &status(&quotes.replace("hunter2", "**masked by lockgate**")));
    unchanged(strict("", "services"), &status(dump));
    unchanged(strict("", "pods"), &status("pods \"p\" not found"));
}

#[test]
fn off_passes_everything_and_checks_the_structure() {
    let off = MaskPlan::for_resource("", "secrets", false, Profile::Off);
    unchanged(
        off,
        "{\"kind\":\"Secret\",\"data\":{\"a\":\"b\"},\"metadata\":{\"managedFields\":[{\"v:1\":{}}]},\"items\":[{\"data\":{\"k\":1}}]}",
    );
    assert!(at_every_split(off, b"{\"a\":}").is_err());
}

#[test]
fn what_was_masked_is_counted_by_reason_and_key() {
    let input = "{\"kind\":\"Pod\",\"spec\":{\"containers\":[{\"env\":[{\"name\":\"A\",\"value\":\"1\"},{\"name\":\"B\",\"value\":\"2\"},{\"name\":\"A\",\"value\":\"3\"}],\"args\":[\"--level=debug\",\"x\"]}]}}";
    for size in 1..input.len() {
        let mut masker = Masker::new(strict("", "pods"), MaskLimits::default());
        let mut output = Vec::new();
        for piece in input.as_bytes().chunks(size) {
            masker.push(piece, &mut output).unwrap();
        }
        let counts: Vec<_> =
            masker.counts().by_key().iter().map(|count| (count.reason, count.key.as_str(), count.values)).collect();
        assert_eq!(
            counts,
            [
                (Reason::Environment, "A", 2),
                (Reason::Environment, "B", 1),
                (Reason::Argument, "--level", 1),
                (Reason::Argument, "", 1)
            ]
        );
        assert_eq!(masker.counts().warning("pod a").unwrap(), "5 values masked in pod a (--level, A, B)");
    }
    let secret = "{\"data\":{\"uri\":\"x\",\"password\":\"y\"}}";
    let mut masker = Masker::new(strict("", "secrets"), MaskLimits::default());
    masker.push(secret.as_bytes(), &mut Vec::new()).unwrap();
    assert_eq!(masker.counts().warning("secret db").unwrap(), "2 values masked in secret db (password, uri)");
}
