//! The support matrix of the README and of `ringway --support-matrix`: the keyword table as Markdown.

use super::keywords::{Row, Section, Sections, Status, rows};
use std::fmt::Write as _;

/// The parts of the matrix: a heading, and the sections whose keywords stand under it.
const CHAPTERS: &[(&str, Sections)] = &[
    ("Sections", Sections::of(&[Section::Header])),
    ("`global`", Sections::of(&[Section::Global])),
    (
        "`defaults`, `frontend`, `listen`, `backend`",
        Sections::of(&[Section::Defaults, Section::Frontend, Section::Listen, Section::Backend]),
    ),
    ("Options of `bind` and `stats socket`", Sections::of(&[Section::Bind, Section::StatsSocket])),
    ("Options of `server`, `default-server`, `server-template`", Sections::of(&[Section::Server])),
    (
        "Other sections",
        Sections::of(&[
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
        ]),
    ),
];

/// The statuses in the order in which they are listed.
const GROUPS: &[Group] = &[Group::Supported, Group::Old, Group::Accepted, Group::Later, Group::Refused];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    Supported,
    Old,
    Accepted,
    Later,
    Refused,
}

impl Group {
    fn of(row: &Row) -> Self {
        match row.status {
            Status::Supported => Group::Supported,
            Status::OldSpelling { .. } => Group::Old,
            Status::Accepted { .. } => Group::Accepted,
            Status::Later { .. } => Group::Later,
            Status::Refused { .. } => Group::Refused,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Group::Supported => "Supported",
            Group::Old => "Old spellings, supported with a warning",
            Group::Accepted => "Read, with nothing to do",
            Group::Later => "Refused until their feature is there",
            Group::Refused => "Refused",
        }
    }
}

/// The whole matrix, ending with a line feed.
pub fn support_matrix() -> String {
    let mut out = String::new();
    summary(&mut out);
    for (heading, sections) in CHAPTERS {
        let _ = write!(out, "\n### {heading}\n");
        for group in GROUPS {
            let listed: Vec<&Row> =
                rows().filter(|row| row.sections.intersects(*sections) && Group::of(row) == *group).collect();
            chapter_group(&mut out, *group, *sections, &listed);
        }
    }
    out
}

fn summary(out: &mut String) {
    out.push_str("| status | keywords |\n|---|---:|\n");
    for group in GROUPS {
        let count = rows().filter(|row| Group::of(row) == *group).count();
        let _ = writeln!(out, "| {} | {count} |", group.name());
    }
}

/// Supported keywords run on in one paragraph; the others are grouped by what there is to say about them.
fn chapter_group(out: &mut String, group: Group, chapter: Sections, listed: &[&Row]) {
    if listed.is_empty() {
        return;
    }
    let _ = write!(out, "\n**{}** ({})\n\n", group.name(), listed.len());
    let mut remarks: Vec<(String, Vec<String>)> = Vec::new();
    for row in listed {
        let remark = remark(row);
        let name = name(row, chapter);
        match remarks.iter_mut().find(|(known, _)| *known == remark) {
            Some((_, names)) => names.push(name),
            None => remarks.push((remark, vec![name])),
        }
    }
    for (remark, names) in remarks {
        let names = names.join(", ");
        let _ = match remark.as_str() {
            "" => writeln!(out, "{names}"),
            remark => writeln!(out, "- {names}: {remark}"),
        };
    }
}

/// The keyword, and where it may stand if not everywhere in the chapter.
fn name(row: &Row, chapter: Sections) -> String {
    let sections: Vec<&str> =
        row.sections.iter().filter(|section| chapter.contains(*section)).map(Section::name).collect();
    let no = if row.negatable { "[no] " } else { "" };
    let keyword = format!("`{no}{}`", row.keyword());
    if sections.len() == chapter.iter().count() {
        return keyword;
    }
    format!("{keyword} ({})", sections.join(", "))
}

fn remark(row: &Row) -> String {
    let text = match row.status {
        Status::Supported | Status::OldSpelling { modern: "" } => String::new(),
        Status::OldSpelling { modern } => format!("the modern one is {modern}"),
        Status::Accepted { why } => why.to_owned(),
        Status::Refused { reason, instead } => format!("{reason}; instead: {instead}"),
        Status::Later { what, meanwhile } => format!("comes with {what}; until then, {meanwhile}"),
    };
    // Angle brackets would be taken for HTML.
    text.replace('<', "&lt;").replace('>', "&gt;").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_stands_in_the_matrix() {
        let matrix = support_matrix();
        for row in rows() {
            let keyword = row.keyword();
            assert!(
                matrix.contains(&format!("`{keyword}`")) || matrix.contains(&format!("`[no] {keyword}`")),
                "{keyword}"
            );
        }
    }

    #[test]
    fn every_section_has_a_chapter() {
        for section in Section::ALL {
            let chapters = CHAPTERS.iter().filter(|(_, sections)| sections.contains(section)).count();
            assert_eq!(chapters, 1, "{section}");
        }
    }

    #[test]
    fn the_counts_add_up() {
        let counted: usize = support_matrix()
            .lines()
            .take(2 + GROUPS.len())
            .filter_map(|line| line.trim_end_matches(" |").rsplit(' ').next()?.parse::<usize>().ok())
            .sum();
        assert_eq!(counted, rows().count());
    }

    #[test]
    fn says_why_and_where() {
        let matrix = support_matrix();
        assert!(matrix.contains("`timeout connect` (defaults, listen, backend)"));
        assert!(matrix.contains("comes with HTTP mode"));
        assert!(matrix.contains("`nbproc`: the modern one is nbthread"));
        assert!(!matrix.contains("<"), "no raw HTML");
    }
}
