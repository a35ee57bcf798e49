//! Reading and editing `Cookie` and `Set-Cookie` values (RFC 6265, and what older RFCs allowed: quotes, blanks around
//! the equal sign, `$` attributes), byte for byte as HAProxy leaves them.

/// One `name=value`; blanks around the equal sign are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
    /// Both and the sign between.
    pub whole: &'a [u8],
}

/// What becomes of a cookie of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Keep,
    /// Goes, with the `$` attributes behind it and one delimiter.
    Delete,
    /// Loses so many bytes at the start of its value.
    Strip(usize),
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The places of a cookie's parts in its line.
struct Places {
    name: usize,
    name_end: usize,
    equal: usize,
    value: usize,
    value_end: usize,
    /// The delimiter behind it, or the end.
    next: usize,
}

impl Places {
    /// Finds the cookie at or behind `from`. `is_folded`: a comma ends a name, too.
    fn find(line: &[u8], from: usize, is_folded: bool) -> Places {
        let skip = |mut at: usize| {
            while line.get(at).is_some_and(|byte| is_blank(*byte)) {
                at += 1;
            }
            at
        };
        let name = skip(from);
        let (mut equal, mut name_end) = (name, name);
        while let Some(byte) = line.get(equal) {
            if matches!(byte, b'=' | b';') || (is_folded && *byte == b',') {
                break;
            }
            equal += 1;
            if !is_blank(*byte) {
                name_end = equal;
            }
        }
        if line.get(equal) != Some(&b'=') {
            return Places { name, name_end, equal, value: equal, value_end: equal, next: equal };
        }
        let value = skip(equal + 1);
        let next = value + value_length(line.get(value..).unwrap_or_default());
        let mut value_end = next;
        while value_end > value && line.get(value_end - 1).is_some_and(|byte| is_blank(*byte)) {
            value_end -= 1;
        }
        Places { name, name_end, equal, value, value_end, next }
    }

    fn has_value(&self) -> bool {
        self.next != self.equal
    }

    /// Takes the blanks around the equal sign out of the line.
    fn tighten(&mut self, line: &mut Vec<u8>) {
        let after = self.value - (self.equal + 1);
        if after > 0 {
            line.drain(self.equal + 1..self.value);
        }
        let before = self.equal - self.name_end;
        if before > 0 {
            line.drain(self.name_end..self.equal);
        }
        self.equal -= before;
        self.value -= before + after;
        self.value_end -= before + after;
        self.next -= before + after;
    }

    fn pair<'a>(&self, line: &'a [u8]) -> Pair<'a> {
        let part = |start: usize, end: usize| line.get(start..end).unwrap_or_default();
        Pair {
            name: part(self.name, self.name_end),
            value: part(self.value, self.value_end),
            whole: part(self.name, self.value_end),
        }
    }
}

/// How far a value goes: to the next `;` or `,` that is not in quotes.
fn value_length(text: &[u8]) -> usize {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let end = text.iter().position(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' | b';' => return !is_quoted,
            _ => {}
        }
        false
    });
    end.unwrap_or(text.len())
}

/// Removes what stands from `from` (a delimiter, or the start) to before `next` (a delimiter, or the end), so that one
/// delimiter is left between what was before and what comes after. Gives the place of that delimiter, and the number
/// of bytes that went.
fn remove(line: &mut Vec<u8>, from: usize, mut next: usize) -> (usize, usize) {
    let is_blank_at = |line: &[u8], at: usize| line.get(at).is_some_and(|byte| is_blank(*byte));
    if from == 0 {
        if next < line.len() {
            next += 1;
        }
        while is_blank_at(line, next) {
            next += 1;
        }
        line.drain(..next);
        return (0, next);
    }
    let mut from = from;
    while from > 0 && is_blank_at(line, from - 1) {
        from -= 1;
    }
    let mut end = from;
    if next < line.len() {
        // The later delimiter takes the earlier one's place, with a blank behind it where there is room for one.
        line.swap(end, next);
        end += 1;
        next += 1;
        if end + 1 < next {
            line[end] = b' ';
            end += 1;
        }
        while is_blank_at(line, next) {
            next += 1;
        }
    }
    line.drain(end..next);
    (from, next - end)
}

/// Asks `judge` for the fate of each cookie in a `Cookie` line and carries it out. False: nothing of it is left, and
/// the header has to go. Attributes (`$Path`) follow the cookie before them, and what has no value is kept.
pub fn edit_request(line: &mut Vec<u8>, mut judge: impl FnMut(Pair) -> Fate) -> bool {
    if line.is_empty() {
        return true;
    }
    let mut delete_from: Option<usize> = None;
    let mut is_anything_kept = false;
    let (mut previous, mut is_first) = (0, true);
    while previous < line.len() {
        let mut places = Places::find(line, previous + usize::from(!is_first), true);
        is_first = false;
        if line.get(places.name) == Some(&b'$') {
            previous = places.next;
            continue;
        }
        let fate = if places.has_value() {
            places.tighten(line);
            judge(places.pair(line))
        } else {
            Fate::Keep
        };
        match fate {
            Fate::Keep => {
                is_anything_kept = true;
                if let Some(from) = delete_from.take() {
                    places.next -= remove(line, from, previous).1;
                }
            }
            Fate::Strip(length) => {
                is_anything_kept = true;
                let length = length.min(places.value_end - places.value);
                line.drain(places.value..places.value + length);
                places.next -= length;
                if let Some(from) = delete_from.take() {
                    places.next -= remove(line, from, previous).1;
                }
            }
            Fate::Delete => {
                delete_from.get_or_insert(previous);
            }
        }
        previous = places.next;
    }
    match delete_from {
        Some(_) if !is_anything_kept => false,
        Some(from) => {
            line.truncate(from);
            !line.is_empty()
        }
        None => !line.is_empty(),
    }
}

/// What becomes of a cookie of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFate<'a> {
    Keep,
    /// The whole header.
    Delete,
    /// Another value in the old one's place.
    Replace(&'a [u8]),
    /// A text and `~` before the value.
    Prefix(&'a [u8]),
}

/// Asks `judge` for the fate of the cookie in a `Set-Cookie` line (which holds one) and carries it out. False: the
/// header has to go.
pub fn edit_response<'a>(line: &mut Vec<u8>, judge: impl FnOnce(Pair) -> ResponseFate<'a>) -> bool {
    let mut places = Places::find(line, 0, false);
    if !places.has_value() {
        return true;
    }
    places.tighten(line);
    match judge(places.pair(line)) {
        ResponseFate::Keep => {}
        ResponseFate::Delete => return false,
        ResponseFate::Replace(value) => drop(line.splice(places.value..places.value_end, value.iter().copied())),
        ResponseFate::Prefix(text) => {
            let text = text.iter().copied().chain([b'~']);
            drop(line.splice(places.value..places.value, text));
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is left when all cookies `A` go; `None`: nothing.
    fn without_a(line: &str) -> Option<String> {
        let mut bytes = line.as_bytes().to_vec();
        let is_left = edit_request(&mut bytes, |pair| if pair.name == b"A" { Fate::Delete } else { Fate::Keep });
        is_left.then(|| String::from_utf8(bytes).expect("ASCII"))
    }

    #[test]
    fn a_deleted_cookie_takes_one_delimiter_along() {
        for (line, left) in [
            ("A=1", None),
            ("A=1; B=2", Some("B=2")),
            ("B=2; A=1", Some("B=2")),
            ("B=2; A=1; C=3", Some("B=2; C=3")),
            ("B=2;A=1;C=3", Some("B=2; C=3")),
            ("B=2 ;  A=1  ;  C=3", Some("B=2; C=3")),
            ("A=1; A=2", None),
            ("A=1; B=2; A=3; A=4; C=5", Some("B=2; C=5")),
            ("A=1; $Path=/; B=2", Some("B=2")),
            ("B=\"x;A=1\"; A=2", Some("B=\"x;A=1\"")),
            ("A", Some("A")),
            ("A=1;", None),
            ("AA=1; A=2; B", Some("AA=1; B")),
            ("A = 1; B = 2", Some("B=2")),
            ("", Some("")),
        ] {
            assert_eq!(without_a(line).as_deref(), left, "{line}");
        }
    }

    #[test]
    fn a_stripped_cookie_keeps_its_rest() {
        let mut line = b"B=1; A=s1~x y; C=2".to_vec();
        let strip = |pair: Pair| if pair.name == b"A" { Fate::Strip(3) } else { Fate::Keep };
        assert!(edit_request(&mut line, strip));
        assert_eq!(line, b"B=1; A=x y; C=2");
    }

    #[test]
    fn a_response_cookie_is_changed_in_place() {
        let edit = |line: &str, fate| {
            let mut bytes = line.as_bytes().to_vec();
            let is_left = edit_response(&mut bytes, |pair| if pair.name == b"A" { fate } else { ResponseFate::Keep });
            is_left.then(|| String::from_utf8(bytes).expect("ASCII"))
        };
        let expires = "A=1; Expires=Thu, 01-Jan-2030 00:00:00 GMT";
        assert_eq!(edit(expires, ResponseFate::Delete), None);
        assert_eq!(
            edit(expires, ResponseFate::Replace(b"s1")).as_deref(),
            Some("A=s1; Expires=Thu, 01-Jan-2030 00:00:00 GMT")
        );
        assert_eq!(edit("A = 1 ;Path=/", ResponseFate::Prefix(b"s1")).as_deref(), Some("A=s1~1 ;Path=/"));
        assert_eq!(edit("B=A=1", ResponseFate::Delete).as_deref(), Some("B=A=1"));
        assert_eq!(edit("A", ResponseFate::Delete).as_deref(), Some("A"));
    }

    /// Simple cookies and how they are separated.
    fn cookies() -> impl Strategy<Value = Vec<(String, String)>> {
        prop::collection::vec(("[AB]{1,2}", "[a-z~|]{0,5}"), 0..6)
    }

    proptest! {
        #[test]
        fn nothing_panics(line in prop::collection::vec(any::<u8>(), 0..60), length in 0usize..6) {
            for fate in [Fate::Keep, Fate::Delete, Fate::Strip(length)] {
                let (mut bytes, mut turn) = (line.clone(), 0);
                edit_request(&mut bytes, |_| {
                    turn += 1;
                    if turn % 2 == 0 { fate } else { Fate::Keep }
                });
                prop_assert!(bytes.len() <= line.len() + 1);
                edit_request(&mut line.clone(), |_| fate);
            }
            edit_response(&mut line.clone(), |_| ResponseFate::Replace(b"x"));
        }

        #[test]
        fn strange_lines_do_not_panic(line in "[A$=;, \\\\\"\t]{0,30}") {
            let _ = without_a(&line);
        }

        /// Against a split at semicolons.
        #[test]
        fn all_but_the_deleted_are_left_in_order(cookies in cookies(), separator in "[ ]{0,2};[ ]{0,2}") {
            let text = |all: &[(String, String)]| -> Vec<String> {
                all.iter().map(|(name, value)| format!("{name}={value}")).collect()
            };
            let line = text(&cookies).join(&separator);
            let kept: Vec<_> = cookies.into_iter().filter(|(name, _)| name != "A").collect();
            let left = without_a(&line).unwrap_or_default();
            let left: Vec<_> = left.split(';').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect();
            prop_assert_eq!(left, text(&kept));
        }
    }
}
