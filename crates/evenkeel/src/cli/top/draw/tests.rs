use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::KeyCode;

use super::super::model::tests::model;
use super::*;

fn painted(model: &Model, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| line(y).trim_end().to_owned()).collect()
}

#[test]
fn eighty_columns_and_24_lines_are_enough() {
    let lines = painted(&model(), 80, 24);
    let expected = [
        "Evenkeel 0.1.0  up 2h 2m  plan 3  12 connections  0 requests/s",
        "1 listeners 2 servers 3 virtual routers 4 events",
        "POOL/SERVER                    STATE       WGT NOW   REQ/S  FAIL/S P50    P99",
        "website/webserver01            down        0   1     10     0      –      –",
        "website/webserver02            up          0   1     30     0      –      –",
        "website/webserver03            up          0   1     20     0      –      –",
    ];
    assert_eq!(lines[..6], expected);
    assert_eq!(
        lines[22..],
        [
            "webserver01 at 192.168.1.2:80 is down: it answered 500 to GET /healthz",
            "d drain  m maintenance  r ready  s sort  / filter  space pause  ? help  q quit",
        ]
    );
}

#[test]
fn every_view_fits_into_every_terminal() {
    for key in ['1', '2', '3', '4', '?', '/', 'd'] {
        let mut model = model();
        model.press(KeyCode::Char(key).into());
        for (width, height) in [(80, 24), (200, 60), (40, 10), (10, 3), (1, 1)] {
            let lines = painted(&model, width, height);
            assert_eq!(lines.len(), usize::from(height));
        }
    }
}

#[test]
fn a_question_is_asked_in_the_last_line() {
    let mut model = model();
    model.press(KeyCode::Char('d').into());
    assert_eq!(
        painted(&model, 80, 24)[23],
        "drain website/webserver01? It gets nothing new; what it has goes on [y/n]"
    );
}
