//! `show cache` (management.txt section 9.3).

use super::{Answer, RuntimeSession};
use crate::session::local_context::LocalContext;
use crate::shared::cache::BLOCK_BYTES;
use sha1::{Digest, Sha1};
use std::fmt::Write;
use std::sync::Arc;

/// Each cache with the blocks of 1 KiB that are left, then its objects. Addresses name things here, as in HAProxy.
pub fn show(_: &mut RuntimeSession, _: &[&str], context: &mut LocalContext) -> Answer {
    let mut text = String::new();
    for cache in &context.shared.caches {
        let settings = &cache.settings;
        let left = settings.total_bytes_max.saturating_sub(cache.used_bytes()) / BLOCK_BYTES;
        let at = Arc::as_ptr(cache);
        let _ = writeln!(text, "{at:p}: {} (shctx:{at:p}, available blocks:{left})", settings.name);
        for object in cache.objects() {
            // The first 32 bits of the hash that HAProxy knows objects by.
            let hash = Sha1::digest(&object.key).first_chunk().copied().map_or(0, u32::from_ne_bytes);
            let codings = object.variant.encodings.unwrap_or(0);
            let referer = object.variant.referer.as_deref().map_or(0, |text| xxhash_rust::xxh64::xxh64(text, 0));
            let size = object.size_bytes();
            let expires_s = (i128::from(object.expires_us) - i128::from(context.now_us)) / 1_000_000;
            let _ = writeln!(
                text,
                "{:p} hash:{hash} vary:0x{codings:08x}{referer:016x} size:{size} ({} blocks), refcount:{}, expire:{expires_s}",
                Arc::as_ptr(&object),
                size.div_ceil(BLOCK_BYTES),
                // The cache's own and this list's are not exchanges'.
                Arc::strong_count(&object).saturating_sub(2),
            );
        }
    }
    Answer::Dump(text)
}
