//! Names and arguments in parentheses (configuration.txt section 2.2, the second level of quoting).

use super::Signature;

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Integer,
}

/// A read argument.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Argument {
    Text(String),
    Integer(i64),
}

/// The arguments of one fetch or converter; those left out are `None`.
#[derive(Debug, Default)]
pub struct Arguments(Vec<Argument>);

impl Arguments {
    pub fn text(&self, index: usize) -> Option<&str> {
        match self.0.get(index) {
            Some(Argument::Text(text)) => Some(text),
            _ => None,
        }
    }
    /// As [`Arguments::text`]; `None` also for an empty text.
    pub fn written(&self, index: usize) -> Option<&str> {
        self.text(index).filter(|text| !text.is_empty())
    }
    pub fn bytes(&self, index: usize) -> Box<[u8]> {
        self.text(index).unwrap_or_default().as_bytes().into()
    }
    /// The bytes of a text that is not empty.
    pub fn name(&self, index: usize) -> Option<Box<[u8]>> {
        self.written(index).map(|text| text.as_bytes().into())
    }
    pub fn integer(&self, index: usize) -> Option<i64> {
        match self.0.get(index) {
            Some(Argument::Integer(number)) => Some(*number),
            _ => None,
        }
    }
}

/// Where the reader is in an expression.
pub struct Cursor<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Self {
        Cursor { text, position: 0 }
    }
    pub fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }
    pub fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }
    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }
    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.position += character.len_utf8();
        Some(character)
    }
    /// Takes one comma, and blanks before and behind it.
    pub fn skip_comma(&mut self) -> bool {
        let rest = self.rest().trim_start_matches(' ');
        let Some(behind) = rest.strip_prefix(',') else { return false };
        self.position = self.text.len() - behind.trim_start_matches(' ').len();
        true
    }
    /// Takes the keyword here; empty when there is none.
    pub fn name(&mut self) -> &'a str {
        let rest = self.rest();
        let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"._-+:".contains(byte)).count();
        self.position += length;
        rest.get(..length).unwrap_or_default()
    }
}

/// Reads `(…)` when it is there, and checks number and types.
pub(super) fn read(cursor: &mut Cursor, context: &str, signature: &Signature) -> Result<Arguments, String> {
    let mut arguments = Vec::new();
    if cursor.peek() == Some('(') {
        cursor.next();
        if signature.kinds.is_empty() {
            if cursor.next() != Some(')') {
                return Err(format!("{context}: no argument supported"));
            }
            return Ok(Arguments::default());
        }
        loop {
            let (text, end) = read_one(cursor, context)?;
            let number = arguments.len() + 1;
            let Some(kind) = signature.kinds.get(arguments.len()) else {
                let most = signature.kinds.len();
                return Err(format!(
                    "{context}: too many arguments, got '{text}' as argument {number} of at most {most}"
                ));
            };
            // `name()` is the same as `name` where nothing has to be given.
            let is_only_and_empty = arguments.is_empty() && end == ')' && text.is_empty();
            if !(is_only_and_empty && signature.required == 0) {
                arguments.push(typed(*kind, text, number, context)?);
            }
            if end == ')' {
                break;
            }
        }
    }
    if arguments.len() < signature.required {
        let (got, needed) = (arguments.len(), signature.required);
        return Err(format!("{context}: missing arguments (got {got}/{needed}), they are written in parentheses"));
    }
    Ok(Arguments(arguments))
}

fn typed(kind: Kind, text: String, number: usize, context: &str) -> Result<Argument, String> {
    match kind {
        Kind::Text => Ok(Argument::Text(text)),
        Kind::Integer => text
            .parse()
            .map(Argument::Integer)
            .map_err(|_| format!("{context}: expected an integer as argument {number}, got '{text}'")),
    }
}

/// One argument and the character that ended it.
fn read_one(cursor: &mut Cursor, context: &str) -> Result<(String, char), String> {
    let mut text = String::new();
    let mut quote = None;
    loop {
        let Some(character) = cursor.next() else {
            let what = if quote.is_some() { "the closing quote" } else { "')'" };
            return Err(format!("{context}: expected {what} after its arguments"));
        };
        match (character, quote) {
            (')' | ',', None) => return Ok((text, character)),
            ('"' | '\'', None) => quote = Some(character),
            (end, Some(open)) if end == open => quote = None,
            ('\\', None | Some('"')) => escape(cursor, &mut text),
            _ => text.push(character),
        }
    }
}

/// A backslash before what has no meaning of its own stays.
fn escape(cursor: &mut Cursor, text: &mut String) {
    let replaced = match cursor.peek() {
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some(character @ ('\\' | '\'' | '"' | ' ')) => character,
        _ => return text.push('\\'),
    };
    cursor.next();
    text.push(replaced);
}
