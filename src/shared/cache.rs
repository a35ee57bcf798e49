//! Stored responses, shared by all workers (configuration.txt section 6).
//!
//! A lookup locks one of many shards for as long as a look into a table takes; what it gives is held by a count, so that
//! sending needs no lock, and an object that is evicted meanwhile stays whole for those who send it. Memory is counted
//! until the last of them is done.

use crate::config::model::CacheSettings;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 32;
/// What an object takes beside its texts: tables, counts, the allocator's own.
const OBJECT_OVERHEAD_BYTES: u64 = 512;
/// A body of unknown length makes room in steps of this.
const GROWTH_BYTES: u64 = 64 * 1024;
/// Blocks in which HAProxy counts.
pub const BLOCK_BYTES: u64 = 1024;

/// What distinguishes objects of one key (`Vary`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variant {
    /// Bits of the codings of the body, all of which a client must accept.
    pub encodings: Option<u32>,
    /// The request's `Referer`; empty when it had none.
    pub referer: Option<Box<[u8]>>,
}

/// What a request has of what variants depend on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accepts<'a> {
    pub encodings: u32,
    pub referer: &'a [u8],
}

impl Variant {
    pub fn is_none(&self) -> bool {
        self.encodings.is_none() && self.referer.is_none()
    }
    pub fn fits(&self, accepts: Accepts) -> bool {
        self.encodings.is_none_or(|codings| codings & accepts.encodings == codings)
            && self.referer.as_deref().is_none_or(|referer| referer == accepts.referer)
    }
}

/// A response's head: its fields' names and values, one after the other, in one text.
#[derive(Clone, Debug, Default)]
pub struct StoredHead {
    pub reason: Box<[u8]>,
    text: Vec<u8>,
    /// Ends of name and value in the text.
    ends: Vec<(u32, u32)>,
    pub etag: Option<Box<[u8]>>,
    /// `Last-Modified`, else `Date`, else when it was stored, seconds since the Unix epoch.
    pub last_modified_s: i64,
    /// The `Age` that it came with.
    pub age_s: u32,
    /// The body came in chunks, and goes so.
    pub is_chunked: bool,
}

impl StoredHead {
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.text.extend_from_slice(name);
        let name_end = self.text.len() as u32;
        self.text.extend_from_slice(value);
        self.ends.push((name_end, self.text.len() as u32));
    }

    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |(name_end, end)| {
            let (name, value) = (start..*name_end as usize, *name_end as usize..*end as usize);
            start = *end as usize;
            (self.text.get(name).unwrap_or_default(), self.text.get(value).unwrap_or_default())
        })
    }

    fn bytes(&self) -> u64 {
        (self.text.len() + self.reason.len() + self.ends.len() * 8) as u64
    }
}

/// One whole response.
pub struct Object {
    pub key: Box<[u8]>,
    pub variant: Variant,
    pub head: StoredHead,
    pub body: Bytes,
    /// Monotonic.
    pub stored_us: u64,
    pub expires_us: u64,
    hash: u64,
    /// A hit since the last look for something to evict.
    is_used: AtomicBool,
    _room: Room,
}

impl Object {
    pub fn size_bytes(&self) -> u64 {
        self.head.bytes() + self.body.len() as u64
    }
}

/// Bytes of the cache's memory; dropping gives them back.
struct Room {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.budget.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Budget {
    used_bytes: AtomicU64,
    bytes_max: u64,
}

impl Budget {
    fn try_take(&self, bytes: u64) -> bool {
        let more = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.bytes_max);
        self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

#[derive(Default)]
struct Shard {
    /// By the hash of the key; the newest last.
    objects: HashMap<u64, Vec<(u64, Arc<Object>)>>,
    /// The same by their number: the oldest first.
    by_age: BTreeMap<u64, u64>,
    /// Responses that are being stored now.
    under_way: Vec<UnderWay>,
}

struct UnderWay {
    number: u64,
    hash: u64,
    key: Box<[u8]>,
    variant: Variant,
}

impl Shard {
    fn take_out(&mut self, number: u64) -> Option<Arc<Object>> {
        let hash = self.by_age.remove(&number)?;
        let objects = self.objects.get_mut(&hash)?;
        let at = objects.iter().position(|(other, _)| *other == number)?;
        let (_, object) = objects.remove(at);
        if objects.is_empty() {
            self.objects.remove(&hash);
        }
        Some(object)
    }

    /// Numbers of the objects that `which` chooses among those of a key.
    fn numbers(&self, hash: u64, key: &[u8], which: impl Fn(&Object) -> bool) -> Vec<u64> {
        let objects = self.objects.get(&hash).map(Vec::as_slice).unwrap_or_default();
        let chosen = objects.iter().filter(|(_, object)| *object.key == *key && which(object));
        chosen.map(|(number, _)| *number).collect()
    }
}

struct ShardPlace {
    shard: Mutex<Shard>,
    /// The number of its oldest object; the maximum: it has none.
    oldest: AtomicU64,
}

/// One `cache` section's memory.
pub struct Cache {
    pub settings: CacheSettings,
    hasher: RandomState,
    shards: Vec<ShardPlace>,
    budget: Arc<Budget>,
    next_number: AtomicU64,
}

fn lock(place: &ShardPlace) -> MutexGuard<'_, Shard> {
    place.shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cache {
    pub fn new(settings: &CacheSettings) -> Self {
        let place = |_| ShardPlace { shard: Mutex::default(), oldest: AtomicU64::new(u64::MAX) };
        Cache {
            settings: settings.clone(),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(place).collect(),
            budget: Arc::new(Budget { used_bytes: AtomicU64::new(0), bytes_max: settings.total_bytes_max }),
            next_number: AtomicU64::new(0),
        }
    }

    fn place(&self, hash: u64) -> &ShardPlace {
        &self.shards[hash as usize % SHARDS]
    }

    /// Runs `work` on the shard of `hash`; what it takes out is dropped after the lock.
    fn with<R>(&self, hash: u64, work: impl FnOnce(&mut Shard) -> R) -> R {
        let place = self.place(hash);
        let mut shard = lock(place);
        let result = work(&mut shard);
        place.oldest.store(shard.by_age.keys().next().copied().unwrap_or(u64::MAX), Ordering::Relaxed);
        result
    }

    /// The newest object of `key` that the request may have.
    pub fn find(&self, key: &[u8], accepts: Accepts, now_us: u64) -> Option<Arc<Object>> {
        let hash = self.hasher.hash_one(key);
        let (found, _expired) = self.with(hash, |shard| {
            let mut expired = Vec::new();
            for number in shard.numbers(hash, key, |object| object.expires_us <= now_us) {
                expired.extend(shard.take_out(number));
            }
            let objects = shard.objects.get(&hash).map(Vec::as_slice).unwrap_or_default();
            let mut fitting = objects.iter().rev().map(|(_, object)| object);
            (fitting.find(|object| *object.key == *key && object.variant.fits(accepts)).cloned(), expired)
        });
        let found = found?;
        if !found.is_used.load(Ordering::Relaxed) {
            found.is_used.store(true, Ordering::Relaxed);
        }
        Some(found)
    }

    /// Forgets all of `key`, what is being stored included: what it names was changed.
    pub fn invalidate(&self, key: &[u8]) {
        let hash = self.hasher.hash_one(key);
        let _dropped = self.with(hash, |shard| {
            shard.under_way.retain(|other| other.hash != hash || *other.key != *key);
            let numbers = shard.numbers(hash, key, |_| true);
            numbers.into_iter().map(|number| shard.take_out(number)).collect::<Vec<_>>()
        });
    }

    /// Begins to store a response. `body_bytes`: its length, if that is known. `None`: it is too large, the same is being
    /// stored now, or there are too many variants.
    pub fn store(
        self: &Arc<Self>,
        key: &[u8],
        variant: Variant,
        head: StoredHead,
        body_bytes: Option<u64>,
        lifetime_us: u64,
    ) -> Option<Box<Store>> {
        let fixed = head.bytes() + key.len() as u64;
        if fixed.saturating_add(body_bytes.unwrap_or(0)) > self.settings.object_bytes_max {
            return None;
        }
        let hash = self.hasher.hash_one(key);
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let begun = self.with(hash, |shard| {
            let mut same = shard.under_way.iter().filter(|other| other.hash == hash && *other.key == *key);
            if same.any(|other| other.variant == variant) {
                return false;
            }
            let others = shard.numbers(hash, key, |object| object.variant != variant).len();
            if !variant.is_none() && others >= self.settings.variants_max as usize {
                return false;
            }
            shard.under_way.push(UnderWay { number, hash, key: key.into(), variant: variant.clone() });
            true
        });
        if !begun {
            return None;
        }
        let room = Room { budget: self.budget.clone(), bytes: 0 };
        let mut store = Box::new(Store {
            cache: self.clone(),
            key: key.into(),
            hash,
            number,
            variant,
            head,
            body: Vec::new(),
            body_bytes,
            lifetime_us,
            fixed_bytes: fixed,
            room: Some(room),
        });
        let first = fixed + OBJECT_OVERHEAD_BYTES + body_bytes.unwrap_or(0);
        if !store.take_room(first) {
            return None;
        }
        store.body.reserve_exact(usize::try_from(body_bytes.unwrap_or(0)).unwrap_or(0));
        Some(store)
    }

    /// Takes the oldest object out. False: there is none.
    fn evict(&self) -> bool {
        // Each that was used since gets one more chance; more than a few in a row are not worth the time.
        for round in 0..=8 {
            let oldest = self.shards.iter().enumerate().min_by_key(|(_, place)| place.oldest.load(Ordering::Relaxed));
            let Some((index, place)) = oldest else { return false };
            if place.oldest.load(Ordering::Relaxed) == u64::MAX {
                return false;
            }
            let evicted = self.with(index as u64, |shard| {
                let number = *shard.by_age.keys().next()?;
                let object = shard.take_out(number)?;
                if round < 8 && object.is_used.swap(false, Ordering::Relaxed) {
                    self.put(shard, object);
                    return None;
                }
                Some(object)
            });
            if evicted.is_some() {
                return true;
            }
        }
        true
    }

    fn put(&self, shard: &mut Shard, object: Arc<Object>) {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        shard.by_age.insert(number, object.hash);
        shard.objects.entry(object.hash).or_default().push((number, object));
    }

    /// Bytes that objects take, those being stored and sent included.
    pub fn used_bytes(&self) -> u64 {
        self.budget.used_bytes.load(Ordering::Relaxed)
    }

    /// All objects, for a list; the oldest of each shard first.
    pub fn objects(&self) -> Vec<Arc<Object>> {
        let mut all = Vec::new();
        for place in &self.shards {
            let shard = lock(place);
            let of_shard = shard.by_age.iter().filter_map(|(number, hash)| {
                shard.objects.get(hash)?.iter().find(|(other, _)| other == number).map(|(_, object)| object.clone())
            });
            all.extend(of_shard);
        }
        all
    }
}

/// A response on its way into a cache. Dropped before [`Store::complete`], it leaves nothing there.
pub struct Store {
    cache: Arc<Cache>,
    key: Box<[u8]>,
    hash: u64,
    number: u64,
    variant: Variant,
    head: StoredHead,
    body: Vec<u8>,
    body_bytes: Option<u64>,
    lifetime_us: u64,
    fixed_bytes: u64,
    /// `None`: it did not fit.
    room: Option<Room>,
}

impl Store {
    fn take_room(&mut self, bytes: u64) -> bool {
        // Each turn takes one object out, or finds none.
        while !self.cache.budget.try_take(bytes) {
            if bytes > self.cache.settings.total_bytes_max || !self.cache.evict() {
                return false;
            }
        }
        match &mut self.room {
            Some(room) => room.bytes += bytes,
            None => return false,
        }
        true
    }

    /// More of the body, decoded. False: it is too large, nothing of it is kept.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        if self.room.is_none() {
            return false;
        }
        let length = (self.body.len() + bytes.len()) as u64;
        let fits = self.fixed_bytes.saturating_add(length) <= self.cache.settings.object_bytes_max
            && self.body_bytes.is_none_or(|whole| length <= whole);
        let grows = self.body_bytes.is_none() && length > self.body.capacity() as u64;
        let more = length.saturating_sub(self.body.capacity() as u64).max(GROWTH_BYTES.min(length));
        if !fits || grows && !self.take_room(more) {
            (self.room, self.body) = (None, Vec::new());
            return false;
        }
        if grows {
            self.body.reserve_exact((self.body.capacity() - self.body.len()) + more as usize);
        }
        self.body.extend_from_slice(bytes);
        true
    }

    /// The body is whole: the response is in the cache from now on, in place of an older one.
    pub fn complete(mut self: Box<Self>, now_us: u64) {
        let Some(mut room) = self.room.take() else { return };
        if self.body_bytes.is_some_and(|whole| whole != self.body.len() as u64) {
            return;
        }
        let mut body = std::mem::take(&mut self.body);
        let spare = (body.capacity() - body.len()) as u64;
        if self.body_bytes.is_none() && spare > 0 {
            body.shrink_to_fit();
            let freed = spare.min(room.bytes);
            room.bytes -= freed;
            self.cache.budget.used_bytes.fetch_sub(freed, Ordering::Relaxed);
        }
        let object = Arc::new(Object {
            key: std::mem::take(&mut self.key),
            variant: std::mem::take(&mut self.variant),
            head: std::mem::take(&mut self.head),
            body: Bytes::from(body),
            stored_us: now_us,
            expires_us: now_us.saturating_add(self.lifetime_us),
            hash: self.hash,
            is_used: AtomicBool::new(false),
            _room: room,
        });
        let cache = self.cache.clone();
        let _replaced = cache.with(self.hash, |shard| {
            // Invalidated meanwhile: what it says may be old.
            if !shard.under_way.iter().any(|other| other.number == self.number) {
                return vec![Some(object)];
            }
            let same = shard.numbers(self.hash, &object.key, |other| {
                other.variant == object.variant || object.variant.is_none() || other.variant.is_none()
            });
            let replaced = same.into_iter().map(|number| shard.take_out(number)).collect();
            cache.put(shard, object);
            replaced
        });
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let number = self.number;
        self.cache.with(self.hash, |shard| shard.under_way.retain(|other| other.number != number));
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
