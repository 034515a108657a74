//! What goes over the link: frames of a length (two bytes, big-endian) and so many bytes that are secured by [`crate::noise`].
//!
//! The first frame of either side is a greeting of fixed length in every version, so that two versions can tell each other
//! apart. What follows is a kind (one byte) and its content.
//!
//! Pure. Invariants: nothing longer than [`LONGEST_FRAME`] is written or taken; what is unknown is refused.

/// The version of all that is said in a session, [`evenkeel_pair`](crate)'s own part.
pub const VERSION: u8 = 1;
/// The longest piece, in bytes.
pub const LONGEST_PIECE: usize = 48 * 1024;
/// What proves that bytes are unchanged, in bytes (RFC 8439 §2.8).
pub const TAG: usize = 16;
/// The longest frame without its length, in bytes.
pub const LONGEST_FRAME: usize = 1 + LONGEST_PIECE + TAG;
/// The length of a frame's length, in bytes.
pub const PREFIX: usize = 2;
/// The content of a greeting, in bytes.
pub const HELLO: usize = 17;
/// A greeting in its frame without the length: a public key (RFC 7748, 32 bytes), the content and its tag.
pub const GREETING: usize = 32 + HELLO + TAG;

const ALIVE: u8 = 0;
const PIECE: u8 = 1;

/// What each side says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// [`VERSION`] of the one who says it.
    pub version: u8,
    /// A random number of the process that says it.
    pub id: u128,
}

impl Hello {
    /// The content of a greeting.
    #[must_use]
    pub fn write(self) -> [u8; HELLO] {
        let mut bytes = [0; HELLO];
        let (version, id) = bytes.split_at_mut(1);
        version.fill(self.version);
        id.copy_from_slice(&self.id.to_be_bytes());
        bytes
    }

    /// What such a content says.
    #[must_use]
    // fuzz: pair
    pub fn read(bytes: &[u8; HELLO]) -> Self {
        let [version, id @ ..] = *bytes;
        Self { version, id: u128::from_be_bytes(id) }
    }
}

/// What is said within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// Nothing but that one is there.
    Alive,
    /// A piece, of 1 to [`LONGEST_PIECE`] bytes.
    Piece(&'a str),
}

/// A frame that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Said<'a> {
    /// What these bytes say.
    ///
    /// # Errors
    /// When they are none of the two.
    // fuzz: pair
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        match bytes {
            [ALIVE] => Ok(Self::Alive),
            [PIECE, piece @ ..] if (1..=LONGEST_PIECE).contains(&piece.len()) => {
                std::str::from_utf8(piece).map(Self::Piece).map_err(|_| Malformed)
            }
            _ => Err(Malformed),
        }
    }

    /// Adds it to these bytes.
    ///
    /// # Errors
    /// When a piece is empty or too long; nothing is added then.
    pub fn write(self, into: &mut Vec<u8>) -> Result<(), Malformed> {
        match self {
            Self::Alive => into.push(ALIVE),
            Self::Piece(piece) if (1..=LONGEST_PIECE).contains(&piece.len()) => {
                into.push(PIECE);
                into.extend_from_slice(piece.as_bytes());
            }
            Self::Piece(_) => return Err(Malformed),
        }
        Ok(())
    }
}

/// The first frame in these bytes without its length, when it is there already, and how many bytes it takes with it.
///
/// # Errors
/// When it has a length that no frame has.
// fuzz: pair
pub fn frame(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, Malformed> {
    let Some((length, rest)) = bytes.split_first_chunk::<PREFIX>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(*length));
    if !(1 + TAG..=LONGEST_FRAME).contains(&length) {
        return Err(Malformed);
    }
    Ok(rest.get(..length).map(|frame| (frame, PREFIX + length)))
}

/// The length that stands before a frame.
///
/// # Errors
/// When there is no such frame.
pub fn prefix(length: usize) -> Result<[u8; PREFIX], Malformed> {
    if length > LONGEST_FRAME {
        return Err(Malformed);
    }
    u16::try_from(length).map(u16::to_be_bytes).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_greeting_has_its_version_first() {
        let hello = Hello { version: 3, id: 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10 };
        let bytes = hello.write();
        assert_eq!(bytes, [3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        assert_eq!(Hello::read(&bytes), hello);
    }

    #[test]
    fn what_is_no_word_is_refused() {
        for bytes in [&b""[..], &[0, 0], &[1], &[2], &[1, 0xff], &vec![1; LONGEST_PIECE + 2]] {
            assert_eq!(Said::read(bytes), Err(Malformed), "{}", bytes.len());
        }
        let longest = "a".repeat(LONGEST_PIECE);
        let mut written = Vec::new();
        Said::Piece(&longest).write(&mut written).unwrap();
        assert_eq!(Said::read(&written), Ok(Said::Piece(&longest)));
        let mut nothing = Vec::new();
        assert_eq!(Said::Piece("").write(&mut nothing), Err(Malformed));
        assert_eq!(Said::Piece(&(longest + "a")).write(&mut nothing), Err(Malformed));
        assert!(nothing.is_empty());
    }

    #[test]
    fn a_frame_is_waited_for_and_an_impossible_length_is_not() {
        assert_eq!(frame(&[0]), Ok(None));
        assert_eq!(frame(&[0, 17, 1]), Ok(None));
        let whole: Vec<u8> = [&[0, 17][..], &[7; 17], &[9]].concat();
        assert_eq!(frame(&whole), Ok(Some((&[7_u8; 17][..], 19))));
        assert_eq!(frame(&[0, 16]), Err(Malformed));
        assert_eq!(frame(&[0xff, 0xff]), Err(Malformed));
        assert_eq!(prefix(LONGEST_FRAME), Ok([0xc0, 0x11]));
        assert_eq!(prefix(LONGEST_FRAME + 1), Err(Malformed));
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(said) = Said::read(&bytes) {
                let mut written = Vec::new();
                said.write(&mut written).unwrap();
                prop_assert_eq!(written, bytes);
            }
        }
    }
}
