//! Whether a request that failed may be sent again, and where.
//!
//! RFC 9110 §9.2.2: a request that is not idempotent may be sent again only when it is known that the first was not
//! processed. Invariant: a request of which the client has seen a byte of an answer is never sent again.

/// Pause before servers that were all tried are tried again: one that is restarted refuses for a moment only.
pub const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// How far a try came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection could be opened.
    Connect,
    /// The connection ended before a byte of the request was written.
    NothingSent,
    /// The connection ended after something was written and before a byte of a response came.
    NoResponse,
    /// The connection ended within a response.
    PartialResponse,
}

/// What was tried.
#[derive(Clone, Copy, Debug)]
pub struct Try {
    /// Sending the request twice does no more than sending it once.
    pub idempotent: bool,
    /// All bytes of the request are still there to be sent again.
    pub replayable: bool,
    /// The connection had carried a request before: that it ended may say nothing about the server.
    pub reused: bool,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Once more on a new connection to the same server, for free.
    Fresh,
    /// Another server, if there is one and tries are left.
    Elsewhere,
    /// Answer the client.
    No,
}

/// Decides about a failed try.
#[must_use]
pub fn after(failure: Failure, tried: Try) -> Retry {
    let may = match failure {
        Failure::Connect => return Retry::Elsewhere,
        Failure::NothingSent => tried.replayable,
        Failure::NoResponse => tried.replayable && tried.idempotent,
        Failure::PartialResponse => false,
    };
    match (may, tried.reused) {
        (false, _) => Retry::No,
        (true, true) => Retry::Fresh,
        (true, false) => Retry::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Try = Try { idempotent: true, replayable: true, reused: false };

    #[test]
    fn a_server_that_cannot_be_reached_is_skipped_whatever_was_asked() {
        let post = Try { idempotent: false, replayable: false, reused: false };
        assert_eq!(after(Failure::Connect, post), Retry::Elsewhere);
    }

    #[test]
    fn a_used_connection_that_ends_gives_a_free_try() {
        assert_eq!(after(Failure::NoResponse, Try { reused: true, ..GET }), Retry::Fresh);
        assert_eq!(after(Failure::NoResponse, GET), Retry::Elsewhere);
    }

    #[test]
    fn what_may_have_been_done_is_not_done_again() {
        let post = Try { idempotent: false, ..GET };
        assert_eq!(after(Failure::NoResponse, post), Retry::No);
        assert_eq!(after(Failure::NoResponse, Try { reused: true, ..post }), Retry::No);
        assert_eq!(after(Failure::NothingSent, post), Retry::Elsewhere);
        assert_eq!(after(Failure::NothingSent, Try { reused: true, ..post }), Retry::Fresh);
    }

    #[test]
    fn what_is_gone_cannot_be_sent_again() {
        let streamed = Try { replayable: false, ..GET };
        assert_eq!(after(Failure::NoResponse, streamed), Retry::No);
        assert_eq!(after(Failure::NothingSent, streamed), Retry::No);
        assert_eq!(after(Failure::PartialResponse, GET), Retry::No);
    }
}
