use super::*;
use proptest::prelude::*;

fn cache(total: u64, object: u64) -> Arc<Cache> {
    Arc::new(Cache::new(&CacheSettings {
        name: "c".to_string(),
        total_bytes_max: total,
        object_bytes_max: object,
        age_max_s: 60,
        processes_vary: true,
        variants_max: 2,
    }))
}

fn keep(cache: &Arc<Cache>, key: &[u8], variant: Variant, body: &[u8]) -> bool {
    let Some(mut store) = cache.store(key, variant, StoredHead::default(), Some(body.len() as u64), 1_000_000) else {
        return false;
    };
    let kept = store.push(body);
    store.complete(0);
    kept
}

fn body_of(cache: &Cache, key: &[u8]) -> Option<Bytes> {
    cache.find(key, Accepts::default(), 5).map(|object| object.body.clone())
}

#[test]
fn what_is_not_whole_is_not_there() {
    let cache = cache(1 << 20, 1 << 16);
    let begin = |length| cache.store(b"k", Variant::default(), StoredHead::default(), length, 1_000_000);
    let mut store = begin(Some(4)).expect("room");
    assert!(begin(Some(4)).is_none(), "one at a time");
    store.push(b"ab");
    assert!(body_of(&cache, b"k").is_none());
    store.complete(0);
    assert!(body_of(&cache, b"k").is_none());
    let mut store = begin(None).expect("room");
    store.push(b"ab");
    drop(store);
    assert!(body_of(&cache, b"k").is_none());
    assert_eq!(cache.used_bytes(), 0);
    let mut store = begin(None).expect("room");
    store.push(b"ab");
    store.push(b"cd");
    store.complete(0);
    assert_eq!(body_of(&cache, b"k").as_deref(), Some(&b"abcd"[..]));
    assert!(cache.find(b"k", Accepts::default(), 1_000_000).is_none(), "expired");
    assert_eq!(cache.used_bytes(), 0);
}

#[test]
fn an_invalidation_reaches_what_is_under_way() {
    let cache = cache(1 << 20, 1 << 16);
    let mut store = cache.store(b"k", Variant::default(), StoredHead::default(), Some(1), 1_000_000).expect("room");
    store.push(b"a");
    cache.invalidate(b"k");
    store.complete(0);
    assert!(body_of(&cache, b"k").is_none());
    assert!(keep(&cache, b"k", Variant::default(), b"b"));
    cache.invalidate(b"k");
    assert!(body_of(&cache, b"k").is_none());
    assert_eq!(cache.used_bytes(), 0);
}

#[test]
fn variants_are_counted_and_chosen() {
    let cache = cache(1 << 20, 1 << 16);
    let of = |referer: &[u8]| Variant { encodings: None, referer: Some(referer.into()) };
    assert!(keep(&cache, b"k", of(b"a"), b"1") && keep(&cache, b"k", of(b"b"), b"2"));
    assert!(!keep(&cache, b"k", of(b"c"), b"3"));
    assert!(keep(&cache, b"k", of(b"a"), b"4"), "its own place may be taken again");
    let find = |referer| cache.find(b"k", Accepts { encodings: 0, referer }, 5).map(|object| object.body.clone());
    assert_eq!(find(b"a").as_deref(), Some(&b"4"[..]));
    assert_eq!(find(b"b").as_deref(), Some(&b"2"[..]));
    assert!(find(b"c").is_none());
}

#[test]
fn the_oldest_goes_and_who_sends_it_keeps_it() {
    let cache = cache(8 * 1024, 4 * 1024);
    let body = [7; 2048];
    assert!(keep(&cache, b"1", Variant::default(), &body) && keep(&cache, b"2", Variant::default(), &body));
    assert!(keep(&cache, b"3", Variant::default(), &body));
    let held = cache.find(b"1", Accepts::default(), 5).expect("there is room for three");
    assert!(keep(&cache, b"4", Variant::default(), &body));
    assert!(body_of(&cache, b"2").is_none() && body_of(&cache, b"1").is_some(), "used later than the second");
    cache.invalidate(b"1");
    assert_eq!(held.body, &body[..]);
    let before = cache.used_bytes();
    drop(held);
    assert!(cache.used_bytes() + 2048 <= before, "counted until then");
}

#[test]
fn threads_that_store_the_same_end_in_one_whole_object() {
    let cache = cache(1 << 16, 1 << 14);
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let cache = &cache;
            scope.spawn(move || {
                for turn in 0..500u32 {
                    let key = [(turn % 7) as u8];
                    keep(cache, &key, Variant::default(), &vec![thread; 3000 + (turn % 5) as usize * 700]);
                    if let Some(body) = body_of(cache, &key) {
                        assert!(body.iter().all(|byte| *byte == body[0]) && body.len() >= 3000);
                    }
                    assert!(cache.used_bytes() <= 1 << 16);
                }
            });
        }
    });
    assert!(cache.objects().len() <= 7);
}

proptest! {
    #[test]
    fn the_bound_holds(bodies in prop::collection::vec((any::<u8>(), 0usize..6000, any::<bool>()), 1..60)) {
        let cache = cache(16 * 1024, 5000);
        for (key, length, known) in bodies {
            let body = vec![key; length];
            let announced = known.then_some(length as u64);
            if let Some(mut store) = cache.store(&[key], Variant::default(), StoredHead::default(), announced, 1_000_000) {
                for part in body.chunks(999) { store.push(part); }
                store.complete(0);
            }
            prop_assert!(cache.used_bytes() <= 16 * 1024);
            if let Some(found) = body_of(&cache, &[key]) { prop_assert!(found.iter().all(|byte| *byte == key)); }
        }
        for object in cache.objects() { cache.invalidate(&object.key); }
        prop_assert_eq!(cache.used_bytes(), 0);
    }
}
