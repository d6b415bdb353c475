//! What the tests and the demo need from outside (Go, Node, Debian packages, clients): found, installed or named.
