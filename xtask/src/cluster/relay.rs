//! The API server on the host's 127.0.0.1: accepted there, connected inside the network namespace.
//!
//! A socket belongs to the namespace its maker was in. The listener is made on the host before the supervisor enters the cluster's
//! namespace; every connection it accepts stays on the host, every connection made afterwards is inside. Bytes only: TLS goes through.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// More wait in the listener's backlog, so that a load test without end cannot take all file descriptors.
const CONNECTIONS_MAX: usize = 8_192;
/// Where the search for a free port starts; below the range that the kernel gives to outgoing connections.
const PORT_FIRST: u16 = 16_443;
const PORTS_TRIED: u16 = 1_000;

/// A port that is free on the host's 127.0.0.1 right now and not among `reserved`.
pub(super) fn free_port(reserved: &[u16]) -> Result<u16> {
    (PORT_FIRST..PORT_FIRST + PORTS_TRIED)
        .find(|port| !reserved.contains(port) && listen(*port).is_ok())
        .with_context(|| format!("no free port from {PORT_FIRST} on 127.0.0.1"))
}

/// To be called before entering the network namespace.
pub(super) fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

/// Relays for as long as the process lives, on a thread of its own, which inherits the caller's network namespace.
pub(super) fn start(listener: TcpListener) -> Result<()> {
    let target = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("relay".to_owned()).spawn(move || {
        if let Err(error) = runtime.block_on(serve(listener, target)) {
            eprintln!("relay: {error:#}");
            // Without the relay the host has no cluster: end visibly, as process 1's child.
            std::process::exit(1);
        }
    })?;
    Ok(())
}

async fn serve(listener: TcpListener, target: SocketAddr) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let permit = Arc::clone(&permits).acquire_owned().await?;
        let accepted = match listener.accept().await {
            Ok((accepted, _)) => accepted,
            Err(error) => {
                // Out of file descriptors or a client that was gone at once: both pass.
                eprintln!("relay: accept: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        tokio::spawn(async move {
            // A connection that breaks is its two ends' business; they both see it.
            let _outcome = relay(accepted, target).await;
            drop(permit);
        });
    }
}

async fn relay(mut host: TcpStream, target: SocketAddr) -> io::Result<()> {
    let mut inside = TcpStream::connect(target).await?;
    host.set_nodelay(true)?;
    inside.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut host, &mut inside).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn a_port_that_is_taken_or_promised_is_passed_over() {
        let first = free_port(&[]).unwrap();
        let second = free_port(&[first]).unwrap();
        assert_ne!(first, second);
        let _held = listen(second).unwrap();
        let third = free_port(&[first]).unwrap();
        assert!(third != first && third != second);
    }

    #[tokio::test]
    async fn bytes_and_the_end_of_input_pass_both_ways() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = server.local_addr().unwrap();
        let front = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = front.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (host, _) = front.accept().await.unwrap();
            relay(host, target).await
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();

        let (mut accepted, _) = server.accept().await.unwrap();
        let mut question = String::new();
        accepted.read_to_string(&mut question).await.unwrap();
        assert_eq!(question, "question");
        // The client has ended its side, the answer still arrives.
        accepted.write_all(b"answer").await.unwrap();
        drop(accepted);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
        serving.await.unwrap().unwrap();
    }
}
