//! Counts the frames of an HTTP/2 client that cost us something and bring nobody anything (RFC 9113 §10.5).
//!
//! Reads frame headers only, from bytes as they come, and keeps no byte. Invariants: what is counted is forgotten with
//! time, so a long life is no crime; every bound is named.

pub mod from_server;

use std::fmt;

/// Bytes of the client's preface (RFC 9113 §3.4).
const PREFACE: usize = 24;
/// Bytes of a frame's header (RFC 9113 §4.1).
const HEADER: usize = 9;

/// What a client does too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    /// Requests that it opens and resets (CVE-2023-44487).
    Resets,
    /// Questions that we must answer: PING and SETTINGS (CVE-2019-9512, CVE-2019-9515).
    Questions,
    /// Windows that it opens by little (CVE-2019-9511), priorities (CVE-2019-9513) and frames that nobody knows.
    Fuss,
    /// Heads in pieces without end (CVE-2024-27316).
    Continuations,
    /// Frames without content (CVE-2019-9518).
    Empty,
    /// A bound of the library was reached.
    Library,
    /// A frame breaks a rule for which the whole connection ends: many servers reset a stream here (CVE-2025-8671).
    Broken,
    /// Content in frames of a few bytes.
    Tiny,
    /// A head that is not whole for too long.
    SlowHead,
}

impl Flood {
    /// All of them: the number of each is its place.
    pub const ALL: [Self; 9] = [
        Self::Resets,
        Self::Questions,
        Self::Fuss,
        Self::Continuations,
        Self::Empty,
        Self::Library,
        Self::Broken,
        Self::Tiny,
        Self::SlowHead,
    ];

    /// The word in metrics and the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Resets => "resets",
            Self::Questions => "questions",
            Self::Fuss => "fuss",
            Self::Continuations => "continuations",
            Self::Empty => "empty",
            Self::Library => "library",
            Self::Broken => "broken",
            Self::Tiny => "tiny",
            Self::SlowHead => "slow-head",
        }
    }
}

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resets => "it opens requests and resets them",
            Self::Questions => "too many PING and SETTINGS frames",
            Self::Fuss => "too many WINDOW_UPDATE, PRIORITY and unknown frames",
            Self::Continuations => "too many CONTINUATION frames of one head",
            Self::Empty => "too many frames without content",
            Self::Library => "a bound of the protocol library",
            Self::Broken => "it breaks the protocol",
            Self::Tiny => "too many frames of a few bytes",
            Self::SlowHead => "it takes too long for a head",
        })
    }
}

/// Why a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The client does too much of something.
    Flood(Flood),
    /// A frame breaks a rule that its header alone shows.
    Fault(Fault),
}

/// A broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection does not begin with SETTINGS (RFC 9113 §3.4): a connection error `PROTOCOL_ERROR`.
    NoSettings,
    /// A frame of a kind that has one size has another (§6.3 to §6.9): a connection error `FRAME_SIZE_ERROR`.
    Size,
}

/// Seconds after which half of what was counted is forgotten.
const HALF_LIFE: u64 = 1;
/// Resets that are forgiven, and from there on how many of the opened requests may be reset.
const RESETS: u32 = 200;
/// PING and SETTINGS.
const QUESTIONS: u32 = 100;
/// WINDOW_UPDATE, PRIORITY and unknown frames that are forgiven; beyond that, [`FUSS_PER_FRAME`] for each frame that
/// carries something either way.
const FUSS: u32 = 1000;
const FUSS_PER_FRAME: u32 = 10;
/// CONTINUATION frames of one head.
const CONTINUATIONS: u32 = 20;
/// DATA, HEADERS and CONTINUATION frames without a byte.
const EMPTY: u32 = 100;
/// DATA frames shorter than this, their stream going on. Calls and chats send such frames too, but not thousands a second on end.
const TINY_FRAME: u32 = 16;
const TINY: u32 = 10_000;
/// Seconds for a head, unless something else is said.
const LONGEST_HEAD: u64 = 10;

/// What the header of a frame says (RFC 9113 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of its content.
    pub length: u32,
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream, or 0.
    pub stream: u32,
}

/// Finds the headers of frames in bytes as they pass; keeps no byte.
#[derive(Clone, Debug)]
pub struct FrameScan {
    /// Bytes to skip: of the preface, or of a frame's content.
    skip: u64,
    header: [u8; HEADER],
    held: usize,
}

impl FrameScan {
    /// For what a server sends: it begins with a frame.
    #[must_use]
    pub fn outgoing() -> Self {
        Self { skip: 0, header: [0; HEADER], held: 0 }
    }

    /// For what a client sends: its preface comes first.
    #[must_use]
    pub fn incoming() -> Self {
        Self { skip: PREFACE as u64, ..Self::outgoing() }
    }

    /// Looks at the next bytes and tells of each frame whose header is whole.
    pub fn see(&mut self, mut bytes: &[u8], mut each: impl FnMut(FrameHeader)) {
        while !bytes.is_empty() {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            self.skip -= skipped as u64;
            bytes = bytes.get(skipped..).unwrap_or_default();
            if self.skip > 0 {
                break;
            }
            let count = (HEADER - self.held).min(bytes.len());
            let (now, rest) = bytes.split_at(count);
            self.header[self.held..self.held + count].copy_from_slice(now);
            self.held += count;
            bytes = rest;
            if self.held == HEADER {
                self.held = 0;
                let [high, middle, low, kind, flags, a, b, c, d] = self.header;
                let length = u32::from_be_bytes([0, high, middle, low]);
                self.skip = length.into();
                let stream = u32::from_be_bytes([a & 0x7f, b, c, d]);
                each(FrameHeader { length, kind, flags, stream });
            }
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct FrameMeter {
    scan: FrameScan,
    second: u64,
    opened: u32,
    resets: u32,
    questions: u32,
    fuss: u32,
    useful: u32,
    empty: u32,
    tiny: u32,
    /// Of the head that is under way.
    continuations: u32,
    /// The first frame was seen.
    begun: bool,
    /// A head has begun and its last frame has not.
    in_head: bool,
    /// The last frame is a part of a head.
    is_head: bool,
    /// Since when a head, or a frame of it, is not whole.
    head_since: Option<u64>,
    longest_head: u64,
}

impl Default for FrameMeter {
    fn default() -> Self {
        Self {
            scan: FrameScan::incoming(),
            second: 0,
            opened: 0,
            resets: 0,
            questions: 0,
            fuss: 0,
            useful: 0,
            empty: 0,
            tiny: 0,
            continuations: 0,
            begun: false,
            in_head: false,
            is_head: false,
            head_since: None,
            longest_head: LONGEST_HEAD,
        }
    }
}

impl FrameMeter {
    /// For a client that may take so many seconds for a head.
    #[must_use]
    pub fn new(longest_head: u64) -> Self {
        Self { longest_head, ..Self::default() }
    }

    /// Looks at the next bytes of the client. `second` is the time, in whole seconds from any beginning.
    ///
    /// # Errors
    /// What there is too much of, or what is wrong with a frame.
    // fuzz: frames
    pub fn see(&mut self, bytes: &[u8], second: u64) -> Result<(), Cut> {
        self.forget(second);
        let mut scan = self.scan.clone();
        let mut result = Ok(());
        scan.see(bytes, |header| {
            if result.is_ok() {
                result = self.frame(header);
            }
        });
        self.scan = scan;
        result.and_then(|()| self.watch_head(second))
    }

    fn watch_head(&mut self, second: u64) -> Result<(), Cut> {
        if !(self.in_head || (self.is_head && self.scan.skip > 0)) {
            self.head_since = None;
            return Ok(());
        }
        let since = *self.head_since.get_or_insert(second);
        if second.saturating_sub(since) > self.longest_head {
            Err(Cut::Flood(Flood::SlowHead))
        } else {
            Ok(())
        }
    }

    /// So many frames with content went to the client.
    pub fn sent(&mut self, frames: u32) {
        self.useful = self.useful.saturating_add(frames);
    }

    fn forget(&mut self, second: u64) {
        let lives = second.saturating_sub(self.second) / HALF_LIFE;
        if lives == 0 {
            return;
        }
        self.second = second;
        let shift = u32::try_from(lives).unwrap_or(u32::MAX);
        for count in [
            &mut self.opened,
            &mut self.resets,
            &mut self.questions,
            &mut self.fuss,
            &mut self.useful,
            &mut self.empty,
            &mut self.tiny,
        ] {
            *count = count.checked_shr(shift).unwrap_or(0);
        }
    }

    fn frame(&mut self, header: FrameHeader) -> Result<(), Cut> {
        let FrameHeader { length, kind, flags, .. } = header;
        if !std::mem::replace(&mut self.begun, true) && (kind, flags & 0x1) != (4, 0) {
            return Err(Cut::Fault(Fault::NoSettings));
        }
        if !has_right_size(kind, flags, length) {
            return Err(Cut::Fault(Fault::Size));
        }
        let ends_stream = flags & 0x1 != 0;
        // HEADERS and CONTINUATION; END_HEADERS.
        self.is_head = matches!(kind, 1 | 9);
        self.in_head = self.is_head && flags & 0x4 == 0;
        match kind {
            // DATA, HEADERS, CONTINUATION.
            0 | 1 | 9 => {
                if kind == 1 {
                    self.opened = self.opened.saturating_add(1);
                    self.continuations = 0;
                }
                if kind == 9 {
                    self.continuations = self.continuations.saturating_add(1);
                }
                if kind == 0 && !ends_stream && (1..TINY_FRAME).contains(&length) {
                    self.tiny = self.tiny.saturating_add(1);
                }
                if length == 0 && !(kind == 0 && ends_stream) {
                    self.empty = self.empty.saturating_add(1);
                } else {
                    self.useful = self.useful.saturating_add(1);
                }
            }
            // RST_STREAM.
            3 => self.resets = self.resets.saturating_add(1),
            // PING and SETTINGS; an acknowledgement is the answer to ours.
            4 | 6 if flags & 0x1 == 0 => self.questions = self.questions.saturating_add(1),
            4 | 6 => {}
            // PRIORITY, WINDOW_UPDATE, PUSH_PROMISE, GOAWAY, unknown.
            _ => self.fuss = self.fuss.saturating_add(1),
        }
        self.judge().map_err(Cut::Flood)
    }

    fn judge(&self) -> Result<(), Flood> {
        if self.resets > RESETS && self.resets > self.opened / 2 {
            return Err(Flood::Resets);
        }
        if self.questions > QUESTIONS {
            return Err(Flood::Questions);
        }
        if self.fuss > FUSS && self.fuss / FUSS_PER_FRAME > self.useful {
            return Err(Flood::Fuss);
        }
        if self.continuations > CONTINUATIONS {
            return Err(Flood::Continuations);
        }
        if self.empty > EMPTY {
            return Err(Flood::Empty);
        }
        if self.tiny > TINY {
            return Err(Flood::Tiny);
        }
        Ok(())
    }
}

fn has_right_size(kind: u8, flags: u8, length: u32) -> bool {
    match kind {
        // PRIORITY.
        2 => length == 5,
        // RST_STREAM and WINDOW_UPDATE.
        3 | 8 => length == 4,
        // SETTINGS: an acknowledgement has none.
        4 if flags & 0x1 != 0 => length == 0,
        4 => length.is_multiple_of(6),
        // PING.
        6 => length == 8,
        // GOAWAY.
        7 => length >= 8,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, content: usize) -> Vec<u8> {
        let length = u32::try_from(content).unwrap().to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        bytes.resize(HEADER + content, 0);
        bytes
    }

    /// A meter that has seen a greeting.
    fn greeted() -> FrameMeter {
        let mut meter = FrameMeter::default();
        meter.see(&[0; PREFACE], 0).unwrap();
        meter.see(&frame(4, 0, 0), 0).unwrap();
        meter.questions = 0;
        meter
    }

    /// What comes of these frames after a greeting, all within one second.
    fn seen(frames: impl IntoIterator<Item = Vec<u8>>) -> Result<(), Flood> {
        let mut meter = greeted();
        frames.into_iter().try_for_each(|frame| meter.see(&frame, 0)).map_err(|cut| match cut {
            Cut::Flood(flood) => flood,
            Cut::Fault(fault) => panic!("{fault:?}"),
        })
    }

    fn times(count: u32, frame: &[u8]) -> Vec<Vec<u8>> {
        vec![frame.to_vec(); count as usize]
    }

    #[test]
    fn each_flood_is_seen_at_its_bound_and_not_before() {
        for (most, frame, flood) in [
            (RESETS, frame(3, 0, 4), Flood::Resets),
            (QUESTIONS, frame(6, 0, 8), Flood::Questions),
            (QUESTIONS, frame(4, 0, 6), Flood::Questions),
            (CONTINUATIONS, frame(9, 0, 1), Flood::Continuations),
            (EMPTY, frame(0, 0, 0), Flood::Empty),
            (TINY, frame(0, 0, 1), Flood::Tiny),
        ] {
            assert_eq!(seen(times(most, &frame)), Ok(()), "{flood:?}");
            assert_eq!(seen(times(most + 1, &frame)), Err(flood));
        }
        // Ten windows for each frame of content are usual; a thousand are forgiven anyway.
        assert_eq!(seen(times(FUSS, &frame(8, 0, 4))), Ok(()));
        assert_eq!(seen(times(FUSS + FUSS_PER_FRAME, &frame(8, 0, 4))), Err(Flood::Fuss));
        let mixed = (0..5000).flat_map(|_| [frame(0, 0, 100), frame(8, 0, 4), frame(8, 0, 4)]);
        assert_eq!(seen(mixed), Ok(()));
    }

    #[test]
    fn a_head_may_take_its_time_and_no_longer() {
        let whole = frame(1, 4, 100);
        let mut meter = greeted();
        for (place, byte) in whole.iter().enumerate() {
            assert_eq!(meter.see(&[*byte], place as u64 / 20), Ok(()));
        }
        // Whole: what follows begins anew.
        let mut slow = whole.iter().zip(6..);
        let cut = slow.find_map(|(byte, second)| Some((second, meter.see(&[*byte], second).err()?)));
        // The frame is seen with its ninth byte.
        assert_eq!(cut, Some((6 + 8 + 11, Cut::Flood(Flood::SlowHead))));

        // Whole frames, but for the last one of the head.
        let mut meter = greeted();
        meter.see(&frame(1, 0, 10), 1).unwrap();
        meter.see(&frame(9, 0, 10), 11).unwrap();
        assert_eq!(meter.see(&frame(9, 4, 10), 12), Ok(()));
        meter.see(&frame(1, 0, 10), 20).unwrap();
        assert_eq!(meter.see(&frame(9, 0, 10), 31), Err(Cut::Flood(Flood::SlowHead)));
    }

    #[test]
    fn acknowledgements_and_last_frames_are_no_fault() {
        assert_eq!(seen(times(5000, &frame(6, 1, 8))), Ok(()));
        assert_eq!(seen(times(5000, &frame(4, 1, 0))), Ok(()));
        assert_eq!(seen(times(5000, &frame(0, 1, 0))), Ok(()));
    }

    #[test]
    fn resets_are_borne_where_most_requests_are_not_reset() {
        let busy = (0..3000).flat_map(|n| {
            let mut frames = vec![frame(1, 4, 20)];
            if n % 3 == 0 {
                frames.push(frame(3, 0, 4));
            }
            frames
        });
        assert_eq!(seen(busy), Ok(()));
    }

    #[test]
    fn time_forgives() {
        let mut meter = greeted();
        for second in 0..1000 {
            for _ in 0..QUESTIONS / 2 {
                meter.see(&frame(6, 0, 8), second).unwrap();
            }
        }
    }

    #[test]
    fn pieces_make_no_difference() {
        let mut bytes = [vec![0; PREFACE], frame(4, 0, 0)].concat();
        bytes.extend(times(QUESTIONS - 1, &frame(6, 0, 8)).concat());
        let mut meter = FrameMeter::default();
        for byte in &bytes {
            meter.see(std::slice::from_ref(byte), 0).unwrap();
        }
        assert_eq!(meter.see(&frame(6, 0, 8), 0), Err(Cut::Flood(Flood::Questions)));
    }

    #[test]
    fn frames_of_one_size_have_it_and_settings_come_first() {
        for (kind, flags, right, wrong) in [
            (2, 0, 5, 4),
            (3, 0, 4, 5),
            (4, 0, 12, 13),
            (4, 1, 0, 6),
            (6, 0, 8, 7),
            (7, 0, 8, 7),
            (8, 0, 4, 3),
        ] {
            assert_eq!(greeted().see(&frame(kind, flags, right), 0), Ok(()), "{kind}");
            assert_eq!(greeted().see(&frame(kind, flags, wrong), 0), Err(Cut::Fault(Fault::Size)), "{kind}");
        }
        for first in [frame(6, 0, 8), frame(1, 5, 3), frame(4, 1, 0)] {
            let mut meter = FrameMeter::default();
            meter.see(&[0; PREFACE], 0).unwrap();
            assert_eq!(meter.see(&first, 0), Err(Cut::Fault(Fault::NoSettings)));
        }
    }

    #[test]
    fn a_scan_finds_every_header_however_the_bytes_are_cut() {
        let mut bytes = vec![0; PREFACE];
        for (kind, length) in [(4, 0), (0, 300), (3, 4)] {
            bytes.extend(frame(kind, 0, length));
        }
        let expected = [(0, 4, 1), (300, 0, 1), (4, 3, 1)];
        for size in [1, 7, 9, 50, 1000] {
            let (mut scan, mut seen) = (FrameScan::incoming(), Vec::new());
            for piece in bytes.chunks(size) {
                scan.see(piece, |header| seen.push((header.length, header.kind, header.stream)));
            }
            assert_eq!(seen, expected, "{size}");
        }
        let mut seen = 0;
        FrameScan::outgoing().see(&bytes[PREFACE..], |_| seen += 1);
        assert_eq!(seen, 3);
    }

    #[test]
    fn floods_are_told_apart() {
        for (place, flood) in Flood::ALL.into_iter().enumerate() {
            assert_eq!(flood as usize, place);
        }
    }
}
