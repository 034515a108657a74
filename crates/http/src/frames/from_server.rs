//! Rules that a server's frames may break without the protocol library seeing it.
//!
//! Reads the bytes of a server as they come and keeps none but those of a header or of one setting. Never judges what
//! the library judges.

use std::fmt;

use super::HEADER;

/// Bytes of one setting (RFC 9113 §6.5.1).
const SETTING: usize = 6;
/// The kind of frame, and its flag that makes it an answer.
const SETTINGS: u8 = 4;
const ACK: u8 = 1;
/// The setting that is a client's alone.
const ENABLE_PUSH: u16 = 2;

/// A rule that a server has broken: a connection error `PROTOCOL_ERROR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It does not begin with SETTINGS (RFC 9113 §3.4).
    NoSettings,
    /// It says `SETTINGS_ENABLE_PUSH = 1`, as if we could push (§6.5.2).
    Push,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSettings => "it did not begin with SETTINGS, so it does not speak HTTP/2 here",
            Self::Push => "it said SETTINGS_ENABLE_PUSH = 1, which servers may not",
        })
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct ServerFrames {
    /// Of a header, or of a setting.
    held: [u8; HEADER],
    count: usize,
    /// Settings of the frame that is being read.
    settings: u32,
    /// Bytes behind them that need no look.
    skip: u32,
    /// The first frame was seen.
    begun: bool,
}

impl ServerFrames {
    /// Looks at the next bytes.
    ///
    /// # Errors
    /// The first rule that is broken. Nothing behind it was looked at.
    // fuzz: frames
    pub fn see(&mut self, mut bytes: &[u8]) -> Result<(), Broken> {
        while !bytes.is_empty() {
            if self.settings == 0 && self.skip > 0 {
                let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
                self.skip -= u32::try_from(skipped).unwrap_or(self.skip);
                bytes = &bytes[skipped..];
                continue;
            }
            let whole = if self.settings > 0 { SETTING } else { HEADER };
            let (now, rest) = bytes.split_at((whole - self.count).min(bytes.len()));
            self.held[self.count..self.count + now.len()].copy_from_slice(now);
            self.count += now.len();
            bytes = rest;
            if self.count == whole {
                self.count = 0;
                if self.settings > 0 { self.setting() } else { self.header() }?;
            }
        }
        Ok(())
    }

    fn header(&mut self) -> Result<(), Broken> {
        let [high, middle, low, kind, flags, ..] = self.held;
        let length = u32::from_be_bytes([0, high, middle, low]);
        let settings = kind == SETTINGS && flags & ACK == 0;
        if !std::mem::replace(&mut self.begun, true) && !settings {
            return Err(Broken::NoSettings);
        }
        // A length that is no number of settings is for the library to refuse.
        (self.settings, self.skip) = if settings { (length / 6, length % 6) } else { (0, length) };
        Ok(())
    }

    fn setting(&mut self) -> Result<(), Broken> {
        self.settings -= 1;
        let [name @ .., a, b, c, d, _, _, _] = self.held;
        let push = u16::from_be_bytes(name) == ENABLE_PUSH && u32::from_be_bytes([a, b, c, d]) == 1;
        if push { Err(Broken::Push) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of this kind, on the connection.
    fn frame(kind: u8, flags: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&[length[1], length[2], length[3], kind, flags, 0, 0, 0, 0], content].concat()
    }

    /// What comes of these bytes, in pieces of any size.
    fn seen(bytes: &[u8]) -> Result<(), Broken> {
        let whole = ServerFrames::default().see(bytes);
        for size in 1..bytes.len() {
            let mut frames = ServerFrames::default();
            assert_eq!(bytes.chunks(size).try_for_each(|piece| frames.see(piece)), whole, "{size}");
        }
        whole
    }

    #[test]
    fn settings_come_first() {
        let (settings, ping) = (frame(4, 0, &[]), frame(6, 0, &[0; 8]));
        assert_eq!(seen(&[settings.clone(), ping.clone()].concat()), Ok(()));
        assert_eq!(seen(&[ping, settings].concat()), Err(Broken::NoSettings));
        assert_eq!(seen(&frame(4, 1, &[])), Err(Broken::NoSettings));
        assert_eq!(seen(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Err(Broken::NoSettings));
    }

    #[test]
    fn only_clients_let_push() {
        let push = |value| frame(4, 0, &[0, 3, 0, 0, 0, 100, 0, 2, 0, 0, 0, value]);
        assert_eq!(seen(&push(0)), Ok(()));
        assert_eq!(seen(&push(1)), Err(Broken::Push));
        // Later as well, and whatever else lies between; what only looks like it is content.
        let content = frame(0, 0, &push(1));
        assert_eq!(seen(&[frame(4, 0, &[]), content.clone(), frame(4, 1, &[])].concat()), Ok(()));
        assert_eq!(seen(&[frame(4, 0, &[]), content, push(1)].concat()), Err(Broken::Push));
        // Half a setting is the library's business.
        assert_eq!(seen(&[frame(4, 0, &[0, 3, 0]), frame(6, 0, &[0; 8])].concat()), Ok(()));
    }
}
