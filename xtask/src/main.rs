//! The commands of the README: cluster, demo, test, tidy, code generation.

fn main() {}
