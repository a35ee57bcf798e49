//! The few questions that rules ask of conditions, expressions and log formats.

use super::exchange::Scope;
use crate::config::model::{Condition, Expression};
use std::net::IpAddr;
pub fn address(_: &Expression, _: &Scope) -> Option<IpAddr> {
    None
}
pub fn integer(_: &Expression, _: &Scope) -> Option<i64> {
    None
}
pub fn holds(_: &Condition, _: &Scope) -> bool {
    false
}
