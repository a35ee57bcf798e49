//! `acl` lines of a proxy.

use super::acl;
use super::statement::{LineParser, Statement};
use super::written::WrittenProxy;

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[("acl", parse)];

fn parse(statement: &mut Statement, proxy: &mut WrittenProxy) {
    acl::parse_acl(statement, &mut proxy.acls);
}
