//! The hash functions, against HAProxy's converters of the same names.

use crate::haproxy::{self, Running};
use ringway::config::model::{HashFunction, HashMethod, HashModifier, HashType};
use ringway::policy::balance::hash;
use std::net::{Ipv4Addr, SocketAddr};

#[test]
fn functions_agree_bit_for_bit() {
    if !haproxy::is_installed() {
        return;
    }
    let port = crate::ports::free_port();
    let names = ["sdbm", "djb2", "wt6", "crc32"];
    let expressions: Vec<String> = names
        .iter()
        .flat_map(|name| ["", "1"].map(|avalanche| format!("%[urlp(t),url_dec,{name}({avalanche})]")))
        .collect();
    let configuration = format!(
        "defaults\n mode http\n timeout client 10s\nfrontend f\n bind 127.0.0.1:{port}\n \
         http-request return status 200 content-type text/plain lf-string \"{}\"\n",
        expressions.join("|")
    );
    let _running = Running::start("hashes", &configuration, port);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let functions = [HashFunction::Sdbm, HashFunction::Djb2, HashFunction::Wt6, HashFunction::Crc32];
    for seed in 0u32..60 {
        let length = 1 + seed as usize * 3 % 50;
        let bytes: Vec<u8> = (0..length as u32)
            .map(|index| (seed.wrapping_mul(2_654_435_761).wrapping_add(index.wrapping_mul(40_503)) >> 7) as u8)
            .map(|byte| byte.max(1))
            .collect();
        let escaped: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
        let ours: Vec<String> = functions
            .iter()
            .flat_map(|&function| {
                [HashModifier::None, HashModifier::Avalanche].map(|modifier| {
                    let hash_type = HashType { method: HashMethod::MapBased, function, modifier };
                    hash::key(&hash_type, &bytes).to_string()
                })
            })
            .collect();
        assert_eq!(ours.join("|"), haproxy::get(address, &format!("/?t={escaped}")), "{bytes:x?}");
    }
}
