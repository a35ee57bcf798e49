//! Compiled `req*` and `rsp*` rules of HAProxy 1.8 (its manual's section 4.2 and 6): regular expressions on whole lines
//! of a head.

use super::model::{Condition, Location, ProxyId};
use regex::bytes::{Captures, Regex};

/// One proxy's rules, each list in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct OldRules {
    pub request: Vec<OldRule>,
    /// `reqadd`: added when all of `request` have been run.
    pub request_additions: Vec<OldAddition>,
    pub response: Vec<OldRule>,
    /// `rspadd`
    pub response_additions: Vec<OldAddition>,
}

#[derive(Clone, Debug)]
pub struct OldRule {
    /// Searched in the first line, then in each `Name: value`.
    pub pattern: Regex,
    pub action: OldAction,
    /// `None`: always.
    pub condition: Option<Condition>,
    pub location: Location,
}

#[derive(Clone, Debug)]
pub enum OldAction {
    /// `reqallow`: later rules that deny or tarpit are passed over.
    Allow,
    /// `reqdeny`, `rspdeny`
    Deny,
    /// `reqtarpit`
    Tarpit,
    /// `reqpass`: the rules after this one are passed over.
    Pass,
    /// `reqdel`, `rspdel`: the header goes; a first line stays.
    Delete,
    /// `reqrep`, `rsprep`: the whole line is replaced.
    Replace(LineTemplate),
    /// `reqsetbe`
    SetBackend(ProxyId),
}

/// Name and value.
pub type AddedHeader = (Box<[u8]>, Box<[u8]>);

/// Headers that are added as they are.
#[derive(Clone, Debug)]
pub struct OldAddition {
    pub headers: Vec<AddedHeader>,
    pub condition: Option<Condition>,
    pub location: Location,
}

/// The line that replaces another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineTemplate {
    parts: Vec<TemplatePart>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum TemplatePart {
    Text(Vec<u8>),
    /// What this group of the search matched; nothing, if it took no part.
    Group(usize),
}

impl LineTemplate {
    /// `\0` to `\9` stand for groups, `\xHH` for a byte; before anything else a backslash only quotes it.
    pub fn parse(text: &[u8]) -> Result<LineTemplate, String> {
        let mut template = LineTemplate::default();
        let mut bytes = text.iter().copied();
        while let Some(byte) = bytes.next() {
            if byte != b'\\' {
                template.push(byte);
                continue;
            }
            match bytes.next() {
                Some(digit @ b'0'..=b'9') => template.parts.push(TemplatePart::Group(usize::from(digit - b'0'))),
                Some(b'x') => {
                    let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
                    let (Some(high), Some(low)) = (digit(), digit()) else {
                        return Err("'\\x' must be followed by two hexadecimal digits".to_owned());
                    };
                    template.push((high << 4 | low) as u8);
                }
                Some(quoted) => template.push(quoted),
                None => return Err("it ends with a single '\\'".to_owned()),
            }
        }
        Ok(template)
    }

    fn push(&mut self, byte: u8) {
        match self.parts.last_mut() {
            Some(TemplatePart::Text(text)) => text.push(byte),
            _ => self.parts.push(TemplatePart::Text(vec![byte])),
        }
    }

    /// Appends the line for this match.
    pub fn expand(&self, captures: &Captures, output: &mut Vec<u8>) {
        for part in &self.parts {
            let text = match part {
                TemplatePart::Text(text) => text,
                TemplatePart::Group(group) => captures.get(*group).map_or(&b""[..], |found| found.as_bytes()),
            };
            output.extend_from_slice(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        let pattern = Regex::new("^([^ ]*) /static/(.*)(x)?$").unwrap();
        let expand = |text: &[u8]| {
            let mut output = Vec::new();
            let template = LineTemplate::parse(text).unwrap();
            template.expand(&pattern.captures(b"GET /static/a HTTP/1.1").unwrap(), &mut output);
            output
        };
        assert_eq!(expand(br"\1 /\2"), b"GET /a HTTP/1.1");
        assert_eq!(expand(br"<\0\3\9\\\.\x41\x0a>"), b"<GET /static/a HTTP/1.1\\.A\n>");
        for bad in [&b"a\\"[..], b"\\x4", b"\\xzz", b"\\x"] {
            assert!(LineTemplate::parse(bad).is_err(), "{}", bad.escape_ascii());
        }
    }
}
