//! `cache-use` and `cache-store` (configuration.txt section 6.2.2).

use crate::config::model::{CacheId, CacheReference, HttpAction};
use crate::config::section_http_rules::Context;
use crate::config::statement::Statement;

type Parsed = Option<(HttpAction, usize)>;

pub fn cache_use(statement: &mut Statement, _: &mut Context) -> Parsed {
    reference(statement).map(|cache| (HttpAction::CacheUse(cache), 1))
}

pub fn cache_store(statement: &mut Statement, _: &mut Context) -> Parsed {
    reference(statement).map(|cache| (HttpAction::CacheStore(cache), 1))
}

/// The section may come later in the file.
fn reference(statement: &mut Statement) -> Option<CacheReference> {
    match statement.text(0) {
        "" | "if" | "unless" => {
            let keyword = statement.keyword;
            statement.error(0, format!("missing cache name: '{keyword}' expects the name of a 'cache' section."));
            None
        }
        name => Some(CacheReference { name: name.into(), id: CacheId::UNRESOLVED }),
    }
}
