//! Log targets and formats of a proxy.

use super::diagnostics::{Diagnostics, Message, Severity};
use super::log_format::{self, BuiltIn};
use super::model::*;
use super::written::*;

/// The proxy's targets, `log global` replaced by the global ones.
pub fn resolve_log(proxy: &WrittenProxy, global: &WrittenGlobal) -> LogSettings {
    let mut targets = Vec::new();
    for log in &proxy.settings.log {
        match log {
            WrittenLog::Global(_) => targets.extend(global.log_targets.iter().cloned()),
            WrittenLog::Target(target) => targets.push(target.clone()),
        }
    }
    LogSettings { targets }
}

/// The format of the proxy's log lines.
pub fn resolve_log_format(proxy: &WrittenProxy, log: &LogSettings, diagnostics: &mut Diagnostics) -> LogFormat {
    let written = &proxy.settings.log_format;
    let is_http = proxy.settings.mode == ProxyMode::Http;
    let format = match &written.choice {
        LogFormatChoice::Default => log_format::built_in(BuiltIn::Default),
        LogFormatChoice::Tcp { clf: true } => log_format::built_in(BuiltIn::TcpClf),
        LogFormatChoice::Tcp { clf: false } => log_format::built_in(BuiltIn::Tcp),
        LogFormatChoice::Http { clf: true } if is_http => log_format::built_in(BuiltIn::HttpClf),
        LogFormatChoice::Http { .. } if is_http => log_format::built_in(BuiltIn::Http),
        LogFormatChoice::Http { .. } => {
            if proxy.kind.accepts_connections() {
                let text = format!(
                    "'option httplog' not usable with proxy '{}' (needs 'mode http'). Falling back to 'option tcplog'.",
                    proxy.name
                );
                diagnostics.about(Severity::Warning, &written.location, text);
            }
            log_format::built_in(BuiltIn::Tcp)
        }
        LogFormatChoice::Text(text) => custom(text, proxy, diagnostics),
    };
    if format.kind != LogFormatKind::Default && log.targets.is_empty() && proxy.kind.accepts_connections() {
        let text = format!("log format ignored for proxy '{}' since it has no log address.", proxy.name);
        diagnostics.about(Severity::Warning, &proxy.location, text);
    }
    format
}

/// A `log-format` text. A backend writes no lines, so what is wrong there is not looked for.
fn custom(text: &str, proxy: &WrittenProxy, diagnostics: &mut Diagnostics) -> LogFormat {
    if !proxy.kind.accepts_connections() {
        return LogFormat { items: Vec::new(), text: text.to_owned(), kind: LogFormatKind::Custom };
    }
    match log_format::compile(text, proxy.settings.mode) {
        Ok(format) => format,
        Err(error) => {
            let written = &proxy.settings.log_format;
            let excerpt = written.excerpt.clone().map(|(line, column)| {
                let is_quoted = line.chars().nth(column.saturating_sub(1) as usize).is_some_and(|c| "\"'".contains(c));
                (line, column + error.column - 1 + u32::from(is_quoted))
            });
            diagnostics.messages.push(Message {
                severity: Severity::Alert,
                text: format!("failed to parse log-format : {}.", error.message),
                location: Some(written.location.clone()),
                excerpt,
            });
            LogFormat { items: Vec::new(), text: text.to_owned(), kind: LogFormatKind::Custom }
        }
    }
}
