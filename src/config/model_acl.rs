//! Compiled ACLs and conditions: what follows `if` and `unless` (configuration.txt sections 7.1 and 7.2).

use super::model::{Expression, MatchMethod, PatternFileId, PatternView, Patterns};
use std::sync::{Arc, OnceLock};

/// One `acl` line, or what stands between braces: it holds when a sample matches one of the patterns.
#[derive(Debug)]
pub struct AclTest {
    pub expression: Expression,
    pub comparison: Comparison,
    /// The patterns of the line itself, as they were read.
    pub patterns: Patterns,
    /// The same as a list of its own, which the runtime socket may have changed since.
    pub inline: PatternFileId,
    /// `-f`: files of patterns, which can be changed at run time.
    pub files: Vec<PatternView>,
    /// The next line of the same name.
    next: OnceLock<Box<AclTest>>,
}

/// How a sample is made ready to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Method(MatchMethod),
    /// The `method` keyword: known methods match in capitals only, others as `-i` says.
    HttpMethod,
}

impl Comparison {
    pub fn method(self) -> MatchMethod {
        match self {
            Comparison::Method(method) => method,
            Comparison::HttpMethod => MatchMethod::Exact,
        }
    }
}

impl AclTest {
    pub fn new(
        expression: Expression,
        comparison: Comparison,
        patterns: Patterns,
        inline: PatternFileId,
        files: Vec<PatternView>,
    ) -> AclTest {
        AclTest { expression, comparison, patterns, inline, files, next: OnceLock::new() }
    }
}

/// All `acl` lines of one name. Lines may be added as long as the file is read: conditions before them mean them, too.
#[derive(Debug)]
pub struct Acl {
    /// Empty for an anonymous one.
    pub name: String,
    first: OnceLock<Box<AclTest>>,
}

impl Acl {
    pub fn new(name: &str, test: AclTest) -> Acl {
        Acl { name: name.to_owned(), first: OnceLock::from(Box::new(test)) }
    }

    /// Adds a line: the ACL holds when any of its lines does.
    pub fn add(&self, test: AclTest) {
        let mut end = &self.first;
        while let Some(test) = end.get() {
            end = &test.next;
        }
        let _ = end.set(Box::new(test));
    }

    pub fn tests(&self) -> impl Iterator<Item = &AclTest> {
        std::iter::successors(self.first.get(), |test| test.next.get()).map(|test| &**test)
    }
}

/// One ACL in a condition.
#[derive(Clone, Debug)]
pub struct Term {
    pub acl: Arc<Acl>,
    /// `!`
    pub negated: bool,
}

/// `if …` or `unless …`: it holds when all terms of one of the alternatives do.
#[derive(Clone, Debug)]
pub struct Condition {
    /// As written, for messages.
    pub text: String,
    pub unless: bool,
    /// Separated by `or` or `||`.
    pub alternatives: Vec<Vec<Term>>,
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for Condition {}
