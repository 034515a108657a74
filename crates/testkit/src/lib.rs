//! Test support that is never shipped.
