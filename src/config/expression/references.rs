//! Names that expressions use before they are known: noted while lines are read, checked when all sections are.
//!
//! Expressions end up in conditions, rules and log formats of many owners. One thread reads a configuration from start
//! to end, so what it meets is noted for the thread; no owner can forget to hand it on.

use super::super::diagnostics::{Diagnostics, Severity};
use super::super::model::{Location, SampleType, TableKeyType};
use super::super::written::{SectionKind, WrittenProxy};
use std::cell::RefCell;

/// What a name stands for; `None`: the proxy that the line belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    Frontend(Option<String>),
    Backend(Option<String>),
    Server {
        backend: Option<String>,
        server: String,
    },
    Userlist(String),
    /// A stick table, and what its keys are made from, as far as that is known.
    Table {
        name: Option<String>,
        key: Option<SampleType>,
    },
}

#[derive(Clone, Debug)]
struct Noted {
    named: Named,
    /// `sample fetch keyword 'be_conn'`
    keyword: String,
    location: Location,
    /// Where the section begins; `None`: in `defaults`, whose copies mean different proxies.
    section: Option<Location>,
}

#[derive(Default)]
struct Notes {
    noted: Vec<Noted>,
    keyword: String,
    location: Location,
    section: Option<Location>,
}

thread_local! {
    static NOTES: RefCell<Notes> = RefCell::default();
}

/// Forgets what an earlier load left.
pub fn begin() {
    NOTES.take();
}

/// The line that is read now, and where the proxy's section begins that it belongs to.
pub fn at(location: Location, section: Option<Location>) {
    NOTES.with_borrow_mut(|notes| (notes.location, notes.section) = (location, section));
}

/// The line that is read now.
pub fn location() -> Location {
    NOTES.with_borrow(|notes| notes.location.clone())
}

/// Who will note names next, for the message.
pub(super) fn about(keyword: &str) {
    NOTES.with_borrow_mut(|notes| keyword.clone_into(&mut notes.keyword));
}

pub(super) fn note(named: Named) {
    NOTES.with_borrow_mut(|notes| {
        let (keyword, location) = (notes.keyword.clone(), notes.location.clone());
        notes.noted.push(Noted { named, keyword, location, section: notes.section.clone() });
    });
}

/// As [`note`], for rules: `keyword` is who names the table, and `key` what its keys are made from.
pub fn note_table(keyword: &str, name: Option<String>, key: Option<SampleType>) {
    about(keyword);
    note(Named::Table { name, key });
}

/// Reports the names that nothing carries. `userlists` are the names of those sections.
pub fn check(proxies: &[WrittenProxy], userlists: &[&str], diagnostics: &mut Diagnostics) {
    for noted in NOTES.take().noted {
        if let Some(text) = complaint(&noted, proxies, userlists) {
            let text = format!("{text}, referenced in {}.", noted.keyword);
            diagnostics.about(Severity::Alert, &noted.location, text);
        }
    }
}

fn complaint(noted: &Noted, proxies: &[WrittenProxy], userlists: &[&str]) -> Option<String> {
    let owner = || {
        let section = noted.section.as_ref()?;
        proxies.iter().find(|proxy| proxy.location == *section)
    };
    let half = |name: &Option<String>, has: fn(SectionKind) -> bool, what: &str| match name {
        Some(name) if proxies.iter().any(|proxy| proxy.name == *name && has(proxy.kind)) => None,
        Some(name) => Some(format!("unable to find {what} '{name}'")),
        None => {
            let proxy = owner()?;
            (!has(proxy.kind)).then(|| format!("proxy '{}' has no {what} capability", proxy.name))
        }
    };
    match &noted.named {
        Named::Frontend(name) => half(name, SectionKind::accepts_connections, "frontend"),
        Named::Backend(name) => half(name, SectionKind::has_servers, "backend"),
        Named::Server { backend, server } => {
            let proxy = match backend {
                Some(name) => proxies.iter().find(|proxy| proxy.name == *name && proxy.kind.has_servers()),
                None => Some(owner()?),
            };
            let Some(proxy) = proxy else {
                return Some(format!("unable to find proxy '{}'", backend.as_deref().unwrap_or_default()));
            };
            let found = proxy.servers.iter().any(|written| written.name == *server);
            (!found).then(|| format!("unable to find server '{server}' in proxy '{}'", proxy.name))
        }
        Named::Table { name, key } => {
            let proxy = match name {
                Some(name) => proxies.iter().find(|proxy| proxy.name == *name),
                None => Some(owner()?),
            };
            let Some(table) = proxy.and_then(|proxy| proxy.stick_table.as_ref()) else {
                let name = name.as_deref().or(proxy.map(|proxy| proxy.name.as_str())).unwrap_or_default();
                return Some(format!("unable to find stick-table '{name}'"));
            };
            let wanted = match table.key {
                TableKeyType::Ip => SampleType::Ipv4,
                TableKeyType::Ipv6 => SampleType::Ipv6,
                TableKeyType::Integer => SampleType::Integer,
                TableKeyType::Text { .. } => SampleType::Text,
                TableKeyType::Binary { .. } => SampleType::Binary,
            };
            let fits = key.is_none_or(|key| super::casts::is_possible(key, wanted));
            let (name, has) = (&proxy?.name, table.key.name());
            let given = super::casts::title(key.unwrap_or(SampleType::Any));
            (!fits).then(|| format!("stick-table '{name}' has keys of type {has}, and {given} cannot be one"))
        }
        Named::Userlist(name) => {
            (!userlists.contains(&name.as_str())).then(|| format!("unable to find userlist '{name}'"))
        }
    }
}
