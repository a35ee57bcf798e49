//! The Authorization header (RFC 7617, RFC 6750; configuration.txt section 7.3.6, `http_auth`).

use super::{Sample, headers};
use crate::config::model::AuthorizationFetch;
use crate::policy::exchange::Scope;
use crate::policy::userlist;
use crate::proto::http1::message::Message;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The scheme and what follows it.
fn split<'a>(message: &'a Message, header: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let value = message.value(header)?;
    let space = memchr::memchr(b' ', value)?;
    let (scheme, rest) = value.split_at(space);
    Some((scheme, crate::proto::http1::trim_blanks(rest)))
}

/// User and password of the Basic scheme.
pub fn basic(message: &Message) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, encoded) = split(message, b"authorization")?;
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let mut user = STANDARD.decode(encoded).ok()?;
    let colon = memchr::memchr(b':', &user)?;
    let password = user.split_off(colon + 1);
    user.truncate(colon);
    Some((user, password))
}

pub fn fetch<'a>(of: &'a AuthorizationFetch, scope: &'a Scope) -> Option<Sample<'a>> {
    let request = headers::request(scope).found()?;
    let valid_user = |name: &str| {
        let list = userlist::list(&scope.shared.config, name)?;
        let (user, password) = basic(request)?;
        userlist::check(list, &user, &password, scope.monotonic_us).map(|user| user.name.as_bytes().to_vec())
    };
    match of {
        AuthorizationFetch::IsValid { userlist } => Some(Sample::Bool(valid_user(userlist).is_some())),
        AuthorizationFetch::ValidUser { userlist } => valid_user(userlist).map(Sample::owned_text),
        AuthorizationFetch::User => basic(request).map(|(user, _)| Sample::owned_text(user)),
        AuthorizationFetch::Password => basic(request).map(|(_, password)| Sample::owned_text(password)),
        AuthorizationFetch::Type => split(request, b"authorization")
            .filter(|(scheme, _)| {
                let known: [&[u8]; 2] = [b"basic", b"bearer"];
                known.iter().any(|known| scheme.eq_ignore_ascii_case(known))
            })
            .map(|(scheme, _)| Sample::text(scheme)),
        AuthorizationFetch::Bearer { header } => {
            let (scheme, token) = split(request, header.as_deref().unwrap_or(b"authorization"))?;
            scheme.eq_ignore_ascii_case(b"bearer").then(|| Sample::text(token))
        }
    }
}
