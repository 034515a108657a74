//! Shows and steers.
