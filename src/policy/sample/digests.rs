//! Hashes and digests.

use super::internal;
use crate::config::model::{DigestKind, HashKind, TextOperand};
use crate::policy::balance::hash as balance;
use crate::policy::exchange::Scope;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

pub fn hash(kind: HashKind, bytes: &[u8]) -> i64 {
    let modified = |hash: u32, avalanche: bool| i64::from(if avalanche { balance::avalanche(hash) } else { hash });
    match kind {
        HashKind::Crc32 { avalanche } => modified(balance::crc32(bytes), avalanche),
        HashKind::Crc32c { avalanche } => modified(crc32c::crc32c(bytes), avalanche),
        HashKind::Djb2 { avalanche } => modified(balance::djb2(bytes), avalanche),
        HashKind::Sdbm { avalanche } => modified(balance::sdbm(bytes), avalanche),
        HashKind::Wt6 { avalanche } => modified(balance::wt6(bytes), avalanche),
        HashKind::Xxh32 { seed } => i64::from(xxhash_rust::xxh32::xxh32(bytes, seed)),
        HashKind::Xxh64 { seed } => xxhash_rust::xxh64::xxh64(bytes, seed) as i64,
        HashKind::Xxh3 { seed } => xxhash_rust::xxh3::xxh3_64_with_seed(bytes, seed) as i64,
    }
}

pub fn digest(kind: DigestKind, bytes: &[u8]) -> Vec<u8> {
    match kind {
        DigestKind::Md5 => Md5::digest(bytes).to_vec(),
        DigestKind::Sha1 => Sha1::digest(bytes).to_vec(),
        DigestKind::Sha224 => Sha224::digest(bytes).to_vec(),
        DigestKind::Sha256 => Sha256::digest(bytes).to_vec(),
        DigestKind::Sha384 => Sha384::digest(bytes).to_vec(),
        DigestKind::Sha512 => Sha512::digest(bytes).to_vec(),
    }
}

/// A variable's key is base64, as a written one.
pub fn hmac(kind: DigestKind, key: &TextOperand, bytes: &[u8], scope: &Scope) -> Option<Vec<u8>> {
    match key {
        TextOperand::Text(key) => authenticate(kind, key, bytes),
        TextOperand::Variable(name) => {
            let key = STANDARD.decode(internal::text_variable(name, scope)?).ok()?;
            authenticate(kind, &key, bytes)
        }
    }
}

fn authenticate(kind: DigestKind, key: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    fn with<M: Mac + KeyInit>(key: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
        let mut code = <M as KeyInit>::new_from_slice(key).ok()?;
        code.update(bytes);
        Some(code.finalize().into_bytes().to_vec())
    }
    match kind {
        DigestKind::Md5 => with::<Hmac<Md5>>(key, bytes),
        DigestKind::Sha1 => with::<Hmac<Sha1>>(key, bytes),
        DigestKind::Sha224 => with::<Hmac<Sha224>>(key, bytes),
        DigestKind::Sha256 => with::<Hmac<Sha256>>(key, bytes),
        DigestKind::Sha384 => with::<Hmac<Sha384>>(key, bytes),
        DigestKind::Sha512 => with::<Hmac<Sha512>>(key, bytes),
    }
}
