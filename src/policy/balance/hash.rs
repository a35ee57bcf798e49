//! HAProxy's hash functions, bit for bit (configuration.txt section 4.2, `hash-type`).

use crate::config::model::{HashFunction, HashModifier, HashType};
use std::net::IpAddr;

/// The key of `bytes` as `hash-type` wants it. For algorithms that hash text (`hdr`, `uri`, `hash` …).
pub fn key(hash_type: &HashType, bytes: &[u8]) -> u32 {
    let hash = match hash_type.function {
        HashFunction::Sdbm => sdbm(bytes),
        HashFunction::Djb2 => djb2(bytes),
        HashFunction::Wt6 => wt6(bytes),
        HashFunction::Crc32 => crc32(bytes),
        HashFunction::None => as_number(bytes),
    };
    modify(hash_type, hash)
}

/// The key of `balance source`. HAProxy folds the address with exclusive or, takes the words in network order, and
/// leaves `hash-type`'s function out of it; only the modifier applies.
pub fn source_key(hash_type: &HashType, client: IpAddr) -> u32 {
    let folded = match client {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            (bits >> 96) as u32 ^ (bits >> 64) as u32 ^ (bits >> 32) as u32 ^ bits as u32
        }
    };
    modify(hash_type, folded)
}

fn modify(hash_type: &HashType, hash: u32) -> u32 {
    match hash_type.modifier {
        HashModifier::None => hash,
        HashModifier::Avalanche => avalanche(hash),
    }
}

/// From the sdbm database library.
pub fn sdbm(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |hash: u32, &byte| u32::from(byte).wrapping_add(hash << 6).wrapping_add(hash << 16).wrapping_sub(hash))
}

/// Daniel J. Bernstein's, times 33 from 5381.
pub fn djb2(bytes: &[u8]) -> u32 {
    bytes.iter().fold(5381, |hash: u32, &byte| (hash << 5).wrapping_add(hash).wrapping_add(u32::from(byte)))
}

/// HAProxy's own: two words that rotate each other by as much as the text says.
pub fn wt6(bytes: &[u8]) -> u32 {
    let (mut a, mut b): (u32, u32) = (0xa53c_965a, 0x5ca6_953a);
    let (mut a_step, mut b_step) = (6, 18);
    for &byte in bytes {
        a = !(a ^ u32::from(byte));
        b = !b.wrapping_add(u32::from(byte));
        (a, b) = (b.rotate_left(a_step), a.rotate_left(b_step));
        let steps = ((a >> 16) ^ b) & 0xffff;
        (a_step, b_step) = (steps & 0x1f, steps >> 11);
    }
    a ^ b
}

/// The CRC-32 of Ethernet and gzip (polynomial 0xEDB88320, reflected).
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| (crc >> 8) ^ CRC_TABLE[usize::from(crc as u8 ^ byte)])
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut remainder = index as u32;
        let mut bit = 0;
        while bit < 8 {
            remainder = if remainder & 1 != 0 { (remainder >> 1) ^ 0xedb8_8320 } else { remainder >> 1 };
            bit += 1;
        }
        table[index] = remainder;
        index += 1;
    }
    table
};

/// Function `none`: the text is the number, up to the first character that is no digit.
fn as_number(bytes: &[u8]) -> u32 {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, bytes),
    };
    let magnitude = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0i64, |number, &byte| number.saturating_mul(10).saturating_add(i64::from(byte - b'0')));
    (if negative { -magnitude } else { magnitude }) as u32
}

/// Modifier `avalanche`, and the place of a server's nodes on the ring: Bob Jenkins' full-avalanche integer hash,
/// multiplied by a large prime.
pub fn avalanche(mut a: u32) -> u32 {
    a = a.wrapping_add(0x7ed5_5d16).wrapping_add(a << 12);
    a = (a ^ 0xc761_c23c) ^ (a >> 19);
    a = a.wrapping_add(0x1656_67b1).wrapping_add(a << 5);
    a = a.wrapping_add(0xd3a2_646c) ^ (a << 9);
    a = a.wrapping_add(0xfd70_46c5).wrapping_add(a << 3);
    a = (a ^ 0xb55a_4f09) ^ (a >> 16);
    a.wrapping_mul(3_221_225_473)
}
