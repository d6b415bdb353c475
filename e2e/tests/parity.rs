//! What works against the API server directly works the same through Lockgate: each command runs both ways, as the same identity, and exit
//! code, standard output and standard error are equal byte for byte after the named list in `e2e::normalise`.

use std::fmt::Write;
use std::path::Path;

use e2e::environment::Environment;
use e2e::normalise::{AGES, ALWAYS, normalise};
use e2e::program::{
    Said, Way, admin, administrator, end_of, kubectl, lines_of, next_line, run, run_in_terminal, run_with_input, spawn,
};
use e2e::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Says the terminal's size once it has one, and that it is one.
const TERMINAL: &str = "until stty size 2>/dev/null | grep -q '[1-9]'; do usleep 10000; done; stty size; test -t 0 && echo terminal; exit 5";

/// One thing that is typed.
struct Step {
    words: Vec<String>,
    input: Vec<u8>,
    has_ages: bool,
    in_terminal: bool,
    is_administrators: bool,
}

/// What the agent types; words are separated by blanks.
fn step(line: &str) -> Step {
    words(&line.split_whitespace().collect::<Vec<_>>())
}

/// As `step`, for words that hold blanks.
fn words(words: &[&str]) -> Step {
    let words = words.iter().map(|&word| word.to_owned()).collect();
    Step { words, input: Vec::new(), has_ages: false, in_terminal: false, is_administrators: false }
}

impl Step {
    fn input(mut self, text: &str) -> Self {
        self.input = text.into();
        self
    }

    /// A table or a description: it shows how long ago something was.
    fn ages(mut self) -> Self {
        self.has_ages = true;
        self
    }

    fn terminal(mut self) -> Self {
        self.in_terminal = true;
        self
    }

    /// Not compared: brings the cluster to the same place both times.
    fn administrator(mut self) -> Self {
        self.is_administrators = true;
        self
    }

    async fn play(&self, way: Way) -> Option<Said> {
        if self.is_administrators {
            run_with_input(administrator(&self.words), &self.input).await.ok();
            return None;
        }
        let command = kubectl(way, &self.words);
        Some(if self.in_terminal {
            run_in_terminal(&command).await
        } else {
            run_with_input(command, &self.input).await
        })
    }

    fn normal(&self, bytes: &[u8]) -> String {
        let lists: &[&[_]] = if self.has_ages { &[ALWAYS, AGES] } else { &[ALWAYS] };
        normalise(&String::from_utf8_lossy(bytes), lists)
    }
}

/// Plays all steps straight to the cluster, cleans up, plays them through Lockgate, cleans up, and compares.
async fn same(steps: &[Step], cleanup: &str) {
    // What a run that was cut short left behind, too.
    clean_up(cleanup).await;
    let mut played = Vec::new();
    for way in [Way::Direct, Way::Through] {
        let mut said = Vec::new();
        for step in steps {
            said.push(step.play(way).await);
        }
        clean_up(cleanup).await;
        played.push(said);
    }
    let mut differences = String::new();
    for ((step, direct), through) in steps.iter().zip(&played[0]).zip(&played[1]) {
        let (Some(direct), Some(through)) = (direct, through) else { continue };
        let parts = |said: &Said| (said.code, step.normal(&said.stdout), step.normal(&said.stderr));
        if parts(direct) != parts(through) {
            let line: String = step.words.join(" ").chars().take(200).collect();
            writeln!(
                differences,
                "\n$ kubectl {line}\n--- direct: {:#?}\n--- through: {:#?}",
                parts(direct),
                parts(through)
            )
            .unwrap();
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

async fn clean_up(line: &str) {
    if !line.is_empty() {
        admin(line.split_whitespace().chain(["--ignore-not-found", "--wait", "--timeout=60s"])).await;
    }
}

fn deployment(name: &str, extra_label: &str) -> String {
    let image = &Environment::get().demo.image;
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  labels: {{app: {name}{extra_label}}}\nspec:\n  replicas: 1\n  \
         selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      \
         automountServiceAccountToken: false\n      terminationGracePeriodSeconds: 0\n      containers:\n      - name: shell\n        \
         image: {image}\n        command: [sleep, \"3600\"]\n"
    )
}

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: {value}\n")
}

#[tokio::test]
async fn discovery_and_reads_are_the_same() {
    let pod = &Environment::get().demo.pod;
    same(
        &[
            step("api-resources"),
            step("api-resources -o wide"),
            step("api-versions"),
            step("version"),
            step("explain deployment.spec.strategy"),
            step("explain pods --recursive"),
            step("get --raw /healthz"),
            step("get --raw /version"),
            step("auth whoami"),
            step("auth whoami -o yaml"),
            step("get namespaces").ages(),
            step("get nodes -o wide").ages(),
            step("get pods -l app=toolbox").ages(),
            step("get pods -l app=toolbox -o wide").ages(),
            step("get pod -o yaml").words_of(pod),
            step("get pod -o json").words_of(pod),
            step("get pod -o name").words_of(pod),
            step("get deployment,service web").ages(),
            step("get deployment web -o jsonpath={.spec.template.spec.containers[*].name}"),
            step("get configmap shop-settings -o custom-columns=NAME:.metadata.name,CURRENCY:.data.currency"),
            step("describe configmap shop-settings").ages(),
            step("describe pod --show-events=false").words_of(pod).ages(),
            step("describe service web --show-events=false").ages(),
            step("get pods --chunk-size=1 -l app=toolbox").ages(),
            step("get pod missing-pod"),
            step("get nonsense"),
            step("get pods -n kube-system").ages(),
            step("get clusterroles system:discovery -o yaml"),
        ],
        "",
    )
    .await;
}

impl Step {
    /// The same with a name at its end.
    fn words_of(mut self, name: &str) -> Self {
        self.words.push(name.to_owned());
        self
    }
}

#[tokio::test]
async fn a_deployments_life_is_the_same() {
    let manifest = deployment("parity-web", "");
    let changed = deployment("parity-web", ", tier: front");
    let rolled_out = || step("rollout status deployment/parity-web --timeout=90s").administrator();
    same(
        &[
            step("apply -f -").input(&manifest),
            rolled_out(),
            step("apply -f -").input(&manifest),
            step("diff -f -").input(&changed),
            step("diff --server-side -f -").input(&changed),
            step("apply -f - --dry-run=server -o yaml").input(&changed),
            step("apply -f -").input(&changed),
            words(&["patch", "deployment", "parity-web", "-p", r#"{"metadata":{"annotations":{"by":"strategic"}}}"#]),
            words(&[
                "patch",
                "deployment",
                "parity-web",
                "--type=merge",
                "-p",
                r#"{"metadata":{"annotations":{"by":"merge"}}}"#,
            ]),
            words(&[
                "patch",
                "deployment",
                "parity-web",
                "--type=json",
                "-p",
                r#"[{"op":"replace","path":"/metadata/annotations/by","value":"json"}]"#,
            ]),
            step("label deployment parity-web colour=red"),
            step("label deployment parity-web colour=blue"),
            step("label deployment parity-web colour=blue --overwrite"),
            step("label deployment parity-web colour-"),
            step("annotate deployment parity-web note=seen"),
            step("scale deployment parity-web --replicas=2"),
            step("scale deployment parity-web --replicas=3 --current-replicas=9"),
            rolled_out(),
            step("rollout status deployment/parity-web"),
            step("wait --for=condition=Available deployment/parity-web --timeout=30s"),
            step("get deployment parity-web").ages(),
            step("get deployment parity-web -o wide").ages(),
            step("scale deployment parity-web --replicas=1"),
            step("rollout restart deployment/parity-web"),
            rolled_out(),
            step("rollout history deployment/parity-web"),
            step("rollout history deployment/parity-web --revision=2"),
            step("set env deployment/parity-web COLOUR=red"),
            rolled_out(),
            step("rollout undo deployment/parity-web"),
            rolled_out(),
            step("describe deployment parity-web --show-events=false").ages(),
            step("get deployment parity-web -o jsonpath={.spec}"),
            step("delete deployment parity-web --cascade=background"),
        ],
        "delete deployment,replicaset,pod -l app=parity-web",
    )
    .await;
}

#[tokio::test]
async fn writes_conflicts_and_invalid_objects_are_the_same() {
    let one = config_map("parity-writes", "one");
    let unknown_field = one.clone() + "sillyField: 1\n";
    let invalid = deployment("Parity_Invalid", "");
    same(
        &[
            step("create -f -").input(&one),
            step("create -f -").input(&one),
            step("apply --server-side --field-manager=first -f -").input(&one),
            step("apply --server-side --field-manager=second -f -").input(&config_map("parity-writes", "two")),
            step("apply --server-side --field-manager=second --force-conflicts -f -")
                .input(&config_map("parity-writes", "two")),
            step("replace -f -").input(&config_map("parity-writes", "three")),
            step("apply -f -").input(&unknown_field),
            step("apply --validate=warn -f -").input(&unknown_field),
            step("create -f -").input(&invalid),
            step("get configmap parity-writes -o yaml --show-managed-fields"),
            step("create configmap parity-writes --from-literal=a=b --dry-run=server -o yaml"),
            step("delete configmap parity-writes --dry-run=server"),
            step("delete configmap parity-writes"),
            step("delete configmap parity-writes"),
            step("create namespace parity-not-allowed --dry-run=client -o yaml"),
        ],
        "delete configmap parity-writes",
    )
    .await;
}

#[tokio::test]
async fn a_pods_life_and_its_logs_are_the_same() {
    let image = &Environment::get().demo.image;
    let image = format!("--image={image}");
    let wait = words(&["wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/parity-job", "--timeout=90s"]);
    same(
        &[
            words(&[
                "run",
                "parity-job",
                &image,
                "--restart=Never",
                "--",
                "sh",
                "-c",
                "echo one; sleep 1; echo two; echo three",
            ]),
            wait.administrator(),
            step("logs parity-job"),
            step("logs parity-job --tail=1"),
            step("logs parity-job --timestamps"),
            step("logs parity-job -c missing"),
            step("logs -f parity-job"),
            step("logs missing-pod"),
            step("get pod parity-job").ages(),
            step("describe pod parity-job --show-events=false").ages(),
            step("wait --for=delete pod/missing --timeout=5s"),
            step("delete pod parity-job"),
        ],
        "delete pod parity-job",
    )
    .await;
}

#[tokio::test]
async fn exec_is_the_same() {
    let pod = Environment::get().demo.pod.as_str();
    let long = "x".repeat(20_000);
    let exec = |options: &[&str], command: &[&str]| words(&[&["exec"], options, &[pod, "--"], command].concat());
    same(
        &[
            exec(&[], &["echo", "hello"]),
            exec(&[], &["sh", "-c", "echo out; echo err >&2; exit 7"]),
            exec(&[], &["sh", "-c", "kill -9 $$"]),
            exec(&["-i"], &["cat"]).input("first\nsecond without an end"),
            exec(&["-i"], &["sh", "-c", "wc -c; echo end of input; exit 4"]).input(&"0123456789".repeat(30_000)),
            exec(&[], &["cat"]),
            exec(&[], &["echo", &long]),
            exec(&[], &["sh", "-c", "head -c 300000 /dev/zero | tr '\\0' z"]),
            exec(&[], &["echo", "with 'quotes', \"more\" & = ? # % + ünïcode \t tab"]),
            exec(&[], &["missing-program"]),
            exec(&["-c", "missing"], &["true"]),
            exec(&["-it"], &["sh", "-c", TERMINAL]).terminal(),
            exec(&["-t"], &["sh", "-c", "printf 'a\\nb\\n'"]).terminal(),
            words(&["exec", "missing-pod", "--", "true"]),
        ],
        "",
    )
    .await;
}

#[tokio::test]
async fn cp_is_the_same_both_ways() {
    let environment = Environment::get();
    let directory = environment.directory("parity-cp");
    let source = directory.join("sent");
    let bytes: Vec<u8> = (0..600_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    std::fs::write(&source, &bytes).unwrap();
    let (source, back) = (source.to_str().unwrap(), directory.join("back"));
    let pod = |path: &str| format!("{}:{path}", environment.demo.pod);
    let steps = [
        words(&["cp", source, &pod("/tmp/parity-cp")]),
        words(&["cp", &pod("/tmp/parity-cp"), back.to_str().unwrap()]),
        // Not a file that the pod lacks: kubectl itself drops some of tar's last words then, each time others.
        words(&["cp", "missing-pod:/tmp/parity-cp", directory.join("missing").to_str().unwrap()]),
        words(&["exec", &environment.demo.pod, "--", "md5sum", "/tmp/parity-cp"]),
        words(&["exec", &environment.demo.pod, "--", "rm", "/tmp/parity-cp"]),
    ];
    same(&steps, "").await;
    assert!(std::fs::read(back).unwrap() == bytes, "what comes back is what was sent");
}

#[tokio::test]
async fn port_forward_is_the_same() {
    let mut seen = Vec::new();
    for way in [Way::Direct, Way::Through] {
        let mut forward = spawn(kubectl(way, ["port-forward", "--address=127.0.0.1", "service/web", ":80"]));
        let mut lines = lines_of(&mut forward);
        let line = next_line(&mut lines).await;
        let address = line.split_whitespace().nth(2).expect("an address").to_owned();
        let mut answers = Vec::new();
        for path in ["/echo?msg=hello", "/healthz", &format!("/echo?msg={}", "y".repeat(3_000))] {
            let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
            let request = format!("GET {path} HTTP/1.0\r\nHost: web\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            within("the pod's answer", stream.read_to_end(&mut answer)).await.unwrap();
            let body = String::from_utf8_lossy(&answer);
            answers.push(body.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()));
        }
        assert_eq!(answers[0].as_deref(), Some("hello"));
        forward.kill().await.unwrap();
        seen.push((normalise(&line, &[ALWAYS]), answers));
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn watching_is_the_same() {
    clean_up("delete configmap parity-watch").await;
    let mut seen = Vec::new();
    for way in [Way::Direct, Way::Through] {
        let watch = ["get", "configmaps", "-l", "parity=watch", "-w", "--output-watch-events", "-o", "wide"];
        let mut events = Vec::new();
        admin(["create", "configmap", "parity-watch", "--from-literal=a=1"]).await;
        admin(["label", "configmap", "parity-watch", "parity=watch"]).await;
        let mut child = spawn(kubectl(way, watch));
        let mut lines = lines_of(&mut child);
        events.push(next_line(&mut lines).await);
        events.push(next_line(&mut lines).await);
        for patch in [r#"{"data":{"b":"2"}}"#, r#"{"data":{"c":"3"}}"#] {
            admin(["patch", "configmap", "parity-watch", "--type=merge", "-p", patch]).await;
            events.push(next_line(&mut lines).await);
        }
        admin(["delete", "configmap", "parity-watch"]).await;
        events.push(next_line(&mut lines).await);
        child.kill().await.unwrap();
        seen.push(events.iter().map(|line| normalise(line, &[ALWAYS, AGES])).collect::<Vec<_>>());
    }
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0].last().unwrap().starts_with("DELETED"));
}

fn without_lines(text: &[u8], holding: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    text.split_inclusive('\n').filter(|line| !line.contains(holding)).collect::<String>().into_bytes()
}

#[tokio::test]
async fn following_logs_is_the_same() {
    let image = format!("--image={}", Environment::get().demo.image);
    clean_up("delete pod parity-follow --grace-period=0 --force").await;
    let mut seen = Vec::new();
    for way in [Way::Direct, Way::Through] {
        let script = "for n in 1 2 3; do echo line $n; sleep 1; done; echo on the error stream >&2";
        admin(["run", "parity-follow", &image, "--restart=Never", "--", "sh", "-c", script]).await;
        admin(["wait", "--for=jsonpath={.status.containerStatuses[0].started}", "pod/parity-follow", "--timeout=60s"])
            .await;
        let mut said = end_of(spawn(kubectl(way, ["logs", "-f", "parity-follow"]))).await;
        // The kubelet may say for a moment that a container is created that has started already; kubectl then asks again.
        said.stderr = without_lines(&said.stderr, "is waiting to start: ContainerCreating");
        admin(["delete", "pod", "parity-follow", "--grace-period=0", "--force"]).await;
        seen.push(said);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].out(), "line 1\nline 2\nline 3\non the error stream\n");
}

#[tokio::test]
async fn the_two_ways_are_two_ways() {
    // A comparison of a thing with itself would always hold: the gateway's log has the one, and not the other.
    assert!(Path::new(&Environment::get().direct_kubeconfig).exists());
    let name = format!("parity-{}", e2e::unique());
    run(kubectl(Way::Direct, ["get", "configmap", &name])).await;
    run(kubectl(Way::Through, ["get", "configmap", &name, "-o", "name"])).await;
    let records = e2e::person::records(&["--name", &name]).await;
    assert_eq!(records.len(), 1, "{records:?}");
}
