//! Round robin: in turn, smoothly interleaved by weight.
//!
//! A pick is one step of a counter that all workers share, whatever the number of servers, so that two requests in a
//! row reach different servers even through different workers. The order is that of [`Turn`]. A server that may not take
//! loses its place, and the others share it by their weights.

use super::group::Look;
use super::turn::Turn;

pub(super) fn pick(turn: &Turn, look: &impl Look) -> Option<usize> {
    turn.next(|position| look.may_take(position))
}
