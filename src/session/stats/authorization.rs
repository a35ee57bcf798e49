//! Who may see the stats page, and who may change servers from it (configuration.txt section 4.2: `stats auth`,
//! `stats http-request`, `stats admin`).

use crate::config::model::{StatsAdmin, StatsRuleAction, StatsSettings};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::net::IpAddr;
use subtle::{Choice, ConstantTimeEq};

/// What may be done with a request for the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    Allowed,
    /// 401 with this realm.
    Unauthorized {
        realm: String,
    },
    /// 403
    Forbidden,
}

/// Whether an `Authorization` header holds one of the users. Every user is compared in full, so that the time taken
/// tells nothing about how much of a name or password was right.
pub fn is_known_user(settings: &StatsSettings, authorization: Option<&[u8]>) -> bool {
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

/// The predefined ACL `LOCALHOST`: 127.0.0.0/8 and ::1.
fn is_localhost(client: Option<IpAddr>) -> bool {
    match client.map(|address| address.to_canonical()) {
        Some(address) => address.is_loopback(),
        None => false,
    }
}

fn holds(condition: StatsAdmin, client: Option<IpAddr>, known_user: bool) -> bool {
    match condition {
        StatsAdmin::Never => false,
        StatsAdmin::Always => true,
        StatsAdmin::FromLocalhost(expected) => is_localhost(client) == expected,
        StatsAdmin::Authenticated => known_user,
    }
}

/// First matching `stats http-request` rule; without rules, `stats auth` if there are users.
pub fn access(settings: &StatsSettings, client: Option<IpAddr>, known_user: bool) -> Access {
    let unauthorized =
        |realm: Option<&String>| Access::Unauthorized { realm: realm.unwrap_or(&settings.realm).clone() };
    if settings.http_request.is_empty() && !settings.auth.is_empty() && !known_user {
        return unauthorized(None);
    }
    match settings.http_request.iter().find(|rule| holds(rule.condition, client, known_user)).map(|rule| &rule.action) {
        Some(StatsRuleAction::Deny) => Access::Forbidden,
        Some(StatsRuleAction::Auth { realm }) if !known_user => unauthorized(realm.as_ref()),
        Some(StatsRuleAction::Auth { .. } | StatsRuleAction::Allow) | None => Access::Allowed,
    }
}

/// Whether `stats admin` lets this client change servers.
pub fn may_administer(settings: &StatsSettings, client: Option<IpAddr>, known_user: bool) -> bool {
    holds(settings.admin, client, known_user)
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
    use crate::config::model::StatsRule;

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
    fn rules_in_order() {
        let mut settings = settings();
        assert_eq!(access(&settings, None, false), Access::Allowed);
        settings.auth = vec![("a".into(), "b".into())];
        assert_eq!(access(&settings, None, false), Access::Unauthorized { realm: settings.realm.clone() });
        assert_eq!(access(&settings, None, true), Access::Allowed);
        let local: IpAddr = [127, 9, 9, 9].into();
        settings.http_request = vec![
            StatsRule { action: StatsRuleAction::Allow, condition: StatsAdmin::FromLocalhost(true) },
            StatsRule {
                action: StatsRuleAction::Auth { realm: Some("r".into()) },
                condition: StatsAdmin::FromLocalhost(false),
            },
            StatsRule { action: StatsRuleAction::Deny, condition: StatsAdmin::Always },
        ];
        assert_eq!(access(&settings, Some(local), false), Access::Allowed);
        assert_eq!(access(&settings, Some([10, 0, 0, 1].into()), false), Access::Unauthorized { realm: "r".into() });
        assert_eq!(access(&settings, Some([10, 0, 0, 1].into()), true), Access::Allowed);
        settings.http_request.remove(0);
        assert_eq!(access(&settings, Some(local), false), Access::Forbidden);
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
