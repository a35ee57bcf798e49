//! Users of `userlist` sections and their passwords (configuration.txt section 3.4): `http_auth`, `http_auth_group`.
//!
//! A hash is slow on purpose: milliseconds in which a worker serves nobody else. A password that was right is therefore
//! remembered for a minute, by each worker for itself, as a keyed digest.

use crate::config::model::{Config, Password, User, Userlist};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use subtle::ConstantTimeEq;

/// How long a right password is remembered.
const REMEMBERED_US: u64 = 60_000_000;
/// How many are remembered; the oldest goes first.
const REMEMBERED_MAX: usize = 256;

/// The list of this name.
pub fn list<'c>(config: &'c Config, name: &str) -> Option<&'c Userlist> {
    config.userlists.iter().find(|list| list.name == name)
}

/// The user of this name, if `password` is theirs. `now_us` is the monotonic clock.
pub fn check<'l>(list: &'l Userlist, name: &[u8], password: &[u8], now_us: u64) -> Option<&'l User> {
    let user = list.users.iter().find(|user| user.name.as_bytes() == name)?;
    let is_right = match &user.password {
        Password::None => false,
        Password::Plain(right) => right.as_bytes().ct_eq(password).into(),
        Password::Hashed(hash) => is_right_hash(hash, password, now_us),
    };
    is_right.then_some(user)
}

/// Whether the user is in one of the groups (`http_auth_group(list) group…`).
pub fn is_in_group(user: &User, group: &[u8]) -> bool {
    user.groups.iter().any(|own| own.as_bytes() == group)
}

fn is_right_hash(hash: &str, password: &[u8], now_us: u64) -> bool {
    // crypt(3) ends a password at a zero byte: the rest would not count.
    if password.contains(&0) {
        return false;
    }
    let digest = digest_of(hash, password);
    REMEMBERED.with_borrow_mut(|remembered| {
        if remembered.holds(&digest, now_us) {
            return true;
        }
        let is_right = pwhash::unix::verify(password, hash);
        if is_right {
            remembered.add(digest, now_us);
        }
        is_right
    })
}

thread_local! {
    static REMEMBERED: RefCell<Remembered> = RefCell::default();
    /// Makes what is remembered useless outside of this thread.
    static KEY: [u64; 2] = [0u8, 1].map(|part| RandomState::new().hash_one(part));
}

fn digest_of(hash: &str, password: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    KEY.with(|key| key.iter().for_each(|part| hasher.update(part.to_le_bytes())));
    // The hash's length keeps the two texts apart.
    hasher.update((hash.len() as u64).to_le_bytes());
    hasher.update(hash);
    hasher.update(password);
    hasher.finalize().into()
}

#[derive(Default)]
struct Remembered {
    entries: Vec<([u8; 32], u64)>,
}

impl Remembered {
    fn holds(&mut self, digest: &[u8; 32], now_us: u64) -> bool {
        self.entries.retain(|(_, since_us)| now_us.saturating_sub(*since_us) < REMEMBERED_US);
        self.entries.iter().any(|(known, _)| known.ct_eq(digest).into())
    }

    fn add(&mut self, digest: [u8; 32], now_us: u64) {
        if self.entries.len() >= REMEMBERED_MAX {
            self.entries.remove(0);
        }
        self.entries.push((digest, now_us));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::time::Instant;

    fn list_of(password: Password) -> Userlist {
        let user = User { name: "ada".into(), password, groups: vec!["g".into()] };
        Userlist { name: "l".into(), users: vec![user] }
    }

    #[test]
    fn plain_passwords_and_groups() {
        let list = list_of(Password::Plain("secret".into()));
        let user = check(&list, b"ada", b"secret", 0).expect("the right password");
        assert!(is_in_group(user, b"g") && !is_in_group(user, b"h"));
        for (name, password) in [("ada", "Secret"), ("ada", ""), ("bob", "secret"), ("ada", "secret2")] {
            assert!(check(&list, name.as_bytes(), password.as_bytes(), 0).is_none());
        }
        assert!(check(&list_of(Password::None), b"ada", b"", 0).is_none());
    }

    #[test]
    fn the_hashes_that_openssl_makes() {
        for kind in ["-1", "-5", "-6"] {
            let output = Command::new("openssl").args(["passwd", kind, "-salt", "pepper", "pass word"]).output();
            let Ok(output) = output else {
                return eprintln!("openssl is not installed: nothing compared");
            };
            let hash = String::from_utf8(output.stdout).expect("text").trim().to_owned();
            let list = list_of(Password::Hashed(hash.clone()));
            assert!(check(&list, b"ada", b"pass word", 0).is_some(), "{hash}");
            assert!(check(&list, b"ada", b"pass wort", 0).is_none(), "{hash}");
            assert!(check(&list, b"ada", b"pass word\0", 0).is_none(), "{hash}");
        }
    }

    #[test]
    fn a_right_password_is_remembered_for_a_minute() {
        // 200,000 rounds: slow enough to tell the two apart.
        let hash = pwhash::sha512_crypt::hash_with("$6$rounds=200000$salt", b"right").expect("a hash");
        let list = list_of(Password::Hashed(hash));
        let time = |now_us| {
            let start = Instant::now();
            assert!(check(&list, b"ada", b"right", now_us).is_some());
            start.elapsed()
        };
        let (first, second, much_later) = (time(0), time(REMEMBERED_US - 1), time(REMEMBERED_US * 3));
        assert!(second * 10 < first && second * 10 < much_later, "{first:?} {second:?} {much_later:?}");
        assert!(check(&list, b"ada", b"wrong", 1).is_none());
    }
}
