//! How people and programs get tokens.
