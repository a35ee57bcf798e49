//! The `if` or `unless` at the end of a rule.

use super::format;
use crate::config::acl;
use crate::config::model::Condition;
use crate::config::section_http_rules::RuleSet;
use crate::config::statement::Statement;
use crate::config::written::WrittenProxy;

/// Reads what follows a rule's own arguments: nothing, or a condition. `None` if an error was reported.
pub fn parse(statement: &mut Statement, index: usize, proxy: &WrittenProxy, set: RuleSet) -> Option<Option<Condition>> {
    acl::parse_condition(statement, index, &proxy.acls, format::place(set, proxy.kind))
}
