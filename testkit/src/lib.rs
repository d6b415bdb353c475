//! Scripted API server, fault-injecting store, paused clock: in-process test doubles over memory sockets.
