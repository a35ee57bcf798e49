//! Files of patterns, which ACLs and maps name: one file may be compared in several ways.

use super::{MatchMethod, Patterns};

/// Index into [`Config::pattern_files`](super::super::model::Config::pattern_files).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PatternFileId(pub u32);

/// One way in which a file's lines are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PatternView {
    pub file: PatternFileId,
    /// Index into [`PatternFile::views`].
    pub view: u16,
}

/// A file as it was read at the start.
#[derive(Clone, Debug)]
pub struct PatternFile {
    /// As written in the configuration: that is how rules and the runtime socket name it.
    pub name: String,
    /// Lines have a key and a value.
    pub is_map: bool,
    pub views: Vec<Patterns>,
}

impl PatternFile {
    pub fn view_of(&self, method: MatchMethod, ignore_case: bool) -> Option<u16> {
        let same = |view: &Patterns| view.method() == method && view.ignores_case() == ignore_case;
        self.views.iter().position(same).and_then(|index| u16::try_from(index).ok())
    }
}
