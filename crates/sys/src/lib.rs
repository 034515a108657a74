//! Talks to Linux; the only unsafe code.
