//! One sample against one ACL line's patterns (configuration.txt sections 7.1.1 to 7.1.6).

use super::Verdict;
use crate::config::model::AclTest;
use crate::policy::exchange::Scope;

pub fn test(test: &AclTest, _scope: &Scope) -> Verdict {
    if test.comparison.method().takes_no_pattern() { Verdict::NotYet } else { Verdict::No }
}
