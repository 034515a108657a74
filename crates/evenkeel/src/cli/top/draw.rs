//! Paints the model. Made for 80 columns and 24 lines; what is wider gets the rest.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Table, TableState, Tabs};

use super::super::screen::duration;
use super::model::{Model, Tab};
use super::tables::{Column, Tone};

const HELP: [&str; 14] = [
    "1 2 3 4, Tab    listeners, servers, virtual routers, events",
    "up, down, j, k  select a row",
    "/               show only rows with a text; Esc shows all again",
    "s, S            sort by the next column; turn the order round",
    "space           stand still, go on",
    "",
    "d               drain the selected server",
    "m               take it into maintenance",
    "r               make it ready again",
    "f               make another node hold the addresses",
    "                of the selected virtual router",
    "                (each asks first)",
    "",
    "q, Ctrl-C       leave",
];

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let areas = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .split(frame.area());
    frame.render_widget(Paragraph::new(head(model)), areas[0]);
    let titles = Tab::ALL.map(Tab::title);
    let chosen = Tab::ALL.iter().position(|tab| *tab == model.tab);
    frame.render_widget(Tabs::new(titles).select(chosen).divider(" ").padding("", ""), areas[1]);
    let detail = table(frame, areas[2], model);
    frame.render_widget(Paragraph::new(detail).style(Style::new().add_modifier(Modifier::DIM)), areas[3]);
    frame.render_widget(Paragraph::new(foot(model)), areas[4]);
    if model.helps() {
        help(frame);
    }
}

fn head(model: &Model) -> Line<'static> {
    let status = model.status();
    let pace = model.pace().map_or_else(|| "–".into(), |pace| format!("{pace:.0}"));
    let connections =
        status.traffic.as_ref().map_or_else(|| "–".into(), |traffic| traffic.connections.to_string());
    let mut spans = vec![
        Span::styled(format!("Evenkeel {}", status.version), Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(format!(
            "  up {}  plan {}  {connections} connections  {pace} requests/s",
            duration(status.uptime),
            status.revision
        )),
    ];
    if status.traffic.is_none() {
        spans.push(Span::styled("  the proxy role does not answer", tone(Tone::Bad)));
    }
    if !status.alarms.is_empty() {
        spans.push(Span::styled(format!("  {} alarms", status.alarms.len()), tone(Tone::Warning)));
    }
    Line::from(spans)
}

/// Draws the rows; gives what else is to be said of the selected one.
fn table(frame: &mut Frame<'_>, area: Rect, model: &Model) -> String {
    let rows = model.rows();
    let selected = model.selected(&rows);
    let columns = model.tab.columns();
    let heads = columns.iter().enumerate().map(|(place, column)| {
        let style = Style::new().add_modifier(Modifier::BOLD);
        let sorted = model.sorted() == Some(place);
        Cell::new(column.head).style(if sorted { style.add_modifier(Modifier::UNDERLINED) } else { style })
    });
    let painted = rows
        .iter()
        .map(|row| Row::new(row.cells.iter().map(|cell| Cell::new(cell.text.clone()))).style(tone(row.tone)));
    let widths =
        columns.iter().map(
            |Column { width, grows, .. }| {
                if *grows { Constraint::Min(*width) } else { Constraint::Length(*width) }
            },
        );
    let table = Table::new(painted, widths)
        .header(Row::new(heads))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::default().with_selected(selected);
    frame.render_stateful_widget(table, area, &mut state);
    match selected.and_then(|place| rows.get(place)) {
        Some(row) => row.detail.clone(),
        None if !model.filter.is_empty() => "nothing of that text".into(),
        None => "there are none".into(),
    }
}

fn foot(model: &Model) -> Line<'static> {
    if let Some(question) = model.question() {
        return Line::styled(format!("{question} [y/n]"), tone(Tone::Warning).add_modifier(Modifier::BOLD));
    }
    if model.is_filtering() {
        return Line::raw(format!("/{}_", model.filter));
    }
    if let Some((notice, bad)) = model.notice() {
        return Line::styled(notice.to_owned(), tone(if bad { Tone::Bad } else { Tone::Warning }));
    }
    let keys = match model.tab {
        Tab::Servers => "d drain  m maintenance  r ready  ",
        Tab::Routers => "f failover  ",
        Tab::Listeners | Tab::Events => "",
    };
    let filter = if model.filter.is_empty() { String::new() } else { format!("[{}] ", model.filter) };
    Line::raw(format!("{filter}{keys}s sort  / filter  space pause  ? help  q quit"))
}

fn help(frame: &mut Frame<'_>) {
    let lines: Vec<Line<'_>> = HELP.iter().map(|line| Line::raw(*line)).collect();
    let area = frame.area();
    let (width, height) = (68.min(area.width), 16.min(area.height));
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title("keys")), place);
}

/// Colours of the terminal's own palette, so that they can be read on every background.
fn tone(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Quiet => Style::new().add_modifier(Modifier::DIM),
        Tone::Warning => Style::new().fg(Color::Yellow),
        Tone::Bad => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
    }
}

#[cfg(test)]
mod tests;
