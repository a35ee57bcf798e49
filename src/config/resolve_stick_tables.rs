//! The stick tables of all proxies, with what rules make them store.

use super::model::*;
use super::written::Written;

/// Builds [`Config::stick_tables`]: one for each section that has a `stick-table` line, in file order.
pub fn resolve(written: &Written) -> Vec<StickTable> {
    let mut tables = Vec::new();
    for (index, proxy) in written.proxies.iter().enumerate() {
        let Some(table) = &proxy.stick_table else { continue };
        tables.push(StickTable {
            name: proxy.name.clone(),
            proxy: ProxyId(index as u32),
            key: table.key,
            size: table.size,
            expire: table.expire,
            nopurge: table.nopurge,
            layout: TableLayout::new(&table.data),
            location: table.location.clone(),
        });
    }
    tables
}
