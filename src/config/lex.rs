//! Words of a configuration line, with the place each came from (configuration.txt section 2.2).

use super::model::Location;
use super::typography;
use std::borrow::Cow;
use std::sync::Arc;

/// One word of a line after quotes, escapes and environment variables were resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Bytes that are not UTF-8 show as U+FFFD; [`Word::as_bytes`] has them.
    pub text: String,
    /// Where the word starts in [`Line::raw`], in characters counted from 1.
    pub column: u32,
    /// The bytes, where `text` cannot hold them (`\xff`).
    pub exact: Option<Box<[u8]>>,
}

impl Word {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What was written, byte for byte: for data that is sent or compared (`tcp-check send`).
    pub fn as_bytes(&self) -> &[u8] {
        self.exact.as_deref().unwrap_or(self.text.as_bytes())
    }
}

/// One logical line.
#[derive(Clone, Debug)]
pub struct Line {
    pub file: Arc<str>,
    /// Counted from 1.
    pub number: u32,
    /// The line as written, without its end of line; shown under messages.
    pub raw: Arc<str>,
    /// Never empty for a line handed to a section parser.
    pub words: Vec<Word>,
}

impl Line {
    pub fn location(&self) -> Location {
        Location { file: self.file.to_string(), line: self.number }
    }
}

/// Why a line could not be split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LexError {
    /// In characters from 1.
    pub column: u32,
    pub text: String,
}

/// What a `#` outside quotes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// The start of a comment: in files.
    Comment,
    /// A character as any other: in `-cc` conditions.
    Character,
}

/// A variable's value; names as written, with the leading dot of pseudo-variables.
pub type Variables<'a> = dyn Fn(&str) -> Option<Cow<'a, str>> + 'a;

/// Splits one line without its line feed.
///
/// `variables` gives the values for `"$NAME"` and `"${NAME}"`. All errors of the line come back, not the first only;
/// there are no words then, since what follows an unmatched quote could mean anything.
pub fn lex(raw: &[u8], hash: Hash, variables: &Variables) -> Result<Vec<Word>, Vec<LexError>> {
    let mut lexer = Lexer { units: units_of(raw), position: 0, words: Vec::new(), word: None, errors: Vec::new() };
    if let Err(error) = lexer.run(hash, variables) {
        lexer.errors.push(error);
    }
    if lexer.errors.is_empty() { Ok(lexer.words) } else { Err(lexer.errors) }
}

/// The line as text for messages and columns: what is not UTF-8 becomes U+FFFD, one for each [`Unit`].
pub fn text_of(raw: &[u8]) -> String {
    units_of(raw).iter().map(|unit| unit.character).collect()
}

/// A character and the bytes it stands for.
#[derive(Clone, Copy)]
struct Unit<'a> {
    character: char,
    bytes: &'a [u8],
}

fn units_of(raw: &[u8]) -> Vec<Unit<'_>> {
    let mut units = Vec::with_capacity(raw.len());
    for chunk in raw.utf8_chunks() {
        let valid = chunk.valid();
        for (start, character) in valid.char_indices() {
            units.push(Unit { character, bytes: &valid.as_bytes()[start..start + character.len_utf8()] });
        }
        if !chunk.invalid().is_empty() {
            units.push(Unit { character: char::REPLACEMENT_CHARACTER, bytes: chunk.invalid() });
        }
    }
    units
}

struct Lexer<'a> {
    units: Vec<Unit<'a>>,
    /// Index into `units`.
    position: usize,
    words: Vec<Word>,
    word: Option<OpenWord>,
    errors: Vec<LexError>,
}

struct OpenWord {
    bytes: Vec<u8>,
    column: u32,
    /// Something but an empty `"${LIST[*]}"` was written, so that the word exists even when it is empty.
    written: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    /// `'…'`: nothing is special.
    Strong,
    /// `"…"`: escapes and variables are.
    Weak,
}

/// isspace() in the C locale, which is what separates words for HAProxy.
fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n' | '\x0b' | '\x0c')
}

impl Lexer<'_> {
    fn run(&mut self, hash: Hash, variables: &Variables) -> Result<(), LexError> {
        let mut quote = Quote::None;
        let mut quote_start = 0;
        while let Some(unit) = self.units.get(self.position).copied() {
            let start = self.position;
            self.position += 1;
            match (unit.character, quote) {
                ('\0', _) => return Err(self.error(start, "Stray NUL character")),
                ('#', Quote::None) if hash == Hash::Comment => break,
                (character, Quote::None) if is_blank(character) => self.close_word(),
                ('"', Quote::None) => (quote, quote_start) = (self.open_quote(Quote::Weak, start), start),
                ('\'', Quote::None) => (quote, quote_start) = (self.open_quote(Quote::Strong, start), start),
                ('"', Quote::Weak) | ('\'', Quote::Strong) => quote = Quote::None,
                ('\\', Quote::None | Quote::Weak) => self.escape(start, quote)?,
                ('$', Quote::Weak) => self.variable(start, variables)?,
                (character, Quote::None) => {
                    if let Some(text) = typography::complaint(character) {
                        self.errors.push(LexError { column: column_of(start), text });
                    }
                    self.push(start, unit.bytes);
                }
                _ => self.push(start, unit.bytes),
            }
        }
        if quote != Quote::None {
            return Err(self.error(quote_start, "unmatched quote"));
        }
        self.close_word();
        Ok(())
    }

    fn error(&self, index: usize, what: &str) -> LexError {
        let column = column_of(index);
        LexError { column, text: format!("{what} at position {column}") }
    }

    fn open_quote(&mut self, quote: Quote, start: usize) -> Quote {
        self.push(start, b"");
        quote
    }

    fn open_word(&mut self, start: usize) -> &mut OpenWord {
        self.word.get_or_insert_with(|| OpenWord { bytes: Vec::new(), column: column_of(start), written: false })
    }

    fn push(&mut self, start: usize, bytes: &[u8]) {
        let word = self.open_word(start);
        word.bytes.extend_from_slice(bytes);
        word.written = true;
    }

    fn close_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        if !word.written {
            return;
        }
        let (text, exact) = match String::from_utf8(word.bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                let bytes = error.into_bytes();
                (String::from_utf8_lossy(&bytes).into_owned(), Some(bytes.into_boxed_slice()))
            }
        };
        self.words.push(Word { text, column: word.column, exact });
    }

    fn peek(&self) -> Option<char> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Option<char> {
        self.units.get(self.position + ahead).map(|unit| unit.character)
    }

    /// After a backslash at `start`. One that escapes nothing is a character as any other, so that regular
    /// expressions may be written with single backslashes.
    fn escape(&mut self, start: usize, quote: Quote) -> Result<(), LexError> {
        let byte = match self.peek() {
            Some(character @ (' ' | '\\' | '#' | '"' | '\'')) => character as u8,
            Some('$') if quote == Quote::Weak => b'$',
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('x') => {
                let digits = [self.peek_at(1), self.peek_at(2)].map(|digit| digit.and_then(|digit| digit.to_digit(16)));
                let [Some(high), Some(low)] = digits else {
                    return Err(self.error(start, "truncated or invalid hexadecimal sequence"));
                };
                let byte = (high * 16 + low) as u8;
                if byte == 0 {
                    return Err(self.error(start, "a word cannot hold a NUL byte (\\x00)"));
                }
                self.position += 2;
                byte
            }
            _ => {
                self.push(start, b"\\");
                return Ok(());
            }
        };
        self.position += 1;
        self.push(start, &[byte]);
        Ok(())
    }

    /// After a `$` at `start`, inside double quotes: `NAME`, `{NAME}`, `{NAME-default}`, `{NAME[*]}`.
    fn variable(&mut self, start: usize, variables: &Variables) -> Result<(), LexError> {
        let brace = self.peek() == Some('{');
        if brace {
            self.position += 1;
        }
        let name = self.variable_name()?;
        let split = brace && self.peek() == Some('[');
        if split {
            if [self.peek_at(1), self.peek_at(2)] != [Some('*'), Some(']')] {
                return Err(self.error(self.position, "truncated or invalid word expansion sequence"));
            }
            self.position += 3;
        }
        let default = if brace && self.peek() == Some('-') { self.default_value() } else { None };
        if brace {
            if self.peek() != Some('}') {
                return Err(self.error(start, "unmatched brace in environment variable name"));
            }
            self.position += 1;
        }
        let value = variables(&name).or(default.map(Cow::Owned)).unwrap_or_default();
        if split {
            self.expand_list(start, &value)
        } else {
            self.push(start, value.as_bytes())
        }
        Ok(())
    }

    fn variable_name(&mut self) -> Result<String, LexError> {
        let mut name = String::new();
        match self.peek() {
            Some(first) if first.is_ascii_alphabetic() || first == '_' || first == '.' => {
                name.push(first);
                self.position += 1;
            }
            _ => return Err(self.error(self.position, "forbidden first char in environment variable name")),
        }
        while let Some(character) = self.peek().filter(|next| next.is_ascii_alphanumeric() || *next == '_') {
            name.push(character);
            self.position += 1;
        }
        Ok(name)
    }

    /// After the name, at a dash: all up to the closing brace, as written.
    fn default_value(&mut self) -> Option<String> {
        self.position += 1;
        let mut default = String::new();
        while let Some(character) = self.peek().filter(|next| *next != '}') {
            default.push(character);
            self.position += 1;
        }
        Some(default)
    }

    /// Makes a word of every blank-separated part; the first joins what stands before, the last what follows.
    fn expand_list(&mut self, start: usize, value: &str) {
        // The quote that the expansion stands in opened a word by itself; an empty list is no word at all.
        if let Some(word) = &mut self.word {
            word.written &= !word.bytes.is_empty();
        }
        for (index, part) in value.split(is_blank).filter(|part| !part.is_empty()).enumerate() {
            if index > 0 {
                self.close_word();
            }
            self.push(start, part.as_bytes());
        }
    }
}

fn column_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1)
}

/// Writes `word` so that [`lex`] gives it back as one word.
pub fn quoted(word: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.:/@,=*+%()[]{}<>|&!?~^;".contains(byte);
    if !word.is_empty() && word.iter().all(plain) {
        return word.iter().map(|byte| *byte as char).collect();
    }
    let mut out = String::from("\"");
    for unit in units_of(word) {
        match unit.character {
            '"' | '\\' | '$' => out.extend(['\\', unit.character]),
            char::REPLACEMENT_CHARACTER | '\0'..='\x1f' | '\x7f' => {
                unit.bytes.iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
            }
            character => out.push(character),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
#[path = "lex_tests.rs"]
mod tests;
