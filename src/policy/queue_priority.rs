//! `set-priority-class` and `set-priority-offset` (configuration.txt section 4.2): where a request stands among those
//! that wait for a server.

use super::exchange::Scope;
use super::sample;
use crate::config::model::Expression;

const CLASS_MAX: i64 = 2047;
const OFFSET_MAX_MS: i64 = 524_287;

/// Without a number nothing changes; one beyond -2047 to 2047 becomes the nearest in it.
pub fn set_class(scope: &mut Scope, expression: &Expression) {
    if let Some(number) = sample::fetch_integer(expression, scope) {
        scope.exchange.queue_priority.class = number.clamp(-CLASS_MAX, CLASS_MAX) as i16;
    }
}

/// The same for milliseconds from -524287 to 524287.
pub fn set_offset(scope: &mut Scope, expression: &Expression) {
    if let Some(number) = sample::fetch_integer(expression, scope) {
        scope.exchange.queue_priority.offset_ms = number.clamp(-OFFSET_MAX_MS, OFFSET_MAX_MS) as i32;
    }
}
