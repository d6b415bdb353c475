//! The cases: at least one for each row, by kubectl where kubectl makes such a request.

use serde_json::{Value, json};

/// Names that the ground has given.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Where the objects stand.
    pub namespace: String,
    /// API group of the custom resources.
    pub group: String,
    /// A node of the cluster.
    pub node: String,
    /// A pod in `shop` that runs.
    pub pod: String,
}

/// One request.
pub struct Case {
    /// How its row begins.
    pub row: &'static str,
    /// What the log says that it was: `patch apps/deployments/scale` (the core group is `-`), or `get /metrics`.
    pub what: &'static str,
    pub verdict: Verdict,
    pub send: Send,
}

pub enum Verdict {
    /// The class by its word.
    Class(&'static str),
    /// Refused before it is classed, with this HTTP status.
    Refused(u16),
}

#[derive(Debug)]
pub enum Send {
    Kubectl { arguments: Vec<String>, input: Option<String> },
    Raw { method: &'static str, path: String, headers: Vec<(&'static str, &'static str)>, body: String },
}

impl Case {
    pub fn is_write(&self) -> bool {
        !["get ", "list ", "watch "].iter().any(|verb| self.what.starts_with(verb))
            && !self.what.contains("selfsubject")
    }
}

/// Cases of one row.
struct Row<'n> {
    row: &'static str,
    names: &'n Names,
    cases: Vec<Case>,
}

const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const OPERATIONS: &str = "application/json-patch+json";
const JSON: &str = "application/json";

impl Row<'_> {
    fn fill(&self, text: &str) -> String {
        let Names { namespace, group, node, pod } = self.names;
        text.replace("{ns}", namespace).replace("{group}", group).replace("{node}", node).replace("{pod}", pod)
    }

    /// `kubectl ARGUMENTS`, split at spaces; `%` stands for a space inside of an argument.
    fn kubectl(self, what: &'static str, class: &'static str, arguments: &str) -> Self {
        self.kubectl_with(what, class, arguments, None)
    }

    /// The same with an object on standard input.
    fn kubectl_on(self, what: &'static str, class: &'static str, arguments: &str, input: &Value) -> Self {
        let input = self.fill(&input.to_string());
        self.kubectl_with(what, class, arguments, Some(input))
    }

    fn kubectl_with(self, what: &'static str, class: &'static str, arguments: &str, input: Option<String>) -> Self {
        let arguments = arguments.split(' ').map(|argument| self.fill(argument).replace('%', " ")).collect();
        self.push(what, Verdict::Class(class), Send::Kubectl { arguments, input })
    }

    fn raw(
        self,
        what: &'static str,
        class: &'static str,
        method: &'static str,
        path: &str,
        content_type: &'static str,
        body: Value,
    ) -> Self {
        let headers = if content_type.is_empty() { Vec::new() } else { vec![("content-type", content_type)] };
        let body = if body.is_null() { String::new() } else { self.fill(&body.to_string()) };
        let path = self.fill(path);
        self.push(what, Verdict::Class(class), Send::Raw { method, path, headers, body })
    }

    fn refused(
        self,
        status: u16,
        method: &'static str,
        path: &str,
        headers: Vec<(&'static str, &'static str)>,
    ) -> Self {
        let path = self.fill(path);
        self.push("", Verdict::Refused(status), Send::Raw { method, path, headers, body: String::new() })
    }

    fn push(mut self, what: &'static str, verdict: Verdict, send: Send) -> Self {
        self.cases.push(Case { row: self.row, what, verdict, send });
        self
    }
}

/// All of them.
pub fn all(names: &Names) -> Vec<Case> {
    let of = |row: &'static str| Row { row, names, cases: Vec::new() };
    let rows = reads(&of)
        .into_iter()
        .chain(streams(&of))
        .chain(escalations(&of))
        .chain(guards(&of))
        .chain(work(&of))
        .chain(losses(&of))
        .chain(rest(&of));
    rows.flat_map(|row| row.cases).collect()
}

fn reads<'n>(of: &impl Fn(&'static str) -> Row<'n>) -> Vec<Row<'n>> {
    vec![
        of("discovery, openapi, version")
            .kubectl("get /version", "read", "version")
            .kubectl("get /api", "read", "api-resources --cached=false")
            .kubectl("get /openapi/v3", "read", "get --raw /openapi/v3")
            .kubectl("get /healthz", "read", "get --raw /healthz")
            .kubectl("list -/services", "read", "get services")
            .kubectl("get -/nodes", "read", "get node {node}")
            .raw("watch networking.k8s.io/ingresses", "read", "GET", "/apis/networking.k8s.io/v1/namespaces/{ns}/ingresses?watch=true&timeoutSeconds=1", "", Value::Null),
        of("SelfSubjectAccessReview")
            .kubectl("create authorization.k8s.io/selfsubjectaccessreviews", "read", "auth can-i delete pods")
            .kubectl("create authorization.k8s.io/selfsubjectrulesreviews", "read", "auth can-i --list")
            .kubectl("create authentication.k8s.io/selfsubjectreviews", "read", "auth whoami"),
        of("get, list, watch of Secrets")
            .kubectl("get -/secrets", "masked", "get secret cred -o yaml")
            .kubectl("list -/secrets", "masked", "get secrets -A")
            .raw("watch -/secrets", "masked", "GET", "/api/v1/namespaces/{ns}/secrets?watch=true&timeoutSeconds=1", "", Value::Null),
        of("Secrets of type helm release")
            .raw("list -/secrets", "masked", "GET", "/api/v1/namespaces/{ns}/secrets?fieldSelector=type%3Dhelm.sh/release.v1", "", Value::Null)
            .kubectl("create -/secrets", "escalation", "create secret generic token --type=kubernetes.io/service-account-token --from-literal=a=b")
            .kubectl_on("create -/secrets", "escalation", "create -f -", &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bootstrap-token-abcdef"}, "type": "bootstrap.kubernetes.io/token"})),
        of("pods/log").kubectl("get -/pods/log", "masked", "logs {pod} -n shop"),
        of("ConfigMaps, env and args")
            .kubectl("get -/configmaps", "masked", "get configmap held")
            .kubectl("get apps/deployments", "masked", "get deployment web -o yaml")
            .kubectl("list -/events", "masked", "get --raw /api/v1/namespaces/{ns}/events")
            .kubectl("list apps/controllerrevisions", "masked", "get controllerrevisions")
            .kubectl("list apps/replicasets", "masked", "get replicasets"),
        of("unknown resources: reads").raw("list {group}/widgets", "masked", "GET", "/apis/{group}/v1/namespaces/{ns}/widgets", "", Value::Null),
    ]
}

fn streams<'n>(of: &impl Fn(&'static str) -> Row<'n>) -> Vec<Row<'n>> {
    vec![
        of("nodes/proxy, any method")
            .kubectl("get -/nodes/proxy", "escalation", "get --raw /api/v1/nodes/{node}/proxy/pods")
            .raw(
                "create -/nodes/proxy",
                "escalation",
                "POST",
                "/api/v1/nodes/{node}/proxy/run/shop/{pod}/shell?cmd=id",
                "",
                Value::Null,
            )
            .raw("delete -/nodes/proxy", "escalation", "DELETE", "/api/v1/nodes/{node}/proxy/pods", "", Value::Null),
        of("services/proxy, pods/proxy")
            .kubectl("get -/services/proxy", "stream", "get --raw /api/v1/namespaces/shop/services/web:80/proxy/")
            .raw(
                "create -/pods/proxy",
                "stream",
                "POST",
                "/api/v1/namespaces/shop/pods/{pod}/proxy/x",
                "",
                Value::Null,
            ),
        of("pods/exec, pods/attach")
            .kubectl("create -/pods/exec", "stream", "exec {pod} -n shop -- id")
            .raw(
                "create -/pods/exec",
                "stream",
                "POST",
                "/api/v1/namespaces/shop/pods/{pod}/exec?command=id&stdout=true",
                "",
                Value::Null,
            )
            .kubectl("create -/pods/attach", "stream", "attach {pod} -n shop"),
        of("pods/portforward").kubectl("create -/pods/portforward", "stream", "port-forward pod/{pod} -n shop :80"),
    ]
}

/// A Deployment of this name with these fields in its pod's spec.
fn deployment(name: &str, pod: Value) -> Value {
    let mut spec = json!({"containers": [{"name": "web", "image": "web:1"}]});
    for (field, value) in pod.as_object().expect("an object") {
        spec[field] = value.clone();
    }
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": "new"}}, "template": {"metadata": {"labels": {"app": "new"}}, "spec": spec}}})
}

fn escalations<'n>(of: &impl Fn(&'static str) -> Row<'n>) -> Vec<Row<'n>> {
    let container =
        |field: &str, value: Value| json!({"containers": [{"name": "web", "image": "web:1", field: value}]});
    let context = |value: Value| container("securityContext", value);
    let mut pods = of("pods/ephemeralcontainers; pods or pod templates")
        .kubectl("patch -/pods/ephemeralcontainers", "escalation", "debug {pod} -n shop --image=busybox:1 --profile=general")
        .kubectl("create -/pods", "escalation", "debug node/{node} --image=busybox:1 --profile=sysadmin")
        .kubectl("patch apps/deployments", "escalation", "set serviceaccount deployment/web robot")
        // What runs on a node's network already is changed.
        .kubectl("patch apps/deployments", "escalation", "set image deployment/node web=evil:1")
        .raw("patch apps/deployments", "escalation", "PATCH", "/apis/apps/v1/namespaces/{ns}/deployments/web", OPERATIONS,
            json!([{"op": "add", "path": "/spec/template/spec/hostPID", "value": true}]))
        .kubectl_on("create -/pods", "escalation", "create -f -", &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {"nodeName": "{node}", "containers": [{"name": "c", "image": "i"}]}}))
        .kubectl_on("create batch/cronjobs", "escalation", "create -f -", &json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "p"},
            "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": {"hostIPC": true, "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}}}))
        .raw("create {group}/widgets", "escalation", "POST", "/apis/{group}/v1/namespaces/{ns}/widgets", JSON, json!({"apiVersion": "{group}/v1", "kind": "Widget", "metadata": {"name": "w"},
            "spec": {"template": {"spec": {"hostNetwork": true, "containers": [{"name": "c", "image": "i"}]}}}}));
    for spec in [
        json!({"hostNetwork": true}),
        json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}),
        json!({"volumes": [{"name": "v", "csi": {"driver": "d"}}]}),
        json!({"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]}),
        json!({"tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}]}),
        json!({"serviceAccountName": "robot"}),
        context(json!({"privileged": true})),
        context(json!({"capabilities": {"add": ["SYS_ADMIN"]}})),
        context(json!({"procMount": "Unmasked"})),
        context(json!({"seccompProfile": {"type": "Unconfined"}})),
        context(json!({"seLinuxOptions": {"type": "spc_t"}})),
        container("ports", json!([{"containerPort": 80, "hostPort": 80}])),
    ] {
        pods = pods.kubectl_on(
            "create apps/deployments",
            "escalation",
            "create --validate=false -f -",
            &deployment("new", spec),
        );
    }
    vec![
        pods,
        of("serviceaccounts/token; IAM role annotation")
            .kubectl("create -/serviceaccounts/token", "escalation", "create token robot")
            .kubectl("patch -/serviceaccounts", "escalation", "annotate serviceaccount robot eks.amazonaws.com/role-arn=arn:aws:iam::1:role/x")
            .kubectl("create -/configmaps", "escalation", "create configmap aws-auth -n default --from-literal=a=b")
            .raw("create eks.services.k8s.aws/podidentityassociations", "escalation", "POST", "/apis/eks.services.k8s.aws/v1alpha1/namespaces/{ns}/podidentityassociations", JSON, json!({}))
            .raw("create eks.services.k8s.aws/accessentries", "escalation", "POST", "/apis/eks.services.k8s.aws/v1alpha1/namespaces/{ns}/accessentries", JSON, json!({})),
        of("certificatesigningrequests create, approval")
            .kubectl_on("create certificates.k8s.io/certificatesigningrequests", "escalation", "create -f -", &json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "me"},
                "spec": {"request": "eA==", "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}}))
            .raw("update certificates.k8s.io/certificatesigningrequests/approval", "escalation", "PUT", "/apis/certificates.k8s.io/v1/certificatesigningrequests/me/approval", JSON, json!({"metadata": {"name": "me"}})),
        of("rbac.authorization.k8s.io writes")
            .kubectl("create rbac.authorization.k8s.io/clusterrolebindings", "escalation", "create clusterrolebinding me --clusterrole=cluster-admin --user=agent:x")
            .kubectl("create rbac.authorization.k8s.io/roles", "escalation", "create role me --verb=escalate,bind --resource=roles")
            .raw("delete rbac.authorization.k8s.io/rolebindings", "escalation", "DELETE", "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/x", "", Value::Null),
        of("webhook configurations")
            .kubectl_on("create admissionregistration.k8s.io/mutatingwebhookconfigurations", "escalation", "create -f -", &json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": "x"}}))
            .raw("delete admissionregistration.k8s.io/validatingadmissionpolicybindings", "escalation", "DELETE", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/x", "", Value::Null)
            .raw("update apiregistration.k8s.io/apiservices", "escalation", "PUT", "/apis/apiregistration.k8s.io/v1/apiservices/v1.apps", JSON, json!({"metadata": {"name": "v1.apps"}}))
            .kubectl("patch apiextensions.k8s.io/customresourcedefinitions", "escalation",
                r#"patch crd widgets.{group} --type=merge -p {"spec":{"conversion":{"strategy":"Webhook","webhook":{"conversionReviewVersions":["v1"]}}}}"#),
        of("any change in kube-system")
            .kubectl("create -/configmaps", "escalation", "create configmap x -n kube-system --from-literal=a=b")
            .kubectl("create -/configmaps", "escalation", "create configmap x -n lockgate --from-literal=a=b")
            .kubectl("delete -/namespaces", "escalation", "delete namespace kube-system --wait=false")
            .raw("delete -/events", "escalation", "DELETE", "/api/v1/namespaces/{ns}/events/x", "", Value::Null)
            .raw("deletecollection events.k8s.io/events", "escalation", "DELETE", "/apis/events.k8s.io/v1/namespaces/{ns}/events", "", Value::Null),
        of("JSON Patch `test` on a masked field")
            .kubectl("patch -/secrets", "escalation", r#"patch secret cred --type=json -p [{"op":"test","path":"/data/password","value":"cmlzaw=="}]"#)
            .raw("patch -/secrets", "escalation", "PATCH", "/api/v1/namespaces/{ns}/secrets/cred?dryRun=All", OPERATIONS, json!([{"op": "test", "path": "/metadata/annotations", "value": {}}]))
            .kubectl("list -/secrets", "escalation", "get secrets --field-selector data.password=x"),
        of("JSON Patch `copy` and `move`")
            .raw("patch apps/deployments", "escalation", "PATCH", "/apis/apps/v1/namespaces/{ns}/deployments/absent", OPERATIONS,
                json!([{"op": "copy", "from": "/spec/paused", "path": "/spec/template/spec/hostNetwork"}]))
            // Where it is known, the value counts.
            .raw("patch apps/deployments", "write", "PATCH", "/apis/apps/v1/namespaces/{ns}/deployments/web", OPERATIONS,
                json!([{"op": "copy", "from": "/metadata/labels/app", "path": "/metadata/labels/copy"}])),
    ]
}

fn guards<'n>(of: &impl Fn(&'static str) -> Row<'n>) -> Vec<Row<'n>> {
    vec![
        of("namespace Pod Security labels")
            .kubectl("patch -/namespaces", "ask", "label namespace {ns} pod-security.kubernetes.io/enforce=privileged")
            .kubectl("patch -/namespaces", "ask", "label namespace {ns} pod-security.kubernetes.io/audit-")
            .raw("update -/namespaces", "ask", "PUT", "/api/v1/namespaces/{ns}", JSON, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "{ns}", "labels": {"team": "a"}}}))
            .kubectl("delete networking.k8s.io/networkpolicies", "ask", "delete networkpolicy web --wait=false")
            .kubectl("create -/resourcequotas", "ask", "create quota q --hard=pods=1")
            .kubectl_on("create -/limitranges", "ask", "create -f -", &json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": [{"type": "Pod", "max": {"cpu": "1"}}]}}))
            .kubectl("create scheduling.k8s.io/priorityclasses", "ask", "create priorityclass p --value=1000")
            .raw("create flowcontrol.apiserver.k8s.io/flowschemas", "ask", "POST", "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas", JSON, json!({"metadata": {"name": "f"}}))
            .kubectl("delete policy/poddisruptionbudgets", "ask", "delete poddisruptionbudget web --wait=false")
            .kubectl("patch policy/poddisruptionbudgets", "ask", r#"patch poddisruptionbudget web --type=merge -p {"spec":{"minAvailable":0}}"#)
            .kubectl("patch -/services", "ask", r#"patch service web -p {"spec":{"externalIPs":["192.0.2.1"]}}"#)
            .kubectl("create -/services", "ask", "create service externalname out --external-name=example.com")
            .raw("create discovery.k8s.io/endpointslices", "ask", "POST", "/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices", JSON, json!({"metadata": {"name": "e"}, "addressType": "IPv4", "endpoints": []})),
        of("pod templates that use Secrets")
            .kubectl("patch apps/deployments", "ask", r#"patch deployment web -p {"spec":{"template":{"spec":{"volumes":[{"name":"s","secret":{"secretName":"cred"}}]}}}}"#)
            .kubectl("patch apps/deployments", "ask", "set env deployment/web --from=secret/cred")
            .kubectl_on("create apps/deployments", "ask", "create -f -", &deployment("new", json!({"volumes": [{"name": "s", "projected": {"sources": [{"secret": {"name": "cred"}}]}}]}))),
        of("plain pods, Jobs, CronJobs: create")
            .kubectl("create -/pods", "ask", "run p --image=busybox:1")
            .kubectl("create batch/jobs", "ask", "create job j --image=busybox:1")
            .kubectl("create batch/cronjobs", "ask", "create cronjob c --image=busybox:1 --schedule=0%0%1%1%*"),
        of("Secret create, update, patch")
            .kubectl("create -/secrets", "ask", "create secret generic s --from-literal=a=b")
            .kubectl("patch -/secrets", "ask", r#"patch secret cred -p {"stringData":{"a":"b"}}"#)
            .kubectl_on("update -/secrets", "ask", "replace -f -", &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cred"}, "stringData": {"a": "b"}})),
        of("TokenReview, SubjectAccessReview")
            .kubectl_on("create authentication.k8s.io/tokenreviews", "ask", "create -f -", &json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "x"}}))
            .kubectl_on("create authorization.k8s.io/subjectaccessreviews", "ask", "create -f -", &json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"user": "x", "resourceAttributes": {"verb": "get", "resource": "pods"}}}))
            .kubectl_on("create authorization.k8s.io/localsubjectaccessreviews", "ask", "create -f -", &json!({"apiVersion": "authorization.k8s.io/v1", "kind": "LocalSubjectAccessReview", "metadata": {"namespace": "{ns}"}, "spec": {"user": "x", "resourceAttributes": {"namespace": "{ns}", "verb": "get", "resource": "pods"}}})),
        of("unknown resources: writes")
            .kubectl_on("create {group}/widgets", "ask", "create -f -", &json!({"apiVersion": "{group}/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "{ns}"},
                "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}}))
            .raw("patch {group}/widgets", "ask", "PATCH", "/apis/{group}/v1/namespaces/{ns}/widgets/w", MERGE, json!({"spec": {"size": 1}})),
    ]
}

fn work<'n>(of: &impl Fn(&'static str) -> Row<'n>) -> Vec<Row<'n>> {
    vec![
        of("workload create, update, patch")
            .kubectl("create apps/deployments", "write", "create deployment d --image=web:1")
            .kubectl("patch apps/deployments", "write", "set image deployment/web web=web:2")
            .kubectl("patch apps/deployments", "write", "rollout restart deployment/web")
            .kubectl("patch apps/deployments", "write", "label deployment web a=b")
            .kubectl("patch apps/deployments", "write", "annotate deployment web a=b")
            .kubectl("patch apps/deployments/scale", "write", "scale deployment web --replicas=4")
            .kubectl(
                "patch autoscaling/horizontalpodautoscalers",
                "write",
                r#"patch hpa web --type=merge -p {"spec":{"maxReplicas":6}}"#,
            )
            .kubectl("create networking.k8s.io/ingresses", "write", "create ingress i --rule=a.example.com/=web:80")
            .kubectl("create -/services", "write", "create service clusterip s --tcp=80:80")
            .kubectl("create -/configmaps", "write", "create configmap c --from-literal=a=b")
            .kubectl("patch -/configmaps", "write", r#"patch configmap held -p {"data":{"a":"c"}}"#)
            .kubectl("patch -/namespaces", "write", "label namespace {ns} team=b --overwrite")
            .kubectl_on("patch apps/deployments", "write", "apply --server-side -f -", &deployment("new", json!({})))
            .raw(
                "patch -/services",
                "write",
                "PATCH",
                "/api/v1/namespaces/{ns}/services/web",
                MERGE,
                json!({"spec": {"selector": {"app": "web"}}}),
            ),
        of("`dryRun=All` in effect")
            .kubectl("delete apps/deployments", "masked", "delete deployment web --dry-run=server")
            .kubectl(
                "create rbac.authorization.k8s.io/clusterrolebindings",
                "masked",
                "create clusterrolebinding me --clusterrole=view --user=x --dry-run=server",
            )
            .raw(
                "deletecollection -/configmaps",
                "mass",
                "DELETE",
                "/api/v1/namespaces/{ns}/configmaps?dryRun=All",
                "",
                Value::Null,
            )
            .raw(
                "patch -/secrets",
                "ask",
                "PATCH",
                "/api/v1/namespaces/{ns}/secrets/cred?dryRun=All",
                MERGE,
                json!({"data": {}}),
            )
            // bypass 28: the body says otherwise.
            .raw(
                "delete -/services",
                "destructive",
                "DELETE",
                "/api/v1/namespaces/{ns}/services/web?dryRun=All",
                JSON,
                json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 1}),
            ),
    ]
}

fn losses<'n>(of: &impl Fn(&'static str) -> Row<'n>) -> Vec<Row<'n>> {
    let web = "/apis/apps/v1/namespaces/{ns}/deployments/web";
    let scale = "/apis/apps/v1/namespaces/{ns}/deployments/web/scale";
    let held = "/api/v1/namespaces/{ns}/configmaps/held";
    let metadata = |more: Value| {
        let mut metadata = json!({"name": "held", "namespace": "{ns}"});
        for (name, value) in more.as_object().expect("an object") {
            metadata[name] = value.clone();
        }
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}})
    };
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "00000000-0000-0000-0000-000000000000"}]);
    let versions = |list: Value| {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.{group}"},
        "spec": {"group": "{group}", "scope": "Namespaced", "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"}, "versions": list}})
    };
    let version = |name: &str, served: bool, storage: bool| {
        json!({"name": name, "served": served, "storage": storage,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}})
    };
    let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group}";
    vec![
        of("replicas or HPA max to zero")
            .kubectl("patch apps/deployments/scale", "destructive", "scale deployment web --replicas=0")
            .kubectl("patch apps/deployments/scale", "destructive", "scale deployment web --replicas=2")
            .raw("update apps/deployments/scale", "destructive", "PUT", scale, JSON, json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web", "namespace": "{ns}"}, "spec": {"replicas": 2}}))
            .raw("patch apps/deployments", "destructive", "PATCH", web, STRATEGIC, json!({"spec": {"replicas": 2}}))
            .raw("patch apps/deployments", "destructive", "PATCH", web, OPERATIONS, json!([{"op": "replace", "path": "/spec/replicas", "value": 2}]))
            .raw("patch apps/deployments", "destructive", "PATCH", web, STRATEGIC, json!({"spec": {"replicas": 4_294_967_296_u64}}))
            .raw("patch apps/deployments/scale", "destructive", "PATCH", scale, OPERATIONS, json!([{"op": "copy", "from": "/foo", "path": "/spec"}]))
            .kubectl("patch autoscaling/horizontalpodautoscalers", "destructive", r#"patch hpa web --type=merge -p {"spec":{"maxReplicas":4}}"#)
            .kubectl("patch apps/deployments", "destructive", "rollout pause deployment/web")
            .kubectl("patch batch/cronjobs", "destructive", r#"patch cronjob tick -p {"spec":{"suspend":true}}"#)
            .kubectl("patch -/services", "destructive", r#"patch service web -p {"spec":{"selector":{"app":"other"}}}"#)
            .kubectl("patch -/services", "destructive", "set selector service/web app=other"),
        of("DELETE of a workload, Service")
            .kubectl("delete apps/deployments", "destructive", "delete deployment web --wait=false")
            .kubectl("delete -/services", "destructive", "delete service web --wait=false")
            .kubectl("delete networking.k8s.io/ingresses", "destructive", "delete ingress web --wait=false")
            .kubectl("delete -/configmaps", "destructive", "delete configmap held --wait=false")
            .kubectl("delete -/pods", "destructive", "delete pod {pod} -n shop --grace-period=0 --force --wait=false")
            .kubectl("delete policy/poddisruptionbudgets", "destructive", "delete poddisruptionbudget web --grace-period=0 --force --wait=false")
            .kubectl_on("create -/pods/eviction", "destructive", "create --raw /api/v1/namespaces/shop/pods/{pod}/eviction -f -", &json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "{pod}", "namespace": "shop"}})),
        of("collection delete")
            .kubectl("deletecollection -/pods", "mass", "delete --raw /api/v1/namespaces/{ns}/pods")
            .raw("deletecollection -/secrets", "mass", "DELETE", "/api/v1/namespaces/{ns}/secrets?labelSelector=a%3Db", "", Value::Null),
        of("DELETE Namespace")
            .kubectl("delete -/namespaces", "mass", "delete namespace {ns} --wait=false")
            .raw("update -/namespaces/finalize", "mass", "PUT", "/api/v1/namespaces/{ns}/finalize", JSON, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "{ns}"}, "spec": {"finalizers": []}})),
        of("DELETE or patch of PVC")
            .kubectl("delete -/persistentvolumeclaims", "mass", "delete pvc data --wait=false")
            .kubectl("patch -/persistentvolumeclaims", "mass", "label pvc data a=b")
            .raw("patch -/persistentvolumes", "mass", "PATCH", "/api/v1/persistentvolumes/x", MERGE, json!({"spec": {"persistentVolumeReclaimPolicy": "Delete"}}))
            .raw("delete storage.k8s.io/storageclasses", "mass", "DELETE", "/apis/storage.k8s.io/v1/storageclasses/x", "", Value::Null)
            .raw("delete snapshot.storage.k8s.io/volumesnapshots", "mass", "DELETE", "/apis/snapshot.storage.k8s.io/v1/namespaces/{ns}/volumesnapshots/x", "", Value::Null)
            .raw("delete velero.io/backups", "mass", "DELETE", "/apis/velero.io/v1/namespaces/{ns}/backups/x", "", Value::Null),
        of("DELETE or replace a CRD")
            .kubectl("delete apiextensions.k8s.io/customresourcedefinitions", "mass", "delete crd widgets.{group} --wait=false")
            .kubectl_on("update apiextensions.k8s.io/customresourcedefinitions", "mass", "replace -f -", &versions(json!([version("v1", true, true)])))
            .raw("update apiextensions.k8s.io/customresourcedefinitions", "mass", "PUT", definition, JSON, versions(json!([version("v1", true, true), version("v1beta1", false, false)])))
            .raw("update apiextensions.k8s.io/customresourcedefinitions", "ask", "PUT", definition, JSON, versions(json!([version("v1", true, true), version("v1beta1", true, false)]))),
        of("finalizers removed")
            .kubectl("patch -/configmaps", "destructive", r#"patch configmap held --type=merge -p {"metadata":{"finalizers":null}}"#)
            .kubectl("patch -/configmaps", "destructive", r#"patch configmap held --type=json -p [{"op":"remove","path":"/metadata/finalizers"}]"#)
            .kubectl("patch -/configmaps", "destructive", r#"patch configmap held -p {"metadata":{"$deleteFromPrimitiveList/finalizers":["risk.test/hold"]}}"#)
            .kubectl_on("update -/configmaps", "destructive", "replace -f -", &metadata(json!({})))
            .raw("update -/configmaps", "write", "PUT", held, JSON, metadata(json!({"finalizers": ["risk.test/hold"]})))
            .raw("patch -/configmaps", "destructive", "PATCH", held, MERGE, json!({"metadata": {"ownerReferences": owner}}))
            .raw("update -/configmaps", "destructive", "PUT", held, JSON, metadata(json!({"finalizers": ["risk.test/hold"], "ownerReferences": owner}))),
        of("nodes delete, cordon")
            .kubectl("patch -/nodes", "destructive", "cordon {node}")
            .kubectl("patch -/nodes", "destructive", "taint node {node} a=b:NoExecute")
            .kubectl("delete -/nodes", "destructive", "delete node {node} --wait=false")
            .kubectl("patch apps/deployments/status", "destructive", r#"patch deployment web --subresource=status --type=merge -p {"status":{"replicas":1}}"#)
            .raw("update {group}/widgets/status", "destructive", "PUT", "/apis/{group}/v1/namespaces/{ns}/widgets/w/status", JSON, json!({"metadata": {"name": "w"}})),
    ]
}

fn rest<'n>(of: &impl Fn(&'static str) -> Row<'n>) -> Vec<Row<'n>> {
    let refused =
        |status: u16, path: &'static str| of("client `Impersonate-*`").refused(status, "GET", path, Vec::new());
    vec![
        of("non-resource `/metrics`").kubectl("get /metrics", "read", "get --raw /metrics"),
        of("other non-resource paths")
            .kubectl("get /logs/kube-apiserver.log", "ask", "get --raw /logs/kube-apiserver.log")
            .kubectl("get /debug/pprof/heap", "ask", "get --raw /debug/pprof/heap")
            .kubectl("get /configz", "ask", "get --raw /configz"),
        of("client `Impersonate-*`")
            .refused(403, "GET", "/api/v1/pods", vec![("impersonate-user", "admin")])
            .refused(403, "GET", "/api/v1/pods", vec![("impersonate-extra-scopes", "x")])
            .refused(400, "POST", "/api/v1/namespaces/{ns}/pods", vec![("x-http-method-override", "DELETE")]),
        refused(400, "/api/v1/namespaces/a%2fb/pods"),
        refused(400, "/api/v1/namespaces/../pods"),
        refused(400, "/api/v1//pods"),
        refused(400, "/api/v1/pods?limit=1&limit=2"),
    ]
}
