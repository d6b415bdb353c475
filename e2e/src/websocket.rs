//! exec over WebSocket without kubectl: the exact bytes of every channel, as the client received them.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use http::Uri;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::environment::Environment;
use crate::http::tls;
use crate::{token, within};

/// The current protocol of kubectl.
pub const PROTOCOL: &str = "v5.channel.k8s.io";
/// Channel numbers of that protocol.
pub const STDIN: u8 = 0;
pub const STDOUT: u8 = 1;
pub const STDERR: u8 = 2;
pub const ERROR: u8 = 3;
pub const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// An open exec session.
pub struct Exec {
    socket: WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>>,
    /// What came on each channel so far.
    pub received: BTreeMap<u8, Vec<u8>>,
    /// What was sent on each channel so far.
    pub sent: BTreeMap<u8, Vec<u8>>,
}

impl Exec {
    /// Runs `argv` in a pod of the demo's namespace, through the gateway.
    ///
    /// # Errors
    /// The refusal, if there is no session.
    ///
    /// # Panics
    /// If the gateway cannot be reached.
    pub async fn open(pod: &str, options: &str, argv: &[&str]) -> Result<Self, Box<Error>> {
        let environment = Environment::get();
        let command: String = argv.iter().map(|word| format!("&command={}", escape(word))).collect();
        let namespace = &environment.demo.namespace;
        let url =
            format!("{}/api/v1/namespaces/{namespace}/pods/{pod}/exec?{options}{command}", environment.cluster_url());
        let mut request = url.replacen("https", "wss", 1).into_client_request().expect("a request");
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", PROTOCOL.parse().expect("a header"));
        headers.insert("authorization", format!("Bearer {}", token::agent().await).parse().expect("a header"));
        let gateway: Uri = environment.demo.gateway_url.parse().expect("the gateway's URL");
        let host = gateway.host().expect("a host").to_owned();
        let tcp = TcpStream::connect((host.as_str(), gateway.port_u16().expect("a port"))).await.expect("the gateway");
        let connector = TlsConnector::from(Arc::new(tls(false)));
        let stream = connector.connect(host.try_into().expect("a name"), tcp).await.expect("TLS");
        let opened = within("the session opens", tokio_tungstenite::client_async(request, stream)).await;
        let (socket, _) = opened.map_err(Box::new)?;
        Ok(Self { socket, received: BTreeMap::new(), sent: BTreeMap::new() })
    }

    /// Sends bytes on a channel.
    ///
    /// # Panics
    /// If the connection is gone.
    pub async fn send(&mut self, channel: u8, bytes: &[u8]) {
        self.sent.entry(channel).or_default().extend_from_slice(bytes);
        let frame = [&[channel], bytes].concat();
        self.socket.send(Message::binary(frame)).await.expect("the session is open");
    }

    /// Says that no more comes on standard input.
    ///
    /// # Panics
    /// If the connection is gone.
    pub async fn close_stdin(&mut self) {
        self.socket.send(Message::binary(vec![CLOSE, STDIN])).await.expect("the session is open");
    }

    /// Reads until `done` says so or the session ends.
    ///
    /// # Panics
    /// If it does neither in time.
    pub async fn read_until(&mut self, mut done: impl FnMut(&BTreeMap<u8, Vec<u8>>) -> bool) {
        while !done(&self.received) {
            match within("more of the session", self.socket.next()).await {
                Some(Ok(Message::Binary(frame))) => {
                    if let Some((channel, bytes)) = frame.split_first() {
                        self.received.entry(*channel).or_default().extend_from_slice(bytes);
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Reads to the end.
    pub async fn end(&mut self) {
        self.read_until(|_| false).await;
    }

    /// What came on a channel, as bytes.
    pub fn got(&self, channel: u8) -> &[u8] {
        self.received.get(&channel).map_or(&[], Vec::as_slice)
    }
}

/// Percent-encodes a query value.
pub fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}
