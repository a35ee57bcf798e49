//! Log targets and formats of a proxy.

use super::diagnostics::{Diagnostics, Message, Severity};
use super::log_format::{BuiltIn, FormatError, FormatPlace, built_in, compile};
use super::model::*;
use super::written::*;

/// The proxy's targets, `log global` replaced by the global ones: once, wherever else (`defaults`) it is written too.
/// A target of the proxy's own that is written twice gets each line twice, as in HAProxy.
pub fn resolve_log(proxy: &WrittenProxy, global: &WrittenGlobal) -> LogSettings {
    let mut targets = Vec::new();
    let mut has_global = false;
    for log in &proxy.settings.log {
        match log {
            WrittenLog::Global(_) if has_global => {}
            WrittenLog::Global(_) => {
                has_global = true;
                targets.extend(global.log_targets.iter().cloned());
            }
            WrittenLog::Target(target) => targets.push(target.clone()),
        }
    }
    LogSettings { targets }
}

/// The format of the proxy's log lines.
pub fn resolve_log_format(proxy: &WrittenProxy, log: &LogSettings, diagnostics: &mut Diagnostics) -> LogFormat {
    let written = &proxy.settings.log_format;
    let http = proxy.settings.mode == ProxyMode::Http;
    let format = match &written.choice {
        LogFormatChoice::Default => built_in(BuiltIn::Default),
        LogFormatChoice::Tcp { clf } => built_in(if *clf { BuiltIn::TcpClf } else { BuiltIn::Tcp }),
        LogFormatChoice::Http { clf } if http => built_in(if *clf { BuiltIn::HttpClf } else { BuiltIn::Http }),
        LogFormatChoice::Http { clf } => {
            if proxy.kind.accepts_connections() {
                let text = format!(
                    "'option httplog' not usable with proxy '{}' (needs 'mode http'). Falling back to 'option tcplog'.",
                    proxy.name
                );
                diagnostics.about(Severity::Warning, &written.location, text);
            }
            built_in(if *clf { BuiltIn::TcpClf } else { BuiltIn::Tcp })
        }
        // A backend inherits the format and never writes a line with it.
        LogFormatChoice::Text(_) if !proxy.kind.accepts_connections() => LogFormat::default(),
        LogFormatChoice::Text(text) => compile_written("log-format", written, text, proxy, diagnostics),
    };
    if written.choice != LogFormatChoice::Default && log.targets.is_empty() && proxy.kind.accepts_connections() {
        let text = format!("log format ignored for proxy '{}' since it has no log address.", proxy.name);
        diagnostics.about(Severity::Warning, &proxy.location, text);
    }
    format
}

/// `error-log-format` or `log-format-sd`, of a proxy that accepts connections.
pub fn resolve_other_format(
    keyword: &str,
    written: &Option<WrittenLogFormat>,
    proxy: &WrittenProxy,
    diagnostics: &mut Diagnostics,
) -> Option<LogFormat> {
    let written = written.as_ref().filter(|_| proxy.kind.accepts_connections())?;
    let LogFormatChoice::Text(text) = &written.choice else { return None };
    Some(compile_written(keyword, written, text, proxy, diagnostics))
}

fn compile_written(
    keyword: &str,
    written: &WrittenLogFormat,
    text: &str,
    proxy: &WrittenProxy,
    diagnostics: &mut Diagnostics,
) -> LogFormat {
    compile(text, FormatPlace::Log(proxy.settings.mode)).unwrap_or_else(|error| {
        report(keyword, written, text, &error, diagnostics);
        LogFormat::default()
    })
}

/// Puts the caret under the tag that is wrong, where the line shows the format as it is.
fn report(keyword: &str, written: &WrittenLogFormat, text: &str, error: &FormatError, diagnostics: &mut Diagnostics) {
    let excerpt = written.excerpt.clone().map(|(raw, column)| {
        let shown: String = raw.chars().skip(column.saturating_sub(1) as usize).collect();
        let quote = u32::from(shown.starts_with(['"', '\'']));
        let as_it_is = shown.get(quote as usize..).is_some_and(|shown| shown.starts_with(text));
        let offset = if as_it_is { quote + error.column.saturating_sub(1) } else { 0 };
        (raw, column.saturating_add(offset))
    });
    diagnostics.messages.push(Message {
        severity: Severity::Alert,
        text: format!("'{keyword}' : {}", error.message),
        location: Some(written.location.clone()),
        excerpt,
    });
}
