//! Kubernetes on the wire, sans-IO.
