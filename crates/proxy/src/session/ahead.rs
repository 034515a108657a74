//! How far one side may get ahead of the other in the kernel's memory.
//!
//! The kernel lets a source that is read quickly send more and more at once, up to `net.ipv4.tcp_rmem` (megabytes), and keeps what
//! has come when its reader stops. A few hundred readers that stop use up the memory that the kernel has for TCP
//! (`net.ipv4.tcp_mem`), and then every connection of the machine is slow. So a source may not get further ahead than at its
//! beginning until its target has shown that it takes much. A server's connection that was used before is free: see ADR 0164.
//!
//! Never waits, and never reads or writes: what cannot be set stays as it is.

use crate::stream::Stream;

/// Bytes moved from which the source is held: less needs no call. Not more: after a single fast read of 256 KiB the kernel made
/// room for 1.5 MB.
const LONG: u64 = 64 * 1024;
/// Bytes that a target takes which reads: more than the kernels on the way hold for one that does not.
const PROVEN: u64 = 512 * 1024;

/// Of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// Not much has moved.
    #[default]
    Unknown,
    /// The source is held.
    Held,
    /// It is not, and will not be.
    Free,
}

/// What to do about the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Nothing,
    Hold,
    Release,
}

impl Ahead {
    /// Much is about to be read at once.
    pub(crate) fn long(&mut self, source: &Stream) {
        if *self == Self::Unknown {
            *self = Self::Held;
            source.hold_receive_buffer(true);
        }
    }

    /// So many bytes have moved in all; `stalls`: the target takes nothing now.
    pub(crate) fn moved(&mut self, source: &Stream, bytes: u64, stalls: bool) {
        match self.turn(bytes, stalls) {
            Turn::Nothing => {}
            Turn::Hold => source.hold_receive_buffer(true),
            Turn::Release => source.hold_receive_buffer(false),
        }
    }

    /// All has moved, and the source may be used for something else.
    pub(crate) fn done(&mut self, source: &Stream) {
        if std::mem::replace(self, Self::Free) == Self::Held {
            source.hold_receive_buffer(false);
        }
    }

    fn turn(&mut self, bytes: u64, stalls: bool) -> Turn {
        match self {
            Self::Unknown if bytes >= PROVEN => {
                *self = Self::Free;
                Turn::Nothing
            }
            Self::Unknown if stalls || bytes >= LONG => {
                *self = Self::Held;
                Turn::Hold
            }
            Self::Held if bytes >= PROVEN => {
                *self = Self::Free;
                Turn::Release
            }
            Self::Unknown | Self::Held | Self::Free => Turn::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_held_from_64_to_512_kib() {
        let mut ahead = Ahead::default();
        assert_eq!(ahead.turn(65_535, false), Turn::Nothing);
        assert_eq!(ahead.turn(65_536, false), Turn::Hold);
        assert_eq!(ahead.turn(524_287, true), Turn::Nothing);
        assert_eq!(ahead.turn(524_288, true), Turn::Release);
        assert_eq!(ahead.turn(600_000, true), Turn::Nothing);
    }

    #[test]
    fn a_target_that_takes_nothing_has_its_source_held_at_once() {
        let mut ahead = Ahead::default();
        assert_eq!(ahead.turn(0, true), Turn::Hold);
        assert_eq!(ahead.turn(0, true), Turn::Nothing);
    }

    #[test]
    fn one_large_step_needs_no_call() {
        assert_eq!(Ahead::default().turn(524_288, true), Turn::Nothing);
    }
}
