//! The link between two nodes.

use evenkeel_pair::Key;
use evenkeel_pair::noise::answer;
use evenkeel_pair::wire::{GREETING, HELLO, Hello, Said, frame};

/// What a stranger sends, and what the other node says once it was believed.
pub fn pair(data: &[u8]) {
    if let Some((greeting, _)) = data.split_first_chunk::<GREETING>() {
        let key = Key::from_secret(&[b'k'; 32]).expect("a secret of 32 bytes");
        assert!(answer(&key, 1, greeting).is_err(), "a greeting of somebody who does not know the key");
    }
    if let Some((hello, _)) = data.split_first_chunk::<HELLO>() {
        assert_eq!(Hello::read(hello).write(), *hello);
    }
    if let Ok(Some((bytes, length))) = frame(data) {
        assert!(length <= data.len() && bytes.len() + 2 == length);
    }
    if let Ok(said) = Said::read(data) {
        let mut written = Vec::new();
        assert!(said.write(&mut written).is_ok() && written == data);
    }
}
