//! The variables that `${NAME}`, `.if defined(NAME)` and `setenv` see (configuration.txt sections 2.3 and 3.1).
//!
//! A copy of the process environment: `setenv` in a file changes what later lines expand to, and nothing else of this
//! process, so that checking a configuration has no side effect.

use std::collections::BTreeMap;

/// Names and values, with names starting with a dot not allowed to come from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, String>,
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
}
