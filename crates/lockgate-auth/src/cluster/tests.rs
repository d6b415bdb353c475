//! Kubeconfigs, good and refused; plugins; token files.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// A directory of its own for each test, with a CA and a client certificate in it.
struct Fixture {
    directory: PathBuf,
    certificate: String,
    key: String,
}

impl Fixture {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let directory = std::env::temp_dir().join(format!("lockgate-kubeconfig-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let fixture = Self { directory, certificate: made.cert.pem(), key: made.signing_key.serialize_pem() };
        fixture.write("ca.crt", &fixture.certificate);
        fixture
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.write(name, &format!("#!/bin/sh\n{text}\n"));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn load(&self, cluster: &str, user: &str) -> Result<Cluster, CredentialError> {
        let text = format!(
            "apiVersion: v1\nkind: Config\npreferences: {{}}\ncurrent-context: here\n\
             clusters:\n- name: c\n  cluster: {{server: 'https://localhost:6443', certificate-authority: ca.crt{cluster}}}\n\
             contexts:\n- name: here\n  context: {{cluster: c, user: u, namespace: x}}\n\
             users:\n- name: u\n  user: {{{user}}}\n"
        );
        Cluster::load(&ClusterConfig {
            name: "shop".into(),
            environment: "production".into(),
            four_eyes: false,
            credential: CredentialConfig::Kubeconfig(KubeconfigReference {
                file: self.write("config", &text),
                context: None,
            }),
            impersonate: Impersonate::Agent,
            own: None,
        })
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let removed = std::fs::remove_dir_all(&self.directory);
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

async fn header(cluster: &Cluster, seconds: i64) -> Result<Option<String>, String> {
    match cluster.authorization(at(seconds)).await {
        Ok(header) => {
            assert!(header.as_ref().is_none_or(HeaderValue::is_sensitive));
            Ok(header.map(|header| header.to_str().unwrap().to_owned()))
        }
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn a_token_and_a_certificate() {
    let fixture = Fixture::new();
    let cluster = fixture.load("", "token: t0k").unwrap();
    assert_eq!(header(&cluster, 0).await, Ok(Some("Bearer t0k".into())));
    assert_eq!(cluster.tls.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert_eq!(cluster.tls_http1.alpn_protocols, [b"http/1.1".to_vec()]);
    assert_eq!(cluster.server.as_str(), "https://localhost:6443/");
    assert!(!format!("{cluster:?}").contains("t0k"));
    let (certificate, key) = (STANDARD.encode(&fixture.certificate), STANDARD.encode(&fixture.key));
    let user = format!("client-certificate-data: {certificate}, client-key-data: {key}");
    let cluster = fixture.load(", tls-server-name: kubernetes", &user).unwrap();
    assert_eq!(header(&cluster, 0).await, Ok(None));
    assert_eq!(cluster.server_name, ServerName::try_from("kubernetes").unwrap());
    assert!(cluster.tls.client_auth_cert_resolver.has_certs());
}

#[test]
fn what_is_refused_says_where_and_what_to_do_and_never_a_value() {
    let fixture = Fixture::new();
    let other_key = rcgen::generate_simple_self_signed(vec!["x".into()]).unwrap().signing_key.serialize_pem();
    let mismatch = format!(
        "client-certificate-data: {}, client-key-data: {}",
        STANDARD.encode(&fixture.certificate),
        STANDARD.encode(other_key)
    );
    let table = [
        (", insecure-skip-tls-verify: true", "token: s3cret", "give the cluster's CA"),
        (", proxy-url: 'http://proxy'", "token: s3cret", "proxy-url is not supported"),
        ("", "username: a, password: s3cret", "use a certificate, a token or exec"),
        ("", "token: s3cret, as: admin", "for whom each request is"),
        ("", "token: s3cret, as-groups: ['system:masters']", "for whom each request is"),
        ("", "auth-provider: {name: gcp}", "use exec"),
        ("", "", "the user has no credential"),
        ("", "token: ''", "the user has no credential"),
        ("", "token: \"s3cret\\nx: y\"", "no header may have"),
        ("", "tokenFile: nowhere", "nowhere"),
        ("", "client-certificate-data: '***', client-key-data: s3cret", "client-certificate-data is not base64"),
        ("", "client-certificate: ca.crt", "has no client-key"),
        ("", mismatch.as_str(), "do not fit"),
        ("", "token: s3cret, exec: {apiVersion: client.authentication.k8s.io/v1, command: x}", "both exec and a token"),
        (
            "",
            "exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}",
            "client.authentication.k8s.io/v1",
        ),
        ("", "exec: {apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: Always}", "terminal"),
        (", certificate-authority-data: AAAA", "token: s3cret", "certificate"),
        ("", "token: [s3cret]", "line 13, column 17"),
    ];
    for (cluster, user, expected) in table {
        let error = fixture.load(cluster, user).expect_err(user).to_string();
        assert!(error.contains(expected), "{user}: {error}");
        assert!(error.starts_with("cluster shop: kubeconfig ") || error.starts_with("cluster shop: c"), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn contexts_and_names_that_are_not_there() {
    let fixture = Fixture::new();
    let file = fixture.write("empty", "apiVersion: v1\nkind: Config\ncontexts: []\n");
    let load = |name: &str, context: Option<&str>, file: &Path| {
        let reference = KubeconfigReference { file: file.into(), context: context.map(Into::into) };
        let credential = CredentialConfig::Kubeconfig(reference);
        let config = ClusterConfig {
            name: name.into(),
            environment: String::new(),
            four_eyes: false,
            credential,
            impersonate: Impersonate::Agent,
            own: None,
        };
        Cluster::load(&config).unwrap_err().to_string()
    };
    assert!(load("shop", None, &file).contains("no current-context"));
    assert!(load("shop", Some("x"), &file).contains("no context \"x\""));
    assert!(load("shop", None, Path::new("/nowhere/config")).contains("/nowhere/config"));
    for name in ["", "Shop", "a/b", "a.b", "-a", &"x".repeat(64)] {
        assert!(load(name, None, &file).contains("part of a URL"), "{name}");
    }
}

#[test]
fn only_https_servers_are_reached() {
    assert_eq!(server("https://h:6443/k8s/clusters/c-1/").unwrap().as_str(), "https://h:6443/k8s/clusters/c-1");
    for wrong in ["http://h", "h:6443", "https://u:p@h", "https://h?x", "ftp://h", ""] {
        assert!(server(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_token_file_is_read_again_and_survives_a_gap() {
    let fixture = Fixture::new();
    let file = fixture.write("token", "one\n");
    let cluster = fixture.load("", "token: old, tokenFile: token").unwrap();
    assert_eq!(header(&cluster, 100).await, Ok(Some("Bearer one".into())));
    fixture.write("token", "two");
    assert_eq!(header(&cluster, 101).await, Ok(Some("Bearer one".into())));
    assert_eq!(header(&cluster, 106).await, Ok(Some("Bearer two".into())));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(header(&cluster, 200).await, Ok(Some("Bearer two".into())));
    assert!(header(&cluster, 1_000).await.unwrap_err().contains("token"));
}

#[tokio::test]
async fn in_cluster_reads_the_service_account() {
    let fixture = Fixture::new();
    assert!(in_cluster(&fixture.directory, &Ok("https://10.0.0.1:443".into())).is_err());
    fixture.write("token", "sa");
    let found = in_cluster(&fixture.directory, &Ok("https://[fd00::1]:443".into())).unwrap();
    assert!(matches!(server_name(&found).unwrap(), ServerName::IpAddress(_)));
    assert!(matches!(found.credential, Credential::File(_)));
    assert!(in_cluster(&fixture.directory, &Err("not a pod".into())).is_err_and(|reason| reason == "not a pod"));
}

const EXEC: &str = "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, args: [a], \
                    env: [{name: WHO, value: me}], provideClusterInfo: true, interactiveMode: Never}";

#[tokio::test]
async fn a_plugin_runs_once_for_many_and_again_before_its_token_ends() {
    let fixture = Fixture::new();
    fixture.script(
        "plugin",
        r#"cd "$(dirname "$0")"; echo x >> runs; n=$(wc -l < runs | tr -d ' '); echo "$KUBERNETES_EXEC_INFO" > info; echo "$WHO $1" > who
           echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t'$n'","expirationTimestamp":"1970-01-01T01:00:00Z"}}'"#,
    );
    let cluster = std::sync::Arc::new(fixture.load("", EXEC).unwrap());
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let cluster = std::sync::Arc::clone(&cluster);
            tokio::spawn(async move { header(&cluster, 0).await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Ok(Some("Bearer t1".into())));
    }
    assert_eq!(header(&cluster, 3_000).await, Ok(Some("Bearer t1".into())));
    let info: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(fixture.directory.join("info")).unwrap()).unwrap();
    assert_eq!(info["spec"]["interactive"], false);
    assert_eq!(info["spec"]["cluster"]["server"], "https://localhost:6443");
    assert!(info["spec"]["cluster"]["certificate-authority-data"].is_string());
    assert_eq!(std::fs::read_to_string(fixture.directory.join("who")).unwrap(), "me a\n");
    // Within thirty seconds of its end it is renewed; here the plugin fails, and the token is still good.
    fixture.script("plugin", "echo no >&2; exit 3");
    assert_eq!(header(&cluster, 3_580).await, Ok(Some("Bearer t1".into())));
    let error = header(&cluster, 3_600).await.unwrap_err();
    assert!(error.contains("./plugin failed") && error.contains('3'), "{error}");
    cluster.credential_refused();
    assert!(header(&cluster, 10).await.is_err());
}

#[tokio::test]
async fn what_a_plugin_must_not_answer() {
    let fixture = Fixture::new();
    let answer = |status: &str| {
        format!(r#"{{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{status}}}"#)
    };
    let table = [
        ("nothing".into(), "did not print an ExecCredential"),
        (
            r#"{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential"}"#.into(),
            "did not answer with",
        ),
        (r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential"}"#.into(), "no status"),
        (answer("{}"), "neither a token nor a certificate"),
        (answer(r#"{"token":"a","expirationTimestamp":"soon"}"#), "no time"),
        (answer(r#"{"token":"a","expirationTimestamp":"1970-01-01T00:00:00Z"}"#), "already expired"),
        (answer(r#"{"clientCertificateData":"x"}"#), "without key"),
    ];
    for (output, expected) in table {
        fixture.write("answer", &output);
        fixture.script("plugin", r#"cat "$(dirname "$0")/answer""#);
        let cluster = fixture.load("", EXEC).unwrap();
        let error = header(&cluster, 1_000).await.unwrap_err();
        assert!(error.contains(expected), "{output}: {error}");
    }
    let missing =
        fixture.load("", "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./gone, installHint: get it}");
    let error = header(&missing.unwrap(), 0).await.unwrap_err();
    assert!(error.contains("./gone cannot be started") && error.contains("get it"), "{error}");
}

#[tokio::test]
async fn a_plugin_may_bring_a_certificate() {
    let fixture = Fixture::new();
    let answer = serde_json::json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"clientCertificateData": fixture.certificate, "clientKeyData": fixture.key}});
    fixture.write("answer", &answer.to_string());
    fixture.script("plugin", r#"cat "$(dirname "$0")/answer""#);
    let cluster = fixture.load("", EXEC).unwrap();
    assert!(!cluster.tls.client_auth_cert_resolver.has_certs());
    let got = tokio::time::timeout(Duration::from_secs(20), header(&cluster, 0)).await.unwrap();
    assert_eq!(got, Ok(None));
    assert!(
        cluster.tls.client_auth_cert_resolver.has_certs() && cluster.tls_http1.client_auth_cert_resolver.has_certs()
    );
}

#[test]
fn the_configuration_reads_as_documented() {
    let read = |credential: &str| {
        serde_saphyr::from_str::<ClusterConfig>(&format!(
            "name: shop\nenvironment: production\ncredential: {credential}\nimpersonate: agent\n"
        ))
    };
    assert_eq!(read("inCluster").unwrap().credential, CredentialConfig::InCluster);
    let file = read("{kubeconfig: {file: admin.kubeconfig}}").unwrap().credential;
    let expected = KubeconfigReference { file: "admin.kubeconfig".into(), context: None };
    assert_eq!(file, CredentialConfig::Kubeconfig(expected));
    assert!(read("{kubeconfig: {fil: x}}").is_err());
    assert!(read("{eks: {}}").is_err());
}
