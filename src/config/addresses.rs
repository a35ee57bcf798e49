//! The address forms of `bind`, `server`, `log`, `source` and `stats socket` (configuration.txt section 11).

use super::model::{ListenAddress, LogAddress, SourceAddress, UseSource};
use super::names::ResolveNames;
use super::values::parse_port;
use super::written::BindAddress;
use super::written_server::{Family, WrittenHost, WrittenPort};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Longest path of a unix socket, without its final NUL (`sun_path`, unix(7)).
const UNIX_PATH_BYTES_MAX: usize = 107;
/// Syslog's UDP port (RFC 5426).
const SYSLOG_PORT: u16 = 514;

/// An address cut into its parts, nothing looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts<'a> {
    host: Host<'a>,
    /// The text after the colon; `None` without a colon.
    port: Option<&'a str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host<'a> {
    Ip(IpAddr),
    Name(&'a str, Option<Family>),
    Unix(PathBuf),
    Abstract(Vec<u8>),
    Descriptor(i32),
}

/// Cuts `text` at its family prefix and its port.
fn split(text: &str, datagram: bool) -> Result<Parts<'_>, String> {
    if text.starts_with('/') {
        return unix(text).map(|host| Parts { host, port: None });
    }
    let Some((prefix, rest)) = text.split_once('@') else { return split_ip(text, None) };
    let family = prefix.strip_prefix(if datagram { "dgram+" } else { "stream+" }).unwrap_or(prefix);
    let without_port = |host| Parts { host, port: None };
    match family {
        "ip" => split_ip(rest, None),
        "ipv4" => split_ip(rest, Some(Family::V4)),
        "ipv6" => split_ip(rest, Some(Family::V6)),
        "tcp" if !datagram => split_ip(rest, None),
        "tcp4" if !datagram => split_ip(rest, Some(Family::V4)),
        "tcp6" if !datagram => split_ip(rest, Some(Family::V6)),
        "udp" if datagram => split_ip(rest, None),
        "udp4" if datagram => split_ip(rest, Some(Family::V4)),
        "udp6" if datagram => split_ip(rest, Some(Family::V6)),
        "unix" => unix(rest).map(without_port),
        "uxst" if !datagram => unix(rest).map(without_port),
        "uxdg" if datagram => unix(rest).map(without_port),
        "abns" => abstract_name(rest).map(without_port),
        "fd" => match rest.parse::<i32>() {
            Ok(descriptor) if descriptor >= 0 => Ok(without_port(Host::Descriptor(descriptor))),
            _ => Err(format!("'{rest}' is not a file descriptor number in '{text}'")),
        },
        "udp" | "udp4" | "udp6" | "dgram+ip" | "dgram+ipv4" | "dgram+ipv6" => {
            Err(format!("'{text}' is a datagram address, and this needs a stream"))
        }
        "tcp" | "tcp4" | "tcp6" => Err(format!("'{text}' is a stream address, and this needs datagrams (udp@)")),
        "quic4" | "quic6" => Err(format!("'{text}': QUIC is not supported; use a TCP address")),
        "mptcp" | "mptcp4" | "mptcp6" => Err(format!("'{text}': multipath TCP is not supported; write tcp@")),
        "sockpair" | "rhttp" | "rev" | "ring" | "backend" | "abnsz" => {
            Err(format!("address family '{family}@' is not supported in '{text}'"))
        }
        _ => Err(format!(
            "unknown address family '{prefix}@' in '{text}'; known are ip@, ipv4@, ipv6@, tcp@, udp@, unix@, abns@ and fd@"
        )),
    }
}

fn unix(path: &str) -> Result<Host<'static>, String> {
    if path.is_empty() {
        Err("a unix socket needs a path".to_owned())
    } else if path.len() > UNIX_PATH_BYTES_MAX {
        Err(format!("socket path '{path}' too long (max {UNIX_PATH_BYTES_MAX})"))
    } else if path.contains('\0') {
        Err("a unix socket path cannot hold a NUL".to_owned())
    } else {
        Ok(Host::Unix(PathBuf::from(path)))
    }
}

fn abstract_name(name: &str) -> Result<Host<'static>, String> {
    if name.is_empty() {
        Err("abns@ needs a name".to_owned())
    } else if name.len() > UNIX_PATH_BYTES_MAX {
        Err(format!("socket name '{name}' too long (max {UNIX_PATH_BYTES_MAX})"))
    } else {
        // As HAProxy has it, the name fills the whole address with zeros behind it (configuration.txt 4.2, `bind abns@`).
        let mut whole = name.as_bytes().to_vec();
        whole.resize(UNIX_PATH_BYTES_MAX, 0);
        Ok(Host::Abstract(whole))
    }
}

/// `host:port`, `[v6]:port`, `v6:port` (the last colon counts), `*:port`, `:port`, `host`.
fn split_ip(text: &str, family: Option<Family>) -> Result<Parts<'_>, String> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let Some((host, rest)) = bracketed.split_once(']') else {
            return Err(format!("missing ']' in '{text}'"));
        };
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(port),
            None if rest.is_empty() => None,
            None => return Err(format!("unexpected '{rest}' after ']' in '{text}'")),
        };
        let address: Ipv6Addr = host.parse().map_err(|_| format!("'{host}' is not an IPv6 address in '{text}'"))?;
        return in_family(IpAddr::V6(address), family, text).map(|host| Parts { host, port });
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    if host.is_empty() || host == "*" {
        let any = match family {
            Some(Family::V6) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        if text.is_empty() {
            return Err("an address is missing".to_owned());
        }
        return Ok(Parts { host: Host::Ip(any), port });
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return in_family(address, family, text).map(|host| Parts { host, port });
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return in_family(IpAddr::V6(address), family, text).map(|host| Parts { host, port: None });
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !host.bytes().all(is_name) {
        return Err(format!("invalid address: '{host}' in '{text}'"));
    }
    Ok(Parts { host: Host::Name(host, family), port })
}

fn in_family<'a>(address: IpAddr, family: Option<Family>, text: &str) -> Result<Host<'a>, String> {
    match (family, address) {
        (Some(Family::V4), IpAddr::V6(_)) => Err(format!("'{text}' is not an IPv4 address")),
        (Some(Family::V6), IpAddr::V4(_)) => Err(format!("'{text}' is not an IPv6 address")),
        _ => Ok(Host::Ip(address)),
    }
}

fn look_up(host: &str, family: Option<Family>, text: &str, names: &dyn ResolveNames) -> Result<IpAddr, String> {
    names.resolve(host, family).map_err(|why| format!("invalid address: '{host}' in '{text}' ({why})"))
}

/// Reads the comma-separated address list of a `bind` line; a port range makes one address per port.
/// # Errors
/// What is wrong with the first bad one.
pub fn parse_bind(list: &str, names: &dyn ResolveNames) -> Result<Vec<BindAddress>, String> {
    let mut addresses = Vec::new();
    // A comma at the end is no address, and HAProxy lets it stand.
    for text in list.strip_suffix(',').unwrap_or(list).split(',') {
        if text.is_empty() {
            return Err(format!("empty address in '{list}'"));
        }
        let parts = split(text, false)?;
        let plain = |address| BindAddress { address, written: text.to_owned() };
        let ip = match parts.host {
            Host::Unix(path) => {
                addresses.push(plain(ListenAddress::Unix(path)));
                continue;
            }
            Host::Abstract(name) => {
                addresses.push(plain(ListenAddress::Abstract(name)));
                continue;
            }
            Host::Descriptor(descriptor) => {
                addresses.push(plain(ListenAddress::Inherited(descriptor)));
                continue;
            }
            Host::Ip(ip) => ip,
            Host::Name(name, family) => look_up(name, family, text, names)?,
        };
        let (first, last) = port_range(parts.port, text)?;
        for port in first..=last {
            let address = ListenAddress::Ip { address: SocketAddr::new(ip, port), v6only: None };
            let written = if first == last { text.to_owned() } else { format!("{}:{port}", host_text(ip)) };
            addresses.push(BindAddress { address, written });
        }
    }
    Ok(addresses)
}

fn host_text(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => "*".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

fn port_range(port: Option<&str>, text: &str) -> Result<(u16, u16), String> {
    let port = match port {
        None | Some("") => return Err(format!("missing port specification in '{text}'")),
        Some(port) => port,
    };
    let (first, last) = port.split_once('-').unwrap_or((port, port));
    let number = |part: &str| match part.parse::<u16>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("invalid port '{part}' in '{text}'")),
    };
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(format!("invalid port range '{port}' in '{text}'"));
    }
    Ok((first, last))
}

/// Reads the address of a `server` line.
/// # Errors
/// What is wrong with it.
pub fn parse_server(text: &str) -> Result<(WrittenHost, WrittenPort), String> {
    let parts = split(text, false)?;
    let host = match parts.host {
        Host::Ip(ip) => WrittenHost::Ip(ip),
        Host::Name(name, family) => WrittenHost::Name(name.to_owned(), family),
        Host::Unix(path) => WrittenHost::Unix(path),
        Host::Abstract(name) => WrittenHost::Abstract(name),
        Host::Descriptor(_) => return Err(format!("a server cannot be a file descriptor: '{text}'")),
    };
    let port = match parts.port {
        None | Some("") => WrittenPort::Absent,
        Some(port) if port.starts_with(['+', '-']) => match port.parse::<i32>() {
            Ok(offset) if offset.unsigned_abs() <= 65535 => WrittenPort::Relative(offset),
            _ => return Err(format!("invalid relative port '{port}' in '{text}'")),
        },
        Some(port) => match port.parse::<u16>() {
            // Port 0 is written to mean "the client's", as the address without a port does.
            Ok(0) => WrittenPort::Absent,
            Ok(port) => WrittenPort::Fixed(port),
            Err(_) => return Err(format!("invalid port '{port}' in '{text}'")),
        },
    };
    Ok((host, port))
}

/// Reads the target of a `log` line.
/// # Errors
/// What is wrong with it.
pub fn parse_log(text: &str, names: &dyn ResolveNames) -> Result<LogAddress, String> {
    match text {
        "stdout" => return Ok(LogAddress::Descriptor(1)),
        "stderr" => return Ok(LogAddress::Descriptor(2)),
        _ => {}
    }
    let parts = split(text, true)?;
    let ip = match parts.host {
        Host::Ip(ip) => ip,
        Host::Name(name, family) => look_up(name, family, text, names)?,
        Host::Unix(path) => return Ok(LogAddress::UnixDatagram(path)),
        Host::Descriptor(descriptor) => return Ok(LogAddress::Descriptor(descriptor)),
        Host::Abstract(_) => return Err(format!("a log cannot be sent to an abstract socket: '{text}'")),
    };
    let port = match parts.port {
        None | Some("") => SYSLOG_PORT,
        // Port 0 is how "the usual one" is written, too.
        Some(port) => match parse_port(port, true, "log")? {
            0 => SYSLOG_PORT,
            port => port,
        },
    };
    // Sending to 0.0.0.0 reaches this host on Linux; saying so plainly keeps the socket's peer comparable.
    let ip = if ip.is_unspecified() && ip.is_ipv4() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { ip };
    Ok(LogAddress::Udp(SocketAddr::new(ip, port)))
}

/// Reads `<addr>[:<port>[-<port>]]` of a `source` keyword; `*` is any address.
/// # Errors
/// What is wrong with it.
pub fn parse_source(text: &str, ranges: bool, names: &dyn ResolveNames) -> Result<SourceAddress, String> {
    let parts = split(text, false)?;
    let address = match parts.host {
        Host::Ip(ip) => ip,
        Host::Name(name, family) => look_up(name, family, text, names)?,
        _ => return Err(format!("'source' needs an IP address, not '{text}'")),
    };
    let ports = match parts.port {
        None | Some("") | Some("0") => None,
        Some(_) => Some(port_range(parts.port, text)?),
    };
    if !ranges && ports.is_some_and(|(first, last)| first != last) {
        return Err(format!("a port range is only allowed in the 'source' of a server: '{text}'"));
    }
    Ok(SourceAddress { address, ports, interface: None, use_client: UseSource::No })
}

/// Reads an address without a port: `addr` of a check.
/// # Errors
/// What is wrong with it.
pub fn parse_ip(text: &str, names: &dyn ResolveNames) -> Result<(IpAddr, Option<u16>), String> {
    let parts = split(text, false)?;
    let address = match parts.host {
        Host::Ip(ip) => ip,
        Host::Name(name, family) => look_up(name, family, text, names)?,
        _ => return Err(format!("'{text}' is not an IP address")),
    };
    let port = match parts.port {
        None | Some("") => None,
        Some(port) => Some(parse_port(port, false, "addr")?),
    };
    Ok((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::names::NoNames;
    use proptest::prelude::*;

    fn bound(text: &str) -> Result<Vec<String>, String> {
        let list = parse_bind(text, &NoNames)?;
        Ok(list
            .into_iter()
            .map(|bind| match bind.address {
                ListenAddress::Ip { address, .. } => address.to_string(),
                other => format!("{other:?}"),
            })
            .collect())
    }

    #[test]
    fn bind_forms() {
        let one = |text: &str| bound(text).unwrap().remove(0);
        assert_eq!(one("*:9080"), "0.0.0.0:9080");
        assert_eq!(one(":80"), "0.0.0.0:80");
        assert_eq!(one("10.0.0.1:80"), "10.0.0.1:80");
        assert_eq!(one("[::]:80"), "[::]:80");
        assert_eq!(one(":::80"), "[::]:80");
        assert_eq!(one("::1:80"), "[::1]:80");
        assert_eq!(one("ipv6@:80"), "[::]:80");
        assert_eq!(one("ipv4@10.0.0.1:80"), "10.0.0.1:80");
        assert_eq!(one("stream+ipv4@10.0.0.1:80"), "10.0.0.1:80");
        assert_eq!(one("/run/x.sock"), "Unix(\"/run/x.sock\")");
        assert_eq!(one("unix@x.sock"), "Unix(\"x.sock\")");
        let zeros = ", 0".repeat(UNIX_PATH_BYTES_MAX - 2);
        assert_eq!(one("abns@ab"), format!("Abstract([97, 98{zeros}])"));
        assert_eq!(one("fd@7"), "Inherited(7)");
        assert_eq!(bound("*:10-12,10.0.0.1:5").unwrap(), ["0.0.0.0:10", "0.0.0.0:11", "0.0.0.0:12", "10.0.0.1:5"]);
    }

    #[test]
    fn bad_bind_addresses() {
        for (text, why) in [
            ("1.2.3.4", "missing port specification in '1.2.3.4'"),
            ("*:0", "invalid port '0' in '*:0'"),
            ("*:70000", "invalid port '70000' in '*:70000'"),
            ("*:80-70", "invalid port range '80-70' in '*:80-70'"),
            ("[::1:80", "missing ']' in '[::1:80'"),
            ("*:80,,*:81", "empty address in '*:80,,*:81'"),
            ("fd@x", "'x' is not a file descriptor number in 'fd@x'"),
            ("ipv4@[::1]:80", "'[::1]:80' is not an IPv4 address"),
            ("1.2.3.4，5:80", "invalid address: '1.2.3.4，5' in '1.2.3.4，5:80'"),
        ] {
            assert_eq!(bound(text).unwrap_err(), why);
        }
        assert!(bound("quic4@:443").unwrap_err().contains("QUIC"));
        assert!(bound("nosuch@:443").unwrap_err().contains("unknown address family 'nosuch@'"));
        assert!(bound(&format!("/{}", "x".repeat(108))).unwrap_err().contains("too long"));
    }

    #[test]
    fn server_forms() {
        let ip = |text: &str| WrittenHost::Ip(text.parse().unwrap());
        assert_eq!(parse_server("10.0.0.1:80"), Ok((ip("10.0.0.1"), WrittenPort::Fixed(80))));
        assert_eq!(parse_server("10.0.0.1"), Ok((ip("10.0.0.1"), WrittenPort::Absent)));
        assert_eq!(parse_server(":80"), Ok((ip("0.0.0.0"), WrittenPort::Fixed(80))));
        assert_eq!(parse_server("10.0.0.1:+5"), Ok((ip("10.0.0.1"), WrittenPort::Relative(5))));
        assert_eq!(parse_server("10.0.0.1:-5"), Ok((ip("10.0.0.1"), WrittenPort::Relative(-5))));
        assert_eq!(parse_server("[::1]:80"), Ok((ip("::1"), WrittenPort::Fixed(80))));
        assert_eq!(parse_server("fe80::1:80"), Ok((ip("fe80::1"), WrittenPort::Fixed(80))));
        // Without the port, "fe80:" is no address, so the last colon cannot be the port's.
        assert_eq!(parse_server("fe80::1"), Ok((ip("fe80::1"), WrittenPort::Absent)));
        let name = WrittenHost::Name("broker.lan".into(), Some(Family::V4));
        assert_eq!(parse_server("ipv4@broker.lan:1883"), Ok((name, WrittenPort::Fixed(1883))));
        assert!(parse_server("10.0.0.1:70000").unwrap_err().contains("invalid port '70000'"));
        assert!(parse_server("fd@3").is_err());
    }

    #[test]
    fn log_forms() {
        let udp = |text: &str| LogAddress::Udp(text.parse().unwrap());
        assert_eq!(parse_log("127.0.0.1", &NoNames), Ok(udp("127.0.0.1:514")));
        assert_eq!(parse_log("127.0.0.1:1514", &NoNames), Ok(udp("127.0.0.1:1514")));
        assert_eq!(parse_log("udp@[::1]:5", &NoNames), Ok(udp("[::1]:5")));
        assert_eq!(parse_log("/dev/log", &NoNames), Ok(LogAddress::UnixDatagram("/dev/log".into())));
        assert_eq!(parse_log("stdout", &NoNames), Ok(LogAddress::Descriptor(1)));
        assert_eq!(parse_log("fd@3", &NoNames), Ok(LogAddress::Descriptor(3)));
        assert!(parse_log("tcp@127.0.0.1:514", &NoNames).is_err());
    }

    #[test]
    fn source_forms() {
        let source = parse_source("10.0.0.1:1024-2048", true, &NoNames).unwrap();
        assert_eq!((source.address.to_string().as_str(), source.ports), ("10.0.0.1", Some((1024, 2048))));
        assert_eq!(parse_source("*", false, &NoNames).unwrap().ports, None);
        assert!(parse_source("10.0.0.1:1024-2048", false, &NoNames).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[\\[\\]:@0-9a-z.*/,+\\-é]{0,30}") {
            let _ = parse_bind(&text, &NoNames);
            let _ = parse_server(&text);
            let _ = parse_log(&text, &NoNames);
            let _ = parse_source(&text, true, &NoNames);
            let _ = parse_ip(&text, &NoNames);
        }
    }
}
