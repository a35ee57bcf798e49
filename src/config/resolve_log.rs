//! Log targets and formats of a proxy.

use super::diagnostics::{Diagnostics, Severity};
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
    let http = proxy.settings.mode == ProxyMode::Http;
    let kind = match &written.choice {
        LogFormatChoice::Default => LogFormatKind::Default,
        LogFormatChoice::Tcp { .. } => LogFormatKind::Tcp,
        LogFormatChoice::Http { .. } if http => LogFormatKind::Http,
        LogFormatChoice::Http { .. } => {
            if proxy.kind.accepts_connections() {
                let text = format!(
                    "'option httplog' not usable with proxy '{}' (needs 'mode http'). Falling back to 'option tcplog'.",
                    proxy.name
                );
                diagnostics.about(Severity::Warning, &written.location, text);
            }
            LogFormatKind::Tcp
        }
        LogFormatChoice::Text(_) => LogFormatKind::Custom,
    };
    let text = match (&written.choice, kind) {
        (LogFormatChoice::Text(text), _) => text.clone(),
        (LogFormatChoice::Http { clf: true }, LogFormatKind::Http) => HTTP_CLF_LOG.to_owned(),
        (_, LogFormatKind::Http) => HTTP_LOG.to_owned(),
        (LogFormatChoice::Tcp { clf: true }, _) => TCP_CLF_LOG.to_owned(),
        (_, LogFormatKind::Tcp) => TCP_LOG.to_owned(),
        _ => String::new(),
    };
    if kind != LogFormatKind::Default && log.targets.is_empty() && proxy.kind.accepts_connections() {
        let text = format!("log format ignored for proxy '{}' since it has no log address.", proxy.name);
        diagnostics.about(Severity::Warning, &proxy.location, text);
    }
    LogFormat { items: Vec::new(), text, kind }
}

/// The formats that `option tcplog` and `option httplog` stand for (section 8.2.2 and 8.2.3).
const TCP_LOG: &str = "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq";
const TCP_CLF_LOG: &str = "%{+Q}o %{-Q}ci - - [%T] \"TCP \" 000 %B \"\" \"\" %cp %ms %ft %b %s %Th %Tw %Tc %Tt %U %ts-- \
                           %ac %fc %bc %sc %rc %sq %bq \"\" \"\" ";
const HTTP_LOG: &str =
    "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";
const HTTP_CLF_LOG: &str = "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc \
                            %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl";
