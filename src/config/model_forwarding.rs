//! What is added to requests about the client (configuration.txt section 4.2, `option forwardfor`, `option
//! originalto`, `option forwarded`).

use super::model_patterns::Network;
use std::net::IpAddr;

/// `option forwardfor` or `option originalto`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardAddress {
    /// `except`: no header for addresses in it.
    pub except: Option<Network>,
    /// `header`; `None`: the usual one.
    pub header: Option<String>,
    /// Only where the client sent none.
    pub if_none: bool,
}

impl ForwardAddress {
    pub fn excepts(&self, address: IpAddr) -> bool {
        self.except.is_some_and(|network| network.contains(address))
    }
}

impl Network {
    /// Whether `address` is in it. Addresses of the other family are not.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.bits.min(32));
                u64::from(network.to_bits()) >> shift == u64::from(address.to_bits()) >> shift
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.bits.min(128));
                let prefix = |address: u128| address.checked_shr(shift).unwrap_or(0);
                prefix(network.to_bits()) == prefix(address.to_bits())
            }
            _ => false,
        }
    }
}

/// `option forwarded` (HAProxy 2.8): which parameters of RFC 7239 are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    pub protocol: bool,
    pub host: bool,
    pub by: bool,
    pub by_port: bool,
    pub from: bool,
    pub from_port: bool,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarding {
    pub forward_for: Option<ForwardAddress>,
    pub original_to: Option<ForwardAddress>,
    pub forwarded: Option<Forwarded>,
}

#[cfg(test)]
mod tests {
    use super::super::model_patterns::parse_network;

    #[test]
    fn networks_hold_their_addresses() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("2001:db8::/32", "2001:db8:1::", "2001:db9::"),
            ("::1", "::1", "127.0.0.1"),
            ("192.168.1.128/25", "192.168.1.200", "192.168.1.5"),
        ] {
            let network = parse_network(network).expect("a good network");
            assert!(network.contains(inside.parse().expect("an address")), "{inside}");
            assert!(!network.contains(outside.parse().expect("an address")), "{outside}");
        }
        let all = parse_network("0.0.0.0/0").expect("a good network");
        assert!(all.contains("255.0.0.1".parse().expect("an address")));
        assert!(parse_network("::/0").expect("a good network").contains("::1".parse().expect("an address")));
    }
}
