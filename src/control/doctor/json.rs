//! The report for tools. Keys are only ever added.

use super::finding::{Fix, Report, Unit};
use serde_json::{Value, json};

pub fn render(report: &Report) -> String {
    let measures: Vec<Value> = report
        .measures
        .iter()
        .map(|measure| {
            json!({
                "subject": measure.subject,
                "needs": measure.needs,
                "has": measure.has,
                "unit": match measure.unit { Unit::Count => "count", Unit::Bytes => "bytes" },
                "scope": measure.scope,
                "carries_connections": measure.carries_connections,
            })
        })
        .collect();
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            let (kind, text) = match &finding.fix {
                None => (None, None),
                Some(Fix::Command(text)) => (Some("command"), Some(text)),
                Some(Fix::Configuration(text)) => (Some("configuration"), Some(text)),
            };
            json!({
                "severity": finding.severity.name(),
                "subject": finding.subject,
                "at_connections": finding.at_connections,
                "text": finding.text,
                "fix_kind": kind,
                "fix": text,
                "remark": finding.remark,
            })
        })
        .collect();
    let whole = json!({
        "files": report.files,
        "maxconn": report.maxconn,
        "maxconn_is_computed": report.automatic_maxconn,
        "workers": report.workers,
        "cpus": report.cpus,
        "engine": report.engine,
        "engine_reason": report.engine_reason,
        "breaks_first": report.first_to_break().map(|finding| finding.subject),
        "exit_code": report.exit_code(),
        "measures": measures,
        "findings": findings,
    });
    format!("{whole:#}\n")
}
