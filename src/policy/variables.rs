//! Variables in all scopes: `var()`, `set-var`, `unset-var` (configuration.txt section 7.3.2, `var`).

use super::exchange::{Scope, Stage};
use super::sample::Sample;
use crate::config::model::{Value, VariableName, VariableScope};
pub use crate::shared::variables::{ProcessVariables, Variables};
use std::cell::RefCell;

fn holder<'a>(scope: &'a Scope, name: &VariableName) -> Option<&'a RefCell<Variables>> {
    match name.scope {
        VariableScope::Process => None,
        VariableScope::Session => Some(&scope.client.variables),
        VariableScope::Transaction => Some(&scope.exchange.transaction_variables),
        VariableScope::Request => Some(&scope.exchange.request_variables),
        VariableScope::Response => Some(&scope.exchange.response_variables),
    }
}

/// The variable's value now.
pub fn get(name: &VariableName, scope: &Scope) -> Option<Value> {
    // Each is gone when the other message is worked on. A line has those of a request only when that was no HTTP, and
    // met no server (seen with 2.6).
    let is_gone = match name.scope {
        VariableScope::Request if scope.stage == Stage::Log => {
            !scope.exchange.request.is_empty() || scope.exchange.server.is_some()
        }
        VariableScope::Request => scope.stage == Stage::Response,
        VariableScope::Response => scope.stage == Stage::Request,
        _ => false,
    };
    if is_gone {
        return None;
    }
    match holder(scope, name) {
        Some(variables) => variables.borrow().get(name).cloned(),
        None => scope.shared.variables.get(name),
    }
}

/// Keeps `sample` under `name`.
pub fn set(name: &VariableName, sample: &Sample, scope: &Scope) {
    set_value(name, sample.to_value(), scope);
}

/// As [`set`], with a text: `set-var-fmt`.
pub fn set_text(name: &VariableName, text: &[u8], scope: &Scope) {
    set_value(name, Value::Text(text.into()), scope);
}

pub fn set_value(name: &VariableName, value: Value, scope: &Scope) {
    match holder(scope, name) {
        Some(variables) => variables.borrow_mut().set(name, value),
        None => scope.shared.variables.set(name, value),
    }
}

pub fn unset(name: &VariableName, scope: &Scope) {
    match holder(scope, name) {
        Some(variables) => {
            variables.borrow_mut().unset(name);
        }
        None => scope.shared.variables.unset(name),
    }
}
