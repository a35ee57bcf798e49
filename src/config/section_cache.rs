//! `cache` sections (configuration.txt section 6.2.1), and `filter cache` (section 9.4).

use super::diagnostics::{Diagnostics, Severity};
use super::model::{CacheSettings, Location};
use super::section_http::note_http;
use super::statement::{LineParser, Statement};
use super::values::{parse_integer, parse_u32};
use super::written::*;

const MEGABYTE: u64 = 1 << 20;
/// What 32 bits of bytes hold.
const TOTAL_MEGABYTES_MAX: u32 = u32::MAX >> 20;
const AGE_DEFAULT_S: u32 = 60;
const VARIANTS_DEFAULT: u32 = 10;

/// A section as written.
#[derive(Clone, Debug, Default)]
pub struct WrittenCache {
    pub name: String,
    location: Location,
    total_bytes_max: u64,
    object_bytes_max: Option<u64>,
    age_max_s: Option<u32>,
    processes_vary: bool,
    variants_max: Option<u32>,
}

pub const KEYWORDS: &[(&str, LineParser<WrittenCache>)] = &[
    ("max-age", max_age),
    ("max-object-size", max_object_size),
    ("max-secondary-entries", max_secondary_entries),
    ("process-vary", process_vary),
    ("total-max-size", total_max_size),
];

pub const PROXY_KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[("filter", filter)];

/// Opens the section.
pub fn open(statement: &mut Statement, others: &[WrittenCache]) -> WrittenCache {
    let name = statement.required(0, "a <name> argument").unwrap_or_default();
    statement.at_most(1);
    if !name.is_empty() && others.iter().any(|other| other.name == name) {
        statement.error(0, format!("Duplicate cache name '{name}'."));
    }
    WrittenCache { name: name.to_owned(), location: statement.location(), ..WrittenCache::default() }
}

fn total_max_size(statement: &mut Statement, cache: &mut WrittenCache) {
    let parsed = parse_u32(statement.text(0), 1, TOTAL_MEGABYTES_MAX, "total-max-size");
    if let Some(megabytes) = statement.accept(0, parsed)
        && statement.at_most(1)
    {
        cache.total_bytes_max = u64::from(megabytes) * MEGABYTE;
    }
}

fn max_object_size(statement: &mut Statement, cache: &mut WrittenCache) {
    let parsed = parse_integer(statement.text(0), 0, i64::from(u32::MAX), "max-object-size");
    if let Some(bytes) = statement.accept(0, parsed)
        && statement.at_most(1)
    {
        // 0 is the default, as in HAProxy.
        cache.object_bytes_max = u64::try_from(bytes).ok().filter(|bytes| *bytes > 0);
    }
}

fn max_age(statement: &mut Statement, cache: &mut WrittenCache) {
    let parsed = parse_u32(statement.text(0), 0, i32::MAX as u32, "max-age");
    if let Some(seconds) = statement.accept(0, parsed)
        && statement.at_most(1)
    {
        cache.age_max_s = Some(seconds);
    }
}

fn process_vary(statement: &mut Statement, cache: &mut WrittenCache) {
    match statement.text(0) {
        "on" => cache.processes_vary = true,
        "off" => cache.processes_vary = false,
        _ => return statement.error(0, "'process-vary' expects \"on\" or \"off\"."),
    }
    statement.at_most(1);
}

fn max_secondary_entries(statement: &mut Statement, cache: &mut WrittenCache) {
    let parsed = parse_u32(statement.text(0), 1, i32::MAX as u32, "max-secondary-entries");
    if let Some(count) = statement.accept(0, parsed)
        && statement.at_most(1)
    {
        cache.variants_max = Some(count);
    }
}

/// `filter cache <name>` and `filter compression`: both are there anyway; what is written must name them in the order
/// in which they work.
fn filter(statement: &mut Statement, proxy: &mut WrittenProxy) {
    match statement.text(0) {
        "cache" => {
            let name = statement.text(1);
            if name.is_empty() {
                return statement.error(1, "'filter cache' expects a <name> argument.");
            }
            if !statement.at_most(2) {
                return;
            }
            let filters = &proxy.settings.filters;
            if filters.iter().any(|filter| matches!(filter, WrittenFilter::Cache(other, _) if other == name)) {
                return statement.error(1, format!("multiple explicit declarations of the cache filter '{name}'."));
            }
            if filters.contains(&WrittenFilter::Compression) {
                return statement.error(
                    1,
                    format!("unable to enable the compression filter before the cache '{name}': what is stored is not compressed. Write 'filter compression' after it."),
                );
            }
            note_http(statement, proxy);
            proxy.settings.filters.push(WrittenFilter::Cache(name.to_owned(), statement.location()));
        }
        "compression" => {
            if statement.at_most(1) {
                note_http(statement, proxy);
                proxy.settings.filters.push(WrittenFilter::Compression);
            }
        }
        "" => statement.error(0, "'filter' expects 'cache <name>' or 'compression'."),
        other => statement.error(
            0,
            format!("'filter {other}' is not supported: there are 'filter cache <name>' and 'filter compression'; leave it out."),
        ),
    }
}

/// The sections with their defaults filled in; what cannot work is reported.
pub fn resolve(written: &Written, diagnostics: &mut Diagnostics) -> Vec<CacheSettings> {
    for proxy in &written.proxies {
        for filter in &proxy.settings.filters {
            let WrittenFilter::Cache(name, location) = filter else { continue };
            if !written.caches.iter().any(|cache| cache.name == *name) {
                diagnostics.about(Severity::Alert, location, unknown(&proxy.name, name, "filter"));
            }
        }
    }
    written.caches.iter().map(|cache| resolve_one(cache, diagnostics)).collect()
}

/// The message about a name that no section has.
pub fn unknown(proxy: &str, name: &str, by: &str) -> String {
    format!(
        "proxy '{proxy}': unable to find the cache '{name}' referenced by the {by}; write a section 'cache {name}'."
    )
}

fn resolve_one(cache: &WrittenCache, diagnostics: &mut Diagnostics) -> CacheSettings {
    let name = &cache.name;
    if cache.total_bytes_max == 0 {
        let text = format!("Size not specified for cache '{name}'; write 'total-max-size <megabytes>'.");
        diagnostics.about(Severity::Alert, &cache.location, text);
    }
    let object_bytes_max = cache.object_bytes_max.unwrap_or(cache.total_bytes_max >> 8);
    if object_bytes_max > cache.total_bytes_max / 2 {
        let text = format!(
            "cache '{name}': 'max-object-size' is limited to an half of 'total-max-size' => {}.",
            cache.total_bytes_max / 2
        );
        diagnostics.about(Severity::Alert, &cache.location, text);
    }
    CacheSettings {
        name: name.clone(),
        total_bytes_max: cache.total_bytes_max,
        object_bytes_max,
        age_max_s: cache.age_max_s.unwrap_or(AGE_DEFAULT_S),
        processes_vary: cache.processes_vary,
        variants_max: cache.variants_max.unwrap_or(VARIANTS_DEFAULT),
    }
}
