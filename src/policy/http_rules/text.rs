//! The texts that rules make: constants, log-format strings, and replacements with `\1` in them.

use crate::config::model::TextFormat;
use crate::policy::exchange::Scope;
use crate::policy::log_facts;
use regex::bytes::Captures;
use std::cell::Cell;

thread_local! {
    /// The memory of the last text, for the next one.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// How much of [`SPARE`] is kept: a huge value should not stay.
const SPARE_BYTES_MAX: usize = 64 * 1024;

/// Memory of this thread's that is given back when it is dropped.
pub struct Scratch(Vec<u8>);

impl Scratch {
    pub fn take() -> Scratch {
        let mut bytes = SPARE.take();
        bytes.clear();
        Scratch(bytes)
    }
}

impl std::ops::Deref for Scratch {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl std::ops::DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.0.capacity() <= SPARE_BYTES_MAX {
            SPARE.set(std::mem::take(&mut self.0));
        }
    }
}

/// A text for one request: the rule's own bytes, or what its format made of the request.
pub enum Rendered<'a> {
    Constant(&'a [u8]),
    Made(Scratch),
}

impl std::ops::Deref for Rendered<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Rendered::Constant(text) => text,
            Rendered::Made(text) => text,
        }
    }
}

/// The text for this request.
pub fn render<'a>(text: &'a TextFormat, scope: &Scope) -> Rendered<'a> {
    match text {
        TextFormat::Constant(text) => Rendered::Constant(text),
        TextFormat::Format(format) => {
            let mut made = Scratch::take();
            log_facts::render(format, scope, &mut made);
            Rendered::Made(made)
        }
    }
}

/// Appends `template` with `\0` to `\9` replaced by what the groups of `captures` matched (nothing, if they took no
/// part) and `\xHH` by that byte; before any other character the backslash only quotes it. `None`: it ends in an
/// unfinished escape.
pub fn expand(template: &[u8], captures: &Captures, output: &mut Vec<u8>) -> Option<()> {
    let mut rest = template;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        output.extend_from_slice(&rest[..at]);
        let (quoted, after) = rest[at + 1..].split_first()?;
        rest = after;
        match quoted {
            digit @ b'0'..=b'9' => {
                let group = captures.get(usize::from(digit - b'0'));
                output.extend_from_slice(group.map_or(b"", |group| group.as_bytes()));
            }
            b'x' => {
                let (digits, after) = rest.split_at_checked(2)?;
                let value = |digit: u8| char::from(digit).to_digit(16);
                output.push((value(digits[0])? << 4 | value(digits[1])?) as u8);
                rest = after;
            }
            other => output.push(*other),
        }
    }
    output.extend_from_slice(rest);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex::bytes::Regex;

    fn expanded(pattern: &str, text: &str, template: &[u8]) -> Option<Vec<u8>> {
        let pattern = Regex::new(pattern).expect("a pattern");
        let mut output = Vec::new();
        expand(template, &pattern.captures(text.as_bytes()).expect("a match"), &mut output)?;
        Some(output)
    }

    #[test]
    fn groups_and_escapes() {
        assert_eq!(expanded("(a)(b)?", "xay", br"<\1\2\0\\\.\x41>").as_deref(), Some(&br"<aa\.A>"[..]));
        assert_eq!(expanded("a", "a", br"\7").as_deref(), Some(&b""[..]));
        for unfinished in [&br"\"[..], br"a\x4", br"\xzz"] {
            assert_eq!(expanded("a", "a", unfinished), None);
        }
    }

    proptest! {
        #[test]
        fn no_template_panics(template: Vec<u8>) {
            let _ = expanded("(.)(.)", "ab", &template);
        }
    }
}
