//! From text to one immutable [`model::Config`].
//!
//! Life of a line: bytes → words with file, line and column ([`lex`]) → the keyword table → what was written →
//! resolved, cross-checked [`model`].

pub mod diagnostics;
pub mod environment;
pub mod keywords;
pub mod lex;
pub mod model;
mod model_check;
mod model_log;
pub mod preprocess;
pub mod source;
pub mod suggest;
mod typography;
