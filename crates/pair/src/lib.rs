//! The link between the two nodes of a pair.
//!
//! Each node listens for the other one and calls it; of two connections one is kept (`choice`). A connection is a session once
//! both have shown that they know the key (`noise`). Within a session pieces of text go both ways, once and in order;
//! what a piece means is none of the link's business.
//!
//! Invariants: nothing that comes from somebody without the key changes anything but a counter; every wait and every
//! buffer has a bound; a session whose other end is silent for [`line::SILENCE`] is over. Never keeps a piece for a later session:
//! who speaks learns when a session ends, and begins anew in the next.

mod choice;
mod key;
pub mod line;
pub mod message;
pub mod noise;
pub mod pace;
pub mod run;
mod tally;
pub mod wire;

pub use key::{Key, SHORTEST_SECRET, TooShort};
