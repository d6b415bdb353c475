//! The JSON API, `/api/v1`: the shapes of `lockgate-core`, as they are.

pub(crate) mod agents;
pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod sessions;
pub(crate) mod stream;

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::problem::Problem;
use crate::routes::Call;

/// `GET /api/v1/whoami`
pub(crate) async fn whoami(call: Call) -> Result<Response, Problem> {
    let caller = call.known()?;
    let body = json!({
        "subject": caller.subject,
        "role": caller.role.as_str(),
        "authTime": caller.auth_time,
        "expiresAt": caller.expires_at,
    });
    Ok(Json(body).into_response())
}
