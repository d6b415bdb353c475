//! Sending many requests, some at a time, each marked in its `User-Agent` so that both logs can be asked for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::corpus::Call;
use super::{Agent, Stand};
use crate::standalone::{Client, Connection, Protocol};

/// Requests under way at once.
const WORKERS: usize = 24;
/// Whoever gets no head within this time gets none.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// A watch is left after this time, as a client may at any time.
const BODY_WITHIN: Duration = Duration::from_millis(1_500);

/// Sends every request and gives the status of each answer, in the order of `calls`.
///
/// # Panics
/// If one gets no answer.
pub async fn send(stand: &Stand, calls: &Arc<Vec<Call>>) -> Vec<u16> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS.min(calls.len()) {
        let clients = Agent::OF_CORPUS.map(|agent| (agent, stand.client(agent)));
        workers.spawn(work(clients, Arc::clone(calls), Arc::clone(&next)));
    }
    let mut statuses = vec![0; calls.len()];
    while let Some(done) = workers.join_next().await {
        for (index, status) in done.expect("a worker") {
            *statuses.get_mut(index).expect("a call") = status;
        }
    }
    statuses
}

/// The mark of the call with this index, sent as `User-Agent`.
pub(super) fn mark(index: usize) -> String {
    format!("oracle/{index}")
}

async fn work(clients: [(Agent, Client); 2], calls: Arc<Vec<Call>>, next: Arc<AtomicUsize>) -> Vec<(usize, u16)> {
    let mut open: [Option<Connection>; 2] = [None, None];
    let mut done = Vec::new();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(call) = calls.get(index) else { return done };
        for ((agent, client), connection) in clients.iter().zip(&mut open) {
            if *agent != call.agent {
                continue;
            }
            let mut used = match connection.take() {
                Some(used) => used,
                None => connect(client).await,
            };
            let (status, is_whole) = match answer(&mut used, call, index).await {
                Ok(answer) => answer,
                // The server may have closed a connection that was idle: once more on a new one.
                Err(_) => {
                    used = connect(client).await;
                    let again = answer(&mut used, call, index).await;
                    again.unwrap_or_else(|error| panic!("{} {}: {error}", call.method, call.target))
                }
            };
            // A connection whose answer was not read to its end is of no further use.
            *connection = is_whole.then_some(used);
            done.push((index, status));
        }
    }
}

async fn connect(client: &Client) -> Connection {
    client.connect(Protocol::Http1).await.expect("the gateway")
}

/// The status, and whether the answer came to its end.
async fn answer(connection: &mut Connection, call: &Call, index: usize) -> io::Result<(u16, bool)> {
    let mark = mark(index);
    let mut headers = vec![("user-agent", mark.as_str()), ("accept", "application/json")];
    headers.extend(call.content_type.map(|kind| ("content-type", kind)));
    let opened = connection.open_with(call.method, &call.target, &headers, &call.body);
    let opened = match timeout(HEAD_WITHIN, opened).await {
        Ok(opened) => opened?,
        Err(_) => panic!("{} {}: no answer within {HEAD_WITHIN:?}", call.method, call.target),
    };
    let (head, body) = opened.into_parts();
    let is_whole = match timeout(BODY_WITHIN, body.collect()).await {
        // A gateway that breaks an answer off has given it.
        Ok(read) => read.is_ok(),
        Err(_) => false,
    };
    Ok((head.status.as_u16(), is_whole))
}
