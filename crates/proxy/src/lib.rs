//! Moves traffic: one worker per core.
//!
//! [`run::run`] is the proxy role: it takes the wanted state from the supervisor ([`message`]), keeps one
//! [`worker`] thread a core, and tells them what to listen on. Everything that bytes of strangers can reach happens
//! in [`session`]. It never opens a listening socket, never reads configuration text and never holds a right that a
//! user does not have.

pub mod message;
pub mod run;
pub mod tls;
mod translated;

mod access_log;
mod alarm;
mod announce;
mod apply;
mod buffer;
mod check;
mod clock;
mod connections;
mod departing;
mod discover;
mod gate;
mod histogram;
mod idle;
mod judge;
mod listener;
mod pace;
mod pulse;
mod queue;
mod rollcall;
mod rooms;
mod session;
mod snapshot;
mod sticky;
mod stream;
mod table;
mod upstream;
mod view;
mod websocket;
mod worker;
