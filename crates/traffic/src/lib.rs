//! Decides where a connection or request goes.
//!
//! Pure: takes facts and returns choices. No sockets, no clock, no entropy, no threads.

pub mod address;
pub mod agent;
pub mod budget;
pub mod chance;
pub mod duty;
pub mod health;
pub mod legacy;
pub mod load;
pub mod name;
pub mod outlier;
pub mod pick;
pub mod queue;
pub mod retry;
pub mod route;
pub mod sticky;
pub mod usability;
