//! What goes wrong is said clearly: where, what, and what to do. Each is tried on a gateway of the test's own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::environment::Environment;
use e2e::gateway::{Gateway, check, configuration, serve};
use e2e::http::{Door, Protocol};
use e2e::person::text;
use e2e::program::{Way, kubectl, run};
use e2e::{token, unique, until};
use serde_json::{Value, json};

const PODS: &str = "/api/v1/namespaces/shop/pods";

/// A `Status` as Kubernetes has it, with this code; gives its message.
#[track_caller]
fn status(answer: &e2e::http::Answer, code: u16) -> String {
    assert_eq!(answer.status, code, "{}", answer.text());
    let status = answer.json();
    assert_eq!((text(&status, "/kind"), text(&status, "/status")), ("Status", "Failure"));
    assert_eq!(status["code"], code);
    let message = text(&status, "/message").to_owned();
    assert!(!message.is_empty());
    message
}

/// Ends with exit code 1 or 2 and says all of `parts`.
async fn is_refused(file: &Path, config: &str, parts: &[&str]) {
    std::fs::write(file, config).unwrap();
    for said in [check(file).await, run(serve(file)).await] {
        assert!(matches!(said.code, Some(1 | 2)), "{config}: {}", said.text());
        for part in parts {
            assert!(said.err().contains(part), "{part:?} is not said: {}", said.err());
        }
        assert!(!said.err().contains("panicked"), "{}", said.err());
    }
}

#[tokio::test]
async fn a_bad_configuration_is_refused_with_line_and_fix() {
    let directory = Environment::get().directory("errors-configuration");
    let file = directory.join("lockgate.yaml");
    let good = configuration(&directory.join("store"));
    std::fs::write(&file, good.to_string()).unwrap();
    let said = check(&file).await;
    assert_eq!(said.code, Some(0), "what is varied here is good itself: {}", said.text());
    let with = |pointer: &str, value: Value| {
        let mut config = good.clone();
        *config.pointer_mut(pointer).expect(pointer) = value;
        format!("{config:#}")
    };
    let name = file.to_str().unwrap();

    let typing_error = format!("{good:#}").replace("\"listen\"", "\"lissten\"");
    let line = typing_error.lines().position(|line| line.contains("lissten")).unwrap() + 1;
    is_refused(&file, &typing_error, &[name, "lissten", "listen", &format!("{line}")]).await;
    is_refused(&file, &with("/listen/gateway", "127.0.0.1".into()), &[name, "line"]).await;
    is_refused(&file, &with("/tls/certificate", json!({"file": "missing.crt"})), &["missing.crt", "certificate"]).await;
    is_refused(&file, &with("/clusters", json!([])), &["cluster"]).await;
    is_refused(&file, "listen: [", &[name, "line"]).await;
    is_refused(&file, &with("/policy", json!({"file": "missing.yaml"})), &["missing.yaml"]).await;
    is_refused(&file, &with("/console/signIn/issuer", "https://elsewhere.example.com".into()), &["issuer"]).await;

    let missing = directory.join("nowhere.yaml");
    let said = check(&missing).await;
    assert!(said.code == Some(1) && said.err().contains("nowhere.yaml"), "{}", said.text());
}

#[tokio::test]
async fn a_bad_policy_is_refused_with_line_and_fix() {
    let directory = Environment::get().directory("errors-policy");
    let mut config = configuration(&directory.join("store"));
    let policy = e2e::environment::read(Path::new(config["policy"]["file"].as_str().unwrap()));
    config["policy"] = json!({"file": "policy.yaml"});
    let bad = policy.replace("  deny: {message: The control plane is off limits for agents.}", "  dney: {}");
    let line = bad.lines().position(|line| line.contains("dney")).expect("the demo's policy has this rule") + 1;
    std::fs::write(directory.join("policy.yaml"), &bad).unwrap();
    is_refused(&directory.join("lockgate.yaml"), &config.to_string(), &["policy.yaml", "dney", &format!("{line}")])
        .await;
}

/// A bad file keeps the old policy, and the gateway goes on.
#[tokio::test]
async fn a_policy_that_becomes_bad_keeps_the_old_one() {
    let directory = Environment::get().directory("errors-reload");
    let mut config = configuration(&directory.join("store"));
    let policy = e2e::environment::read(Path::new(config["policy"]["file"].as_str().unwrap()));
    config["policy"] = json!({"file": "policy.yaml"});
    let file = directory.join("policy.yaml");
    std::fs::write(&file, &policy).unwrap();
    let gateway = Gateway::start(&directory, &config).await;
    let door = gateway.door("shop", &token::agent().await);
    assert_eq!(door.get(PODS, &[]).await.status, 200);
    std::fs::write(&file, "rules: [").unwrap();
    until("the gateway says that the file is bad", || async {
        std::fs::read_to_string(&gateway.log).is_ok_and(|log| log.contains("policy.yaml")).then_some(())
    })
    .await;
    assert_eq!(door.get(PODS, &[]).await.status, 200, "the old policy stays");
    let closed = "apiVersion: lockgate.dev/v1\nkind: Policy\nmetadata: {name: closed}\nrules:\n- name: nothing\n  match: {}\n  deny: {message: Closed for tests.}\n";
    std::fs::write(&file, closed).unwrap();
    let refused = until("a good file is taken", || async {
        let answer = door.get(PODS, &[]).await;
        (answer.status == 403).then_some(answer)
    })
    .await;
    assert!(status(&refused, 403).contains("Closed for tests."));
}

#[tokio::test]
async fn an_unreachable_cluster_is_a_clear_502() {
    let directory = Environment::get().directory("errors-unreachable");
    let mut config = configuration(&directory.join("store"));
    let kubeconfig: Value = {
        let file = config.pointer("/clusters/0/credential/kubeconfig/file").and_then(Value::as_str).unwrap();
        let mut kubeconfig: Value = serde_json::from_str(&e2e::environment::read(Path::new(file))).unwrap();
        // A port that was free a moment ago: nobody listens.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        kubeconfig["clusters"][0]["cluster"]["server"] = format!("https://127.0.0.1:{port}").into();
        kubeconfig
    };
    std::fs::write(directory.join("gone.kubeconfig"), kubeconfig.to_string()).unwrap();
    *config.pointer_mut("/clusters/0/credential/kubeconfig/file").unwrap() =
        directory.join("gone.kubeconfig").to_str().into();
    // The credential for Lockgate's own reads is for the same API server.
    config.pointer_mut("/clusters/0").and_then(Value::as_object_mut).unwrap().remove("self").unwrap();
    let gateway = Gateway::start(&directory, &config).await;
    let answer = gateway.door("shop", &token::agent().await).get(PODS, &[]).await;
    let message = status(&answer, 502);
    assert!(message.contains("shop"), "the cluster is named: {message}");
}

#[tokio::test]
async fn an_expired_token_is_a_clear_401() {
    let mut claims = token::claims(&token::agent().await);
    let now = claims["iat"].as_i64().unwrap();
    let good = token::signed(&claims, "at+jwt");
    let door = |token: &str| Door::to(&Environment::get().cluster_url(), token, Protocol::Http2);
    assert_eq!(door(&good).get(PODS, &[]).await.status, 200, "what is varied here is good itself");
    claims["iat"] = json!(now - 7200);
    claims["exp"] = json!(now - 3600);
    let answer = door(&token::signed(&claims, "at+jwt")).get(PODS, &[]).await;
    let message = status(&answer, 401);
    assert!(message.contains("expired"), "{message}");
    for (bad, what) in
        [("", "empty"), ("nonsense", "no JWT"), (&format!("{}x", &good[..good.len() - 4]), "a broken signature")]
    {
        status(&door(bad).get(PODS, &[]).await, 401);
        println!("{what}: refused");
    }
}

#[tokio::test]
async fn an_unknown_cluster_is_a_clear_404() {
    let environment = Environment::get();
    let door = Door::to(&environment.demo.gateway_url, &token::agent().await, Protocol::Http1);
    let message = status(&door.get(&format!("/clusters/nowhere{PODS}"), &[]).await, 404);
    assert!(message.contains("nowhere"), "{message}");
    // C02, C07: without a prefix there is no default cluster.
    let message = status(&door.get(PODS, &[]).await, 404);
    assert!(message.contains("/clusters/"), "the next step is named: {message}");
    let server = format!("{}/clusters/nowhere", environment.demo.gateway_url);
    // Of a failed discovery kubectl shows no server's words; of everything else it does.
    let said = run(kubectl(Way::Through, ["--server", &server, "get", "--raw", PODS])).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err().contains("nowhere"), "{}", said.text());
}

/// A disk of its own that a test can fill.
struct Disk(PathBuf);

impl Disk {
    async fn of_megabytes(megabytes: u32, at: PathBuf) -> Self {
        let mut mount = tokio::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]).arg(&at);
        run(mount).await.ok();
        Self(at)
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filling")).unwrap();
        let block = [0_u8; 4096];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filling")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[tokio::test]
async fn a_full_disk_is_a_clear_503_and_nothing_is_forwarded() {
    let environment = Environment::get();
    let directory = environment.directory("errors-disk");
    let store = directory.join("store");
    std::fs::create_dir(&store).unwrap();
    let disk = Disk::of_megabytes(24, store.clone()).await;
    let gateway = Gateway::start(&directory, &configuration(&store)).await;
    let door = gateway.door("shop", &token::agent().await);
    assert_eq!(door.get(PODS, &[]).await.status, 200);
    disk.fill();
    let name = format!("errors-{}", unique());
    let path = format!("/api/v1/namespaces/shop/configmaps/{name}");
    // What is preallocated may take a few records more.
    let refused = until("the store refuses", || async {
        let answer = door.get(&path, &[]).await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    let message = status(&refused, 503);
    assert!(!message.contains("panicked"), "{message}");
    let seen =
        |name: &str| environment.cluster_events().iter().filter(|event| text(event, "/objectRef/name") == name).count();
    let name = format!("errors-{}", unique());
    let create = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}).to_string();
    let write = door
        .send("POST", "/api/v1/namespaces/shop/configmaps", &[("content-type", "application/json")], create.as_bytes())
        .await;
    status(&write, 503);
    assert_eq!(seen(&name), 0, "nothing reached the cluster");
    disk.free();
    until("the gateway works again", || async { (door.get(PODS, &[]).await.status == 200).then_some(()) }).await;
    assert_eq!(seen(&name), 0, "and nothing was sent later");
    let log = std::fs::read_to_string(&gateway.log).unwrap();
    assert!(log.contains("full") || log.contains("space"), "the log says why:\n{log}");
    tokio::time::timeout(Duration::from_secs(30), end(gateway)).await.expect("the gateway ends");
    drop(disk);
}

async fn end(mut gateway: Gateway) {
    gateway.child.kill().await.unwrap();
}
