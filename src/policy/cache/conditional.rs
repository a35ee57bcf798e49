//! `If-None-Match` and `If-Modified-Since` against a stored response (RFC 9110 section 13).

use super::date;
use crate::proto::http1::message::Message;
use crate::proto::http1::trim_blanks;
use crate::shared::cache::Object;

/// Whether the client has what is stored.
pub fn is_not_modified(request: &Message, object: &Object) -> bool {
    if request.has(b"if-none-match") {
        let etag = object.head.etag.as_deref();
        return request.values(b"if-none-match").any(|value| names_tag(value, etag));
    }
    let since = request.value(b"if-modified-since").and_then(date::parse);
    since.is_some_and(|since| object.head.last_modified_s <= since)
}

/// Whether the list holds the tag, by weak comparison.
fn names_tag(list: &[u8], etag: Option<&[u8]>) -> bool {
    let mut rest = list;
    while !rest.is_empty() {
        let mut is_quoted = false;
        let end = rest.iter().position(|byte| {
            is_quoted ^= *byte == b'"';
            *byte == b',' && !is_quoted
        });
        let (item, after) = rest.split_at(end.unwrap_or(rest.len()));
        let item = trim_blanks(item);
        if item == b"*" || etag.is_some_and(|etag| opaque(item) == opaque(etag) && !item.is_empty()) {
            return true;
        }
        rest = after.get(1..).unwrap_or_default();
    }
    false
}

fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// What `If-Modified-Since` is compared with: `Last-Modified`, else `Date`, else now.
pub fn last_modified(response: &Message, now_s: i64) -> i64 {
    let date_of = |name: &'static [u8]| response.value(name).and_then(date::parse);
    date_of(b"last-modified").or_else(|| date_of(b"date")).unwrap_or(now_s)
}

#[cfg(test)]
mod tests {
    use super::names_tag;
    use proptest::prelude::*;

    #[test]
    fn lists_of_tags() {
        let tag = Some(&b"\"a,b\""[..]);
        for list in ["*", "\"a,b\"", "W/\"a,b\"", "\"x\", W/\"a,b\"", "\"x\" , \"a,b\",\"y\""] {
            assert!(names_tag(list.as_bytes(), tag), "{list}");
        }
        for list in ["", ",", "\"a\"", "a,b", "\"a,b", "\"A,B\""] {
            assert!(!names_tag(list.as_bytes(), tag), "{list}");
        }
        assert!(names_tag(b"*", None) && !names_tag(b"\"\"", None));
    }

    proptest! {
        #[test]
        fn any_text_ends(list in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = names_tag(&list, Some(b"\"a\""));
        }
    }
}
