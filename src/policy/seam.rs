//! The few questions that rules ask of conditions, expressions and log formats.

use super::exchange::Scope;
use crate::config::model::{Condition, Expression};
use std::net::IpAddr;
pub fn address(expression: &Expression, scope: &Scope) -> Option<IpAddr> {
    super::sample::fetch_address(expression, scope)
}
pub fn integer(expression: &Expression, scope: &Scope) -> Option<i64> {
    super::sample::fetch_integer(expression, scope)
}
pub fn holds(condition: &Condition, scope: &Scope) -> bool {
    super::condition::applies(Some(condition), scope)
}
