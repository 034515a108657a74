//! Shows and steers: the API on the control socket and on `[admin]`.
//!
//! The admin role turns HTTP into typed commands ([`message::Command`]) and the supervisor's answers back into JSON, or
//! into text for Prometheus ([`metrics`]).
//! Never decides: what a command may do is the supervisor's business. Never touches traffic, files or processes; it
//! knows the planes by their message types only.
//!
//! Bounds: [`run::MOST_CONNECTIONS`] at once, [`run::LARGEST_HEAD`], [`desk::MOST_WAITING`] commands under way,
//! [`desk::LONGEST_ANSWER`] for each; the rest waits or is told so.

pub mod api;
pub mod desk;
mod events;
pub mod message;
pub mod metrics;
mod problem;
pub mod run;
