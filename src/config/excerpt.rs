//! The source line under a message: with a caret in the right place, without control bytes, and without passwords.

use std::ops::Range;
use unicode_width::UnicodeWidthChar;

/// HAProxy's bar before every further line of a message.
const BAR: &str = "\n   | ";
const TAB_WIDTH: usize = 4;
/// Terminal columns that are shown of a line at most, most of them before the caret's word and some after it.
const WIDTH_MAX: usize = 160;
const WIDTH_AFTER_CARET: usize = 60;
/// Characters looked at on either side of the caret's: more than the width shows, and not a line of 50 MB.
const REACH: usize = 4 * WIDTH_MAX;
/// Characters of a message's text that are shown.
const TEXT_MAX: usize = 2_000;
const MASK: &str = "***";

/// A message's text, cut where it quotes a word that no screen holds.
pub fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(TEXT_MAX) {
        text.truncate(end);
        text.push_str("...");
    }
    text
}

/// The line and a caret under character `column` (from 1), each after HAProxy's bar.
pub fn with_caret(raw: &str, column: u32) -> String {
    let characters: Vec<char> = raw.trim_end().chars().collect();
    let indent = characters.iter().take_while(|character| character.is_whitespace()).count();
    let secrets = secret_spans(&characters);
    let target = (column.max(1) as usize - 1).max(indent);
    let mut cells: Vec<(String, usize)> = Vec::new();
    let mut caret = None;
    let target = target.min(characters.len().max(indent));
    let (first, last) = (indent.max(target.saturating_sub(REACH)), characters.len().min(target.saturating_add(REACH)));
    for (index, character) in characters.iter().enumerate().take(last).skip(first) {
        if index == target {
            caret = Some(cells.len());
        }
        match secrets.iter().find(|span| span.contains(&index)) {
            Some(span) if span.start == index || index == first => cells.push((MASK.to_owned(), MASK.len())),
            Some(_) => caret = caret.map(|cell: usize| cell.min(cells.len().saturating_sub(1))),
            None => cells.push(cell(*character)),
        }
    }
    let caret = caret.unwrap_or(cells.len());
    let window = window(&cells, caret);
    let (before, after) = (
        if window.start > 0 || first > indent { "..." } else { "" },
        if window.end < cells.len() || last < characters.len() { "..." } else { "" },
    );
    let shown = cells.get(window.clone()).unwrap_or(&[]);
    let text: String = shown.iter().map(|(text, _)| text.as_str()).collect();
    let offset: usize = before.len() + shown.iter().take(caret - window.start).map(|(_, width)| width).sum::<usize>();
    format!("{BAR}{before}{text}{after}{BAR}{}^", " ".repeat(offset))
}

/// The cells around the caret that fit the width.
fn window(cells: &[(String, usize)], caret: usize) -> Range<usize> {
    let width_of = |cells: &[(String, usize)]| cells.iter().map(|(_, width)| *width).sum::<usize>();
    if width_of(cells) <= WIDTH_MAX {
        return 0..cells.len();
    }
    let (mut start, mut end) = (caret, caret);
    let (mut before, mut after) = (0, 0);
    while let Some((_, width)) = cells.get(end).filter(|(_, width)| after + width <= WIDTH_AFTER_CARET) {
        after += width;
        end += 1;
    }
    while let Some((_, width)) = start.checked_sub(1).and_then(|index| cells.get(index)) {
        if before + after + width > WIDTH_MAX {
            break;
        }
        before += width;
        start -= 1;
    }
    while let Some((_, width)) = cells.get(end).filter(|(_, width)| before + after + width <= WIDTH_MAX) {
        after += width;
        end += 1;
    }
    start..end
}

/// How one character of a source line is shown, and how many terminal columns that takes.
fn cell(character: char) -> (String, usize) {
    if character == '\t' {
        return (" ".repeat(TAB_WIDTH), TAB_WIDTH);
    }
    match escape_of(character) {
        Some(escape) => {
            let width = escape.len();
            (escape, width)
        }
        None => (character.to_string(), character.width().unwrap_or(0)),
    }
}

/// What stands for a character that a terminal would obey or hide.
fn escape_of(character: char) -> Option<String> {
    match character {
        '\0'..='\x1f' | '\x7f' => Some(format!("\\x{:02x}", character as u32)),
        '\u{80}'..='\u{9f}'
        | '\u{a0}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{2000}'..='\u{200f}'
        | '\u{2028}'..='\u{202f}'
        | '\u{205f}'..='\u{206f}'
        | '\u{3000}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => Some(format!("\\u{{{:x}}}", character as u32)),
        _ => None,
    }
}

/// `text` with control and invisible characters escaped, line feeds kept.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match escape_of(character) {
            Some(escape) if character != '\n' => out.push_str(&escape),
            _ => out.push(character),
        }
    }
    out
}

/// `text` with the `secrets` masked.
pub fn without(text: &str, secrets: &[String]) -> String {
    let mut out = text.to_owned();
    for secret in secrets {
        // A short one is masked only where it stands by itself: everywhere, it would eat the message's own words.
        if secret.chars().count() >= 4 {
            out = out.replace(secret.as_str(), MASK);
        } else if !secret.is_empty() {
            out = out.replace(&format!("'{secret}'"), &format!("'{MASK}'"));
            out = out.replace(&format!(":{secret}'"), &format!(":{MASK}'"));
        }
    }
    out
}

/// The passwords in a line, as the words they are after quotes.
pub fn secrets_of(raw: &str) -> Vec<String> {
    let characters: Vec<char> = raw.chars().collect();
    let mut secrets = Vec::new();
    for span in secret_spans(&characters) {
        let text: String = characters.get(span).unwrap_or(&[]).iter().collect();
        let bare = |text: &str| text.replace(['"', '\'', '\\'], "");
        secrets.extend([text.trim().to_owned(), bare(text.trim())]);
        // A span may hold several words (a scheme and its credentials, a surplus word): each may be echoed alone.
        secrets.extend(text.split_whitespace().map(bare));
    }
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    secrets.retain(|secret| !secret.is_empty());
    secrets
}

/// Keywords whose next word nobody else may read.
const SECRET_KEYWORDS: &[&str] = &[
    "anonkey",
    "authorization",
    "ca-sign-pass",
    "cluster-secret",
    "dynamic-cookie-key",
    "eab-mac-key",
    "insecure-password",
    "password",
    "proxy-authorization",
    "tcp-md5sig",
];

/// Where secrets stand in a line: character ranges.
fn secret_spans(characters: &[char]) -> Vec<Range<usize>> {
    let words = word_spans(characters);
    let text = |span: &Range<usize>| -> String {
        let characters = characters.get(span.clone()).unwrap_or(&[]);
        characters.iter().filter(|character| !matches!(character, '"' | '\'')).collect::<String>().to_ascii_lowercase()
    };
    let mut spans = Vec::new();
    for (index, span) in words.iter().enumerate() {
        let keyword = text(span);
        let Some(next) = words.get(index + 1) else { break };
        let after_stats =
            index.checked_sub(1).and_then(|before| words.get(before)).is_some_and(|word| text(word) == "stats");
        if keyword == "auth" && after_stats {
            // `user:password`; after a blank instead of the colon, everything may be the password.
            let colon = next.clone().find(|place| characters.get(*place) == Some(&':'));
            let start = colon.map_or(next.end, |colon| colon + 1);
            let end = words.last().map_or(next.end, |last| last.end);
            spans.push(start..end.max(start));
            break;
        }
        if SECRET_KEYWORDS.contains(&keyword.as_str()) {
            // `Authorization` is followed by a scheme and the credentials, often unquoted.
            let end = if keyword.ends_with("authorization") {
                words.last().map_or(next.end, |last| last.end)
            } else {
                next.end
            };
            spans.push(next.start..end);
        }
    }
    spans.retain(|span| !span.is_empty());
    spans
}

/// Where the words of a line are, quotes and escapes included; a broken quote reaches to the end.
fn word_spans(characters: &[char]) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let (mut start, mut quote, mut escaped) = (None, None, false);
    for (index, character) in characters.iter().enumerate() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match (*character, quote) {
            ('\\', None | Some('"')) => {
                escaped = true;
                start.get_or_insert(index);
            }
            ('"' | '\'', None) => {
                quote = Some(*character);
                start.get_or_insert(index);
            }
            (closing, Some(open)) if closing == open => quote = None,
            (blank, None) if blank.is_whitespace() => {
                if let Some(start) = start.take() {
                    spans.push(start..index);
                }
            }
            _ => {
                start.get_or_insert(index);
            }
        }
    }
    if let Some(start) = start {
        spans.push(start..characters.len());
    }
    spans
}
