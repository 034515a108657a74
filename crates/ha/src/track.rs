//! What tracked things do to the priority of a virtual router. Decides only: how they are is said by the supervisor, and
//! interfaces are seen here.

use evenkeel_config::plan::{Bearing, Track, Tracked};
use evenkeel_failover::track::{Effect, Part, WEIGHTS};

use crate::message::{Finding, Standing, TrackSnapshot, Verdict};
use crate::sight::Sight;

/// Looks at everything that a router tracks.
pub(crate) fn look(tracks: &[Track], findings: &[Finding], sight: &Sight) -> Vec<(Track, Verdict)> {
    let verdict = |what: &Tracked| match what {
        Tracked::Interface(name) => interface(name, sight),
        what => findings.iter().find(|finding| finding.what == *what).map_or_else(
            || Verdict::unknown("nothing is known of it yet"),
            |finding| finding.verdict.clone(),
        ),
    };
    tracks.iter().map(|track| (track.clone(), verdict(&track.what))).collect()
}

fn interface(name: &str, sight: &Sight) -> Verdict {
    match sight.of(name).and_then(|seen| seen.link.as_ref()) {
        None => Verdict::bad("there is none of that name"),
        Some(link) if !link.is_up => Verdict::bad("it is down"),
        Some(link) if !link.is_running => Verdict::bad("it has no carrier"),
        Some(_) => Verdict::good(),
    }
}

/// Makes parts of the priority of it. What is not known yet changes nothing for a router that holds its addresses, and
/// holds back one that does not.
pub(crate) fn parts(looked: &[(Track, Verdict)], holding: bool) -> Vec<Part> {
    let part = |(track, verdict): &(Track, Verdict)| Part {
        name: track.what.to_string(),
        effect: effect(track, verdict, holding),
    };
    looked.iter().map(part).collect()
}

fn effect(track: &Track, verdict: &Verdict, holding: bool) -> Effect {
    let is_ill = match verdict.standing {
        Standing::Good => false,
        Standing::Bad => true,
        Standing::Unknown => !holding,
    };
    match track.bearing {
        Bearing::Priority(weight) if verdict.number != 0 => Effect::Weight(times(weight, verdict.number)),
        Bearing::Priority(_) if matches!(track.what, Tracked::File(..)) && !is_ill => Effect::None,
        Bearing::Priority(weight) if is_ill == (weight < 0) => Effect::Weight(weight),
        Bearing::Yield if is_ill => Effect::Yield,
        Bearing::Fault if is_ill => Effect::Fault,
        _ => Effect::None,
    }
}

fn times(weight: i16, number: i32) -> i16 {
    let product = i64::from(weight) * i64::from(number);
    let clamped = product.clamp((*WEIGHTS.start()).into(), (*WEIGHTS.end()).into());
    i16::try_from(clamped).unwrap_or_default()
}

/// For `status`.
pub(crate) fn show(looked: &[(Track, Verdict)], parts: &[Part]) -> Vec<TrackSnapshot> {
    let show = |((_, verdict), part): (&(Track, Verdict), &Part)| TrackSnapshot {
        name: part.name.clone(),
        state: match verdict.standing {
            Standing::Unknown => "unknown",
            Standing::Good => "well",
            Standing::Bad => "ill",
        }
        .into(),
        why: verdict.why.clone(),
        effect: match part.effect {
            Effect::None => "none",
            Effect::Weight(_) => "priority",
            Effect::Yield => "yield",
            Effect::Fault => "fault",
        }
        .into(),
        priority: match part.effect {
            Effect::Weight(weight) => weight,
            _ => 0,
        },
    };
    looked.iter().zip(parts).map(show).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn effect_of(bearing: Bearing, verdict: &Verdict, holding: bool) -> Effect {
        let track = Track { what: Tracked::Interface("eth1".into()), bearing };
        effect(&track, verdict, holding)
    }

    #[test]
    fn a_negative_weight_counts_while_ill_and_a_positive_one_while_well() {
        let (good, bad) = (Verdict::good(), Verdict::bad("it is down"));
        assert_eq!(effect_of(Bearing::Priority(-20), &bad, true), Effect::Weight(-20));
        assert_eq!(effect_of(Bearing::Priority(-20), &good, true), Effect::None);
        assert_eq!(effect_of(Bearing::Priority(20), &good, true), Effect::Weight(20));
        assert_eq!(effect_of(Bearing::Priority(20), &bad, true), Effect::None);
    }

    #[test]
    fn what_is_unknown_leaves_an_active_router_alone_and_holds_a_backup_back() {
        let unknown = Verdict::unknown("it is starting");
        for (bearing, ill) in [
            (Bearing::Yield, Effect::Yield),
            (Bearing::Fault, Effect::Fault),
            (Bearing::Priority(-5), Effect::Weight(-5)),
        ] {
            assert_eq!(effect_of(bearing, &unknown, true), Effect::None);
            assert_eq!(effect_of(bearing, &unknown, false), ill);
        }
        assert_eq!(effect_of(Bearing::Priority(5), &unknown, true), Effect::Weight(5));
    }

    #[test]
    fn the_number_in_a_file_is_multiplied() {
        let track = |bearing| Track { what: Tracked::File("/run/n".into(), Duration::from_secs(1)), bearing };
        let number = |number| Verdict { number, ..Verdict::bad("it says so") };
        assert_eq!(effect(&track(Bearing::Priority(-10)), &number(3), true), Effect::Weight(-30));
        assert_eq!(effect(&track(Bearing::Priority(10)), &number(-2), true), Effect::Weight(-20));
        assert_eq!(effect(&track(Bearing::Priority(-10)), &number(1000), true), Effect::Weight(-253));
        assert_eq!(effect(&track(Bearing::Priority(10)), &Verdict::good(), true), Effect::None);
        assert_eq!(effect(&track(Bearing::Yield), &number(1), true), Effect::Yield);
    }
}
