//! One row of the keyword table.

use std::fmt;

/// Where a keyword may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Section {
    Global,
    Defaults,
    Frontend,
    Listen,
    Backend,
    /// An option of a `bind` line, after the address.
    Bind,
    /// An option of a `server`, `default-server` or `server-template` line, after the address.
    Server,
    /// An option of a `stats socket` line, after the address.
    StatsSocket,
    /// The first word of a section: `global`, `peers` …
    Header,
    Peers,
    Resolvers,
    Userlist,
    Mailers,
    Cache,
    Ring,
    HttpErrors,
    LogForward,
    FcgiApp,
    Program,
    Traces,
    LogProfile,
    CrtStore,
    CrtList,
    Acme,
    Healthcheck,
}

impl Section {
    /// The word that opens it, or how the manual calls it.
    pub fn name(self) -> &'static str {
        match self {
            Section::Global => "global",
            Section::Defaults => "defaults",
            Section::Frontend => "frontend",
            Section::Listen => "listen",
            Section::Backend => "backend",
            Section::Bind => "bind",
            Section::Server => "server",
            Section::StatsSocket => "stats socket",
            Section::Header => "section",
            Section::Peers => "peers",
            Section::Resolvers => "resolvers",
            Section::Userlist => "userlist",
            Section::Mailers => "mailers",
            Section::Cache => "cache",
            Section::Ring => "ring",
            Section::HttpErrors => "http-errors",
            Section::LogForward => "log-forward",
            Section::FcgiApp => "fcgi-app",
            Section::Program => "program",
            Section::Traces => "traces",
            Section::LogProfile => "log-profile",
            Section::CrtStore => "crt-store",
            Section::CrtList => "crt-list",
            Section::Acme => "acme",
            Section::Healthcheck => "healthcheck",
        }
    }

    pub const ALL: [Section; 25] = [
        Section::Global,
        Section::Defaults,
        Section::Frontend,
        Section::Listen,
        Section::Backend,
        Section::Bind,
        Section::Server,
        Section::StatsSocket,
        Section::Header,
        Section::Peers,
        Section::Resolvers,
        Section::Userlist,
        Section::Mailers,
        Section::Cache,
        Section::Ring,
        Section::HttpErrors,
        Section::LogForward,
        Section::FcgiApp,
        Section::Program,
        Section::Traces,
        Section::LogProfile,
        Section::CrtStore,
        Section::CrtList,
        Section::Acme,
        Section::Healthcheck,
    ];
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of [`Section`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sections(u32);

impl Sections {
    pub const fn of(sections: &[Section]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < sections.len() {
            bits |= 1 << sections[index] as u32;
            index += 1;
        }
        Sections(bits)
    }

    pub const fn contains(self, section: Section) -> bool {
        self.0 & (1 << section as u32) != 0
    }

    pub const fn intersects(self, other: Sections) -> bool {
        self.0 & other.0 != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Section> {
        Section::ALL.into_iter().filter(move |section| self.contains(*section))
    }
}

impl fmt::Display for Sections {
    /// `'frontend', 'listen'`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, section) in self.iter().enumerate() {
            write!(f, "{}'{section}'", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// What Ringway does with a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Means what HAProxy's manual says.
    Supported,
    /// Works, with a warning that names the modern spelling (empty: there is none, and the reason says why).
    OldSpelling { modern: &'static str },
    /// Read and ignored, because doing nothing is right here; `why` says so. `-c` stays silent about it.
    Accepted { why: &'static str },
    /// An error: the reason, and what to write instead.
    Refused { reason: &'static str, instead: &'static str },
    /// An error until the feature `what` is there; `meanwhile` is what to do until then.
    Later { what: &'static str, meanwhile: &'static str },
}

/// The word before a keyword.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Modifier {
    #[default]
    None,
    /// `no option …`
    No,
    /// `default option …`: back to what HAProxy does without the line.
    Default,
}

/// One keyword in the sections where it means the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub sections: Sections,
    /// Words, then arguments as `<name>` or `[<name>]`: `timeout client <time>`.
    pub syntax: &'static str,
    pub status: Status,
    /// `no` and `default` may stand before it.
    pub negatable: bool,
    /// The last word is an argument of the row without it, and this row only says what becomes of that argument:
    /// `balance uri`.
    pub value: bool,
}

impl Row {
    /// The words without the arguments: `timeout client`.
    pub fn keyword(&self) -> &'static str {
        self.split().0
    }

    /// How many words the keyword has.
    pub fn words(&self) -> usize {
        self.keyword().split(' ').count()
    }

    /// How many arguments must follow.
    pub fn arguments(&self) -> usize {
        self.split().1.split(' ').filter(|word| word.starts_with('<')).count()
    }

    fn split(&self) -> (&'static str, &'static str) {
        let end = self.syntax.find(['<', '[']).unwrap_or(self.syntax.len());
        let (words, arguments) = self.syntax.split_at(end);
        (words.trim_end(), arguments)
    }

    /// Whether the keyword's words are the first of `words`. What stands in parentheses after the last word is an
    /// argument: `balance hdr(host)`, `http-request set-var(txn.a)`.
    pub fn matches(&self, words: &[&str]) -> bool {
        let mut given = words.iter();
        let wanted = self.keyword().split(' ');
        let last = self.words();
        wanted.enumerate().all(|(index, wanted)| match given.next() {
            Some(word) if index > 0 && index + 1 == last => word.split('(').next() == Some(wanted),
            Some(word) => {
                *word == wanted || (last == 1 && word.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('(')))
            }
            None => false,
        })
    }
}
