use proptest::prelude::*;

use super::*;

fn three() -> (Queue<char>, [Ticket; 3]) {
    let mut queue = Queue::default();
    let tickets = ['a', 'b', 'c'].map(|name| queue.join(3, name).unwrap());
    (queue, tickets)
}

#[test]
fn the_first_of_an_empty_line_is_called_and_the_others_wait() {
    let (mut queue, [a, b, c]) = three();
    assert_eq!(
        [a, b, c].map(|ticket| queue.of(ticket).0),
        [Standing::Called, Standing::Waiting, Standing::Waiting]
    );
    assert!(!queue.is_stuck());
}

#[test]
fn a_full_line_takes_nobody_until_one_leaves() {
    let (mut queue, [_, b, _]) = three();
    assert_eq!(queue.join(3, 'd'), Err(Full));
    assert_eq!(queue.leave(b), Standing::Waiting);
    assert!(queue.join(3, 'd').is_ok());
    assert_eq!(Queue::default().join(0, 'a'), Err(Full));
}

#[test]
fn they_are_called_in_the_order_in_which_they_came() {
    let (mut queue, [a, ..]) = three();
    queue.leave(a);
    assert!(queue.is_stuck());
    assert_eq!(queue.call().copied(), Some('b'));
    assert_eq!(queue.call().copied(), Some('c'));
    assert_eq!(queue.call(), None);
}

#[test]
fn one_who_missed_is_called_again_before_those_behind() {
    let (mut queue, [a, b, _]) = three();
    queue.call();
    queue.missed(b);
    queue.missed(a);
    assert!(queue.is_stuck());
    assert_eq!(queue.call().copied(), Some('a'));
    assert_eq!(queue.call_behind(b).copied(), Some('c'));
    assert_eq!(queue.call_one(b).copied(), Some('b'));
}

#[test]
fn a_change_calls_everybody_who_was_not_called_yet() {
    let (mut queue, _) = three();
    assert_eq!(queue.call_all().map(|name| *name).collect::<String>(), "bc");
    assert_eq!(queue.call_all().count(), 0);
    assert_eq!(queue.len(), 3);
}

#[test]
fn patience_is_for_all_waits_together() {
    let settings = Settings { size: 1, timeout: Duration::from_secs(5) };
    assert_eq!(settings.patience(Duration::from_secs(2)), Duration::from_secs(3));
    assert_eq!(settings.patience(Duration::from_secs(6)), Duration::ZERO);
}

#[derive(Clone, Debug)]
enum Deed {
    Join,
    Call,
    CallAll,
    CallBehind(usize),
    Missed(usize),
    Leave(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => Just(Deed::Join),
        3 => Just(Deed::Call),
        1 => Just(Deed::CallAll),
        1 => (0..20_usize).prop_map(Deed::CallBehind),
        2 => (0..20_usize).prop_map(Deed::Missed),
        3 => (0..20_usize).prop_map(Deed::Leave),
    ]
}

proptest! {
    /// Against a list in the order of arrival: names, and whether they are called.
    #[test]
    fn it_is_a_list_in_the_order_of_arrival(deeds in prop::collection::vec(deed(), 0..200), size in 0..8_u32) {
        let mut queue = Queue::default();
        let mut model: Vec<(Ticket, usize, bool)> = Vec::new();
        for (name, deed) in deeds.into_iter().enumerate() {
            match deed {
                Deed::Join => match queue.join(size, name) {
                    Ok(ticket) => {
                        prop_assert!(model.len() < size as usize);
                        prop_assert!(model.iter().all(|(other, ..)| *other < ticket));
                        let first = model.is_empty();
                        model.push((ticket, name, first));
                    }
                    Err(Full) => prop_assert!(model.len() >= size as usize),
                },
                Deed::Call => {
                    let first = model.iter_mut().find(|(.., called)| !called);
                    let expected = first.map(|(_, name, called)| { *called = true; *name });
                    prop_assert_eq!(queue.call().copied(), expected);
                }
                Deed::CallAll => {
                    let expected: Vec<usize> =
                        model.iter().filter(|(.., called)| !called).map(|(_, name, _)| *name).collect();
                    model.iter_mut().for_each(|(.., called)| *called = true);
                    prop_assert_eq!(queue.call_all().map(|name| *name).collect::<Vec<_>>(), expected);
                }
                Deed::CallBehind(place) => if let Some(&(ticket, ..)) = model.get(place) {
                    let first = model.iter_mut().skip(place + 1).find(|(.., called)| !called);
                    let expected = first.map(|(_, name, called)| { *called = true; *name });
                    prop_assert_eq!(queue.call_behind(ticket).copied(), expected);
                }
                Deed::Missed(place) => if let Some(entry) = model.get_mut(place) {
                    entry.2 = false;
                    queue.missed(entry.0);
                }
                Deed::Leave(place) => if place < model.len() {
                    let (ticket, _, called) = model.remove(place);
                    let expected = if called { Standing::Called } else { Standing::Waiting };
                    prop_assert_eq!(queue.leave(ticket), expected);
                    prop_assert_eq!(queue.leave(ticket), Standing::Gone);
                }
            }
            prop_assert_eq!(queue.len(), model.len());
            prop_assert_eq!(queue.is_empty(), model.is_empty());
            let stuck = !model.is_empty() && model.iter().all(|(.., called)| !called);
            prop_assert_eq!(queue.is_stuck(), stuck);
            for (ticket, name, called) in &model {
                let expected = if *called { Standing::Called } else { Standing::Waiting };
                let (standing, found) = queue.of(*ticket);
                prop_assert_eq!((standing, found.copied()), (expected, Some(*name)));
            }
        }
    }
}
