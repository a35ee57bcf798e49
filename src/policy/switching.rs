//! Which backend, and which server of it, rules choose (configuration.txt section 4.2 `use_backend`, `use-server`,
//! `force-persist`, `ignore-persist`).

/// What `force-persist` and `ignore-persist` say of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persistence {
    #[default]
    Normal,
    /// The cookie's server is used even when it is down.
    Forced,
    /// Cookies are not looked at.
    Ignored,
}
