//! The stats page: one HTML file, styles included, no scripts. Everything that came from a configuration, a check or a
//! request is escaped on its way in.

mod header;
mod table;
#[cfg(test)]
mod tests;

use super::figures::{self, Snapshot};
use super::form::ACTIONS;
use super::product;
use super::request::PageOptions;
use super::row::{Row, RowKind};
use super::selection::Selection;
use crate::config::model::{Proxy, ProxyId, StatsSettings};
use std::borrow::Cow;

/// Goes with the page: nothing but its own styles and the empty icon may load, its forms only come back here.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What the page is made of.
pub struct PageContext<'a> {
    pub snapshot: Snapshot<'a>,
    pub settings: &'a StatsSettings,
    pub options: &'a PageOptions,
    pub selection: &'a Selection,
    /// Show the admin form.
    pub may_administer: bool,
    pub pid: u32,
    pub hostname: &'a str,
}

impl PageContext<'_> {
    /// The page's own address with the options it keeps, not yet escaped.
    fn address(&self) -> String {
        format!("{}{}", self.settings.uri, self.options.kept())
    }
    /// `stats show-node`: the name given, the global one, or the machine's.
    fn node(&self) -> Option<&str> {
        let given = self.settings.show_node.as_deref()?;
        let global = self.snapshot.shared.config.global.node.as_deref();
        Some(if given.is_empty() { global.unwrap_or(self.hostname) } else { given })
    }
    /// `stats show-desc`: the text given, or the global one.
    fn description(&self) -> Option<&str> {
        let given = self.settings.show_desc.as_deref()?;
        if given.is_empty() { self.snapshot.shared.config.global.description.as_deref() } else { Some(given) }
    }
}

/// Safe as text and within quotes.
fn escape(text: &str) -> Cow<'_, str> {
    html_escape::encode_safe(text)
}

/// Appends the whole page.
pub fn write(page: &PageContext, output: &mut String) {
    let title = match page.node() {
        Some(node) => format!("Statistics of {} on {}", product::NAME, escape(node)),
        None => format!("Statistics of {}", product::NAME),
    };
    output.push_str(&format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><link rel=\"icon\" href=\"data:,\">\n\
         <style>\n{}</style></head>\n<body>\n",
        include_str!("page/style.css")
    ));
    header::write(page, output);
    output.push_str("<main>\n");
    let config = &page.snapshot.shared.config;
    for id in config.proxy_ids().filter(|id| page.selection.has_proxy(*id) && !config.proxy(*id).disabled) {
        write_proxy(page, id, config.proxy(id), output);
    }
    output.push_str("</main>\n</body></html>\n");
}

fn write_proxy(page: &PageContext, id: ProxyId, proxy: &Proxy, output: &mut String) {
    let has_servers = proxy.backend.as_ref().is_some_and(|backend| !backend.servers.is_empty());
    let administered = page.may_administer && has_servers;
    let name = escape(&proxy.name);
    output.push_str(&format!("<section id=\"{name}\"><h2><a href=\"#{name}\">{name}</a>"));
    output.push_str(&format!(" <small>{}", figures::mode_name(proxy.mode)));
    if page.selection.details {
        output.push_str(&table::details_of(page.snapshot, id, proxy));
    }
    output.push_str("</small></h2>\n");
    if let (Some(_), Some(description)) = (&page.settings.show_desc, &proxy.description) {
        output.push_str(&format!("<p class=\"description\">{}</p>\n", escape(description)));
    }
    if administered {
        let address = page.address();
        output.push_str(&format!("<form method=\"post\" action=\"{}\">\n", escape(&address)));
    }
    output.push_str("<div class=\"scroll\"><table>\n");
    table::write_head(administered, output);
    output.push_str("<tbody>\n");
    let mut rows: Vec<Row> = Vec::new();
    figures::for_each_row_of(page.snapshot, page.selection, id, &mut |row| rows.push(row));
    for row in &rows {
        table::write_row(row, administered, output);
    }
    output.push_str("</tbody></table></div>\n");
    if administered && rows.iter().any(|row| row.kind == RowKind::Server) {
        write_actions(proxy.iid, output);
    }
    output.push_str(if administered { "</form></section>\n" } else { "</section>\n" });
}

fn write_actions(proxy_number: u32, output: &mut String) {
    output.push_str(
        "<p class=\"actions\"><label>With the checked servers: <select name=\"action\" required>\
         <option value=\"\"></option>",
    );
    for (value, label) in ACTIONS {
        output.push_str(&format!("<option value=\"{value}\">{label}</option>"));
    }
    output.push_str(&format!(
        "</select></label> <input type=\"hidden\" name=\"b\" value=\"#{proxy_number}\"><button>Apply</button></p>\n"
    ));
}

/// `4 123 456` with narrow no-break spaces.
fn grouped(number: &str) -> String {
    if number.len() <= 3 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return number.to_string();
    }
    let mut text = String::with_capacity(number.len() * 2);
    for (index, digit) in number.chars().enumerate() {
        if index > 0 && (number.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `3d4h`, `2h5m`, `1m12s`, `7s`: the two largest units.
fn duration_text(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match () {
        _ if days > 0 => format!("{days}d{}h", hours % 24),
        _ if hours > 0 => format!("{hours}h{}m", minutes % 60),
        _ if minutes > 0 => format!("{minutes}m{}s", seconds % 60),
        _ => format!("{seconds}s"),
    }
}
