//! Streaming maskers for API answers.
