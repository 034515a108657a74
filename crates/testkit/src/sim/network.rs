//! The virtual LAN: what happens to a frame between two hosts at the moment.

use std::time::Duration;

use super::random::Random;

/// Routers come first, then the neighbours.
pub(super) type Place = usize;

#[derive(Clone, Debug)]
pub(super) struct Network {
    /// Frames of the first index to the second vanish.
    blocked: Vec<Vec<bool>>,
    /// When the last frame of the first index comes to the second.
    last: Vec<Vec<Duration>>,
    pub(super) weather: Weather,
}

/// What every frame has to go through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    /// Percent lost.
    pub(super) loss: u8,
    /// Percent that arrive twice.
    pub(super) twice: u8,
    /// The shortest and the longest way; frames overtake each other where they differ.
    pub(super) delay: (Duration, Duration),
    /// Frames between two hosts do not overtake each other.
    pub(super) in_order: bool,
    /// How late a process runs when a timer is due.
    pub(super) late: Duration,
}

impl Weather {
    /// Nothing is lost and nothing takes long.
    pub(super) const FINE: Self = Self {
        loss: 0,
        twice: 0,
        delay: (Duration::from_micros(20), Duration::from_micros(200)),
        in_order: true,
        late: Duration::from_micros(100),
    };
}

impl Network {
    pub(super) fn new(places: usize) -> Self {
        Self {
            blocked: vec![vec![false; places]; places],
            last: vec![vec![Duration::ZERO; places]; places],
            weather: Weather::FINE,
        }
    }

    pub(super) fn places(&self) -> usize {
        self.blocked.len()
    }

    pub(super) fn heal(&mut self) {
        self.mend();
        self.weather = Weather::FINE;
    }

    pub(super) fn mend(&mut self) {
        self.blocked.iter_mut().flatten().for_each(|blocked| *blocked = false);
    }

    pub(super) fn block(&mut self, from: Place, to: Place) {
        self.blocked[from][to] = true;
    }

    /// What the host sends vanishes.
    pub(super) fn mute(&mut self, place: Place) {
        self.blocked[place].fill(true);
    }

    /// What is sent to the host vanishes.
    pub(super) fn deafen(&mut self, place: Place) {
        self.blocked.iter_mut().for_each(|row| row[place] = true);
    }

    /// Those in the list and the others do not reach each other.
    pub(super) fn part(&mut self, side: &[Place]) {
        for from in 0..self.places() {
            for to in 0..self.places() {
                if side.contains(&from) != side.contains(&to) {
                    self.block(from, to);
                }
            }
        }
    }

    pub(super) fn reaches(&self, from: Place, to: Place) -> bool {
        !self.blocked[from][to]
    }

    /// When each copy of a frame that is sent now arrives; none when it is lost.
    pub(super) fn carry(
        &mut self,
        random: &mut Random,
        now: Duration,
        from: Place,
        to: Place,
    ) -> Vec<Duration> {
        let Weather { loss, twice, delay: (shortest, longest), in_order, .. } = self.weather;
        if !self.reaches(from, to) || random.percent(loss) {
            return Vec::new();
        }
        let copies = 1 + usize::from(random.percent(twice));
        let mut arrivals: Vec<Duration> =
            (0..copies).map(|_| now + random.between(shortest, longest)).collect();
        for arrival in &mut arrivals {
            let last = &mut self.last[from][to];
            if in_order {
                *arrival = (*arrival).max(*last);
            }
            *last = (*last).max(*arrival);
        }
        arrivals
    }
}
