//! Whether a condition holds (configuration.txt section 7.2).

use super::exchange::Scope;
use crate::config::model::{Acl, Condition};

/// What is known of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Yes,
    No,
    /// More bytes may decide it: ask again when they are there, or with `is_payload_complete` when they will not be.
    NotYet,
}

impl Verdict {
    fn not(self) -> Self {
        match self {
            Verdict::Yes => Verdict::No,
            Verdict::No => Verdict::Yes,
            Verdict::NotYet => Verdict::NotYet,
        }
    }
}

/// Whether the rule that `condition` belongs to applies: `unless` is taken into account.
pub fn holds(condition: &Condition, scope: &Scope) -> Verdict {
    let verdict = any(condition.alternatives.iter().map(|terms| all(terms, scope)));
    if condition.unless { verdict.not() } else { verdict }
}

/// As [`holds`], where a rule may have no condition and nothing more will come.
pub fn applies(condition: Option<&Condition>, scope: &Scope) -> bool {
    condition.is_none_or(|condition| holds(condition, scope) == Verdict::Yes)
}

/// The terms side by side: the first that does not hold decides.
fn all(terms: &[crate::config::model::Term], scope: &Scope) -> Verdict {
    for term in terms {
        let verdict = test(&term.acl, scope);
        let verdict = if term.negated { verdict.not() } else { verdict };
        if verdict != Verdict::Yes {
            return verdict;
        }
    }
    Verdict::Yes
}

/// One that holds is enough; else one that is open keeps the question open.
fn any(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let mut result = Verdict::No;
    for verdict in verdicts {
        match verdict {
            Verdict::Yes => return Verdict::Yes,
            Verdict::NotYet => result = Verdict::NotYet,
            Verdict::No => {}
        }
    }
    result
}

fn test(acl: &Acl, scope: &Scope) -> Verdict {
    any(acl.tests().map(|test| comparison::test(test, scope)))
}

pub mod comparison;

#[cfg(test)]
mod tests;
