//! What holds for every algorithm, and what each promises, against models that are too simple to be wrong.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::load::{PoolLoad, Running};

const ALL: [Balance; 7] = [
    Balance::RoundRobin,
    Balance::LeastConnections,
    Balance::SOURCE,
    Balance::Hash { key: Key::Path, bounded_load: Some(125) },
    Balance::RandomTwo,
    Balance::PeakEwma,
    Balance::First,
];

fn servers(weights: &[u16]) -> Vec<Server> {
    let pool = Arc::new(PoolLoad::default());
    let server = |(index, &weight): (usize, &u16)| Server {
        name: format!("server{index}").parse().unwrap(),
        weight: weight.try_into().unwrap(),
        priority: Priority::USUAL,
        max_connections: None,
        load: Arc::new(Load::new(pool.clone())),
    };
    weights.iter().enumerate().map(server).collect()
}

/// A picker with what it picks from and by.
struct Pool {
    servers: Vec<Server>,
    picker: Picker,
    chance: Chance,
    unusable: Vec<usize>,
}

impl Pool {
    fn new(balance: &Balance, servers: Vec<Server>) -> Self {
        let picker = Picker::new(balance, &servers);
        picker.attach(balance, None);
        Self { servers, picker, chance: Chance::seeded(1), unusable: Vec::new() }
    }

    fn pick_other(&self, key: u64, tried: &[usize]) -> Option<usize> {
        let request = Request { key: Some(key), tried, now: Duration::ZERO };
        self.picker.pick(request, &self.chance, |index| !self.unusable.contains(&index))
    }

    fn pick(&self, key: u64) -> Option<usize> {
        self.pick_other(key, &[])
    }

    fn begin(&self, index: usize) -> Running {
        self.servers[index].load.begin(u32::MAX).unwrap()
    }

    fn unusable(&mut self, unusable: &[usize]) {
        self.unusable = unusable.to_vec();
        self.picker.forget();
    }
}

/// Asserts that each count is the weight's share of all within one percent of all.
fn assert_shares(name: &Balance, counts: &[usize], weights: &[u16]) {
    let (all, sum) = (counts.iter().sum::<usize>() as f64, f64::from(weights.iter().sum::<u16>()));
    for (&count, &weight) in counts.iter().zip(weights) {
        let (share, wanted) = (count as f64 / all, f64::from(weight) / sum);
        assert!((share - wanted).abs() < 0.01, "{name}: {counts:?} for {weights:?}");
    }
}

#[test]
fn an_idle_pool_shares_by_weight() {
    for balance in &ALL[..5] {
        for weights in [&[1, 1][..], &[5, 1, 1], &[2, 0, 1], &[256, 128, 1, 7]] {
            let pool = Pool::new(balance, servers(weights));
            let mut counts = vec![0; weights.len()];
            for key in 0..100_000 {
                counts[pool.pick(crate::chance::mix(key)).unwrap()] += 1;
            }
            assert_shares(balance, &counts, weights);
        }
    }
}

#[test]
fn a_busy_pool_shares_by_weight() {
    // 600 at once, each as long as any other on average, so that shares of what runs are shares of what is begun.
    for balance in &ALL[..6] {
        let weights = [3, 2, 1];
        let pool = Pool::new(balance, servers(&weights));
        let ends = Chance::seeded(2);
        let mut counts = vec![0; weights.len()];
        let mut running: Vec<Running> = Vec::new();
        for number in 0..100_000 {
            let index = pool.pick(crate::chance::mix(number)).unwrap();
            counts[index] += 1;
            running.push(pool.begin(index));
            if running.len() > 600 {
                drop(running.swap_remove(ends.below(600)));
            }
        }
        assert_shares(balance, &counts, &weights);
    }
}

#[test]
fn those_that_are_left_share_what_an_unusable_server_had() {
    for balance in &ALL[..5] {
        let mut pool = Pool::new(balance, servers(&[1, 2, 1]));
        pool.unusable(&[1]);
        let mut counts = [0; 3];
        for key in 0..100_000 {
            counts[pool.pick(crate::chance::mix(key)).unwrap()] += 1;
        }
        assert_shares(balance, &counts, &[1, 0, 1]);
    }
}

#[test]
fn backups_and_lower_priorities_wait_for_all_above_them() {
    for balance in &ALL {
        let mut list = servers(&[1, 1, 1, 1]);
        list[0].priority = Priority::BACKUP;
        list[1].priority = Priority(200);
        let mut pool = Pool::new(balance, list);
        assert_eq!(pool.pick(1), Some(1), "{balance}");
        pool.unusable(&[1]);
        assert!([Some(2), Some(3)].contains(&pool.pick(1)), "{balance}");
        pool.unusable(&[1, 3]);
        assert_eq!(pool.pick(1), Some(2), "{balance}");
        assert_eq!(pool.pick_other(1, &[2]), Some(0), "{balance}");
        pool.unusable(&[1, 2, 3]);
        assert_eq!(pool.pick(1), Some(0), "{balance}");
    }
}

#[test]
fn a_server_with_max_connections_takes_no_more() {
    for balance in &ALL {
        let mut list = servers(&[1, 1]);
        list[0].max_connections = NonZeroU32::new(2);
        list[1].max_connections = NonZeroU32::new(1);
        let pool = Pool::new(balance, list);
        let mut running: Vec<(usize, Running)> = Vec::new();
        while let Some(index) = pool.pick(running.len() as u64) {
            running.push((index, pool.begin(index)));
        }
        assert_eq!(running.len(), 3, "{balance}");
        let (index, ended) = running.swap_remove(0);
        drop(ended);
        assert_eq!(pool.pick(9), Some(index), "{balance}");
    }
}

#[test]
fn first_fills_servers_in_order() {
    let mut list = servers(&[1; 100]);
    for server in &mut list {
        server.max_connections = NonZeroU32::new(2);
    }
    let pool = Pool::new(&Balance::First, list);
    let mut running = Vec::new();
    for number in 0..200 {
        assert_eq!(pool.pick(0), Some(number / 2));
        running.push(pool.begin(number / 2));
    }
    assert_eq!(pool.pick(0), None);
    drop(running.swap_remove(77));
    assert_eq!(pool.pick(0), Some(38));
}

#[test]
fn peak_ewma_prefers_the_faster_and_shuns_the_failing() {
    let pool = Pool::new(&Balance::PeakEwma, servers(&[1, 1]));
    let load = |index: usize| &pool.servers[index].load;
    load(0).answered(Duration::from_millis(5), Duration::ZERO);
    load(1).answered(Duration::from_millis(20), Duration::ZERO);
    assert!((0..100).all(|key| pool.pick(key) == Some(0)));
    // Four running at 5 ms: the fifth would wait 25 ms here and 20 ms there.
    let running: Vec<Running> = (0..4).map(|_| pool.begin(0)).collect();
    assert!((0..100).all(|key| pool.pick(key) == Some(1)));
    drop(running);
    load(0).failed(None, Duration::ZERO);
    assert!((0..100).all(|key| pool.pick(key) == Some(1)));
    // A minute later its failure is 5 s · e⁻⁶ = 12 ms, and the other was asked a moment ago.
    load(1).answered(Duration::from_millis(20), Duration::from_secs(60));
    let request = Request { key: None, tried: &[], now: Duration::from_secs(60) };
    assert_eq!(pool.picker.pick(request, &pool.chance, |_| true), Some(0));
}

#[test]
fn random_two_takes_the_less_loaded_relative_to_weight() {
    let pool = Pool::new(&Balance::RandomTwo, servers(&[4, 1]));
    let _heavy: Vec<Running> = (0..3).map(|_| pool.begin(0)).collect();
    let _light = pool.begin(1);
    // 3/4 against 1/1.
    assert!((0..100).all(|key| pool.pick(key) == Some(0)));
}

#[test]
fn a_bound_caps_the_hottest_server() {
    let balance = Balance::Hash { key: Key::Path, bounded_load: Some(125) };
    let pool = Pool::new(&balance, servers(&[1; 10]));
    let mut running = Vec::new();
    for _ in 0..1000 {
        // All ask for the same.
        running.push(pool.begin(pool.pick(7).unwrap()));
        let average = u32::try_from(running.len().div_ceil(10)).unwrap();
        let most = pool.servers.iter().map(|server| server.load.running()).max().unwrap();
        assert!(most <= (average * 125).div_ceil(100), "{most} of {}", running.len());
    }
}

#[test]
fn the_map_of_keys_is_what_it_always_was() {
    // Worked out once and never to change: balancers of different versions must agree.
    let pool = Pool::new(&Balance::SOURCE, servers(&[1, 2, 3]));
    let map: Vec<usize> = (0..20).map(|key| pool.pick(crate::chance::mix(key)).unwrap()).collect();
    assert_eq!(map, [2, 0, 1, 1, 2, 2, 1, 2, 2, 0, 2, 0, 1, 2, 2, 1, 1, 2, 2, 0]);
}

fn keys() -> impl Iterator<Item = u64> {
    (0..4000).map(crate::chance::mix)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_key_of_others_moves_when_a_server_leaves_or_returns(
        weights in prop::collection::vec(1_u16..=16, 2..12),
        gone in any::<prop::sample::Index>(),
        removed in any::<bool>(),
    ) {
        let gone = gone.index(weights.len());
        let mut pool = Pool::new(&Balance::SOURCE, servers(&weights));
        let before: Vec<usize> = keys().map(|key| pool.pick(key).unwrap()).collect();
        // Either it is not in the file any more, or it is down.
        let name = |pool: &Pool, index: usize| pool.servers[index].name.clone();
        let names: Vec<Name> = before.iter().map(|&index| name(&pool, index)).collect();
        let left = name(&pool, gone);
        if removed {
            let mut list = servers(&weights);
            list.remove(gone);
            list.reverse();
            pool = Pool::new(&Balance::SOURCE, list);
        } else {
            pool.unusable(&[gone]);
        }
        let mut moved = 0;
        for (key, before) in keys().zip(&names) {
            let now = name(&pool, pool.pick(key).unwrap());
            prop_assert_ne!(&now, &left);
            prop_assert!(now == *before || *before == left);
            moved += usize::from(now != *before);
        }
        let share = f64::from(weights[gone]) / f64::from(weights.iter().sum::<u16>());
        prop_assert!(moved as f64 / 4000.0 <= share + 0.05, "{} of 4000 for {}", moved, share);
        pool.unusable(&[]);
        if !removed {
            prop_assert_eq!(keys().map(|key| pool.pick(key).unwrap()).collect::<Vec<_>>(), before);
        }
    }

    #[test]
    fn two_balancers_with_the_same_file_map_alike(weights in prop::collection::vec(0_u16..=256, 1..8), seed: u64) {
        let one = Pool::new(&Balance::SOURCE, servers(&weights));
        let mut other = Pool::new(&Balance::SOURCE, servers(&weights));
        other.chance = Chance::seeded(seed);
        for key in keys() {
            prop_assert_eq!(one.pick(key), other.pick(key));
        }
    }

    #[test]
    fn a_server_that_may_take_is_picked_while_there_is_one_and_no_other_ever(
        weights in prop::collection::vec(0_u16..=3, 1..100),
        priorities in prop::collection::vec(0_u8..3, 100),
        most in prop::collection::vec(0_u32..4, 100),
        unusable in prop::collection::vec(0_usize..100, 0..150),
        tried in prop::collection::vec(0_usize..100, 0..20),
        which in 0_usize..ALL.len(),
        key: u64,
    ) {
        let balance = &ALL[which];
        let mut list = servers(&weights);
        for ((server, &priority), &most) in list.iter_mut().zip(&priorities).zip(&most) {
            server.priority = Priority(priority);
            server.max_connections = NonZeroU32::new(most);
        }
        let mut pool = Pool::new(balance, list);
        pool.unusable(&unusable);
        let mut running = Vec::new();
        for step in 0..50 {
            let may_take = |index: usize| {
                let server = &pool.servers[index];
                weights[index] > 0
                    && !unusable.contains(&index)
                    && !tried.contains(&index)
                    && server.max_connections.is_none_or(|most| server.load.running() < most.get())
            };
            let candidates = || (0..weights.len()).filter(|&index| may_take(index));
            let best = candidates().map(|index| priorities[index]).max();
            let picked = pool.pick_other(key.wrapping_add(step), &tried);
            prop_assert_eq!(picked.map(|index| priorities[index]), best);
            if let Some(index) = picked {
                prop_assert!(may_take(index));
                running.push(pool.begin(index));
            }
            if step % 3 == 2 && !running.is_empty() {
                drop(running.swap_remove(usize::try_from(key % running.len() as u64).unwrap()));
            }
        }
    }

    #[test]
    fn least_connections_never_passes_over_a_smaller_key(
        weights in prop::collection::vec(1_u16..=9, 1..200),
        steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 1..2000),
    ) {
        let pool = Pool::new(&Balance::LeastConnections, servers(&weights));
        let mut running: BTreeMap<usize, (usize, Running)> = BTreeMap::new();
        for (number, (end, which)) in steps.into_iter().enumerate() {
            if end && !running.is_empty() {
                let ended = *running.keys().nth(which.index(running.len())).unwrap();
                running.remove(&ended);
                continue;
            }
            let counts: Vec<u64> = pool.servers.iter().map(|server| server.load.running().into()).collect();
            let picked = pool.pick(0).unwrap();
            // (running + 1) / weight as fractions; idle is 0.
            let less = |a: usize, b: usize| {
                let top = |index: usize| if counts[index] == 0 { 0 } else { counts[index] + 1 };
                top(a) * u64::from(weights[b]) < top(b) * u64::from(weights[a])
            };
            prop_assert!((0..weights.len()).all(|index| !less(index, picked)));
            running.insert(number, (picked, pool.begin(picked)));
        }
    }
}

#[test]
fn equals_take_turns_in_least_connections() {
    let pool = Pool::new(&Balance::LeastConnections, servers(&[1; 100]));
    let _busy: Vec<Running> = (0..100).map(|index| pool.begin(index)).collect();
    // Nobody is idle, all are equal: a hundred picks reach nearly all of them.
    let mut counts = [0; 100];
    for _ in 0..1000 {
        counts[pool.pick(0).unwrap()] += 1;
    }
    assert!(counts.iter().all(|&count| count == 10), "{counts:?}");
}

#[test]
fn a_changed_pool_goes_on_where_the_old_one_stood() {
    let old = Pool::new(&Balance::RoundRobin, servers(&[1, 1]));
    old.pick(0);
    let new = Pool::new(&Balance::RoundRobin, servers(&[1, 1]));
    new.picker.attach(&Balance::RoundRobin, Some(&old.picker));
    assert_eq!(new.pick(0), Some(1));
}

#[test]
fn what_began_before_a_reload_is_noticed_when_it_ends_after() {
    let old = Pool::new(&Balance::LeastConnections, servers(&[1; 100]));
    let mut busy: Vec<Running> = (0..200).map(|index| old.begin(index % 100)).collect();
    let new = Pool::new(&Balance::LeastConnections, old.servers);
    // The hints of the new picker rise to 2.
    for _ in 0..10 {
        new.pick(0);
    }
    drop(busy.remove(57));
    assert_eq!(new.pick(0), Some(57));
}

#[test]
fn algorithms_are_shown_as_the_file_writes_them() {
    let hash = |key, bounded_load| Balance::Hash { key, bounded_load }.to_string();
    assert_eq!(Balance::LeastConnections.to_string(), "least-connections");
    assert_eq!(Balance::SOURCE.to_string(), "source");
    assert_eq!(hash(Key::Source { ipv6_prefix: 64 }, None), r#"{ hash = "source", ipv6-prefix = 64 }"#);
    assert_eq!(hash(Key::Path, Some(125)), r#"{ hash = "path", bounded-load = 1.25 }"#);
    assert_eq!(hash(Key::Query("u".into()), None), r#"{ hash = { query = "u" } }"#);
}
