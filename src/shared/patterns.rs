//! Lists of patterns while the process runs: rules and the runtime socket change them, every worker looks things up.
//!
//! A look-up takes no lock. A change makes a copy that shares nearly everything with the old set, and puts it in its
//! place.

use crate::config::model::{EntrySelection, PatternEntry, PatternFile, Patterns};
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One list's present contents, compared in each of the ways that the configuration asks for.
pub struct PatternFileState {
    views: ArcSwap<Vec<Patterns>>,
    /// Whether anything was changed since the start: whoever holds the patterns of the start may use those until then.
    is_changed: AtomicBool,
    /// What only the runtime socket asks for.
    versions: Mutex<Versions>,
}

/// `prepare`, `add @version`, `commit` (management.txt section 9.3): contents that are filled while others are in use.
#[derive(Default)]
struct Versions {
    current: u32,
    next: u32,
    prepared: BTreeMap<u32, Vec<Patterns>>,
}

/// Figures of a list for `show acl` and `show map`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternFileFigures {
    pub current_version: u32,
    pub next_version: u32,
    /// Of all versions.
    pub entries: usize,
}

/// A pattern to add, and in a map its value.
pub type Addition<'a> = (&'a [u8], Option<&'a [u8]>);

/// Why a version cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeError {
    /// `prepare` has not given it out yet.
    FutureVersion,
    /// It is in use, was, or was never given out.
    VersionOutOfRange,
    /// Why a pattern is none.
    Pattern(String),
}

impl PatternFileState {
    pub fn new(file: &PatternFile) -> Self {
        PatternFileState {
            views: ArcSwap::from_pointee(file.views.clone()),
            is_changed: AtomicBool::new(false),
            versions: Mutex::default(),
        }
    }

    /// Hands the patterns of one view to `look`; `None` if there is no such view.
    pub fn with<T>(&self, view: u16, look: impl FnOnce(&Patterns) -> T) -> Option<T> {
        self.views.load().get(usize::from(view)).map(look)
    }

    /// Whether anything was changed since the start.
    pub fn is_changed(&self) -> bool {
        self.is_changed.load(Ordering::Acquire)
    }

    /// Hands every view to `look`.
    pub fn each_view(&self, mut look: impl FnMut(&Patterns)) {
        self.views.load().iter().for_each(&mut look);
    }

    /// Adds a pattern, once more if it is there.
    /// # Errors
    /// Why `pattern` is none; then nothing has changed.
    pub fn add(&self, pattern: &[u8], value: Option<&[u8]>) -> Result<(), String> {
        self.change(|view| {
            view.insert(pattern, value)?;
            view.finish()
        })
    }

    /// As [`PatternFileState::add`], but once is enough.
    pub fn add_new(&self, pattern: &[u8]) -> Result<(), String> {
        if self.with(0, |view| view.has(pattern)).unwrap_or(false) {
            return Ok(());
        }
        self.add(pattern, None)
    }

    /// Adds many at once. Those before the first that is none are added.
    /// # Errors
    /// Why that one is none.
    pub fn add_all(&self, entries: &[Addition]) -> Result<(), String> {
        let (good, error) = self.good_of(entries);
        self.change(|view| fill(view, good))?;
        error.map_or(Ok(()), Err)
    }

    /// The entries before the first that cannot be added, and why that one cannot.
    fn good_of<'a, 'b>(&self, entries: &'a [Addition<'b>]) -> (&'a [Addition<'b>], Option<String>) {
        let views = self.views.load();
        for (index, (pattern, value)) in entries.iter().enumerate() {
            if let Err(error) = views.iter().try_for_each(|view| view.check(pattern, *value)) {
                return (entries.get(..index).unwrap_or_default(), Some(error));
            }
        }
        (entries, None)
    }

    /// Takes entries out; whether there were any.
    pub fn remove(&self, which: EntrySelection) -> bool {
        let mut removed = 0;
        let _ = self.change(|view| {
            removed += view.remove(which);
            view.finish()
        });
        removed > 0
    }

    /// Gives entries another value; false if there are none.
    /// # Errors
    /// Why `value` cannot be one; then nothing has changed.
    pub fn set_existing(&self, which: EntrySelection, value: &[u8]) -> Result<bool, String> {
        let mut count = 0;
        self.change(|view| {
            count += view.set_value(which, value)?;
            view.finish()
        })?;
        Ok(count > 0)
    }

    /// Gives a key another value, or adds the key.
    /// # Errors
    /// Why `pattern` or `value` is none; then nothing has changed.
    pub fn set(&self, pattern: &[u8], value: &[u8]) -> Result<(), String> {
        self.change(|view| {
            if view.set_value(EntrySelection::Pattern(pattern), value)? == 0 {
                view.insert(pattern, Some(value))?;
            }
            view.finish()
        })
    }

    /// Takes all patterns out.
    pub fn clear(&self) {
        let _ = self.change(|view| {
            *view = view.emptied();
            Ok(())
        });
    }

    /// All entries in the order they were added.
    pub fn entries(&self) -> Vec<PatternEntry> {
        self.with(0, entries_of).unwrap_or_default()
    }

    /// The entry with a [`PatternEntry::reference`].
    pub fn entry(&self, reference: u64) -> Option<PatternEntry> {
        self.with(0, |view| view.entries().into_iter().find(|entry| entry.reference() == reference).cloned()).flatten()
    }

    pub fn figures(&self) -> PatternFileFigures {
        let versions = self.versions();
        let count = |views: &[Patterns]| views.first().map_or(0, |view| view.entries().len());
        let prepared: usize = versions.prepared.values().map(|views| count(views)).sum();
        PatternFileFigures {
            current_version: versions.current,
            next_version: versions.next,
            entries: count(&self.views.load()) + prepared,
        }
    }

    /// Gives out a new version, empty so far.
    pub fn prepare(&self) -> u32 {
        let mut versions = self.versions();
        versions.next = versions.next.saturating_add(1);
        versions.next
    }

    /// As [`PatternFileState::add_all`] into a version.
    pub fn add_all_at(&self, version: u32, entries: &[Addition]) -> Result<(), ChangeError> {
        let mut versions = self.versions();
        if version == versions.current {
            return self.add_all(entries).map_err(ChangeError::Pattern);
        }
        if version > versions.next {
            return Err(ChangeError::FutureVersion);
        }
        if version < versions.current {
            return Err(ChangeError::VersionOutOfRange);
        }
        let views = versions
            .prepared
            .entry(version)
            .or_insert_with(|| self.views.load().iter().map(Patterns::emptied).collect());
        let (good, error) = self.good_of(entries);
        views.iter_mut().try_for_each(|view| fill(view, good)).map_err(ChangeError::Pattern)?;
        error.map_or(Ok(()), |error| Err(ChangeError::Pattern(error)))
    }

    /// The entries of a version; none if there is no such version.
    pub fn entries_at(&self, version: u32) -> Vec<PatternEntry> {
        let versions = self.versions();
        if version == versions.current {
            return self.entries();
        }
        let view = versions.prepared.get(&version).and_then(|views| views.first());
        view.map(entries_of).unwrap_or_default()
    }

    /// Takes all patterns out of a version.
    pub fn clear_at(&self, version: u32) {
        let mut versions = self.versions();
        if version == versions.current {
            self.clear();
        } else {
            versions.prepared.remove(&version);
        }
    }

    /// Puts a version in the place of the present one, and forgets those before it.
    pub fn commit(&self, version: u32) -> Result<(), ChangeError> {
        let mut versions = self.versions();
        if version <= versions.current || version > versions.next {
            return Err(ChangeError::VersionOutOfRange);
        }
        let prepared = versions.prepared.remove(&version);
        let views = prepared.unwrap_or_else(|| self.views.load().iter().map(Patterns::emptied).collect());
        versions.prepared.retain(|other, _| *other > version);
        versions.current = version;
        self.views.store(Arc::new(views));
        self.is_changed.store(true, Ordering::Release);
        Ok(())
    }

    fn versions(&self) -> MutexGuard<'_, Versions> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, mut edit: impl FnMut(&mut Patterns) -> Result<(), String>) -> Result<(), String> {
        let mut result = Ok(());
        // Two threads may change a list at the same time: whoever comes second begins again with the other's outcome.
        self.views.rcu(|views| {
            let mut changed = Vec::clone(views);
            result = changed.iter_mut().try_for_each(&mut edit);
            match result {
                Ok(()) => Arc::new(changed),
                Err(_) => views.clone(),
            }
        });
        if result.is_ok() {
            self.is_changed.store(true, Ordering::Release);
        }
        result
    }
}

fn fill(view: &mut Patterns, entries: &[Addition]) -> Result<(), String> {
    entries.iter().try_for_each(|(pattern, value)| view.insert(pattern, *value))?;
    view.finish()
}

fn entries_of(view: &Patterns) -> Vec<PatternEntry> {
    view.entries().into_iter().cloned().collect()
}

#[cfg(test)]
#[path = "patterns_tests.rs"]
mod tests;
