//! Files of patterns while the process runs: rules and the runtime socket change them, every worker looks things up.
//!
//! A look-up takes no lock. A change makes a copy that shares nearly everything with the old set, and puts it in its
//! place.

use crate::config::model::{PatternEntry, PatternFile, Patterns};
use arc_swap::ArcSwap;
use std::sync::Arc;

/// One file's present contents, compared in each of the ways that the configuration asks for.
pub struct PatternFileState {
    views: ArcSwap<Vec<Patterns>>,
}

impl PatternFileState {
    pub fn new(file: &PatternFile) -> Self {
        PatternFileState { views: ArcSwap::from_pointee(file.views.clone()) }
    }

    /// Hands the patterns of one view to `look`; `None` if there is no such view.
    pub fn with<T>(&self, view: u16, look: impl FnOnce(&Patterns) -> T) -> Option<T> {
        self.views.load().get(usize::from(view)).map(look)
    }

    /// Adds a pattern where it is not there yet.
    /// # Errors
    /// Why `pattern` is none; then nothing has changed.
    pub fn add(&self, pattern: &[u8], value: Option<&[u8]>) -> Result<(), String> {
        self.change(|view| {
            view.insert(pattern, value)?;
            view.finish()
        })
    }

    /// Takes a pattern out; whether it was there.
    pub fn remove(&self, pattern: &[u8]) -> bool {
        let mut removed = 0;
        let _ = self.change(|view| {
            removed += view.remove(pattern);
            view.finish()
        });
        removed > 0
    }

    /// Gives a key another value, or adds the key.
    /// # Errors
    /// Why `pattern` is none; then nothing has changed.
    pub fn set(&self, pattern: &[u8], value: &[u8]) -> Result<(), String> {
        self.change(|view| {
            view.remove(pattern);
            view.insert(pattern, Some(value))?;
            view.finish()
        })
    }

    /// Takes all patterns out.
    pub fn clear(&self) {
        let _ = self.change(|view| {
            *view = Patterns::new(view.method(), view.ignores_case());
            Ok(())
        });
    }

    /// All entries in the order they were added.
    pub fn entries(&self) -> Vec<PatternEntry> {
        self.with(0, |view| view.entries().into_iter().cloned().collect()).unwrap_or_default()
    }

    fn change(&self, mut edit: impl FnMut(&mut Patterns) -> Result<(), String>) -> Result<(), String> {
        let mut result = Ok(());
        // Two threads may change a file at the same time: whoever comes second begins again with the other's outcome.
        self.views.rcu(|views| {
            let mut changed = Vec::clone(views);
            result = changed.iter_mut().try_for_each(&mut edit);
            match result {
                Ok(()) => Arc::new(changed),
                Err(_) => views.clone(),
            }
        });
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::MatchMethod;

    fn state(methods: &[MatchMethod]) -> PatternFileState {
        let views = methods.iter().map(|method| Patterns::new(*method, false)).collect();
        PatternFileState::new(&PatternFile { name: "list".to_owned(), is_map: false, views })
    }

    #[test]
    fn changes_are_seen_in_every_view() {
        let state = state(&[MatchMethod::Exact, MatchMethod::Substring]);
        let sees = |view: u16, text: &str| state.with(view, |view| view.find_bytes(text.as_bytes()).is_some());
        assert_eq!(state.add(b"ab", None), Ok(()));
        assert_eq!((sees(0, "ab"), sees(0, "xabx"), sees(1, "xabx")), (Some(true), Some(false), Some(true)));
        assert_eq!(sees(2, "ab"), None);
        assert!(state.remove(b"ab") && !state.remove(b"ab"));
        assert_eq!(sees(1, "xabx"), Some(false));
        state.set(b"k", b"1").expect("a pattern");
        state.set(b"k", b"2").expect("a pattern");
        assert_eq!(state.entries().iter().map(|entry| entry.value.as_deref()).collect::<Vec<_>>(), [Some(&b"2"[..])]);
        state.clear();
        assert!(state.entries().is_empty());
    }

    #[test]
    fn what_is_no_pattern_changes_nothing() {
        let state = state(&[MatchMethod::Exact, MatchMethod::Address]);
        assert!(state.add(b"x", None).is_err());
        assert!(state.entries().is_empty());
    }
}
