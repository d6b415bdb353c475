//! Scripted API server, fault-injecting store, paused clock, and a whole gateway between them: in-process test doubles
//! over memory sockets.

pub mod api_server;
pub mod clock;
pub mod gateway;
pub mod recordings;
pub mod store;
