//! Random two: two different servers drawn by weight, of which the one with fewer running relative to its weight takes.
//!
//! Close to least connections without anything that workers share but the counts, and without the herd: workers that
//! know the same do not all run to the same server (M. Mitzenmacher, *The Power of Two Choices in Randomized Load
//! Balancing*, 1996). Of equals the first drawn takes, so that an idle pool shares by weight.

use super::group::{Look, Member};
use super::turn::{Turn, from};
use crate::chance::Chance;

/// Draws for each of the two before a server is looked for one by one.
const DRAWS: usize = 16;

pub(super) fn pick(turn: &Turn, members: &[Member], look: &impl Look, chance: &Chance) -> Option<usize> {
    let (first, second) = two(turn, members.len(), look, chance)?;
    let (Some(a), Some(b)) = (members.get(first), members.get(second)) else { return Some(first) };
    let relative = |one: &Member, other: &Member| u64::from(one.load.running()) * u64::from(other.weight);
    Some(if relative(a, b) <= relative(b, a) { first } else { second })
}

/// Two that may take, drawn by weight; the same twice when there is only one.
pub(super) fn two(turn: &Turn, members: usize, look: &impl Look, chance: &Chance) -> Option<(usize, usize)> {
    let draw = |may: &dyn Fn(usize) -> bool| {
        let drawn = (0..DRAWS).filter_map(|_| turn.draw(chance)).find(|&position| may(position));
        drawn.or_else(|| from(chance.below(members), members).find(|&position| may(position)))
    };
    let first = draw(&|position| look.may_take(position))?;
    let second = draw(&|position| position != first && look.may_take(position));
    Some((first, second.unwrap_or(first)))
}
