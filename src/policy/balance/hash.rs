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

/// Bit for bit against HAProxy itself: `tests/balancing/hashes.rs`. Here: known values and slow twins.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::HashMethod;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(djb2(b""), 5381);
        assert_eq!(djb2(b"a"), 5381 * 33 + 97);
        assert_eq!(sdbm(b"a"), 97);
        let plain =
            HashType { method: HashMethod::MapBased, function: HashFunction::None, modifier: HashModifier::None };
        for (text, number) in [("42", 42), ("17x", 17), ("-1", u32::MAX), ("", 0), ("x", 0), ("4294967297", 1)] {
            assert_eq!(key(&plain, text.as_bytes()), number, "{text}");
        }
        assert_eq!(source_key(&plain, "1.2.3.4".parse().unwrap()), 0x0102_0304);
        assert_eq!(source_key(&plain, "1::4:5:6".parse().unwrap()), 0x0001_0000 ^ 4 ^ 0x0005_0006);
    }

    proptest! {
        #[test]
        fn functions_agree_with_naive_twins(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let modulus = 1u128 << 32;
            let twin = |start: u128, factor: u128| {
                bytes.iter().fold(start, |hash, &byte| (hash * factor + u128::from(byte)) % modulus)
            };
            prop_assert_eq!(u128::from(djb2(&bytes)), twin(5381, 33));
            prop_assert_eq!(u128::from(sdbm(&bytes)), twin(0, 65_599));
            // One bit at a time, as a shift register does it.
            let mut register = u32::MAX;
            for &byte in &bytes {
                for bit in 0..8 {
                    let feed = (register ^ u32::from(byte >> bit)) & 1;
                    register = (register >> 1) ^ (feed * 0xedb8_8320);
                }
            }
            prop_assert_eq!(crc32(&bytes), !register);
        }

        /// Each step can be undone, so no two numbers meet: a collision would lose ring nodes.
        #[test]
        fn avalanche_keeps_numbers_apart(a in any::<u32>(), b in any::<u32>()) {
            prop_assert_eq!(a == b, avalanche(a) == avalanche(b));
        }
    }
}
