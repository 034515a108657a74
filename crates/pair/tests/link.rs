//! Two roles that are linked over loopback, and strangers who would like to be.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it fails")]

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use evenkeel_pair::Key;
use evenkeel_pair::message::{Order, Settings, State, Word};
use evenkeel_pair::noise::Caller;
use evenkeel_pair::run::serve;
use evenkeel_pair::wire::{GREETING, LONGEST_PIECE, Said};
use evenkeel_sys::channel::{Channel, Receiver, Sender, pair};
use evenkeel_sys::socket::{listen_tcp, only_from};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const BOUND: Duration = Duration::from_secs(30);

struct Node {
    to: Sender,
    from: Receiver,
    /// Words that nobody has asked for yet.
    said: Vec<Word>,
    role: tokio::task::JoinHandle<std::io::Result<()>>,
}

fn key(letter: u8) -> Key {
    Key::from_secret(&[letter; 32]).unwrap()
}

fn free(ip: &str) -> SocketAddr {
    TcpListener::bind(format!("{ip}:0")).unwrap().local_addr().unwrap()
}

fn listen(here: SocketAddr, peer: SocketAddr) -> OwnedFd {
    let socket = listen_tcp(here, 1, &[here]).unwrap().remove(0);
    only_from(socket.as_fd(), peer.ip()).unwrap();
    socket
}

fn link(here: SocketAddr, peer: SocketAddr, key: Key) -> Order {
    Order::Link(Settings { peer, source: Some(here.ip()), key, first_session: 7 })
}

impl Node {
    async fn start(here: SocketAddr, peer: SocketAddr, key: Key) -> Self {
        let (ours, theirs) = pair().unwrap();
        let role = tokio::spawn(serve(Channel::from_fd(theirs).unwrap()));
        let (to, from) = Channel::from_fd(ours).unwrap().split();
        let mut node = Self { to, from, said: Vec::new(), role };
        let socket = listen(here, peer);
        node.to.send(&link(here, peer, key), &[socket.as_fd()]).await.unwrap();
        node.wait(|word| matches!(word, Word::Ready)).await;
        node
    }

    async fn tell(&mut self, order: Order) {
        self.to.send(&order, &[]).await.unwrap();
    }

    async fn hear(&mut self) -> Word {
        self.from.receive::<Word>().await.unwrap().expect("the role has ended").0
    }

    /// The first word of this kind; others wait.
    async fn wait(&mut self, fits: impl Fn(&Word) -> bool) -> Word {
        loop {
            if let Some(at) = self.said.iter().position(&fits) {
                return self.said.remove(at);
            }
            let word = self.hear().await;
            self.said.push(word);
        }
    }

    /// The session that has begun.
    async fn began(&mut self) -> u64 {
        match self.wait(|word| matches!(word, Word::Began { .. })).await {
            Word::Began { session } => session,
            _ => unreachable!(),
        }
    }

    async fn ended(&mut self) {
        self.wait(|word| matches!(word, Word::Ended)).await;
    }

    async fn stands(&mut self, fits: impl Fn(&State) -> bool) -> State {
        match self.wait(|word| matches!(word, Word::Stands(state) if fits(state))).await {
            Word::Stands(state) => state,
            _ => unreachable!(),
        }
    }
}

/// The last session that both are in: at the start each may have called the other.
async fn settled(one: &mut Node, other: &mut Node) -> [u64; 2] {
    let mut sessions = [one.began().await, other.began().await];
    loop {
        // Whoever hears this is in the same session.
        one.tell(Order::Say { session: sessions[0], piece: "are you there".into() }).await;
        tokio::select! {
            word = other.wait(|word| matches!(word, Word::Heard { .. } | Word::Began { .. })) => match word {
                Word::Heard { session, .. } if session == sessions[1] => return sessions,
                Word::Began { session } => sessions[1] = session,
                _ => {}
            },
            session = one.began() => sessions[0] = session,
        }
    }
}

fn with_bound(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        tokio::time::timeout(BOUND, test).await.expect("it takes too long");
    });
}

async fn two() -> (Node, Node, [SocketAddr; 2]) {
    let (here, there) = (free("127.0.0.1"), free("127.0.0.2"));
    let one = Node::start(here, there, key(b'k')).await;
    let other = Node::start(there, here, key(b'k')).await;
    (one, other, [here, there])
}

#[test]
fn pieces_go_both_ways_at_once_in_order_and_whole() {
    with_bound(async {
        let (mut one, mut other, _) = two().await;
        let [first, second] = settled(&mut one, &mut other).await;
        // More than the kernel holds for either of them.
        let pieces = 200;
        let piece = |number: usize| format!("{number} {}", "x".repeat(LONGEST_PIECE - 8));
        for number in 0..pieces {
            one.tell(Order::Say { session: first, piece: piece(number) }).await;
            other.tell(Order::Say { session: second, piece: piece(number) }).await;
            // The channels have room for some of them only, as in the program.
            for node in [&mut one, &mut other] {
                let is_it = |word: &Word| matches!(word, Word::Heard { piece, .. } if piece.len() > 100);
                match node.wait(is_it).await {
                    Word::Heard { piece: heard, .. } => assert_eq!(heard, piece(number)),
                    _ => unreachable!(),
                }
            }
        }
    });
}

#[test]
fn a_process_that_was_started_anew_is_linked_again_in_a_new_session() {
    with_bound(async {
        let (mut one, mut other, [here, there]) = two().await;
        let [first, _] = settled(&mut one, &mut other).await;
        other.tell(Order::End).await;
        other.role.await.unwrap().unwrap();
        one.ended().await;
        let state = one.stands(|state| !state.up && state.sessions_total > 0).await;
        assert_eq!(state.ended.as_deref(), Some("it hung up"));
        let mut other = Node::start(there, here, key(b'k')).await;
        let [again, _] = settled(&mut one, &mut other).await;
        assert!(again > first);
    });
}

#[test]
fn a_session_is_renewed_when_somebody_wants_that() {
    with_bound(async {
        let (mut one, mut other, _) = two().await;
        let [first, second] = settled(&mut one, &mut other).await;
        one.tell(Order::Renew).await;
        one.ended().await;
        other.ended().await;
        let again = settled(&mut one, &mut other).await;
        assert!(again[0] > first && again[1] > second);
        // What is said in a session that is over is said to nobody.
        one.tell(Order::Say { session: first, piece: "late".into() }).await;
        one.tell(Order::Say { session: again[0], piece: "in time".into() }).await;
        let heard =
            other.wait(|word| matches!(word, Word::Heard { piece, .. } if piece != "are you there")).await;
        assert_eq!(heard, Word::Heard { session: again[1], piece: "in time".into() });
    });
}

#[test]
fn another_key_is_an_alarm_on_both_nodes_and_no_session() {
    with_bound(async {
        let (here, there) = (free("127.0.0.1"), free("127.0.0.2"));
        let mut one = Node::start(here, there, key(b'k')).await;
        let mut other = Node::start(there, here, key(b'q')).await;
        for node in [&mut one, &mut other] {
            let state = node.stands(|state| state.alarm.is_some()).await;
            assert!(state.alarm.as_ref().unwrap().contains("`key-file` must hold the same"), "{state:?}");
            assert!(state.refused_total["key"] > 0 && state.sessions_total == 0, "{state:?}");
        }
        // The operator puts the key right: that is all it takes.
        let socket = listen(there, here);
        other.to.send(&link(there, here, key(b'k')), &[socket.as_fd()]).await.unwrap();
        settled(&mut one, &mut other).await;
        one.stands(|state| state.up && state.alarm.is_none()).await;
    });
}

#[test]
fn a_node_that_is_its_own_peer_says_so() {
    with_bound(async {
        let here = free("127.0.0.1");
        let mut node = Node::start(here, here, key(b'k')).await;
        let state = node.stands(|state| state.alarm.is_some()).await;
        assert!(state.alarm.unwrap().contains("is this node itself"));
        assert_eq!(state.sessions_total, 0);
    });
}

/// Calls as the peer's machine would, and greets well.
async fn greeted(here: SocketAddr, from: SocketAddr) -> (TcpStream, Vec<u8>) {
    let mut stream = called(here, from).await;
    let (caller, greeting) = Caller::new(&key(b'k'), 1).unwrap();
    stream.write_all(&u16::try_from(GREETING).unwrap().to_be_bytes()).await.unwrap();
    stream.write_all(&greeting).await.unwrap();
    let mut answer = [0; 2 + GREETING];
    stream.read_exact(&mut answer).await.unwrap();
    let (_, mut secured) = caller.hear(answer[2..].first_chunk().unwrap()).unwrap();
    let mut word = Vec::new();
    secured.seal(Said::Alive, &mut word).unwrap();
    (stream, word)
}

async fn called(here: SocketAddr, from: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.ip(), 0)).unwrap();
    socket.connect(here).await.unwrap()
}

#[test]
fn a_recorded_greeting_is_no_session_and_replaces_none() {
    with_bound(async {
        let (mut one, mut other, [here, there]) = two().await;
        settled(&mut one, &mut other).await;
        // Greets and then says nothing: as far as somebody comes who has recorded the other node.
        let (mut silent, _) = greeted(here, there).await;
        let mut nothing = Vec::new();
        silent.read_to_end(&mut nothing).await.unwrap();
        assert!(nothing.is_empty());
        one.stands(|state| state.refused_total.get("late") == Some(&1)).await;
        // Says what makes no sense.
        let mut garbled = called(here, there).await;
        garbled.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let state = one.stands(|state| state.refused_total.contains_key("malformed")).await;
        assert!(state.up && !one.said.iter().any(|word| matches!(word, Word::Ended)));
    });
}

#[test]
fn who_is_silent_is_gone_after_three_seconds() {
    with_bound(async {
        let (here, there) = (free("127.0.0.1"), free("127.0.0.2"));
        let mut node = Node::start(here, there, key(b'k')).await;
        let (mut stream, word) = greeted(here, there).await;
        stream.write_all(&word).await.unwrap();
        node.began().await;
        node.ended().await;
        let state = node.stands(|state| !state.up && state.sessions_total == 1).await;
        assert_eq!(state.ended.as_deref(), Some("it has been silent for 3 s"));
    });
}

#[test]
fn strangers_who_hold_every_place_keep_the_other_node_from_nothing() {
    with_bound(async {
        let (here, there) = (free("127.0.0.1"), free("127.0.0.2"));
        let mut one = Node::start(here, there, key(b'k')).await;
        // From the other node's own machine, as no others come so far.
        let mut crowd = Vec::new();
        for _ in 0..8 {
            crowd.push(called(here, there).await);
        }
        let mut other = Node::start(there, here, key(b'k')).await;
        settled(&mut one, &mut other).await;
    });
}
