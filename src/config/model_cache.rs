//! `cache` sections (configuration.txt section 6).

/// Index into [`Config::caches`](super::model::Config::caches).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheId(pub u32);

impl CacheId {
    /// Of a rule until the section it names is known.
    pub const UNRESOLVED: CacheId = CacheId(u32::MAX);
}

/// One section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    pub name: String,
    /// `total-max-size`, for all workers together.
    pub total_bytes_max: u64,
    /// `max-object-size`, head and body.
    pub object_bytes_max: u64,
    /// `max-age`
    pub age_max_s: u32,
    /// `process-vary on`
    pub processes_vary: bool,
    /// `max-secondary-entries`: variants of one address.
    pub variants_max: u32,
}

/// What a `cache-use` or `cache-store` rule names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheReference {
    pub name: Box<str>,
    pub id: CacheId,
}
