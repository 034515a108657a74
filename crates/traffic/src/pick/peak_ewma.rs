//! Peak EWMA: two different servers drawn by weight, of which the one that is expected to answer sooner takes.
//!
//! Expected is latency × (running + 1) / weight. The latency is a moving average that follows a slow answer at once and
//! a fast one by and by ([`crate::load`]); a failure counts as a slow answer, so that a server that fails fast does
//! not attract traffic. Finagle and Linkerd made this algorithm known.

use std::time::Duration;

use super::group::{Look, Member};
use super::random_two::two;
use super::turn::Turn;
use crate::chance::Chance;

pub(super) fn pick(
    turn: &Turn,
    members: &[Member],
    look: &impl Look,
    chance: &Chance,
    now: Duration,
) -> Option<usize> {
    let (first, second) = two(turn, members.len(), look, chance)?;
    let (Some(a), Some(b)) = (members.get(first), members.get(second)) else { return Some(first) };
    let expected = |member: &Member| {
        member.load.latency(now) * (member.load.running() as f32 + 1.0) / f32::from(member.weight)
    };
    Some(if expected(a) <= expected(b) { first } else { second })
}
