//! Characters that web pages and word processors put where ASCII was meant, and that nobody sees.

/// (character, its Unicode name, what to write instead)
const LOOKALIKES: &[(char, &str, &str)] = &[
    ('\u{a0}', "NO-BREAK SPACE", "a space"),
    ('\u{ad}', "SOFT HYPHEN", "nothing"),
    ('\u{1680}', "OGHAM SPACE MARK", "a space"),
    ('\u{2000}', "EN QUAD", "a space"),
    ('\u{2001}', "EM QUAD", "a space"),
    ('\u{2002}', "EN SPACE", "a space"),
    ('\u{2003}', "EM SPACE", "a space"),
    ('\u{2004}', "THREE-PER-EM SPACE", "a space"),
    ('\u{2005}', "FOUR-PER-EM SPACE", "a space"),
    ('\u{2006}', "SIX-PER-EM SPACE", "a space"),
    ('\u{2007}', "FIGURE SPACE", "a space"),
    ('\u{2008}', "PUNCTUATION SPACE", "a space"),
    ('\u{2009}', "THIN SPACE", "a space"),
    ('\u{200a}', "HAIR SPACE", "a space"),
    ('\u{200b}', "ZERO WIDTH SPACE", "nothing"),
    ('\u{200c}', "ZERO WIDTH NON-JOINER", "nothing"),
    ('\u{200d}', "ZERO WIDTH JOINER", "nothing"),
    ('\u{200e}', "LEFT-TO-RIGHT MARK", "nothing"),
    ('\u{200f}', "RIGHT-TO-LEFT MARK", "nothing"),
    ('\u{2010}', "HYPHEN", "'-'"),
    ('\u{2011}', "NON-BREAKING HYPHEN", "'-'"),
    ('\u{2012}', "FIGURE DASH", "'-'"),
    ('\u{2013}', "EN DASH", "'-'"),
    ('\u{2014}', "EM DASH", "'-'"),
    ('\u{2015}', "HORIZONTAL BAR", "'-'"),
    ('\u{2018}', "LEFT SINGLE QUOTATION MARK", "\"'\""),
    ('\u{2019}', "RIGHT SINGLE QUOTATION MARK", "\"'\""),
    ('\u{201a}', "SINGLE LOW-9 QUOTATION MARK", "\"'\""),
    ('\u{201b}', "SINGLE HIGH-REVERSED-9 QUOTATION MARK", "\"'\""),
    ('\u{201c}', "LEFT DOUBLE QUOTATION MARK", "'\"'"),
    ('\u{201d}', "RIGHT DOUBLE QUOTATION MARK", "'\"'"),
    ('\u{201e}', "DOUBLE LOW-9 QUOTATION MARK", "'\"'"),
    ('\u{201f}', "DOUBLE HIGH-REVERSED-9 QUOTATION MARK", "'\"'"),
    ('\u{2024}', "ONE DOT LEADER", "'.'"),
    ('\u{2026}', "HORIZONTAL ELLIPSIS", "'...'"),
    ('\u{2028}', "LINE SEPARATOR", "a line break"),
    ('\u{2029}', "PARAGRAPH SEPARATOR", "a line break"),
    ('\u{202f}', "NARROW NO-BREAK SPACE", "a space"),
    ('\u{2032}', "PRIME", "\"'\""),
    ('\u{2033}', "DOUBLE PRIME", "'\"'"),
    ('\u{2044}', "FRACTION SLASH", "'/'"),
    ('\u{205f}', "MEDIUM MATHEMATICAL SPACE", "a space"),
    ('\u{2060}', "WORD JOINER", "nothing"),
    ('\u{2212}', "MINUS SIGN", "'-'"),
    ('\u{2215}', "DIVISION SLASH", "'/'"),
    ('\u{2217}', "ASTERISK OPERATOR", "'*'"),
    ('\u{2236}', "RATIO", "':'"),
    ('\u{3000}', "IDEOGRAPHIC SPACE", "a space"),
    ('\u{3001}', "IDEOGRAPHIC COMMA", "','"),
    ('\u{3002}', "IDEOGRAPHIC FULL STOP", "'.'"),
    ('\u{3008}', "LEFT ANGLE BRACKET", "'<'"),
    ('\u{3009}', "RIGHT ANGLE BRACKET", "'>'"),
    ('\u{300a}', "LEFT DOUBLE ANGLE BRACKET", "'<'"),
    ('\u{300b}', "RIGHT DOUBLE ANGLE BRACKET", "'>'"),
    ('\u{300c}', "LEFT CORNER BRACKET", "'\"'"),
    ('\u{300d}', "RIGHT CORNER BRACKET", "'\"'"),
    ('\u{3010}', "LEFT BLACK LENTICULAR BRACKET", "'['"),
    ('\u{3011}', "RIGHT BLACK LENTICULAR BRACKET", "']'"),
    ('\u{301c}', "WAVE DASH", "'~'"),
    ('\u{301d}', "REVERSED DOUBLE PRIME QUOTATION MARK", "'\"'"),
    ('\u{301e}', "DOUBLE PRIME QUOTATION MARK", "'\"'"),
    ('\u{fe63}', "SMALL HYPHEN-MINUS", "'-'"),
    ('\u{feff}', "ZERO WIDTH NO-BREAK SPACE (byte order mark)", "nothing"),
    ('\u{ff61}', "HALFWIDTH IDEOGRAPHIC FULL STOP", "'.'"),
    ('\u{ff64}', "HALFWIDTH IDEOGRAPHIC COMMA", "','"),
    ('\u{ffe5}', "FULLWIDTH YEN SIGN", "'\\'"),
];

/// Names of U+FF01 to U+FF0F, U+FF1A to U+FF20, U+FF3B to U+FF40 and U+FF5B to U+FF5E, by their ASCII twin.
const FULL_WIDTH: &[(char, &str)] = &[
    ('!', "EXCLAMATION MARK"),
    ('"', "QUOTATION MARK"),
    ('#', "NUMBER SIGN"),
    ('$', "DOLLAR SIGN"),
    ('%', "PERCENT SIGN"),
    ('&', "AMPERSAND"),
    ('\'', "APOSTROPHE"),
    ('(', "LEFT PARENTHESIS"),
    (')', "RIGHT PARENTHESIS"),
    ('*', "ASTERISK"),
    ('+', "PLUS SIGN"),
    (',', "COMMA"),
    ('-', "HYPHEN-MINUS"),
    ('.', "FULL STOP"),
    ('/', "SOLIDUS"),
    (':', "COLON"),
    (';', "SEMICOLON"),
    ('<', "LESS-THAN SIGN"),
    ('=', "EQUALS SIGN"),
    ('>', "GREATER-THAN SIGN"),
    ('?', "QUESTION MARK"),
    ('@', "COMMERCIAL AT"),
    ('[', "LEFT SQUARE BRACKET"),
    ('\\', "REVERSE SOLIDUS"),
    (']', "RIGHT SQUARE BRACKET"),
    ('^', "CIRCUMFLEX ACCENT"),
    ('_', "LOW LINE"),
    ('`', "GRAVE ACCENT"),
    ('{', "LEFT CURLY BRACKET"),
    ('|', "VERTICAL LINE"),
    ('}', "RIGHT CURLY BRACKET"),
    ('~', "TILDE"),
];

/// What to tell the user of `character` outside quotes and comments; `None` for one that may stand there.
pub fn complaint(character: char) -> Option<String> {
    if character < '\u{80}' {
        return None;
    }
    let (name, instead) = named(character)?;
    let shown =
        if instead == "nothing" || instead.starts_with("a ") { String::new() } else { format!("'{character}' ") };
    let write = match instead.as_str() {
        "nothing" => "delete it".to_owned(),
        instead => format!("write {instead}"),
    };
    Some(format!(
        "{shown}U+{:04X} {name} looks like configuration syntax but is not; {write} instead, or put the text in quotes",
        character as u32
    )
    .replace("delete it instead", "delete it"))
}

fn named(character: char) -> Option<(String, String)> {
    if let Some((_, name, instead)) = LOOKALIKES.iter().find(|(known, ..)| *known == character) {
        return Some(((*name).to_owned(), (*instead).to_owned()));
    }
    let twin = match character {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(character as u32 - 0xfee0)?,
        _ => return None,
    };
    let name = match FULL_WIDTH.iter().find(|(known, _)| *known == twin) {
        Some((_, name)) => format!("FULLWIDTH {name}"),
        None if twin.is_ascii_digit() => "FULLWIDTH DIGIT".to_owned(),
        None => "FULLWIDTH LATIN LETTER".to_owned(),
    };
    let instead = if twin == '\'' { "\"'\"".to_owned() } else { format!("'{twin}'") };
    Some((name, instead))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_code_point_and_ascii_twin() {
        let comma = complaint('，').expect("a full-width comma is refused");
        assert!(comma.contains("'，' U+FF0C FULLWIDTH COMMA") && comma.contains("write ','"), "{comma}");
        let quote = complaint('“').expect("a curly quote is refused");
        assert!(quote.contains("U+201C LEFT DOUBLE QUOTATION MARK") && quote.contains("write '\"'"), "{quote}");
        let space = complaint('\u{a0}').expect("a no-break space is refused");
        assert!(space.starts_with("U+00A0 NO-BREAK SPACE") && space.contains("write a space"), "{space}");
        let zero = complaint('\u{200b}').expect("a zero-width space is refused");
        assert!(zero.contains("delete it,"), "{zero}");
    }

    #[test]
    fn letters_of_any_script_may_stand() {
        for character in "aZ0_-é统计жß".chars() {
            assert_eq!(complaint(character), None, "{character}");
        }
    }

    #[test]
    fn every_punctuation_mark_has_a_name() {
        for twin in ('!'..='~').filter(char::is_ascii_punctuation) {
            assert!(FULL_WIDTH.iter().any(|(known, _)| *known == twin), "{twin}");
        }
    }
}
