//! Networks of both families (configuration.txt section 7.1.6): one hash map for each prefix length in use, asked from
//! the longest to the shortest.

use super::PatternEntry;
use super::sharded::{Change, ShardedMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// An address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    pub bits: u8,
}

/// Reads `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `10` (as the C library does: 10.0.0.0), `::1`, `2001:db8::/32`.
pub fn parse_network(text: &str) -> Result<Network, String> {
    let wrong = || format!("'{text}' is not a valid IPv4 or IPv6 address");
    let (address, mask) = match text.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (text, None),
    };
    if let Ok(address) = address.parse::<Ipv6Addr>() {
        let bits = mask.map_or(Some(128), |mask| mask.parse().ok().filter(|bits| *bits <= 128));
        return bits.map(|bits| Network { address: address.into(), bits }).ok_or_else(wrong);
    }
    let bits = match mask {
        None => Some(32),
        Some(mask) => match mask.parse::<Ipv4Addr>() {
            // A mask with holes is no prefix; HAProxy takes it, and nobody means it.
            Ok(mask) => (u32::from(mask).leading_ones() == u32::from(mask).count_ones())
                .then_some(u32::from(mask).leading_ones() as u8),
            Err(_) => mask.parse::<u8>().ok().filter(|bits| *bits <= 32),
        },
    };
    let address = parse_ipv4(address).ok_or_else(wrong)?;
    bits.map(|bits| Network { address: address.into(), bits }).ok_or_else(wrong)
}

/// As HAProxy's `str2net`: missing parts at the end are 0.
fn parse_ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        match parts.next() {
            Some(part) if !part.is_empty() && part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit()) => {
                *octet = part.parse().ok()?;
            }
            Some(_) => return None,
            None => break,
        }
    }
    parts.next().is_none().then(|| octets.into())
}

#[derive(Clone, Debug, Default)]
pub struct Networks {
    /// By prefix length, longest first.
    v4: Vec<(u8, ShardedMap<u32>)>,
    v6: Vec<(u8, ShardedMap<u128>)>,
}

fn masked_v4(address: u32, bits: u8) -> u32 {
    address & u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0)
}

fn masked_v6(address: u128, bits: u8) -> u128 {
    address & u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0)
}

/// The map of one prefix length, made when it is missing.
fn at_length<K>(maps: &mut Vec<(u8, ShardedMap<K>)>, bits: u8) -> Option<&mut ShardedMap<K>> {
    let at = maps.partition_point(|(other, _)| *other > bits);
    if maps.get(at).is_none_or(|(other, _)| *other != bits) {
        maps.insert(at, (bits, ShardedMap::default()));
    }
    maps.get_mut(at).map(|(_, map)| map)
}

impl Networks {
    pub fn insert(&mut self, network: Network, entry: Arc<PatternEntry>) {
        match network.address {
            IpAddr::V4(address) => {
                if let Some(map) = at_length(&mut self.v4, network.bits) {
                    map.insert(masked_v4(address.into(), network.bits), entry);
                }
            }
            IpAddr::V6(address) => {
                if let Some(map) = at_length(&mut self.v6, network.bits) {
                    map.insert(masked_v6(address.into(), network.bits), entry);
                }
            }
        }
    }

    /// Changes the entries written as `pattern`; how many there were.
    pub fn change(&mut self, pattern: &[u8], change: &mut Change) -> usize {
        let Ok(network) = parse_network(&String::from_utf8_lossy(pattern)) else {
            // A name that was resolved when the file was read: what it stood for then is not known any more.
            let v4: usize = self.v4.iter_mut().map(|(_, map)| map.change_all(change)).sum();
            return v4 + self.v6.iter_mut().map(|(_, map)| map.change_all(change)).sum::<usize>();
        };
        let bits = network.bits;
        let changed = match network.address {
            IpAddr::V4(address) => {
                at_length(&mut self.v4, bits).map(|map| map.change(&masked_v4(address.into(), bits), change))
            }
            IpAddr::V6(address) => {
                at_length(&mut self.v6, bits).map(|map| map.change(&masked_v6(address.into(), bits), change))
            }
        };
        changed.map_or(0, |(count, _)| count)
    }

    /// Whether there is an entry written as `pattern`.
    pub fn has(&self, pattern: &[u8]) -> bool {
        let Ok(Network { address, bits }) = parse_network(&String::from_utf8_lossy(pattern)) else {
            return self.entries().any(|entry| *entry.pattern == *pattern);
        };
        match address {
            IpAddr::V4(address) => {
                let key = masked_v4(address.into(), bits);
                self.v4.iter().any(|(other, map)| *other == bits && map.has(&key, pattern))
            }
            IpAddr::V6(address) => {
                let key = masked_v6(address.into(), bits);
                self.v6.iter().any(|(other, map)| *other == bits && map.has(&key, pattern))
            }
        }
    }

    pub fn find(&self, address: IpAddr) -> Option<&PatternEntry> {
        match address {
            IpAddr::V4(address) => self.find_v4(address).or_else(|| self.find_v6(address.to_ipv6_mapped())),
            IpAddr::V6(address) => {
                self.find_v6(address).or_else(|| as_v4(address).and_then(|address| self.find_v4(address)))
            }
        }
    }

    fn find_v4(&self, address: Ipv4Addr) -> Option<&PatternEntry> {
        let address = u32::from(address);
        self.v4.iter().find_map(|(bits, map)| map.get(&masked_v4(address, *bits)))
    }

    fn find_v6(&self, address: Ipv6Addr) -> Option<&PatternEntry> {
        let address = u128::from(address);
        self.v6.iter().find_map(|(bits, map)| map.get(&masked_v6(address, *bits)))
    }

    pub fn entries(&self) -> impl Iterator<Item = &PatternEntry> {
        let v4 = self.v4.iter().flat_map(|(_, map)| map.values());
        v4.chain(self.v6.iter().flat_map(|(_, map)| map.values()))
    }
}

/// `::ffff:a.b.c.d`, `::a.b.c.d` and 6to4's `2002:ab:cd::`.
fn as_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let number = u128::from(address);
    if number >> 112 == 0x2002 {
        return Some(Ipv4Addr::from((number >> 80) as u32));
    }
    matches!(number >> 32, 0 | 0xffff).then(|| Ipv4Addr::from(number as u32))
}
