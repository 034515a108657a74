use proptest::prelude::*;

use super::*;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// The key 00 01 02 … 1f.
fn key() -> Key {
    Key::from_random(std::array::from_fn(|place| u8::try_from(place).unwrap()))
}

fn tokens(pool: &str, servers: &[&str]) -> Tokens {
    let names: Vec<Name> = servers.iter().map(|server| name(server)).collect();
    Tokens::new(&key(), &name(pool), names.iter())
}

#[test]
fn a_token_is_what_another_implementation_works_out() {
    // Python: base64.urlsafe_b64encode(hmac.digest(bytes(range(32)), b"web\0s0", "sha256")[:16])
    assert_eq!(Token::new(&key(), &name("web"), &name("s0")).as_str(), "G5iqOKqi9h1A3GTWHyI_1w");
    assert_eq!(Token::new(&key(), &name("web"), &name("s1")).as_str(), "tZOXotU7To4Knn2L8jHizw");
    // The same with hashlib.sha256(b"evenkeel sticky cookie\0" + secret).digest() as the key.
    let key = Key::from_secret(b"0123456789abcdef0123456789abcdef\r\n").unwrap();
    assert_eq!(Token::new(&key, &name("web"), &name("s0")).as_str(), "bMncFA9AqPRqoTVvab69Uw");
}

#[test]
fn a_secret_needs_as_many_bytes_as_the_key() {
    assert_eq!(Key::from_secret(&[b'x'; 31]), Err(TooShort { bytes: 31 }));
    assert_eq!(Key::from_secret(b" \n\n"), Err(TooShort { bytes: 0 }));
    assert!(Key::from_secret(&[b'x'; 32]).is_ok());
    // White space is taken off the end before it is counted.
    assert_eq!(Key::from_secret(b"0123456789abcdef0123456789abcde\n"), Err(TooShort { bytes: 31 }));
}

#[test]
fn the_first_cookie_that_names_a_server_counts() {
    let (tokens, other) = (tokens("web", &["s0", "s1"]), tokens("api", &["s0"]));
    let s0 = tokens.of(0).unwrap().as_str().as_bytes();
    let s1 = tokens.of(1).unwrap().as_str().as_bytes();
    let foreign = other.of(0).unwrap().as_str().as_bytes();
    for (values, claim) in [
        (vec![], Claim::Nothing),
        (vec![s0], Claim::Server(0)),
        (vec![s1, s0], Claim::Server(1)),
        (vec![b"s0", s1], Claim::Server(1)),
        (vec![foreign], Claim::Unknown),
        (vec![b""], Claim::Unknown),
        (vec![&s0[..21]], Claim::Unknown),
        (vec![b"G5iqOKqi9h1A3GTWHyI_1W"], Claim::Unknown),
        (vec![b"G5iqOKqi9h1A3GTWHyI_1w=="], Claim::Unknown),
    ] {
        assert_eq!(tokens.claim(values.iter().copied()), claim, "{values:?}");
    }
}

#[test]
fn whoever_was_not_kept_has_another_outcome() {
    for (claim, answered, outcome) in [
        (Claim::Nothing, 0, Outcome::New),
        (Claim::Unknown, 0, Outcome::Unknown),
        (Claim::Server(0), 0, Outcome::Kept),
        (Claim::Server(0), 1, Outcome::Moved),
    ] {
        assert_eq!(claim.outcome(answered), outcome);
    }
    for (number, outcome) in Outcome::ALL.into_iter().enumerate() {
        assert_eq!(outcome as usize, number);
    }
}

#[test]
fn attributes_say_what_was_asked_for() {
    let plain = Cookie {
        name: "LB".into(),
        same_site: SameSite::Lax,
        secure: Secure::Auto,
        max_age: None,
        domain: None,
    };
    assert_eq!(plain.attributes(false), "; Path=/; HttpOnly; SameSite=Lax");
    assert_eq!(plain.attributes(true), "; Path=/; HttpOnly; Secure; SameSite=Lax");
    let all = Cookie {
        same_site: SameSite::None,
        secure: Secure::Always,
        max_age: Some(Duration::from_secs(3600)),
        domain: Some("example.com".into()),
        ..plain.clone()
    };
    let expected = "; Path=/; Domain=example.com; Max-Age=3600; HttpOnly; Secure; SameSite=None";
    assert_eq!([all.attributes(false), all.attributes(true)], [expected; 2]);
    let never = Cookie { same_site: SameSite::Strict, secure: Secure::Never, ..plain };
    assert_eq!(never.attributes(true), "; Path=/; HttpOnly; SameSite=Strict");
}

#[test]
fn no_secret_is_shown() {
    let tokens = tokens("web", &["s0"]);
    let shown = format!("{:?} {:?}", key(), tokens);
    assert!(shown.starts_with("Key(…) Tokens"), "{shown}");
    assert!(!shown.contains(tokens.of(0).unwrap().as_str()), "{shown}");
}

proptest! {
    #[test]
    fn every_token_finds_its_server_and_nothing_else_does(
        servers in prop::collection::btree_set("[a-z0-9]{1,8}", 1..40),
        bytes in any::<[u8; 32]>(),
        guess in "[A-Za-z0-9_-]{22}",
        flip in (0..TOKEN_LENGTH, any::<u8>()),
    ) {
        let names: Vec<Name> = servers.iter().map(|server| name(server)).collect();
        let key = Key::from_random(bytes);
        let tokens = Tokens::new(&key, &name("web"), names.iter());
        for (index, server) in names.iter().enumerate() {
            let token = tokens.of(index).unwrap();
            // Alone or among others, the name decides.
            prop_assert_eq!(*token, Token::new(&key, &name("web"), server));
            prop_assert_eq!(tokens.find(token.as_str().as_bytes()), Some(index));
            prop_assert!(token.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
            let mut changed = token.0;
            changed[flip.0] = flip.1;
            if changed != token.0 {
                prop_assert_ne!(tokens.find(&changed), Some(index));
            }
        }
        prop_assert_eq!(tokens.find(guess.as_bytes()), None);
    }

    #[test]
    fn a_key_comes_through_a_message_as_it_was(bytes in any::<[u8; 32]>()) {
        let key = Key::from_random(bytes);
        prop_assert_eq!(Key::try_from(String::from(key.clone())), Ok(key));
    }
}

#[test]
fn a_look_up_allocates_nothing() {
    let tokens = tokens("web", &["s0", "s1", "s2"]);
    let value = tokens.of(2).unwrap().as_str().to_owned();
    let values = [b"forged".as_slice(), b"tZOXotU7To4Knn2L8jHizW", value.as_bytes()];
    let mut claim = Claim::Nothing;
    let allocated = allocation_counter::measure(|| claim = tokens.claim(values.into_iter()));
    assert_eq!((claim, allocated.count_total), (Claim::Server(2), 0));
}
