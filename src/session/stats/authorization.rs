//! Whose password opens the stats page (`stats auth`), and from where its form may be sent. `stats http-request` and
//! `stats admin` are asked before, with all the rest of the request at hand.

use crate::config::model::StatsSettings;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::{Choice, ConstantTimeEq};

/// Whether an `Authorization` header holds one of the users. Every user is compared in full, so that the time taken
/// tells nothing about how much of a name or password was right.
fn is_known_user(settings: &StatsSettings, authorization: Option<&[u8]>) -> bool {
    let Some(given) = authorization.and_then(basic_credentials) else { return false };
    let mut known = Choice::from(0);
    for (user, password) in &settings.auth {
        known |= given.ct_eq(format!("{user}:{password}").as_bytes());
    }
    known.into()
}

/// `user:password` out of `Basic dXNlcjpwYXNzd29yZA==` (RFC 7617).
fn basic_credentials(header: &[u8]) -> Option<Vec<u8>> {
    let (scheme, rest) = header.split_at_checked(5)?;
    let [b' ', encoded @ ..] = rest else { return None };
    scheme.eq_ignore_ascii_case(b"basic").then(|| STANDARD.decode(encoded.trim_ascii()).ok())?
}

/// Whether who sent this `Authorization` header may see the page: everybody, if there are no users.
pub fn is_allowed(settings: &StatsSettings, authorization: Option<&[u8]>) -> bool {
    settings.auth.is_empty() || is_known_user(settings, authorization)
}

/// The headers by which a browser tells from where a form was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct FormOrigin<'a> {
    pub host: Option<&'a [u8]>,
    pub sec_fetch_site: Option<&'a [u8]>,
    pub origin: Option<&'a [u8]>,
    pub referer: Option<&'a [u8]>,
}

/// Whether a form was sent from a page of this very site. Browsers resend credentials on their own, so a form on any
/// other site could drain servers in the name of an administrator who looks at it; HAProxy does not check this.
/// Programs send none of these headers and are not affected.
pub fn is_same_site(form: FormOrigin) -> bool {
    if let Some(site) = form.sec_fetch_site {
        return [&b"same-origin"[..], b"none"].iter().any(|good| site.eq_ignore_ascii_case(good));
    }
    match form.origin.or(form.referer) {
        Some(url) => authority(url).is_some_and(|from| form.host.is_some_and(|host| same_authority(from, host))),
        None => true,
    }
}

/// Host and port of a URL; `None` for the opaque origin `null`.
fn authority(url: &[u8]) -> Option<&[u8]> {
    let scheme_end = url.windows(3).position(|window| window == b"://")?;
    let rest = url.get(scheme_end + 3..)?;
    rest.split(|byte| b"/?#".contains(byte)).next().filter(|host| !host.is_empty())
}

fn same_authority(one: &[u8], other: &[u8]) -> bool {
    let without_default_port = |authority: &'_ [u8]| -> Vec<u8> {
        let stripped = authority.strip_suffix(b":80").or_else(|| authority.strip_suffix(b":443"));
        stripped.unwrap_or(authority).to_ascii_lowercase()
    };
    without_default_port(one) == without_default_port(other)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::settings;
    use super::*;

    #[test]
    fn passwords() {
        let mut settings = settings();
        settings.auth = vec![("admin".into(), "secret".into()), ("Frank".into(), "a:b".into())];
        let header = |text: &str| format!("Basic {}", STANDARD.encode(text)).into_bytes();
        assert!(is_known_user(&settings, Some(&header("admin:secret"))));
        assert!(is_known_user(&settings, Some(&header("Frank:a:b"))));
        for wrong in ["admin:Secret", "admin:", "admin", "", ":", "Frank:a", "admin:secretx", "secret:admin"] {
            assert!(!is_known_user(&settings, Some(&header(wrong))), "{wrong}");
        }
        assert!(is_known_user(&settings, Some(b"bAsIc YWRtaW46c2VjcmV0")));
        for broken in [&b"Basic"[..], b"Basic ", b"Basic !!", b"Bearer YWRtaW46c2VjcmV0", b"", b"BasicYWRtaW46c2VjcmV0"]
        {
            assert!(!is_known_user(&settings, Some(broken)));
        }
        assert!(!is_known_user(&settings, None));
    }

    #[test]
    fn a_page_without_users_is_open() {
        let mut settings = settings();
        assert!(is_allowed(&settings, None));
        settings.auth = vec![("a".into(), "b".into())];
        assert!(!is_allowed(&settings, None) && !is_allowed(&settings, Some(b"Basic x")));
        assert!(is_allowed(&settings, Some(format!("Basic {}", STANDARD.encode("a:b")).as_bytes())));
    }

    #[test]
    fn other_sites_forms_are_told_apart() {
        let host = Some(&b"lb:9080"[..]);
        let from = |origin: &'static [u8]| FormOrigin { host, origin: Some(origin), ..Default::default() };
        assert!(is_same_site(FormOrigin { host, ..Default::default() }));
        assert!(is_same_site(from(b"http://LB:9080")));
        for other in [&b"http://evil"[..], b"null", b"http://lb:9081", b"http://lb", b"http://lb:9080.evil", b""] {
            assert!(!is_same_site(from(other)), "{}", other.escape_ascii());
        }
        let referer = FormOrigin { host, referer: Some(b"http://lb:9080/stats?x"), ..Default::default() };
        assert!(is_same_site(referer));
        assert!(!is_same_site(FormOrigin { referer: Some(b"http://evil/lb:9080"), ..referer }));
        assert!(!is_same_site(FormOrigin { sec_fetch_site: Some(b"cross-site"), ..from(b"http://lb:9080") }));
        assert!(!is_same_site(FormOrigin { sec_fetch_site: Some(b"same-site"), ..from(b"http://lb:9080") }));
        assert!(is_same_site(FormOrigin { sec_fetch_site: Some(b"same-origin"), ..from(b"https://public") }));
        assert!(is_same_site(FormOrigin { host: Some(b"lb"), ..from(b"http://lb:80") }));
        assert!(!is_same_site(FormOrigin { host: None, ..from(b"http://lb:80") }));
    }
}
