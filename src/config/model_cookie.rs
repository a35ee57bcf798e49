//! Persistence by cookie, and what of a request and a response is kept for the log (configuration.txt section 4.2,
//! `cookie`, `capture`).

/// What is done with the persistence cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CookieMode {
    /// Only read.
    #[default]
    Passive,
    /// The server's own cookie gets the value of the `server` line.
    Rewrite,
    /// The balancer sets it.
    Insert,
    /// The server's own cookie gets the value of the `server` line and `~` before its value, which the server never
    /// sees.
    Prefix,
}

/// `cookie <name> …`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CookieSettings {
    pub name: String,
    pub mode: CookieMode,
    pub indirect: bool,
    pub nocache: bool,
    pub post_only: bool,
    pub preserve: bool,
    /// `maxidle`, 0: none.
    pub idle_max_s: u32,
    /// `maxlife`, 0: none.
    pub life_max_s: u32,
    /// Servers without a cookie of their own get one made of their address and `dynamic-cookie-key`.
    pub is_dynamic: bool,
    /// `; domain=…; HttpOnly; Secure; …`, as it follows the path in `Set-Cookie`.
    pub attributes: String,
}

impl CookieSettings {
    /// Whether logs show the cookie's states: not for one that is only read.
    pub fn is_reported(&self) -> bool {
        self.mode != CookieMode::Passive || self.indirect
    }

    /// The server must not see the cookie.
    pub fn is_removed_from_requests(&self) -> bool {
        self.mode == CookieMode::Insert && self.indirect
    }
}

/// `capture request|response header` and `declare capture`: one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderCapture {
    /// `None`: only an `http-request capture` or `http-response capture` rule fills it.
    pub name: Option<String>,
    pub length_max: u32,
}

/// `capture cookie <name> len <length>`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieCapture {
    /// The start of `name=value`.
    pub name: String,
    pub length_max: u32,
}

/// What a frontend captures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    pub request: Vec<HeaderCapture>,
    pub response: Vec<HeaderCapture>,
    pub cookie: Option<CookieCapture>,
}
