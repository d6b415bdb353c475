//! Scripted API server, fault-injecting store, paused clock: in-process test doubles over memory sockets.

pub mod clock;
pub mod store;
