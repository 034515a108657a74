use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Notify;

use super::*;
use crate::apply::next_table;

struct Text(String);

impl evenkeel_config::Source for Text {
    fn read(&self, _: &Path) -> Result<String, String> {
        Ok(self.0.clone())
    }

    fn glob(&self, _: &str, _: &Path) -> Result<Vec<PathBuf>, String> {
        Ok(Vec::new())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

/// One pool of so many servers, of which one failure ejects.
fn table(servers: usize, more: &str) -> Arc<Table> {
    let lines: String = (0..servers).map(|n| format!("s{n} = \"192.0.2.1:{}\"\n", n + 1)).collect();
    let text = format!(
        "[listener.a]\nbind = \"127.0.0.1:1\"\npool = \"a\"\n[pool.a]\n{more}\n\
         passive = {{ failures = 1, eject = \"1h\", max-eject = \"1h\", max-share = 100 }}\n[pool.a.servers]\n{lines}"
    );
    let plan = evenkeel_config::load(Path::new("a.toml"), &Text(text)).unwrap().plan;
    let parts = (&Default::default(), &Default::default());
    Arc::new(next_table(None, 1, &plan, None, parts, 1, &Arc::new(Notify::new())))
}

fn eject(table: &Table, range: std::ops::Range<usize>) {
    let pool = &table.pools[0];
    for server in &pool.servers[range] {
        pool.failed(server, "it broke".into());
    }
}

fn told(events: &mut mpsc::Receiver<Event>) -> Vec<(String, Condition, Condition, String)> {
    match events.try_recv() {
        Ok(Event::Conditions { servers, .. }) => servers
            .into_iter()
            .map(|ServerNews { server, before, now, why, .. }| (server.to_string(), before, now, why))
            .collect(),
        Ok(other) => panic!("{other:?}"),
        Err(_) => Vec::new(),
    }
}

#[test]
fn servers_that_begin_well_are_no_news_and_each_change_is_told_once() {
    let (events, mut all) = mpsc::channel(4);
    let (table, now) = (table(3, ""), Instant::now());
    let mut call = RollCall::default();
    assert_eq!(call.look(Some(&table), &events, now), None);
    assert!(told(&mut all).is_empty());
    eject(&table, 1..2);
    assert_eq!(call.look(Some(&table), &events, now), None);
    assert_eq!(told(&mut all), [("s1".into(), Condition::Up, Condition::Ejected, "it broke".into())]);
    assert_eq!(call.look(Some(&table), &events, now + PAUSE), None);
    assert!(told(&mut all).is_empty());
}

#[test]
fn a_change_soon_after_another_waits_for_the_pause() {
    let (events, mut all) = mpsc::channel(4);
    let (table, now) = (table(3, ""), Instant::now());
    let mut call = RollCall::default();
    eject(&table, 0..1);
    call.look(Some(&table), &events, now);
    assert_eq!(told(&mut all).len(), 1);
    eject(&table, 1..2);
    assert_eq!(call.look(Some(&table), &events, now + PAUSE / 2), Some(now + PAUSE));
    assert!(told(&mut all).is_empty());
    assert_eq!(call.look(Some(&table), &events, now + PAUSE), None);
    assert_eq!(told(&mut all).len(), 1);
}

#[test]
fn what_finds_no_room_is_told_later_and_much_is_told_in_parts() {
    let (events, mut all) = mpsc::channel(1);
    let (table, now) = (table(300, ""), Instant::now());
    let mut call = RollCall::default();
    events.try_send(Event::Drained { cut: 0 }).unwrap();
    eject(&table, 0..290);
    assert_eq!(call.look(Some(&table), &events, now), Some(now + PAUSE));
    all.try_recv().unwrap();
    // 256 now, the other 34 with the next look.
    let next = call.look(Some(&table), &events, now + PAUSE).unwrap();
    assert_eq!((told(&mut all).len(), next), (256, now + 2 * PAUSE));
    assert_eq!(call.look(Some(&table), &events, next), None);
    assert_eq!(told(&mut all).len(), 34);
}

#[test]
fn the_first_check_is_news_and_a_pool_without_servers_that_are_up_too() {
    let (events, mut all) = mpsc::channel(4);
    let (table, now) =
        (table(2, "health = { http = \"/\", initial-state = \"down\", rise = 1, fall = 1 }"), Instant::now());
    let mut call = RollCall::default();
    call.look(Some(&table), &events, now);
    let Ok(Event::Conditions { pools, .. }) = all.try_recv() else { panic!("nothing is told") };
    assert_eq!(pools, [PoolNews { pool: "a".parse().unwrap(), down: Some("its traffic is refused".into()) }]);
    let pool = &table.pools[0];
    pool.probed(&pool.servers[0], Ok(()), now);
    pool.probed(&pool.servers[1], Err("connection refused".into()), now);
    call.look(Some(&table), &events, now + PAUSE);
    let Ok(Event::Conditions { servers, pools }) = all.try_recv() else { panic!("nothing is told") };
    let of: Vec<(&str, Condition)> = servers.iter().map(|one| (one.server.as_str(), one.now)).collect();
    assert!(of.contains(&("s0", Condition::Up)), "{servers:?}");
    assert_eq!(pools, [PoolNews { pool: "a".parse().unwrap(), down: None }]);
}
