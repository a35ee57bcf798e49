//! Rules on header lines: add, set, del and replace (configuration.txt section 4.2).

use super::text::{self, Scratch};
use crate::config::model::{HeaderNameMatch, Replacement, TextFormat};
use crate::policy::exchange::{Scope, Stage};
use crate::proto::http1::message::Message;
use regex::bytes::Regex;

/// What `replace-header` and `replace-value` match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Line,
    /// What stands between the commas.
    ListItem,
}

/// The message that the rules of this stage edit.
pub fn message<'s>(scope: &'s mut Scope) -> &'s mut Message {
    match scope.stage {
        Stage::Request => &mut scope.exchange.request,
        Stage::Response | Stage::Log => &mut scope.exchange.response,
    }
}

/// `add-header`; false if it cannot stand in a head.
pub fn add(scope: &mut Scope, name: &[u8], value: &TextFormat) -> bool {
    let value = text::render(value, scope);
    let added = message(scope).add_header(name, &value);
    added && follow_host(scope, name)
}

/// `set-header`
pub fn set(scope: &mut Scope, name: &[u8], value: &TextFormat) -> bool {
    let value = text::render(value, scope);
    let set = message(scope).set_header(name, &value);
    set && follow_host(scope, name)
}

/// `del-header`
pub fn delete(message: &mut Message, which: &HeaderNameMatch) {
    message.retain_headers(|_, name, _| !matches(which, name));
}

fn matches(which: &HeaderNameMatch, name: &[u8]) -> bool {
    let same = |range: Option<&[u8]>, wanted: &[u8]| range.is_some_and(|part| part.eq_ignore_ascii_case(wanted));
    match which {
        HeaderNameMatch::Exact(wanted) => name.eq_ignore_ascii_case(wanted),
        HeaderNameMatch::Prefix(wanted) => same(name.get(..wanted.len()), wanted),
        HeaderNameMatch::Suffix(wanted) => {
            same(name.len().checked_sub(wanted.len()).and_then(|start| name.get(start..)), wanted)
        }
        HeaderNameMatch::Substring(wanted) => {
            wanted.is_empty() || name.windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted))
        }
        HeaderNameMatch::Pattern(pattern) => pattern.is_match(name),
    }
}

/// `replace-header` and `replace-value`: what matches is replaced whole.
pub fn replace(scope: &mut Scope, name: &[u8], replacement: &Replacement, unit: Unit) -> bool {
    let pattern = &replacement.pattern;
    let mut template = None;
    for index in 0..message(scope).header_count() {
        let (other, value) = message(scope).header(index);
        if !other.eq_ignore_ascii_case(name) || !any_matches(pattern, value, unit) {
            continue;
        }
        // Made once, and only if something matches.
        let template = template.get_or_insert_with(|| text::render(&replacement.with, scope));
        let mut replaced = Vec::with_capacity(64);
        let value = message(scope).header(index).1;
        if replace_in(value, pattern, template, unit, &mut replaced).is_none() {
            return false;
        }
        message(scope).replace_value(index, &replaced);
    }
    template.is_none() || follow_host(scope, name)
}

fn any_matches(pattern: &Regex, value: &[u8], unit: Unit) -> bool {
    match unit {
        Unit::Line => pattern.is_match(value),
        Unit::ListItem => items(value).any(|(_, item, _)| pattern.is_match(item)),
    }
}

fn replace_in(value: &[u8], pattern: &Regex, template: &[u8], unit: Unit, output: &mut Vec<u8>) -> Option<()> {
    match unit {
        Unit::Line => text::expand(template, &pattern.captures(value)?, output),
        Unit::ListItem => {
            for (index, (before, item, after)) in items(value).enumerate() {
                if index > 0 {
                    output.push(b',');
                }
                output.extend_from_slice(before);
                match pattern.captures(item) {
                    Some(captures) => text::expand(template, &captures, output)?,
                    None => output.extend_from_slice(item),
                }
                output.extend_from_slice(after);
            }
            Some(())
        }
    }
}

/// The items of a comma-separated value, each with the blanks before and after it. A comma in quotes is no separator
/// (RFC 9110 section 5.6.4).
fn items(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8], &[u8])> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let whole = rest?;
        let end = item_end(whole);
        rest = whole.get(end + 1..);
        let item = &whole[..end];
        let start = item.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(item.len());
        let (before, trimmed) = item.split_at(start);
        let length = trimmed.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |last| last + 1);
        let (trimmed, after) = trimmed.split_at(length);
        Some((before, trimmed, after))
    })
}

/// Where the first comma outside of quotes stands, or the end.
fn item_end(value: &[u8]) -> usize {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (index, byte) in value.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => return index,
            _ => {}
        }
    }
    value.len()
}

/// A request whose target names an authority keeps saying the same in both places (RFC 9112 section 3.2.2): what a
/// rule made of Host is written into the target, too.
fn follow_host(scope: &mut Scope, name: &[u8]) -> bool {
    if scope.stage != Stage::Request || !name.eq_ignore_ascii_case(b"host") {
        return true;
    }
    let request = &mut scope.exchange.request;
    let Some(authority) = super::uri::authority(request.target()) else { return true };
    let Some(host) = request.value(b"host") else { return true };
    let mut changed = Scratch::take();
    changed.extend_from_slice(&request.target()[..authority.start]);
    changed.extend_from_slice(host);
    changed.extend_from_slice(&request.target()[authority.end..]);
    request.set_target(&changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn replaced(value: &str, pattern: &str, template: &str, unit: Unit) -> Option<String> {
        let mut output = Vec::new();
        let pattern = Regex::new(pattern).expect("a pattern");
        replace_in(value.as_bytes(), &pattern, template.as_bytes(), unit, &mut output)?;
        Some(String::from_utf8(output).expect("text"))
    }

    #[test]
    fn the_manuals_examples() {
        let list =
            replaced("192.168.10.1, 192.168.13.24, 10.0.0.37", r"^192\.168\.(.*)$", r"172.16.\1", Unit::ListItem);
        assert_eq!(list.as_deref(), Some("172.16.10.1, 172.16.13.24, 10.0.0.37"));
        assert_eq!(replaced("curl/7.47.0", "curl", "foo", Unit::Line).as_deref(), Some("foo"));
        assert_eq!(
            replaced("C=1; expires=Tue, 14-Jun", "(C=[^;]*);(.*)", r"\1;ip=1.2.3.4;\2", Unit::Line).as_deref(),
            Some("C=1;ip=1.2.3.4; expires=Tue, 14-Jun")
        );
        assert_eq!(replaced(r#""a,b" , b"#, "^b$", "c", Unit::ListItem).as_deref(), Some(r#""a,b" , c"#));
    }

    #[test]
    fn names_match_by_every_method() {
        let boxed = |text: &str| text.as_bytes().into();
        assert!(matches(&HeaderNameMatch::Prefix(boxed("x-f")), b"X-Forwarded-For"));
        assert!(matches(&HeaderNameMatch::Suffix(boxed("-for")), b"X-Forwarded-For"));
        assert!(matches(&HeaderNameMatch::Substring(boxed("WARD")), b"X-Forwarded-For"));
        assert!(!matches(&HeaderNameMatch::Exact(boxed("x-f")), b"X-Forwarded-For"));
        assert!(!matches(&HeaderNameMatch::Suffix(boxed("longer-than-the-name")), b"short"));
        assert!(matches(&HeaderNameMatch::Pattern(Regex::new("^X-").expect("a pattern")), b"X-A"));
    }

    proptest! {
        #[test]
        fn items_put_together_are_the_value(value in "[ab,\" \\\\\t]{0,16}") {
            let parts: Vec<Vec<u8>> = items(value.as_bytes()).map(|(a, b, c)| [a, b, c].concat()).collect();
            prop_assert_eq!(parts.join(&b','), value.into_bytes());
        }
    }
}
