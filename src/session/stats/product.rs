//! How this program calls itself on the page and in `show info`.

pub const NAME: &str = "Ringway";
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Of the version above.
pub const RELEASE_DATE: &str = "2026/11/23";
