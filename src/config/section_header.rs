//! Opening a section: `defaults [name] [from name]`, `listen|frontend|backend <name> [from name]`.

use super::statement::Statement;
use super::written::*;

/// The first character of `name` that a proxy or server name may not hold (configuration.txt section 4).
pub fn bad_character(name: &str) -> Option<char> {
    name.chars().find(|character| !character.is_ascii_alphanumeric() && !matches!(character, '-' | '_' | '.' | ':'))
}

/// The `defaults` sections so far. The last one, named or not, holds for what follows it.
#[derive(Default)]
pub struct DefaultsSections {
    sections: Vec<WrittenProxy>,
}

impl DefaultsSections {
    /// Files a finished section.
    pub fn add(&mut self, section: WrittenProxy) {
        self.sections.push(section);
    }

    fn last(&self) -> Option<&WrittenProxy> {
        self.sections.last()
    }

    fn first_named(&self, name: &str) -> Option<&WrittenProxy> {
        self.sections.iter().find(|section| section.name == name)
    }

    fn named(&self, name: &str) -> Option<&WrittenProxy> {
        self.sections.iter().rfind(|section| section.name == name)
    }
}

/// Opens the section that `statement` (its keyword `kind`) names. `None` if an error makes it useless; its lines are
/// then parsed into a section without a name, so that their errors are found too.
pub fn open(
    statement: &mut Statement,
    kind: SectionKind,
    defaults: &DefaultsSections,
    proxies: &[WrittenProxy],
) -> WrittenProxy {
    let name = match (kind, statement.text(0)) {
        (SectionKind::Defaults, "from") => "",
        (_, name) => name,
    };
    let after_name = usize::from(!name.is_empty());
    if kind != SectionKind::Defaults && name.is_empty() {
        let keyword = statement.keyword;
        statement
            .error(usize::MAX, format!("'{keyword}' expects an <id> argument and optionally supports 'from <id>'."));
    }
    if kind == SectionKind::Defaults {
        // HAProxy takes any name here.
    } else if let Some(character) = bad_character(name) {
        let keyword = statement.keyword;
        statement.error(0, format!("character '{character}' is not permitted in '{keyword}' name '{name}'."));
    }
    let mut inherited = match kind {
        // Each `defaults` starts from nothing: that is how a file resets them.
        SectionKind::Defaults => None,
        _ => defaults.last(),
    };
    if statement.text(after_name) == "from" {
        let from = statement.text(after_name + 1);
        match defaults.named(from) {
            _ if from.is_empty() => statement.error(after_name, "'from' expects the name of a 'defaults' section."),
            Some(section) => {
                inherited = Some(section);
                ambiguous(statement, after_name + 1, section, defaults);
            }
            None => statement.error(after_name + 1, format!("no 'defaults' section named '{from}' was found before.")),
        }
        statement.at_most(after_name + 2);
    } else {
        if kind != SectionKind::Defaults && statement.arguments.len() > after_name {
            old_inline_address(statement, after_name);
        } else {
            statement.at_most(after_name);
        }
    }
    if kind != SectionKind::Defaults {
        duplicate(statement, kind, name, proxies);
    }
    let settings = inherited.map(|section| section.settings.clone()).unwrap_or_default();
    WrittenProxy::new(kind, name, statement.location(), settings)
}

/// Two sections of one name are fine until somebody asks for the name.
fn ambiguous(statement: &mut Statement, at: usize, section: &WrittenProxy, defaults: &DefaultsSections) {
    if let Some(other) = defaults.first_named(&section.name).filter(|other| other.location != section.location) {
        let text = format!(
            "ambiguous defaults section name '{}': it is declared at {} and at {}.",
            section.name, other.location, section.location
        );
        statement.error(at, text);
    }
}

/// `listen web 0.0.0.0:80`: HAProxy 1.4 took an address here.
fn old_inline_address(statement: &mut Statement, at: usize) {
    let (keyword, name, address) = (statement.keyword, statement.text(0), statement.text(at));
    statement.error(
        at,
        format!("'{keyword}' cannot handle unexpected argument '{address}' after '{name}'; write 'bind {address}' on a line of its own."),
    );
}

fn duplicate(statement: &mut Statement, kind: SectionKind, name: &str, proxies: &[WrittenProxy]) {
    if name.is_empty() {
        return;
    }
    let overlaps = |other: &&WrittenProxy| {
        other.name == name
            && (other.kind.accepts_connections() && kind.accepts_connections()
                || other.kind.has_servers() && kind.has_servers())
    };
    if let Some(other) = proxies.iter().find(overlaps) {
        let text = format!(
            "{} '{name}' has the same name as {} '{name}' declared at {}.",
            kind.name(),
            other.kind.name(),
            other.location
        );
        statement.error(0, text);
    }
}
