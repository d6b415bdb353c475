//! The known ways around gateways to Kubernetes, each against the whole gateway in memory. A test is named after its row in
//! docs/threat-model.md, `bypass_row_<number>_<what>`; rows about tokens are in `lockgate-auth/tests`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod decisions;
mod identity;
mod paths;
mod row_29_http1;
mod row_29_http2;
mod streams;
mod support;
