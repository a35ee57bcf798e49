//! The variables that `${NAME}`, `.if defined(NAME)` and `setenv` see (configuration.txt sections 2.3 and 3.1).
//!
//! A copy of the process environment: `setenv` in a file changes what later lines expand to, and nothing else of this
//! process, so that checking a configuration has no side effect.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Names and values, and what the command line turned off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    turned_off: BTreeSet<&'static str>,
}

/// HAProxy's formats of `option tcplog` and friends, offered to `log-format` lines since HAProxy 2.7 (section 2.3).
const LOG_FORMATS: [(&str, &str); 5] = [
    ("HAPROXY_TCP_LOG_FMT", "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq"),
    (
        "HAPROXY_TCP_CLF_LOG_FMT",
        "%{+Q}o %{-Q}ci - - [%T] \"TCP \" 000 %B \"\" \"\" %cp %ms %ft %b %s %Th %Tw %Tc %Tt %U %ts-- %ac %fc %bc %sc %rc %sq %bq \"\" \"\" ",
    ),
    (
        "HAPROXY_HTTP_LOG_FMT",
        "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r",
    ),
    (
        "HAPROXY_HTTP_CLF_LOG_FMT",
        "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl",
    ),
    (
        "HAPROXY_HTTPS_LOG_FMT",
        "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] %[ssl_fc_sni]/%sslv/%sslc",
    ),
];

impl Environment {
    /// No variable at all.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The variables this process was started with (names and values that are not UTF-8 are taken lossily) and the
    /// ones HAProxy offers to every configuration.
    ///
    /// `local_peer` is `-L` or the host name; `files` are the configuration's names as given, joined by `;` in
    /// `HAPROXY_CFGFILES`.
    pub fn of_process(local_peer: &str, files: &[String]) -> Self {
        let mut environment = Self::default();
        for (name, value) in std::env::vars_os() {
            environment.set(&name.to_string_lossy(), &value.to_string_lossy());
        }
        environment.offer_standard(local_peer, files);
        environment
    }

    /// Adds what HAProxy offers to every configuration (section 2.3).
    pub fn offer_standard(&mut self, local_peer: &str, files: &[String]) {
        self.set("HAPROXY_LOCALPEER", local_peer);
        self.set("HAPROXY_CFGFILES", &files.join(";"));
        for (name, format) in LOG_FORMATS {
            self.set_if_absent(name, format);
        }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    pub fn is_defined(&self, name: &str) -> bool {
        self.variables.contains_key(name)
    }

    /// `setenv NAME VALUE`
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// `presetenv NAME VALUE`: keeps a value that is already there.
    pub fn set_if_absent(&mut self, name: &str, value: &str) {
        self.variables.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }

    /// `unsetenv NAME`
    pub fn unset(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// `resetenv NAME…`: forgets every variable but those named.
    pub fn keep_only(&mut self, names: &[&str]) {
        self.variables.retain(|name, _| names.contains(&name.as_str()));
    }

    /// Every variable, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Makes `enabled(name)` false: for command-line options such as `-dS` (`SPLICE`) and `-dR` (`REUSEPORT`).
    pub fn turn_off(&mut self, name: &'static str) {
        self.turned_off.insert(name);
    }

    pub fn is_turned_off(&self, name: &str) -> bool {
        self.turned_off.contains(name)
    }

    /// Expands `$NAME` and `${NAME}` in an address that was written without quotes (`bind fd@${SOCKET}`): addresses
    /// are the one place where that works (configuration.txt section 11). A name that is not set leaves nothing.
    pub fn expand<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !text.contains('$') {
            return Cow::Borrowed(text);
        }
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            expanded.push_str(before);
            let (name, after) = match after.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
                Some(split) => split,
                None => {
                    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
                    after.split_at(after.find(|character| !is_name(character)).unwrap_or(after.len()))
                }
            };
            expanded.push_str(self.get(name).unwrap_or(""));
            rest = after;
        }
        expanded.push_str(rest);
        Cow::Owned(expanded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        let mut environment = Environment::empty();
        environment.set("HOST", "10.0.0.1");
        environment.set("PORT", "1883");
        environment
    }

    #[test]
    fn addresses_expand_without_quotes() {
        let environment = environment();
        assert_eq!(environment.expand("${HOST}:$PORT"), "10.0.0.1:1883");
        assert_eq!(environment.expand("fd@${NONE}"), "fd@");
        assert_eq!(environment.expand("*:80"), "*:80");
        assert_eq!(environment.expand("a$"), "a");
        assert_eq!(environment.expand("${HOST"), "{HOST");
    }

    #[test]
    fn setting_presetting_unsetting_and_resetting() {
        let mut environment = environment();
        environment.set_if_absent("HOST", "other");
        environment.set_if_absent("NEW", "value");
        assert_eq!((environment.get("HOST"), environment.get("NEW")), (Some("10.0.0.1"), Some("value")));
        environment.unset("NEW");
        assert!(!environment.is_defined("NEW"));
        environment.keep_only(&["PORT", "ABSENT"]);
        assert_eq!(environment.iter().collect::<Vec<_>>(), [("PORT", "1883")]);
    }

    #[test]
    fn every_configuration_has_haproxys_own_variables() {
        let environment = Environment::of_process("lb1", &["a.cfg".to_owned(), "b.cfg".to_owned()]);
        assert_eq!(environment.get("HAPROXY_LOCALPEER"), Some("lb1"));
        assert_eq!(environment.get("HAPROXY_CFGFILES"), Some("a.cfg;b.cfg"));
        assert!(environment.get("HAPROXY_TCP_LOG_FMT").is_some_and(|format| format.starts_with("%ci:%cp [%t]")));
    }
}
