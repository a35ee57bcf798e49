use super::*;
use crate::config::model::MatchMethod;
use proptest::prelude::*;

fn state(methods: &[MatchMethod]) -> PatternFileState {
    let views = methods.iter().map(|method| Patterns::new(*method, false)).collect();
    PatternFileState::new(&PatternFile { name: "list".to_owned(), views, ..PatternFile::default() })
}

fn written(text: &str) -> EntrySelection<'_> {
    EntrySelection::Pattern(text.as_bytes())
}

#[test]
fn changes_are_seen_in_every_view() {
    let state = state(&[MatchMethod::Exact, MatchMethod::Substring]);
    let sees = |view: u16, text: &str| state.with(view, |view| view.find_bytes(text.as_bytes()).is_some());
    assert!(!state.is_changed());
    assert_eq!(state.add(b"ab", None), Ok(()));
    assert!(state.is_changed());
    assert_eq!((sees(0, "ab"), sees(0, "xabx"), sees(1, "xabx")), (Some(true), Some(false), Some(true)));
    assert_eq!(sees(2, "ab"), None);
    assert!(state.remove(written("ab")) && !state.remove(written("ab")));
    assert_eq!(sees(1, "xabx"), Some(false));
    state.set(b"k", b"1").expect("a pattern");
    state.set(b"k", b"2").expect("a pattern");
    assert_eq!(state.entries().iter().map(|entry| entry.value.as_deref()).collect::<Vec<_>>(), [Some(&b"2"[..])]);
    assert_eq!((state.set_existing(written("k"), b"3"), state.set_existing(written("x"), b"3")), (Ok(true), Ok(false)));
    state.clear();
    assert!(state.entries().is_empty());
}

#[test]
fn what_is_no_pattern_changes_nothing() {
    let state = state(&[MatchMethod::Exact, MatchMethod::Address]);
    assert!(state.add(b"x", None).is_err());
    assert!(state.entries().is_empty() && !state.is_changed());
    let entries: [(&[u8], Option<&[u8]>); 3] = [(b"10.0.0.1", None), (b"x", None), (b"10.0.0.2", None)];
    assert!(state.add_all(&entries).is_err());
    assert_eq!(state.entries().len(), 1, "those before the wrong one");
}

#[test]
fn an_entry_may_stand_twice() {
    let state = state(&[MatchMethod::Exact, MatchMethod::Begin, MatchMethod::Substring]);
    for value in [&b"1"[..], b"2"] {
        state.add(b"k", Some(value)).expect("a pattern");
    }
    let entries = state.entries();
    let value = |view| state.with(view, |view| view.find_bytes(b"k").and_then(|entry| entry.value.clone())).flatten();
    assert_eq!((entries.len(), value(0).as_deref(), value(1).as_deref()), (2, Some(&b"1"[..]), Some(&b"1"[..])));
    assert!(state.entry(0).is_none());
    let reference = entries[0].reference();
    assert_eq!(state.entry(reference), Some(entries[0].clone()));
    assert!(state.remove(EntrySelection::Reference(b"k", reference)));
    assert_eq!(
        (value(0).as_deref(), value(1).as_deref(), value(2).as_deref()),
        (Some(&b"2"[..]), Some(&b"2"[..]), Some(&b"2"[..]))
    );
}

#[test]
fn versions_are_filled_and_committed() {
    let state = state(&[MatchMethod::Exact]);
    let sees = |text: &str| state.with(0, |view| view.find_bytes(text.as_bytes()).is_some()) == Some(true);
    state.add(b"old", None).expect("a pattern");
    assert_eq!((state.prepare(), state.prepare()), (1, 2));
    let one: [(&[u8], Option<&[u8]>); 1] = [(b"new", None)];
    assert_eq!(state.add_all_at(3, &one), Err(ChangeError::FutureVersion));
    assert_eq!((state.add_all_at(2, &one), state.add_all_at(1, &one)), (Ok(()), Ok(())));
    assert!(sees("old") && !sees("new"));
    assert_eq!(state.entries_at(2).len(), 1);
    assert_eq!(state.figures(), PatternFileFigures { current_version: 0, next_version: 2, entries: 3 });
    state.clear_at(1);
    assert!(state.entries_at(1).is_empty());
    assert_eq!(
        (state.commit(0), state.commit(3)),
        (Err(ChangeError::VersionOutOfRange), Err(ChangeError::VersionOutOfRange))
    );
    assert_eq!(state.commit(2), Ok(()));
    assert!(!sees("old") && sees("new"));
    assert_eq!(state.commit(1), Err(ChangeError::VersionOutOfRange));
    assert_eq!(state.add_all_at(1, &one), Err(ChangeError::VersionOutOfRange));
    assert_eq!(state.figures(), PatternFileFigures { current_version: 2, next_version: 2, entries: 1 });
    assert_eq!((state.prepare(), state.commit(3)), (3, Ok(())));
    assert!(state.entries().is_empty(), "an empty version empties the list");
}

/// The list as a plain vector, and everything looked up by walking it.
#[derive(Clone, Debug)]
enum Act {
    Add(String, String),
    Remove(String),
    RemoveNth(usize),
    Set(String, String),
    SetExisting(String, String),
    Clear,
}

fn act() -> impl Strategy<Value = Act> {
    let key = || "[abAB]{1,2}";
    prop_oneof![
        4 => (key(), "[0-9]").prop_map(|(key, value)| Act::Add(key, value)),
        2 => key().prop_map(Act::Remove),
        2 => (0usize..6).prop_map(Act::RemoveNth),
        2 => (key(), "[0-9]").prop_map(|(key, value)| Act::Set(key, value)),
        1 => (key(), "[0-9]").prop_map(|(key, value)| Act::SetExisting(key, value)),
        1 => Just(Act::Clear),
    ]
}

proptest! {
    #[test]
    fn every_view_is_the_list(acts in prop::collection::vec(act(), 0..20), ignore_case in any::<bool>()) {
        let methods = [MatchMethod::Exact, MatchMethod::Begin, MatchMethod::End, MatchMethod::Substring, MatchMethod::Found];
        let views = methods.iter().map(|method| Patterns::new(*method, ignore_case)).collect();
        let state = PatternFileState::new(&PatternFile { views, ..PatternFile::default() });
        let mut list: Vec<(String, String)> = Vec::new();
        for act in acts {
            match act {
                Act::Add(key, value) => {
                    state.add(key.as_bytes(), Some(value.as_bytes())).expect("a pattern");
                    list.push((key, value));
                }
                Act::Remove(key) => {
                    let was = list.iter().any(|(other, _)| *other == key);
                    prop_assert_eq!(state.remove(EntrySelection::Pattern(key.as_bytes())), was);
                    list.retain(|(other, _)| *other != key);
                }
                Act::RemoveNth(at) => {
                    if let Some(entry) = state.entries().get(at) {
                        prop_assert!(state.remove(EntrySelection::Reference(&entry.pattern, entry.reference())));
                        list.remove(at);
                    }
                }
                Act::Set(key, value) => {
                    state.set(key.as_bytes(), value.as_bytes()).expect("a pattern");
                    let mut found = false;
                    for (_, old) in list.iter_mut().filter(|(other, _)| *other == key) {
                        *old = value.clone();
                        found = true;
                    }
                    if !found {
                        list.push((key, value));
                    }
                }
                Act::SetExisting(key, value) => {
                    let was = list.iter().any(|(other, _)| *other == key);
                    prop_assert_eq!(state.set_existing(EntrySelection::Pattern(key.as_bytes()), value.as_bytes()), Ok(was));
                    for (_, old) in list.iter_mut().filter(|(other, _)| *other == key) {
                        *old = value.clone();
                    }
                }
                Act::Clear => {
                    state.clear();
                    list.clear();
                }
            }
            for view in 0..methods.len() as u16 {
                let entries: Vec<(String, String)> = state.with(view, |view| {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    let entries = view.entries().into_iter();
                    entries.map(|entry| (text(&entry.pattern), text(entry.value.as_deref().unwrap_or_default()))).collect()
                }).unwrap_or_default();
                prop_assert_eq!(&entries, &list);
            }
            let same = |one: &str, other: &str| if ignore_case { one.eq_ignore_ascii_case(other) } else { one == other };
            for sample in ["a", "b", "A", "ab", "aB", "BB"] {
                let expected = list.iter().find(|(key, _)| same(key, sample)).map(|(_, value)| value.clone());
                let found = state.with(0, |view| {
                    let value = view.find_bytes(sample.as_bytes()).and_then(|entry| entry.value.clone());
                    value.map(|value| String::from_utf8_lossy(&value).into_owned())
                }).flatten();
                prop_assert_eq!(found, expected, "{}", sample);
            }
        }
    }
}
