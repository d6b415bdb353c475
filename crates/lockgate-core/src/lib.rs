//! The vocabulary of Lockgate's audit record: plain data, no IO.
