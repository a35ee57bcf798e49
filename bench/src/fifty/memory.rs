//! What the kernel spends, and the limit that all this is about.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;

/// Raises the soft limit of descriptors to the hard one, for us and for those we start. Returns it.
pub fn raise_descriptor_limit() -> anyhow::Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

/// Kernel memory of the whole machine at one moment.
pub struct Kernel {
    pub slab_bytes: i64,
    /// Pages that TCP's buffers hold.
    pub tcp_bytes: i64,
    pub tcp_sockets: i64,
    /// By slab cache; empty where /proc/slabinfo may not be read.
    caches: BTreeMap<String, i64>,
}

impl Kernel {
    pub fn now() -> anyhow::Result<Kernel> {
        let meminfo = fs::read_to_string("/proc/meminfo")?;
        let sockstat = fs::read_to_string("/proc/net/sockstat")?;
        let tcp = sockstat.lines().find_map(|line| line.strip_prefix("TCP:")).unwrap_or_default();
        Ok(Kernel {
            slab_bytes: number_after(&meminfo, "Slab:") * 1024,
            tcp_bytes: number_after(tcp, "mem ") * 4096,
            tcp_sockets: number_after(tcp, "inuse "),
            caches: fs::read_to_string("/proc/slabinfo").map(|text| caches(&text)).unwrap_or_default(),
        })
    }

    pub fn total_bytes(&self) -> i64 {
        self.slab_bytes + self.tcp_bytes
    }

    /// The caches that have grown by more than a mebibyte since `before`.
    pub fn caches_beyond(&self, before: &Kernel) -> Value {
        let grown = self.caches.iter().filter_map(|(name, bytes)| {
            let grown = bytes - before.caches.get(name).unwrap_or(&0);
            (grown > 1 << 20).then(|| (name.clone(), json!(grown)))
        });
        Value::Object(grown.collect::<Map<_, _>>())
    }
}

fn number_after(text: &str, label: &str) -> i64 {
    let rest = text.split_once(label).map_or("", |(_, rest)| rest);
    rest.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// /proc/slabinfo: name, objects in use, objects, object size …
fn caches(text: &str) -> BTreeMap<String, i64> {
    let bytes = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_string();
        let objects: i64 = words.nth(1)?.parse().ok()?;
        let size: i64 = words.next()?.parse().ok()?;
        Some((name, objects * size))
    };
    text.lines().filter_map(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabinfo_and_sockstat_are_read() {
        let text = "slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize>\n\
                    TCP 96 100 2432 13 8 : tunables 0 0 0 : slabdata 8 8 0\n";
        assert_eq!(caches(text).get("TCP"), Some(&243_200));
        assert_eq!(number_after("inuse 20 orphan 0 tw 1634 alloc 20 mem 123", "mem "), 123);
        assert_eq!(number_after("Slab:  77 kB", "Slab:"), 77);
        assert_eq!(number_after("nothing", "Slab:"), 0);
    }
}
