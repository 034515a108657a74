use evenkeel_proxy::message::ServerSnapshot;

use super::super::super::screen::tests::status;
use super::*;

/// A pool of three servers with 10, 30 and 20 requests in the last second.
pub(in super::super) fn model() -> Model {
    let mut first = status();
    let pool = &mut first.traffic.as_mut().unwrap().pools[0];
    let server = pool.servers[0].clone();
    pool.servers = (1..=3)
        .map(|number| ServerSnapshot {
            name: format!("webserver0{number}").parse().unwrap(),
            state: if number == 1 { "down".into() } else { "up".into() },
            total: 100,
            ..server.clone()
        })
        .collect();
    let mut second = first.clone();
    let servers = &mut second.traffic.as_mut().unwrap().pools[0].servers;
    for (server, grown) in servers.iter_mut().zip([10, 30, 20]) {
        server.total += grown;
    }
    let at = Instant::now();
    let mut model = Model::new(first, at);
    model.look(second, at + Duration::from_secs(1));
    model
}

fn press(model: &mut Model, keys: &str) -> Pressed {
    let mut pressed = Pressed::Nothing;
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '\u{1b}' => KeyCode::Esc,
            key => KeyCode::Char(key),
        };
        pressed = model.press(code.into());
    }
    pressed
}

fn names(model: &Model) -> Vec<String> {
    model.rows().into_iter().map(|row| row.cells[0].text.clone()).collect()
}

fn drained(server: &str) -> Pressed {
    Pressed::Wants(Wanted::Duty { pool: "website".into(), server: server.into(), duty: "drain" })
}

#[test]
fn a_server_is_drained_only_after_yes() {
    let mut model = model();
    assert_eq!(press(&mut model, "d"), Pressed::Nothing);
    assert_eq!(
        model.question().unwrap(),
        "drain website/webserver01? It gets nothing new; what it has goes on"
    );
    assert_eq!(press(&mut model, "n"), Pressed::Nothing);
    assert_eq!(model.question(), None);
    assert_eq!(press(&mut model, "jdy"), drained("webserver02"));
}

#[test]
fn every_key_but_yes_means_no() {
    for key in ["\n", "d", "q", "\u{1b}", " "] {
        let mut model = model();
        press(&mut model, "d");
        assert_eq!(press(&mut model, key), Pressed::Nothing, "{key:?}");
        assert_eq!(model.question(), None, "{key:?}");
    }
}

#[test]
fn rows_are_sorted_by_what_happened_lately() {
    let mut model = model();
    assert_eq!(names(&model), ["website/webserver01", "website/webserver02", "website/webserver03"]);
    // The fifth column: requests a second.
    press(&mut model, "sssss");
    assert_eq!(
        model.rows().iter().map(|row| row.cells[4].text.clone()).collect::<Vec<_>>(),
        ["30", "20", "10"]
    );
    press(&mut model, "S");
    assert_eq!(names(&model)[0], "website/webserver01");
}

#[test]
fn the_selection_follows_its_row() {
    let mut model = model();
    press(&mut model, "jj");
    press(&mut model, "sssss");
    let rows = model.rows();
    assert_eq!(rows[model.selected(&rows).unwrap()].cells[0].text, "website/webserver03");
    // It goes: the first one is selected.
    let mut fewer = model.status().clone();
    fewer.traffic.as_mut().unwrap().pools[0].servers.pop();
    model.look(fewer, Instant::now() + Duration::from_secs(2));
    assert_eq!(model.selected(&model.rows()), Some(0));
}

#[test]
fn a_filter_leaves_rows_with_its_text() {
    let mut model = model();
    press(&mut model, "/DOWN\n");
    assert_eq!(names(&model), ["website/webserver01"]);
    press(&mut model, "\u{1b}");
    assert_eq!(names(&model).len(), 3);
    // While it is typed, keys are letters.
    assert_eq!(press(&mut model, "/q"), Pressed::Nothing);
    assert_eq!(names(&model), [""; 0]);
}

#[test]
fn a_failover_needs_a_virtual_router() {
    let mut model = model();
    press(&mut model, "f");
    assert_eq!(model.notice(), Some(("select a virtual router for that: key 3", false)));
    press(&mut model, "3f");
    assert_eq!(model.question(), None);
}

#[test]
fn while_paused_nothing_moves() {
    let mut model = model();
    press(&mut model, " ");
    let mut other = model.status().clone();
    other.revision = 99;
    model.look(other, Instant::now());
    assert_eq!(model.status().revision, 3);
    assert_eq!(model.notice(), Some(("paused: space goes on", false)));
}

#[test]
fn control_c_leaves_in_every_mode() {
    for keys in ["", "/", "d", "?"] {
        let mut model = model();
        press(&mut model, keys);
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(model.press(key), Pressed::Quit, "{keys:?}");
    }
}

#[test]
fn counters_that_began_anew_show_no_rate() {
    let mut model = model();
    let mut anew = model.status().clone();
    anew.traffic.as_mut().unwrap().pools[0].servers[0].total = 1;
    model.look(anew, model.look.at + Duration::from_secs(1));
    assert_eq!(model.rows()[0].cells[4].text, "–");
}

#[test]
fn events_are_bounded_and_the_latest_comes_first() {
    let mut model = model();
    for id in 0..600 {
        model.happened(Event {
            id,
            at: 0,
            kind: evenkeel_admin::message::EventKind::Reload,
            subject: String::new(),
            what: format!("event {id}"),
            by: None,
            before: None,
            after: None,
        });
    }
    press(&mut model, "4");
    let rows = model.rows();
    assert_eq!((rows.len(), rows[0].cells[2].text.as_str()), (MOST_EVENTS, "event 599"));
}
