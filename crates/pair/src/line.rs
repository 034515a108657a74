//! One connection to the other node: its greetings, and then what is said in it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::choice::{By, Found};
use crate::message::Settings;
use crate::noise::{Caller, Refused, Secured, answer};
use crate::tally::Failure;
use crate::wire::{GREETING, Hello, LONGEST_FRAME, PREFIX, Said, VERSION, frame};

/// How long a connection may take until both sides have shown that they know the key.
pub const LONGEST_GREETING: Duration = Duration::from_secs(2);
/// Who has said nothing for so long says that it is there.
pub const HEARTBEAT: Duration = Duration::from_millis(500);
/// Who has said nothing for so long is gone; so is who takes nothing.
pub const SILENCE: Duration = Duration::from_secs(3);
/// Bytes that may wait for the other side to take them; then pieces wait where they come from.
pub const MOST_WAITING: usize = 256 * 1024;
/// Bytes asked of the kernel at once.
const READ_SIZE: usize = 64 * 1024;

/// A connection whose other side knows the key.
#[derive(Debug)]
pub(crate) struct Greeted {
    stream: TcpStream,
    secured: Secured,
    pub(crate) found: Found,
}

/// Calls the other node.
pub(crate) async fn call(settings: Settings, us: u128) -> Result<Greeted, Failure> {
    in_time(async {
        let mut stream = connect(&settings).await.map_err(gone)?;
        let (caller, greeting) = Caller::new(&settings.key, us).map_err(refused)?;
        stream.write_all(&framed(&greeting)).await.map_err(gone)?;
        let answer = read_greeting(&mut stream).await.map_err(|failure| match failure {
            // Whoever does not know the key hangs up, and so does who hears a wrong one.
            Failure::Gone(_) => Failure::Gone("it hung up: is `key-file` the same on both nodes?".into()),
            other => other,
        })?;
        let (hello, mut secured) = caller.hear(&answer).map_err(refused)?;
        accept(hello, us)?;
        let mut word = Vec::new();
        secured.seal(Said::Alive, &mut word).map_err(refused)?;
        stream.write_all(&word).await.map_err(gone)?;
        Ok(Greeted { stream, secured, found: Found { by: By::Us, other: hello.id } })
    })
    .await
}

/// Somebody has called.
pub(crate) async fn receive(mut stream: TcpStream, settings: Settings, us: u128) -> Result<Greeted, Failure> {
    in_time(async {
        stream.set_nodelay(true).map_err(gone)?;
        let greeting = read_greeting(&mut stream).await?;
        let (hello, reply, mut secured) = answer(&settings.key, us, &greeting).map_err(refused)?;
        stream.write_all(&framed(&reply)).await.map_err(gone)?;
        accept(hello, us)?;
        // A recorded greeting comes this far and no further.
        let mut word = vec![0; PREFIX];
        stream.read_exact(&mut word).await.map_err(gone)?;
        let length = usize::from(u16::from_be_bytes(word.try_into().unwrap_or_default()));
        if length > LONGEST_FRAME {
            return Err(Failure::Malformed);
        }
        let mut word = vec![0; length];
        stream.read_exact(&mut word).await.map_err(gone)?;
        match secured.open(&word).map_err(refused)? {
            Said::Alive => {}
            Said::Piece(_) => return Err(Failure::Malformed),
        }
        Ok(Greeted { stream, secured, found: Found { by: By::Them, other: hello.id } })
    })
    .await
}

async fn in_time(greeting: impl Future<Output = Result<Greeted, Failure>>) -> Result<Greeted, Failure> {
    timeout(LONGEST_GREETING, greeting).await.unwrap_or(Err(Failure::Late))
}

async fn connect(settings: &Settings) -> io::Result<TcpStream> {
    let socket = if settings.peer.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(source) = settings.source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(settings.peer).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn framed(greeting: &[u8; GREETING]) -> Vec<u8> {
    // A constant that fits.
    let length = u16::try_from(GREETING).unwrap_or_default().to_be_bytes();
    [length.as_slice(), greeting].concat()
}

async fn read_greeting(stream: &mut TcpStream) -> Result<[u8; GREETING], Failure> {
    let mut length = [0; PREFIX];
    stream.read_exact(&mut length).await.map_err(gone)?;
    if usize::from(u16::from_be_bytes(length)) != GREETING {
        return Err(Failure::Malformed);
    }
    let mut greeting = [0; GREETING];
    stream.read_exact(&mut greeting).await.map_err(gone)?;
    Ok(greeting)
}

fn accept(hello: Hello, us: u128) -> Result<(), Failure> {
    if hello.version != VERSION {
        Err(Failure::Version(hello.version))
    } else if hello.id == us {
        Err(Failure::Itself)
    } else {
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn gone(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Failure::Gone("it hung up".into()),
        _ => Failure::Gone(plain(&error)),
    }
}

/// Without "(os error 111)", which helps nobody.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

fn refused(refused: Refused) -> Failure {
    match refused {
        Refused::Key => Failure::Key,
        Refused::Malformed => Failure::Malformed,
        Refused::Unable => Failure::Gone("this node has no random numbers".into()),
    }
}

/// What comes from a session.
#[derive(Debug)]
pub(crate) enum Event {
    Heard(String),
    /// It is over, for this reason.
    Ended(String),
}

/// Carries pieces until either side ends it: ours by dropping the sender of `pieces`. Exactly one [`Event::Ended`] is the last.
pub(crate) async fn carry(greeted: Greeted, mut pieces: mpsc::Receiver<String>, hear: impl AsyncFn(Event)) {
    let Greeted { stream, secured, .. } = greeted;
    let now = Instant::now();
    let mut line = Line {
        stream,
        secured,
        incoming: Vec::new(),
        outgoing: Vec::new(),
        sent: 0,
        silent_at: now + SILENCE,
        stuck_at: now + SILENCE,
        speak_at: now + HEARTBEAT,
    };
    let why = line.carry(&mut pieces, &hear).await;
    hear(Event::Ended(why)).await;
}

struct Line {
    stream: TcpStream,
    secured: Secured,
    /// Read and not understood yet.
    incoming: Vec<u8>,
    /// To be written, of which so many bytes are.
    outgoing: Vec<u8>,
    sent: usize,
    /// When the other side is taken for gone.
    silent_at: Instant,
    /// When it has taken nothing for too long.
    stuck_at: Instant,
    /// When it is told that we are there.
    speak_at: Instant,
}

impl Line {
    async fn carry(&mut self, pieces: &mut mpsc::Receiver<String>, hear: &impl AsyncFn(Event)) -> String {
        loop {
            let waiting = self.outgoing.len() - self.sent;
            let at = if waiting == 0 { self.silent_at } else { self.silent_at.min(self.stuck_at) };
            tokio::select! {
                piece = pieces.recv(), if waiting < MOST_WAITING => match piece {
                    Some(piece) => {
                        if self.say(Said::Piece(&piece)).is_err() {
                            return "a piece could not be sealed".into();
                        }
                    }
                    None => return "this node has ended it".into(),
                },
                ready = self.stream.readable() => {
                    if let Some(why) = self.read(ready, hear).await {
                        return why;
                    }
                }
                ready = self.stream.writable(), if waiting > 0 => {
                    if let Err(error) = ready.and_then(|()| self.write()) {
                        return plain(&error);
                    }
                }
                () = sleep_until(self.speak_at) => {
                    if self.say(Said::Alive).is_err() {
                        return "the session cannot be secured any longer".into();
                    }
                }
                () = sleep_until(at) => return format!("it has been silent for {} s", SILENCE.as_secs()),
            }
        }
    }

    fn say(&mut self, said: Said<'_>) -> Result<(), Refused> {
        let now = Instant::now();
        if self.outgoing.len() == self.sent {
            self.outgoing.clear();
            self.sent = 0;
            self.stuck_at = now + SILENCE;
        }
        self.speak_at = now + HEARTBEAT;
        self.secured.seal(said, &mut self.outgoing)
    }

    fn write(&mut self) -> io::Result<()> {
        match self.stream.try_write(self.outgoing.get(self.sent..).unwrap_or_default()) {
            Ok(count) => {
                self.sent += count;
                self.stuck_at = Instant::now() + SILENCE;
                if self.sent == self.outgoing.len() {
                    self.outgoing.clear();
                    self.outgoing.shrink_to(MOST_WAITING);
                    self.sent = 0;
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads what there is; why the session is over, when it is.
    async fn read(&mut self, ready: io::Result<()>, hear: &impl AsyncFn(Event)) -> Option<String> {
        self.incoming.reserve(READ_SIZE);
        match ready.and_then(|()| self.stream.try_read_buf(&mut self.incoming)) {
            Ok(0) => return Some("it hung up".into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) => return Some(plain(&error)),
        }
        let mut taken = 0;
        loop {
            let (bytes, length) = match frame(self.incoming.get(taken..).unwrap_or_default()) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(_) => return Some("what it says makes no sense".into()),
            };
            match self.secured.open(bytes) {
                Ok(Said::Alive) => {}
                Ok(Said::Piece(piece)) => hear(Event::Heard(piece.to_owned())).await,
                Err(_) => return Some("somebody on the way changed what it said".into()),
            }
            taken += length;
            // What waited for us to hear it was said in time.
            self.silent_at = Instant::now() + SILENCE;
        }
        self.incoming.drain(..taken);
        None
    }
}
