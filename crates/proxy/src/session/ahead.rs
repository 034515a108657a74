//! How far one side may get ahead of the other in the kernel's memory.
//!
//! The kernel lets a source that is read quickly send more and more at once, up to `net.ipv4.tcp_rmem` (megabytes), and keeps what
//! has come when its reader stops. A few hundred readers that stop use up the memory that the kernel has for TCP
//! (`net.ipv4.tcp_mem`), and then every connection of the machine is slow. So a source may not get further ahead than at its
//! beginning until its target has shown that it takes much. A server's connection that was used before is free. And no more may wait for
//! a client than a little, until it has shown the same: see ADR 0164.
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
pub(crate) struct Ahead {
    source: Source,
    /// The target has shown that it takes much, and may have more waiting.
    is_fast: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Source {
    /// Not much has moved.
    #[default]
    Unknown,
    Held,
    /// It is not held, and will not be.
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
    /// From a source that is not held, whatever happens.
    pub(crate) fn of_free_source() -> Self {
        Self { source: Source::Free, is_fast: false }
    }

    /// Much is about to be read at once.
    pub(crate) fn long(&mut self, source: &Stream) {
        if self.source == Source::Unknown {
            self.source = Source::Held;
            source.hold_receive_buffer(true);
        }
    }

    /// So many bytes have moved in all; `stalls`: the target takes nothing now.
    pub(crate) fn moved(&mut self, source: &Stream, target: &Stream, bytes: u64, stalls: bool) {
        if !self.is_fast && bytes >= PROVEN {
            self.is_fast = true;
            target.let_more_wait();
        }
        match self.source.turn(bytes, stalls) {
            Turn::Nothing => {}
            Turn::Hold => source.hold_receive_buffer(true),
            Turn::Release => source.hold_receive_buffer(false),
        }
    }

    /// All has moved, and the source may be used for something else.
    pub(crate) fn done(&mut self, source: &Stream) {
        if std::mem::replace(&mut self.source, Source::Free) == Source::Held {
            source.hold_receive_buffer(false);
        }
    }
}

impl Source {
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
        let mut source = Source::default();
        assert_eq!(source.turn(65_535, false), Turn::Nothing);
        assert_eq!(source.turn(65_536, false), Turn::Hold);
        assert_eq!(source.turn(524_287, true), Turn::Nothing);
        assert_eq!(source.turn(524_288, true), Turn::Release);
        assert_eq!(source.turn(600_000, true), Turn::Nothing);
    }

    #[test]
    fn a_target_that_takes_nothing_has_its_source_held_at_once() {
        let mut source = Source::default();
        assert_eq!(source.turn(0, true), Turn::Hold);
        assert_eq!(source.turn(0, true), Turn::Nothing);
    }

    #[tokio::test]
    async fn more_may_wait_for_a_target_that_has_taken_much() {
        let address = "127.0.0.1:0".parse().unwrap();
        let listening = evenkeel_sys::socket::listen_tcp(address, 1, &[]).unwrap().remove(0);
        let listening = tokio::net::TcpListener::from_std(listening.into()).unwrap();
        let client = tokio::net::TcpStream::connect(listening.local_addr().unwrap()).await.unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&client, 4096).unwrap();
        let (accepted, _) = listening.accept().await.unwrap();
        let (source, target) = (Stream::Tcp(client), Stream::Tcp(accepted));
        let mut ahead = Ahead::of_free_source();
        let waiting = || {
            let sent = |_| evenkeel_sys::socket::send(target.descriptor().unwrap(), &[0; 64 * 1024]);
            (0..1000).map_while(|step| sent(step).ok()).sum::<usize>()
        };
        assert!(waiting() < 1024 * 1024);
        ahead.moved(&source, &target, 524_287, true);
        assert_eq!(waiting(), 0);
        ahead.moved(&source, &target, 524_288, true);
        assert!(waiting() >= 512 * 1024);
    }

    #[test]
    fn one_large_step_needs_no_call() {
        assert_eq!(Source::default().turn(524_288, true), Turn::Nothing);
    }
}
