use std::path::{Path, PathBuf};

use super::*;
use crate::Source;

struct File(&'static str);

impl Source for File {
    fn read(&self, _: &Path) -> Result<String, String> {
        Ok(self.0.into())
    }

    fn glob(&self, _: &str, _: &Path) -> Result<Vec<PathBuf>, String> {
        Ok(Vec::new())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

const TWO: &str = "[listener.l]\nbind = \"127.0.0.1:80\"\npool = \"web\"\n\
                   [pool.web.servers]\na = \"192.0.2.1:80\"\nb = \"192.0.2.2:80\"\n";

fn plan(text: &'static str) -> Plan {
    crate::load(Path::new("x.toml"), &File(text)).unwrap().plan
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A file, and what is laid over it.
struct Live {
    file: Plan,
    overlay: Overlay,
}

impl Live {
    fn new() -> Self {
        Self { file: plan(TWO), overlay: Overlay::default() }
    }

    fn plan(&self) -> Plan {
        self.overlay.over(&self.file)
    }

    fn edit_if(&mut self, server: &str, edit: &Edit, conditions: &Conditions) -> Result<(), NotDone> {
        let plan = self.plan();
        let names = (&name("web"), &name(server));
        self.overlay = self.overlay.edit((&self.file, &plan), names, edit, conditions, "uid 0", 7)?;
        Ok(())
    }

    fn edit(&mut self, server: &str, edit: &Edit) -> Result<(), NotDone> {
        self.edit_if(server, edit, &Conditions::default())
    }

    /// What is left when this server, if it was leaving, is gone.
    fn finished(&self, server: &str) -> Overlay {
        self.overlay.finished(&self.file, &BTreeSet::from([(&name("web"), &name(server))]))
    }

    /// Servers in words, in order.
    fn servers(&self) -> Vec<String> {
        let plan = self.plan();
        plan.pools[0].servers.iter().map(|server| format!("{} {}", server.name, described(server))).collect()
    }

    fn server(&self, wanted: &str) -> Server {
        self.plan().pools[0].servers.iter().find(|server| server.name.as_str() == wanted).unwrap().clone()
    }
}

fn new(address: &str) -> Edit {
    Edit::Put(serde_json::from_str(&format!("{{\"address\":\"{address}\"}}")).unwrap())
}

fn state(duty: Duty) -> Edit {
    Edit::Adjust(Adjustment { state: Some(duty), ..Adjustment::default() })
}

#[test]
fn an_added_server_comes_last_with_the_defaults_of_a_file() {
    let mut live = Live::new();
    live.edit("c", &new("192.0.2.3:80")).unwrap();
    assert_eq!(
        live.servers(),
        ["a 192.0.2.1:80, weight 1", "b 192.0.2.2:80, weight 1", "c 192.0.2.3:80, weight 1"]
    );
    assert_eq!(live.overlay.told(&live.file)[0].what, "added (192.0.2.3:80, weight 1)");
}

#[test]
fn a_removal_drains_first_and_then_is_done() {
    let mut live = Live::new();
    live.edit("a", &Edit::Leave).unwrap();
    assert_eq!(live.servers()[0], "a 192.0.2.1:80, weight 1, state drain");
    assert_eq!(live.overlay.told(&live.file)[0].what, "is being removed: it drains");
    live.overlay = live.finished("a");
    assert_eq!(live.servers(), ["b 192.0.2.2:80, weight 1"]);
    assert_eq!(live.overlay.told(&live.file)[0].what, "removed");
    // A second end of the same removal finds nothing to do.
    let again = live.finished("a");
    assert_eq!(again, live.overlay);
}

#[test]
fn a_server_that_was_added_and_removed_leaves_no_trace() {
    let mut live = Live::new();
    live.edit("c", &new("192.0.2.3:80")).unwrap();
    live.edit("c", &Edit::Remove).unwrap();
    assert!(live.overlay.is_empty(), "{:?}", live.overlay);
}

#[test]
fn whoever_is_called_back_while_leaving_stays() {
    let mut live = Live::new();
    live.edit("a", &Edit::Leave).unwrap();
    live.edit("a", &state(Duty::Ready)).unwrap();
    assert!(live.overlay.is_empty(), "{:?}", live.overlay);
    // Another weight says nothing about that.
    live.edit("a", &Edit::Leave).unwrap();
    let weight = Adjustment { weight: Weight::try_from(9).ok(), ..Adjustment::default() };
    live.edit("a", &Edit::Adjust(weight)).unwrap();
    assert_eq!(live.servers()[0], "a 192.0.2.1:80, weight 9, state drain");
    assert!(live.overlay.entries().next().unwrap().leaving);
}

#[test]
fn what_was_changed_and_changed_back_is_no_change() {
    let mut live = Live::new();
    live.edit("a", &state(Duty::Maintenance)).unwrap();
    assert_eq!(live.server("a").duty, Duty::Maintenance);
    live.edit("a", &state(Duty::Ready)).unwrap();
    assert!(live.overlay.is_empty());
}

#[test]
fn the_last_server_stays_and_the_cure_is_named() {
    let mut live = Live::new();
    live.edit("a", &Edit::Leave).unwrap();
    let refused = live.edit("b", &Edit::Remove).unwrap_err();
    assert_eq!(refused.cause, Cause::Conflict);
    assert!(refused.detail.ends_with("`evenkeel server maintenance web/b`"), "{}", refused.detail);
}

#[test]
fn edits_that_make_no_sense_are_refused_with_the_reason() {
    let mut live = Live::new();
    let cases = [
        ("c", Edit::Leave, Cause::Missing),
        ("c", state(Duty::Drain), Cause::Missing),
        ("a", Edit::Adjust(Adjustment::default()), Cause::Invalid),
        ("c", new("0.0.0.0:80"), Cause::Invalid),
        ("c", new("[ff02::1]:80"), Cause::Invalid),
        ("c", new("192.0.2.2:80"), Cause::Conflict),
        ("a", Edit::Reset, Cause::Missing),
    ];
    for (server, edit, cause) in cases {
        assert_eq!(live.edit(server, &edit).unwrap_err().cause, cause, "{server} {edit:?}");
        assert!(live.overlay.is_empty());
    }
    let plan = live.plan();
    let nowhere = (&name("webb"), &name("a"));
    let refused =
        live.overlay.edit((&live.file, &plan), nowhere, &Edit::Leave, &Conditions::default(), "", 0);
    assert_eq!(refused.unwrap_err().detail, "there is no pool webb: did you mean web?");
}

#[test]
fn conditions_hold_or_nothing_changes() {
    let mut live = Live::new();
    let before = tag(&live.server("a"), false);
    let only_new = Conditions { if_match: None, only_new: true };
    let matching = |tag: &str| Conditions { if_match: Some(vec![tag.into()]), only_new: false };
    assert_eq!(live.edit_if("a", &new("192.0.2.9:80"), &only_new).unwrap_err().cause, Cause::Condition);
    live.edit_if("a", &state(Duty::Drain), &matching(&before)).unwrap();
    // Somebody who has read it before the drain.
    let late = live.edit_if("a", &state(Duty::Ready), &matching(&before)).unwrap_err();
    assert_eq!(late.cause, Cause::Condition);
    assert_eq!(live.server("a").duty, Duty::Drain);
    let any = Conditions { if_match: Some(Vec::new()), only_new: false };
    assert_eq!(live.edit_if("c", &new("192.0.2.9:80"), &any).unwrap_err().cause, Cause::Condition);
    live.edit_if("a", &Edit::Leave, &any).unwrap();
    assert_ne!(tag(&live.server("a"), true), tag(&live.server("a"), false));
}

#[test]
fn a_reset_server_is_as_the_file_says() {
    let mut live = Live::new();
    live.edit("a", &Edit::Remove).unwrap();
    live.edit("a", &Edit::Reset).unwrap();
    assert_eq!(live.servers().len(), 2);
}

#[test]
fn what_the_file_says_by_now_is_no_runtime_change_any_more() {
    let mut live = Live::new();
    live.edit("c", &new("192.0.2.3:80")).unwrap();
    live.edit("a", &Edit::Remove).unwrap();
    let saved = plan(
        "[listener.l]\nbind = \"127.0.0.1:80\"\npool = \"web\"\n\
         [pool.web.servers]\nb = \"192.0.2.2:80\"\nc = \"192.0.2.3:80\"\n",
    );
    assert!(live.overlay.settle(&saved).is_empty());
}

#[test]
fn a_change_of_a_pool_that_is_gone_waits_for_it() {
    let mut live = Live::new();
    live.edit("c", &new("192.0.2.3:80")).unwrap();
    live.edit("a", &state(Duty::Drain)).unwrap();
    let other =
        plan("[listener.l]\nbind = \"127.0.0.1:80\"\npool = \"x\"\n[pool.x.servers]\na = \"192.0.2.1:80\"\n");
    let overlay = live.overlay.settle(&other);
    assert_eq!(overlay, live.overlay);
    assert_eq!(overlay.over(&other), other);
    assert_eq!(overlay.told(&other)[0].idle, Some("the file has no such pool"));
}

#[test]
fn a_file_that_lost_the_servers_that_remained_is_right() {
    let mut live = Live::new();
    live.edit("a", &Edit::Remove).unwrap();
    live.file = plan(
        "[listener.l]\nbind = \"127.0.0.1:80\"\npool = \"web\"\n[pool.web.servers]\na = \"192.0.2.1:80\"\n",
    );
    assert_eq!(live.servers(), ["a 192.0.2.1:80, weight 1"]);
}

#[test]
fn removals_that_had_begun_are_done_when_nobody_waits_any_more() {
    let mut live = Live::new();
    live.edit("c", &new("192.0.2.3:80")).unwrap();
    live.edit("c", &Edit::Leave).unwrap();
    live.edit("a", &Edit::Leave).unwrap();
    let after = live.overlay.without_leaving(&live.file);
    assert_eq!(after.entries().len(), 1);
    assert_eq!(after.over(&live.file).pools[0].servers.len(), 1);
}

#[test]
fn an_overlay_reads_back_as_it_was_written() {
    let mut live = Live::new();
    live.edit("c", &new("192.0.2.3:80")).unwrap();
    live.edit("a", &state(Duty::Drain)).unwrap();
    live.edit("b", &Edit::Leave).unwrap();
    let text = serde_json::to_string(&live.overlay).unwrap();
    assert_eq!(serde_json::from_str::<Overlay>(&text).unwrap(), live.overlay);
}
