//! Who is at the other end, and that nobody else reads or changes what is said: the Noise protocol, pattern NNpsk0
//! (revision 34, §9), by the crate `snow`.
//!
//! Both greetings carry a key that is made for this connection only, so what was recorded cannot be played again, and
//! reading what was recorded takes more than the shared key. The caller is believed with its first word after the greetings: a
//! recorded greeting gets an answer, and never that far.
//!
//! Pure but for the random numbers of the greetings.

use std::fmt;

use snow::{Builder, HandshakeState, TransportState};

use crate::key::Key;
use crate::wire::{GREETING, HELLO, Hello, LONGEST_FRAME, Malformed, PREFIX, Said, TAG, VERSION, prefix};

const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_SHA256";
/// Both have to mean the same by it.
const PROLOGUE: &[u8] = b"Evenkeel pair";

/// Why somebody is not the other node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It does not know the key, or what it said was changed on the way.
    Key,
    /// What it says makes no sense.
    Malformed,
    /// This process has no random numbers, or something as impossible.
    Unable,
}

impl From<Malformed> for Refused {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

fn builder(key: &Key) -> Result<Builder<'_>, Refused> {
    let pattern = PATTERN.parse().map_err(|_| Refused::Unable)?;
    let builder = Builder::new(pattern).psk(0, key.bytes()).map_err(|_| Refused::Unable)?;
    builder.prologue(PROLOGUE).map_err(|_| Refused::Unable)
}

fn greet(state: &mut HandshakeState, id: u128) -> Result<[u8; GREETING], Refused> {
    let mut greeting = [0; GREETING];
    let hello = Hello { version: VERSION, id }.write();
    let length = state.write_message(&hello, &mut greeting).map_err(|_| Refused::Unable)?;
    if length == GREETING { Ok(greeting) } else { Err(Refused::Unable) }
}

fn hear(state: &mut HandshakeState, greeting: &[u8; GREETING]) -> Result<Hello, Refused> {
    let mut content = [0; GREETING];
    let length = state.read_message(greeting, &mut content).map_err(|_| Refused::Key)?;
    let (hello, _) = content.split_first_chunk::<HELLO>().ok_or(Refused::Malformed)?;
    if length == HELLO { Ok(Hello::read(hello)) } else { Err(Refused::Malformed) }
}

/// The side that calls, until it is answered.
pub struct Caller(HandshakeState);

impl Caller {
    /// Begins; gives the greeting for the other side.
    ///
    /// # Errors
    /// [`Refused::Unable`].
    pub fn new(key: &Key, id: u128) -> Result<(Self, [u8; GREETING]), Refused> {
        let mut state = builder(key)?.build_initiator().map_err(|_| Refused::Unable)?;
        let greeting = greet(&mut state, id)?;
        Ok((Self(state), greeting))
    }

    /// The other side has answered.
    ///
    /// # Errors
    /// When it does not know the key.
    pub fn hear(mut self, answer: &[u8; GREETING]) -> Result<(Hello, Secured), Refused> {
        let hello = hear(&mut self.0, answer)?;
        Ok((hello, Secured::new(self.0)?))
    }
}

/// The side that is called: hears a greeting and gives its own.
///
/// # Errors
/// When the caller does not know the key.
// fuzz: pair
pub fn answer(
    key: &Key,
    id: u128,
    greeting: &[u8; GREETING],
) -> Result<(Hello, [u8; GREETING], Secured), Refused> {
    let mut state = builder(key)?.build_responder().map_err(|_| Refused::Unable)?;
    let hello = hear(&mut state, greeting)?;
    let answer = greet(&mut state, id)?;
    Ok((hello, answer, Secured::new(state)?))
}

/// One side of a session.
pub struct Secured {
    state: TransportState,
    /// What is said in the clear, for a moment.
    plain: Vec<u8>,
}

impl Secured {
    fn new(state: HandshakeState) -> Result<Self, Refused> {
        let state = state.into_transport_mode().map_err(|_| Refused::Unable)?;
        Ok(Self { state, plain: Vec::new() })
    }

    /// Adds a frame with its length to these bytes.
    ///
    /// # Errors
    /// When the piece is too long, or the session has lasted for 2^64 words; nothing is added then.
    pub fn seal(&mut self, said: Said<'_>, into: &mut Vec<u8>) -> Result<(), Refused> {
        self.plain.clear();
        said.write(&mut self.plain)?;
        let length = self.plain.len() + TAG;
        let start = into.len();
        into.extend_from_slice(&prefix(length)?);
        into.resize(start + PREFIX + length, 0);
        let room = into.get_mut(start + PREFIX..).unwrap_or_default();
        let sealed = self.state.write_message(&self.plain, room);
        if sealed.is_err() {
            into.truncate(start);
        }
        sealed.map(drop).map_err(|_| Refused::Unable)
    }

    /// What a frame without its length says. Frames come in the order in which they were sealed, each once.
    ///
    /// # Errors
    /// When it was not sealed by the other side as the next one, or makes no sense. The session is of no more use then.
    pub fn open(&mut self, frame: &[u8]) -> Result<Said<'_>, Refused> {
        if frame.len() > LONGEST_FRAME {
            return Err(Refused::Malformed);
        }
        self.plain.resize(frame.len(), 0);
        let length = self.state.read_message(frame, &mut self.plain).map_err(|_| Refused::Key)?;
        Ok(Said::read(self.plain.get(..length).unwrap_or_default())?)
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secured(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    fn key(letter: u8) -> Key {
        Key::from_secret(&[letter; 32]).unwrap()
    }

    fn session() -> (Secured, Secured) {
        let (caller, greeting) = Caller::new(&key(b'a'), 1).unwrap();
        let (hello, answer, called) = answer(&key(b'a'), 2, &greeting).unwrap();
        assert_eq!(hello, Hello { version: VERSION, id: 1 });
        let (hello, caller) = caller.hear(&answer).unwrap();
        assert_eq!(hello, Hello { version: VERSION, id: 2 });
        (caller, called)
    }

    fn sealed(by: &mut Secured, said: Said<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        by.seal(said, &mut bytes).unwrap();
        let (frame, length) = wire::frame(&bytes).unwrap().unwrap();
        assert_eq!(length, bytes.len());
        frame.to_vec()
    }

    #[test]
    fn both_sides_understand_each_other() {
        let (mut caller, mut called) = session();
        for piece in ["first", &"x".repeat(wire::LONGEST_PIECE), "third"] {
            let frame = sealed(&mut caller, Said::Piece(piece));
            assert_eq!(called.open(&frame), Ok(Said::Piece(piece)));
        }
        let frame = sealed(&mut called, Said::Alive);
        assert_eq!(caller.open(&frame), Ok(Said::Alive));
    }

    #[test]
    fn another_key_is_refused_on_both_sides() {
        let (caller, greeting) = Caller::new(&key(b'a'), 1).unwrap();
        assert_eq!(answer(&key(b'b'), 2, &greeting).unwrap_err(), Refused::Key);
        let (_, other) = Caller::new(&key(b'b'), 1).unwrap();
        assert_eq!(caller.hear(&other).unwrap_err(), Refused::Key);
    }

    #[test]
    fn a_changed_bit_anywhere_is_refused() {
        let (_, greeting) = Caller::new(&key(b'a'), 1).unwrap();
        for at in 0..GREETING {
            let mut changed = greeting;
            changed[at] ^= 1;
            assert!(answer(&key(b'a'), 2, &changed).is_err(), "{at}");
        }
        let (mut caller, mut called) = session();
        let mut frame = sealed(&mut caller, Said::Piece("move"));
        frame[2] ^= 0x10;
        assert_eq!(called.open(&frame), Err(Refused::Key));
    }

    #[test]
    fn what_was_recorded_says_nothing_again() {
        let (mut caller, mut called) = session();
        let frame = sealed(&mut caller, Said::Piece("move"));
        assert_eq!(called.open(&frame), Ok(Said::Piece("move")));
        assert_eq!(called.open(&frame), Err(Refused::Key));

        // A whole recorded connection: its greeting is answered, but with a key of this connection only.
        let (recorded, greeting) = Caller::new(&key(b'a'), 1).unwrap();
        let (_, first, _) = answer(&key(b'a'), 2, &greeting).unwrap();
        let (_, mut recorded) = recorded.hear(&first).unwrap();
        let word = sealed(&mut recorded, Said::Alive);
        let (_, second, mut again) = answer(&key(b'a'), 2, &greeting).unwrap();
        assert_ne!(first, second);
        assert_eq!(again.open(&word), Err(Refused::Key));
    }

    #[test]
    fn words_out_of_order_are_refused() {
        let (mut caller, mut called) = session();
        let _first = sealed(&mut caller, Said::Piece("first"));
        let second = sealed(&mut caller, Said::Piece("second"));
        assert_eq!(called.open(&second), Err(Refused::Key));
    }
}
