//! `/healthz`, `/readyz` and `/metrics`, without TLS, for the machine's own monitoring.

use std::sync::Arc;
use std::time::Duration;

use lockgate_proxy::gateway::Gateway;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Until the store must have taken a probe's write.
const READY_MAX: Duration = Duration::from_secs(2);

/// Serves until stopped.
pub(super) async fn serve(listener: TcpListener, gateway: Arc<Gateway>, stop: CancellationToken) {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(gateway);
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::error!(%error, "the metrics listener ended");
    }
}

/// Ready means: not draining, the audit log takes writes, and the clusters' Secrets were listed or had their time. Known
/// values that are not as they should be are said, but make nothing unready: fields are masked all the same.
async fn ready(State(gateway): State<Arc<Gateway>>) -> Response {
    if gateway.draining.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    let troubles: String = gateway.values.troubles().into_iter().map(|line| line + "\n").collect();
    if gateway.values.is_starting() {
        return (StatusCode::SERVICE_UNAVAILABLE, troubles).into_response();
    }
    match tokio::time::timeout(READY_MAX, gateway.store.ready()).await {
        Ok(Ok(())) => format!("ok\n{troubles}").into_response(),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the audit log is slow\n").into_response(),
    }
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    match gateway.metrics.text() {
        Ok(text) => {
            ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
