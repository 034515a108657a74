//! What happens on a client's connection, from accept to close.

pub(crate) mod http1;
pub(crate) mod tcp;

mod peek;
mod splice;
mod tunnel;
