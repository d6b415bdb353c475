//! Black-box tests: the real binary, a real cluster, real clients.
