//! The keyword table and the parsers say the same: what the table supports is parsed, what is parsed is supported.

use super::keywords::{Row, Section, Status, rows_of};
use super::load::{SECTION_KEYWORDS, proxy_parsers};
use super::{section_bind, section_cache, section_errors, section_global, section_server, section_userlist};
use std::collections::BTreeSet;

/// The keywords of `sections` that the table hands to a parser. Rows for one argument are handed to their keyword's.
fn supported(sections: &[Section]) -> BTreeSet<&'static str> {
    let parsed = |row: &&Row| !row.value && matches!(row.status, Status::Supported | Status::OldSpelling { .. });
    sections.iter().flat_map(|section| rows_of(*section)).filter(parsed).map(Row::keyword).collect()
}

fn names<P: 'static>(parsers: &'static [(&'static str, P)]) -> BTreeSet<&'static str> {
    parsers.iter().map(|(name, _)| *name).collect()
}

#[track_caller]
fn agree(table: BTreeSet<&'static str>, parsers: BTreeSet<&'static str>) {
    let unparsed: Vec<_> = table.difference(&parsers).collect();
    let unlisted: Vec<_> = parsers.difference(&table).collect();
    assert!(unparsed.is_empty() && unlisted.is_empty(), "no parser: {unparsed:?}\nnot in the table: {unlisted:?}");
}

#[test]
fn proxies_agree() {
    let sections = [Section::Defaults, Section::Frontend, Section::Listen, Section::Backend];
    agree(supported(&sections), proxy_parsers().map(|(name, _)| *name).collect());
}

#[test]
fn global_agrees() {
    let mut parsers = names(section_global::KEYWORDS);
    parsers.extend(names(section_global::ENVIRONMENT_KEYWORDS));
    agree(supported(&[Section::Global]), parsers);
}

#[test]
fn options_of_addresses_agree() {
    agree(supported(&[Section::Bind, Section::StatsSocket]), names(section_bind::OPTIONS));
    agree(supported(&[Section::Server]), names(section_server::OPTIONS));
}

#[test]
fn section_headers_agree() {
    agree(supported(&[Section::Header]), SECTION_KEYWORDS.into_iter().collect());
}

#[test]
fn small_sections_agree() {
    agree(supported(&[Section::Userlist]), names(section_userlist::KEYWORDS));
    agree(supported(&[Section::Cache]), names(section_cache::KEYWORDS));
    agree(supported(&[Section::HttpErrors]), names(section_errors::SECTION_KEYWORDS));
}

#[test]
fn no_parser_hides_another() {
    let all: Vec<_> = proxy_parsers().map(|(name, _)| *name).collect();
    assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len());
}
