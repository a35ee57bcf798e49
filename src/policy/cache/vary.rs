//! `Vary`, as far as it is understood: `Accept-Encoding` and `Referer` (configuration.txt section 6.1).

use crate::proto::http1::message::Message;
use crate::proto::http1::trim_blanks;
use crate::shared::cache::Variant;

/// Content codings that are registered, by their bit.
const CODINGS: [(&[u8], u32); 12] = [
    (b"identity", IDENTITY),
    (b"gzip", 1 << 1),
    (b"x-gzip", 1 << 1),
    (b"deflate", 1 << 2),
    (b"compress", 1 << 3),
    (b"x-compress", 1 << 3),
    (b"br", 1 << 4),
    (b"zstd", 1 << 5),
    (b"exi", 1 << 6),
    (b"pack200-gzip", 1 << 7),
    (b"aes128gcm", 1 << 8),
    (b"dcb", 1 << 9),
];
pub const IDENTITY: u32 = 1;
const ALL: u32 = (1 << 10) - 1;
/// As many are read.
const ITEMS_MAX: usize = 16;

fn bit_of(coding: &[u8]) -> Option<u32> {
    CODINGS.iter().find(|(name, _)| name.eq_ignore_ascii_case(coding)).map(|(_, bit)| *bit)
}

/// The codings that the client takes; no header takes all. `None`: the header is too long to be understood.
pub fn accepted_encodings(request: &Message) -> Option<u32> {
    if !request.has(b"accept-encoding") {
        return Some(ALL);
    }
    let (mut accepted, mut refused, mut takes_others) = (0, 0, None);
    let items = request.values(b"accept-encoding").flat_map(|value| value.split(|byte| *byte == b','));
    for (index, item) in items.map(trim_blanks).filter(|item| !item.is_empty()).enumerate() {
        if index >= ITEMS_MAX {
            return None;
        }
        let mut parts = item.split(|byte| *byte == b';').map(trim_blanks);
        let coding = parts.next().unwrap_or_default();
        let is_refused = parts.any(is_zero_weight);
        match bit_of(coding) {
            _ if coding == b"*" => takes_others = Some(!is_refused),
            Some(bit) if is_refused => refused |= bit,
            Some(bit) => accepted |= bit,
            None => {}
        }
    }
    let named = accepted | refused;
    Some(match takes_others {
        Some(true) => accepted | (ALL & !refused),
        // RFC 9110 section 12.5.3: refused unless named, identity too.
        Some(false) => accepted,
        None => accepted | (IDENTITY & !named),
    })
}

fn is_zero_weight(parameter: &[u8]) -> bool {
    let [b'q' | b'Q', b'=', digits @ ..] = parameter else { return false };
    digits.first() == Some(&b'0') && digits.iter().all(|byte| matches!(byte, b'0' | b'.'))
}

/// What the response depends on, of a request with these values. `None`: it must not be stored.
pub fn variant(
    response: &Message,
    processes_vary: bool,
    accepted_encodings: Option<u32>,
    referer: &[u8],
) -> Option<Variant> {
    let mut variant = Variant::default();
    for name in response.values(b"vary").flat_map(|value| value.split(|byte| *byte == b',')).map(trim_blanks) {
        match name {
            _ if !processes_vary => return None,
            b"" => {}
            _ if name.eq_ignore_ascii_case(b"accept-encoding") => {
                accepted_encodings?;
                variant.encodings = Some(content_codings(response)?);
            }
            _ if name.eq_ignore_ascii_case(b"referer") => variant.referer = Some(referer.into()),
            _ => return None,
        }
    }
    Some(variant)
}

/// The codings of the body. `None`: one is not registered.
fn content_codings(response: &Message) -> Option<u32> {
    let items = response.values(b"content-encoding").flat_map(|value| value.split(|byte| *byte == b','));
    let codings = items.map(trim_blanks).try_fold(0, |bits, coding| Some(bits | bit_of(coding)?))?;
    Some(if codings == 0 { IDENTITY } else { codings })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::http1::head::Version;
    use crate::shared::cache::Accepts;

    fn accepted(value: Option<&str>) -> Option<u32> {
        let mut request = Message::default();
        request.start_request(b"GET", b"/", Version::Http11);
        if let Some(value) = value {
            request.add_header(b"Accept-Encoding", value.as_bytes());
        }
        accepted_encodings(&request)
    }

    fn of_response(headers: &[(&str, &str)]) -> Option<Variant> {
        let mut response = Message::default();
        response.start_response(Version::Http11, 200, b"OK");
        for (name, value) in headers {
            response.add_header(name.as_bytes(), value.as_bytes());
        }
        variant(&response, true, Some(ALL), b"r")
    }

    #[test]
    fn only_what_the_client_takes_is_delivered() {
        let fits = |request: Option<&str>, coding: &str| {
            let stored = of_response(&[("Vary", "Accept-Encoding"), ("Content-Encoding", coding)]).expect("known");
            stored.fits(Accepts { encodings: accepted(request).unwrap_or(0), referer: b"" })
        };
        assert!(fits(Some("gzip, br"), "gzip") && fits(Some("x-gzip"), "gzip") && fits(None, "zstd"));
        assert!(fits(Some("*"), "br") && fits(Some("gzip"), "identity") && fits(Some(""), "identity"));
        assert!(!fits(Some(""), "gzip") && !fits(Some("gzip;q=0, *"), "gzip") && !fits(Some("br"), "gzip"));
        assert!(!fits(Some("gzip, identity;q=0.0"), "identity") && !fits(Some("gzip"), "gzip, br"));
        assert!(!fits(Some("gzip, *;q=0"), "identity"));
        assert_eq!(accepted(Some(&"gzip,".repeat(20))), None);
    }

    #[test]
    fn what_is_not_understood_is_not_stored() {
        assert!(of_response(&[]).is_some_and(|variant| variant.is_none()));
        assert!(of_response(&[("Vary", "referer")]).is_some_and(|variant| variant.referer.as_deref() == Some(b"r")));
        for headers in [
            &[("Vary", "*")][..],
            &[("Vary", "Accept-Encoding, Cookie")],
            &[("Vary", "Origin")],
            &[("Vary", "accept-encoding"), ("Content-Encoding", "secret")],
        ] {
            assert!(of_response(headers).is_none(), "{headers:?}");
        }
        assert!(
            variant(
                &{
                    let mut m = Message::default();
                    m.start_response(Version::Http11, 200, b"OK");
                    m.add_header(b"Vary", b"Referer");
                    m
                },
                false,
                None,
                b""
            )
            .is_none()
        );
    }
}
