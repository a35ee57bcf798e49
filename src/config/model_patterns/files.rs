//! Lists of patterns that can be changed while the process runs: files, which ACLs and maps name, and the patterns
//! written on an ACL's own line.

use super::super::model_converter::MapOutput;
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

/// A list as it was read at the start.
#[derive(Clone, Debug, Default)]
pub struct PatternFile {
    /// As written in the configuration: that is how rules and the runtime socket name it. Empty for an ACL's own
    /// patterns.
    pub name: String,
    /// What the runtime socket calls it (`#7`): from `-u`, or given out in the order of the lines.
    pub unique_id: u32,
    /// Who uses it, as `show acl` says.
    pub description: String,
    /// Some ACL compares with it, some map looks keys up in it (or `-M` says that an ACL's file is a map).
    pub is_acl: bool,
    pub is_map: bool,
    pub views: Vec<Patterns>,
}

impl PatternFile {
    pub fn view_of(&self, method: MatchMethod, ignore_case: bool, values: Option<MapOutput>) -> Option<u16> {
        let same =
            |view: &Patterns| view.method() == method && view.ignores_case() == ignore_case && view.values() == values;
        self.views.iter().position(same).and_then(|index| u16::try_from(index).ok())
    }
}
