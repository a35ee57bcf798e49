//! The PROXY protocol, versions 1 and 2: whose connection this is, said before its first byte
//! (<https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt>).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A connection's two ends as the client has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    pub source: SocketAddr,
    pub destination: SocketAddr,
}

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// All of them belong to a header that is not whole yet.
    Incomplete,
    /// The first `length_bytes` are a header. `announced`: `None` for LOCAL, UNKNOWN, and families that are no IP: the
    /// connection's own addresses hold.
    Header { length_bytes: usize, announced: Option<Announced> },
    /// Something else.
    NotAHeader,
    /// It began like a header and is none.
    Invalid,
}

/// Section 2.1: with its end of line.
const V1_BYTES_MAX: usize = 107;
const V1_START: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED_BYTES: usize = 16;
/// What a buffer of HAProxy's holds; the TLVs that are known by now are far shorter.
pub const HEADER_BYTES_MAX: usize = 16_384;

/// Reads the first bytes of a connection.
pub fn parse(bytes: &[u8]) -> Parsed {
    if begins_like(bytes, V1_START) {
        return parse_v1(bytes);
    }
    if begins_like(bytes, V2_SIGNATURE) {
        return parse_v2(bytes);
    }
    Parsed::NotAHeader
}

/// As far as both go.
fn begins_like(bytes: &[u8], start: &[u8]) -> bool {
    let length = bytes.len().min(start.len());
    bytes.get(..length) == start.get(..length)
}

fn parse_v1(bytes: &[u8]) -> Parsed {
    let Some(end) = memchr::memchr(b'\n', bytes.get(..bytes.len().min(V1_BYTES_MAX)).unwrap_or_default()) else {
        return if bytes.len() >= V1_BYTES_MAX { Parsed::Invalid } else { Parsed::Incomplete };
    };
    let line = bytes.get(V1_START.len()..end).and_then(|line| line.strip_suffix(b"\r"));
    let Some(line) = line.and_then(|line| std::str::from_utf8(line).ok()) else { return Parsed::Invalid };
    let length_bytes = end + 1;
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Parsed::Header { length_bytes, announced: None };
    }
    match v1_addresses(line) {
        Some(announced) => Parsed::Header { length_bytes, announced: Some(announced) },
        None => Parsed::Invalid,
    }
}

fn v1_addresses(line: &str) -> Option<Announced> {
    let mut words = line.split(' ');
    let family = words.next()?;
    let (source, destination): (IpAddr, IpAddr) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let is_of_family = match family {
        "TCP4" => source.is_ipv4() && destination.is_ipv4(),
        "TCP6" => source.is_ipv6() && destination.is_ipv6(),
        _ => false,
    };
    let mut port = || words.next().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()))?.parse::<u16>().ok();
    let (source_port, destination_port) = (port()?, port()?);
    (is_of_family && words.next().is_none()).then(|| Announced {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    })
}

fn parse_v2(bytes: &[u8]) -> Parsed {
    let Some(fixed) = bytes.get(..V2_FIXED_BYTES) else { return Parsed::Incomplete };
    let (version_and_command, family) = (fixed[12], fixed[13]);
    let rest_bytes = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    let length_bytes = V2_FIXED_BYTES + rest_bytes;
    if !matches!(version_and_command, 0x20 | 0x21) || length_bytes > HEADER_BYTES_MAX {
        return Parsed::Invalid;
    }
    let Some(rest) = bytes.get(V2_FIXED_BYTES..length_bytes) else { return Parsed::Incomplete };
    if version_and_command == 0x20 {
        return Parsed::Header { length_bytes, announced: None };
    }
    let announced = match family {
        0x11 => v2_addresses(rest, 4),
        0x21 => v2_addresses(rest, 16),
        _ => return Parsed::Header { length_bytes, announced: None },
    };
    match announced {
        Some(announced) => Parsed::Header { length_bytes, announced: Some(announced) },
        None => Parsed::Invalid,
    }
}

fn v2_addresses(bytes: &[u8], address_bytes: usize) -> Option<Announced> {
    let (source, rest) = bytes.split_at_checked(address_bytes)?;
    let (destination, ports) = rest.split_at_checked(address_bytes)?;
    let port = |at: usize| Some(u16::from_be_bytes([*ports.get(at)?, *ports.get(at + 1)?]));
    Some(Announced {
        source: SocketAddr::new(ip(source)?, port(0)?),
        destination: SocketAddr::new(ip(destination)?, port(2)?),
    })
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::V4(Ipv4Addr::from(four)));
    }
    <[u8; 16]>::try_from(bytes).ok().map(|sixteen| IpAddr::V6(Ipv6Addr::from(sixteen)))
}

/// A header of version 1. `None`, or ends of two families: UNKNOWN.
pub fn v1_header(announced: Option<Announced>) -> Vec<u8> {
    match announced {
        Some(Announced { source, destination }) if source.is_ipv4() == destination.is_ipv4() => {
            let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from, to) = (source.ip(), destination.ip());
            format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
        }
        _ => b"PROXY UNKNOWN\r\n".to_vec(),
    }
}

/// A header of version 2. `None`: LOCAL, the balancer's own connection.
pub fn v2_header(announced: Option<Announced>) -> Vec<u8> {
    let mut header = V2_SIGNATURE.to_vec();
    let Some(Announced { source, destination }) = announced else {
        header.extend_from_slice(&[0x20, 0x00, 0, 0]);
        return header;
    };
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header.extend_from_slice(&[0x21, 0x11, 0, 12]);
            header.extend_from_slice(&from.octets());
            header.extend_from_slice(&to.octets());
        }
        (from, to) => {
            header.extend_from_slice(&[0x21, 0x21, 0, 36]);
            header.extend_from_slice(&mapped(from).octets());
            header.extend_from_slice(&mapped(to).octets());
        }
    }
    header.extend_from_slice(&source.port().to_be_bytes());
    header.extend_from_slice(&destination.port().to_be_bytes());
    header
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn both(source: &str, destination: &str) -> Announced {
        Announced { source: source.parse().expect("address"), destination: destination.parse().expect("address") }
    }

    fn announced(text: &[u8]) -> Option<Option<Announced>> {
        match parse(text) {
            Parsed::Header { length_bytes, announced } if length_bytes == text.len() => Some(announced),
            _ => None,
        }
    }

    #[test]
    fn what_version_1_says() {
        let four = both("192.0.2.1:56324", "192.0.2.2:443");
        assert_eq!(announced(b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"), Some(Some(four)));
        let six = both("[2001:db8::1]:1", "[::1]:65535");
        assert_eq!(announced(b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), Some(Some(six)));
        assert_eq!(announced(b"PROXY UNKNOWN\r\n"), Some(None));
        assert_eq!(announced(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), Some(None));
        for line in [
            "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443 1\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 56324 65536\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 +1 443\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY UNKNOWNX\r\n",
            "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        ] {
            assert_eq!(parse(line.as_bytes()), Parsed::Invalid, "{line}");
        }
        assert_eq!(parse(&[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 100]].concat()), Parsed::Invalid);
        for text in ["GET / HTTP/1.1\r\n", "PROXZ", "\r\n\r\nX"] {
            assert_eq!(parse(text.as_bytes()), Parsed::NotAHeader, "{text}");
        }
    }

    #[test]
    fn what_version_2_says() {
        let start = |rest: &[u8]| [V2_SIGNATURE.as_slice(), rest].concat();
        assert_eq!(announced(&start(&[0x20, 0, 0, 3, 1, 2, 3])), Some(None));
        assert_eq!(announced(&start(&[0x21, 0x31, 0, 1, 9])), Some(None), "a unix socket's");
        assert_eq!(parse(&start(&[0x21, 0x11, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])), Parsed::Invalid);
        assert_eq!(parse(&start(&[0x22, 0x11, 0, 0])), Parsed::Invalid);
        assert_eq!(parse(&start(&[0x31, 0x11, 0, 0])), Parsed::Invalid);
        assert_eq!(parse(&start(&[0x21, 0x11, 0xff, 0xff])), Parsed::Invalid, "more than is kept");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            source: (u128, u16), destination: (u128, u16), is_four: (bool, bool), data: Vec<u8>, cut in 0usize..60,
        ) {
            let address = |(bits, port): (u128, u16), four: bool| match four {
                true => SocketAddr::from((Ipv4Addr::from(bits as u32), port)),
                false => SocketAddr::from((Ipv6Addr::from(bits), port)),
            };
            let said = Announced { source: address(source, is_four.0), destination: address(destination, is_four.1) };
            for (header, is_v1) in [(v1_header(Some(said)), true), (v2_header(Some(said)), false)] {
                let expected = match (is_four.0 == is_four.1, is_v1) {
                    (true, _) => Some(said),
                    (false, true) => None,
                    (false, false) => Some(Announced {
                        source: SocketAddr::new(IpAddr::V6(mapped(said.source.ip())), said.source.port()),
                        destination: SocketAddr::new(IpAddr::V6(mapped(said.destination.ip())), said.destination.port()),
                    }),
                };
                let parsed = Parsed::Header { length_bytes: header.len(), announced: expected };
                prop_assert_eq!(parse(&[header.as_slice(), &data].concat()), parsed);
                let cut = cut % header.len();
                prop_assert_eq!(parse(&header[..cut]), Parsed::Incomplete);
            }
        }

        #[test]
        fn nothing_panics(start in prop::sample::select(vec![b"PROXY ".to_vec(), V2_SIGNATURE.to_vec(), vec![]]), rest: Vec<u8>) {
            let bytes = [start, rest].concat();
            if let Parsed::Header { length_bytes, .. } = parse(&bytes) {
                prop_assert!(length_bytes <= bytes.len());
            }
        }
    }
}
