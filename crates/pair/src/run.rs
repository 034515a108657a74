//! The role of the link: calls the other node, is called by it, and keeps one session.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use evenkeel_sys::channel::{Channel, Receiver, Sender};
use evenkeel_sys::secret;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::choice::{By, Found, replaces};
use crate::line::{self, Greeted};
use crate::message::{Order, Settings, State, Word};
use crate::pace::{Calls, Gate};
use crate::tally::{Failure, Tally};

/// Callers that may be greeted at once; further ones wait in the kernel.
pub const MOST_GREETINGS: usize = 4;
/// Pieces that may wait for the session; then orders wait in the channel.
const MOST_PIECES: usize = 16;
/// What sessions and greetings have brought and the role has not looked at yet.
const MOST_HAPPENINGS: usize = 64;
/// The shortest pause between two words on how the link stands.
const STAND: Duration = Duration::from_millis(200);
/// The pause after a failed accept: it fails when files or memory are short, and again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Keeps the link until the supervisor orders the end or is gone.
///
/// # Errors
/// When no runtime can be made, there are no random numbers, or the supervisor says what makes no sense.
pub fn run(channel: Channel) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(channel))
}

/// The same inside of a runtime.
///
/// # Errors
/// As [`run`].
pub async fn serve(channel: Channel) -> io::Result<()> {
    let (sender, mut receiver) = channel.split();
    let Some((Order::Link(settings), sockets)) = receiver.receive().await? else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the first order was not to link"));
    };
    let (happened, happenings) = mpsc::channel(MOST_HAPPENINGS);
    let mut role = Role {
        us: number()?,
        tally: Tally::new(settings.peer),
        told: State::default(),
        tell_at: Some(Instant::now()),
        listener: listener(sockets)?,
        next_session: settings.first_session.max(1),
        settings,
        epoch: 0,
        session: None,
        waiting: None,
        calls: Calls::default(),
        call_at: Some(Instant::now()),
        gate: Gate::default(),
        accept_at: Instant::now(),
        greetings: 0,
        happened,
        sender,
    };
    role.sender.send(&Word::Ready, &[]).await?;
    role.live(receiver, happenings).await
}

/// A number that no other process has.
fn number() -> io::Result<u128> {
    let bytes = secret::random()?;
    Ok(bytes.first_chunk().map_or(0, |half| u128::from_be_bytes(*half)))
}

fn chance() -> u32 {
    secret::random().ok().and_then(|bytes| bytes.first_chunk().copied()).map_or(0, u32::from_be_bytes)
}

fn listener(sockets: Vec<OwnedFd>) -> io::Result<TcpListener> {
    let mut sockets = sockets.into_iter();
    let (Some(socket), None) = (sockets.next(), sockets.next()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "there is not one socket to listen on"));
    };
    TcpListener::from_std(socket.into())
}

/// A session that goes on.
struct Session {
    number: u64,
    found: Found,
    /// Dropping it ends the session.
    pieces: mpsc::Sender<String>,
    since: Instant,
}

/// What comes from a task.
enum Happening {
    /// A greeting of this epoch has come to an end.
    Greeted {
        epoch: u64,
        by: By,
        result: Result<Box<Greeted>, Failure>,
    },
    Line {
        session: u64,
        event: line::Event,
    },
}

struct Role {
    us: u128,
    settings: Settings,
    /// Counts settings: what was begun with others is of no use.
    epoch: u64,
    listener: TcpListener,
    session: Option<Session>,
    next_session: u64,
    /// A piece that the session has no room for yet.
    waiting: Option<(u64, String)>,
    calls: Calls,
    /// When the other node is called next; `None` while it is, or while there is a session.
    call_at: Option<Instant>,
    gate: Gate,
    accept_at: Instant,
    greetings: usize,
    tally: Tally,
    told: State,
    tell_at: Option<Instant>,
    happened: mpsc::Sender<Happening>,
    sender: Sender,
}

impl Role {
    async fn live(
        mut self,
        mut receiver: Receiver,
        mut happenings: mpsc::Receiver<Happening>,
    ) -> io::Result<()> {
        loop {
            let has_room = self.greetings < MOST_GREETINGS;
            let pieces = self.session.as_ref().map(|session| session.pieces.clone());
            tokio::select! {
                // In this order: what has happened comes before what is to be said about it.
                biased;
                Some(happening) = happenings.recv() => self.happened(happening).await?,
                room = reserve(pieces), if self.waiting.is_some() => {
                    let waiting = self.waiting.take();
                    if let (Some(room), Some((session, piece))) = (room, waiting)
                        && self.session.as_ref().is_some_and(|current| current.number == session)
                    {
                        room.send(piece);
                        self.tally.state.sent_total += 1;
                    }
                }
                received = receiver.receive(), if self.waiting.is_none() => match received? {
                    Some((Order::End, _)) | None => return Ok(()),
                    Some((order, sockets)) => self.obey(order, sockets).await?,
                },
                () = sleep_until(self.call_at.unwrap_or_else(Instant::now)), if self.call_at.is_some() => {
                    self.call();
                }
                accepted = accept(&self.listener, self.accept_at), if has_room => self.accepted(accepted),
                () = sleep_until(self.tell_at.unwrap_or_else(Instant::now)), if self.tell_at.is_some() => {
                    self.tell().await?;
                }
            }
            if self.tell_at.is_none() && self.tally.state != self.told {
                self.tell_at = Some(Instant::now() + STAND);
            }
        }
    }

    async fn obey(&mut self, order: Order, sockets: Vec<OwnedFd>) -> io::Result<()> {
        match order {
            Order::Link(settings) => {
                self.listener = listener(sockets)?;
                self.next_session = self.next_session.max(settings.first_session);
                self.tally.follow(settings.peer);
                self.settings = settings;
                self.epoch += 1;
                self.end_session("the configuration has changed").await?;
                self.call_at = Some(Instant::now());
            }
            Order::Renew => {
                if self.end_session("the high availability role was started anew").await? {
                    self.call_at = Some(Instant::now());
                }
            }
            Order::Say { session, piece } => self.waiting = Some((session, piece)),
            Order::End => {}
        }
        Ok(())
    }

    /// `false`: there was none.
    async fn end_session(&mut self, why: &str) -> io::Result<bool> {
        if self.session.take().is_none() {
            return Ok(false);
        }
        self.tally.ended(why);
        self.sender.send(&Word::Ended, &[]).await?;
        Ok(true)
    }

    fn call(&mut self) {
        self.call_at = None;
        let (settings, us, epoch) = (self.settings.clone(), self.us, self.epoch);
        let happened = self.happened.clone();
        tokio::spawn(async move {
            let result = line::call(settings, us).await.map(Box::new);
            // When nobody listens the role is ending.
            let _ = happened.send(Happening::Greeted { epoch, by: By::Us, result }).await;
        });
    }

    fn accepted(&mut self, accepted: io::Result<TcpStream>) {
        let now = Instant::now();
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!("pair: nobody can be heard: {error}");
                self.accept_at = now + ACCEPT_PAUSE;
                return;
            }
        };
        self.gate.passed(now.into_std());
        self.accept_at = Instant::from_std(self.gate.opens(now.into_std()));
        self.greetings += 1;
        let (settings, us, epoch) = (self.settings.clone(), self.us, self.epoch);
        let happened = self.happened.clone();
        tokio::spawn(async move {
            let result = line::receive(stream, settings, us).await.map(Box::new);
            let _ = happened.send(Happening::Greeted { epoch, by: By::Them, result }).await;
        });
    }

    async fn happened(&mut self, happening: Happening) -> io::Result<()> {
        match happening {
            Happening::Greeted { epoch, by, result } => {
                if by == By::Them {
                    self.greetings -= 1;
                }
                if epoch == self.epoch {
                    self.greeted(by, result).await?;
                }
            }
            Happening::Line { session, event } => {
                let Some(current) = self.session.as_ref().filter(|current| current.number == session) else {
                    return Ok(());
                };
                match event {
                    line::Event::Heard(piece) => {
                        self.tally.state.received_total += 1;
                        self.sender.send(&Word::Heard { session, piece }, &[]).await?;
                    }
                    line::Event::Ended(why) => {
                        let pause = self.calls.ended(current.since.elapsed(), chance());
                        self.end_session(&why).await?;
                        self.call_at = Some(Instant::now() + pause);
                    }
                }
            }
        }
        Ok(())
    }

    async fn greeted(&mut self, by: By, result: Result<Box<Greeted>, Failure>) -> io::Result<()> {
        let current = self.session.as_ref().map(|session| session.found);
        match result {
            Ok(greeted) if replaces(greeted.found, current, self.us) => self.begin(greeted).await,
            Ok(_) => Ok(()),
            Err(failure) => {
                self.tally.failed(&failure, Instant::now().into_std());
                if by == By::Us && self.session.is_none() {
                    self.call_at = Some(Instant::now() + self.calls.failed(chance()));
                }
                Ok(())
            }
        }
    }

    async fn begin(&mut self, greeted: Box<Greeted>) -> io::Result<()> {
        let number = self.next_session;
        self.next_session += 1;
        let (pieces, outbox) = mpsc::channel(MOST_PIECES);
        self.session = Some(Session { number, found: greeted.found, pieces, since: Instant::now() });
        self.call_at = None;
        let happened = self.happened.clone();
        tokio::spawn(line::carry(*greeted, outbox, async move |event| {
            let _ = happened.send(Happening::Line { session: number, event }).await;
        }));
        self.tally.began();
        self.sender.send(&Word::Began { session: number }, &[]).await
    }

    async fn tell(&mut self) -> io::Result<()> {
        self.tell_at = None;
        if self.tally.state == self.told {
            return Ok(());
        }
        self.told = self.tally.state.clone();
        self.sender.send(&Word::Stands(self.told.clone()), &[]).await
    }
}

/// Waits for room for a piece; `None`: there is no session to say it in.
async fn reserve(pieces: Option<mpsc::Sender<String>>) -> Option<mpsc::OwnedPermit<String>> {
    pieces?.reserve_owned().await.ok()
}

async fn accept(listener: &TcpListener, from: Instant) -> io::Result<TcpStream> {
    sleep_until(from).await;
    listener.accept().await.map(|(stream, _)| stream)
}
