//! A small identity provider over loopback TLS, with keys that come and go.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lockgate_auth::IssuerConfig;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The time in every test: long after any certificate of a test begins.
pub const NOW: i64 = 1_800_000_000;

pub struct Key {
    pub id: String,
    pkcs8: Vec<u8>,
    pub x: Vec<u8>,
    pub y: Vec<u8>,
}

impl Key {
    pub fn new(id: &str) -> Self {
        let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(algorithm, &aws_lc_rs::rand::SystemRandom::new()).unwrap().as_ref().to_vec();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8).unwrap();
        let point = pair.public_key().as_ref();
        Self { id: id.into(), pkcs8, x: point[1..33].to_vec(), y: point[33..].to_vec() }
    }

    pub fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id, "x": text(&self.x), "y": text(&self.y)})
    }

    pub fn sign_raw(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &self.pkcs8).unwrap();
        let signature = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_raw(&json!({"alg": "ES256", "kid": self.id, "typ": "JWT"}), claims)
    }
}

pub fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[derive(Default)]
pub struct State {
    pub keys: Mutex<Vec<Value>>,
    pub failing: std::sync::atomic::AtomicBool,
    pub key_fetches: AtomicUsize,
    /// What the token endpoint answers, and what it was asked last.
    pub token_answer: Mutex<(u16, Value)>,
    pub token_form: Mutex<String>,
    pub wrong_issuer: std::sync::atomic::AtomicBool,
}

pub struct Issuer {
    pub url: String,
    pub ca_file: PathBuf,
    pub state: Arc<State>,
}

impl Issuer {
    pub async fn start(keys: &[&Key]) -> Self {
        let certificate = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let directory = std::env::temp_dir().join(format!("lockgate-auth-{}-{}", std::process::id(), unique()));
        std::fs::create_dir_all(&directory).unwrap();
        let ca_file = directory.join("ca.crt");
        std::fs::write(&ca_file, certificate.cert.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = rustls_pki_types::PrivateKeyDer::Pkcs8(certificate.signing_key.serialize_der().into());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("https://localhost:{}", address.port());
        let state = Arc::new(State::default());
        *state.keys.lock().unwrap() = keys.iter().map(|key| key.jwk()).collect();
        tokio::spawn(serve(listener, tokio_rustls::TlsAcceptor::from(Arc::new(tls)), Arc::clone(&state), address));
        Self { url, ca_file, state }
    }

    pub fn config(&self) -> IssuerConfig {
        serde_json::from_value(json!({
            "url": self.url,
            "audiences": ["lockgate"],
            "certificateAuthority": {"file": self.ca_file},
            "agents": {"id": "claims.sub", "owner": "claims.owner", "groups": "claims.groups"},
            "humans": {"audiences": ["lockgate-console"], "id": "claims.sub", "groups": "claims[\"x/groups\"]"},
        }))
        .unwrap()
    }

    pub fn claims(&self) -> Value {
        json!({"iss": self.url, "aud": "lockgate", "sub": "bot", "exp": NOW + 300, "iat": NOW, "owner": "alice", "groups": ["deployers"], "jti": "t-1"})
    }

    pub fn fetches(&self) -> usize {
        self.state.key_fetches.load(Ordering::SeqCst)
    }
}

fn unique() -> usize {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    COUNT.fetch_add(1, Ordering::SeqCst)
}

async fn serve(listener: TcpListener, tls: tokio_rustls::TlsAcceptor, state: Arc<State>, address: SocketAddr) {
    while let Ok((socket, _peer)) = listener.accept().await {
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(socket).await else { return };
            let service = service_fn(move |request| answer(request, Arc::clone(&state), address));
            let served =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            drop(served);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<State>,
    address: SocketAddr,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let url = format!("https://localhost:{}", address.port());
    let reply = |status: u16, body: Value| {
        let response = Response::builder().status(StatusCode::from_u16(status).unwrap());
        Ok(response.body(Full::new(Bytes::from(body.to_string()))).unwrap())
    };
    match request.uri().path() {
        "/.well-known/openid-configuration" => {
            let issuer = if state.wrong_issuer.load(Ordering::SeqCst) { format!("{url}/") } else { url.clone() };
            reply(
                200,
                json!({
                    "issuer": issuer,
                    "jwks_uri": format!("{url}/jwks"),
                    "authorization_endpoint": format!("{url}/auth"),
                    "token_endpoint": format!("{url}/token"),
                    "device_authorization_endpoint": format!("{url}/device"),
                }),
            )
        }
        "/jwks" => {
            state.key_fetches.fetch_add(1, Ordering::SeqCst);
            if state.failing.load(Ordering::SeqCst) {
                return reply(500, json!({}));
            }
            let keys = state.keys.lock().unwrap().clone();
            reply(200, json!({"keys": keys}))
        }
        "/token" | "/device" => {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            *state.token_form.lock().unwrap() = String::from_utf8(body.to_vec()).unwrap();
            let (status, body) = state.token_answer.lock().unwrap().clone();
            reply(status, body)
        }
        _ => reply(404, json!({})),
    }
}
