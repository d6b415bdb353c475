//! JSON API and web console.
