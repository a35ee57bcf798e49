//! The report for people: what maxconn takes beside what there is, what breaks first and what to do, then the rest.

use super::finding::{Finding, Fix, Measure, Report, Severity, Unit, grouped, human_bytes};
use std::fmt::Write as _;

/// Columns that text is broken at.
const WIDTH: usize = 100;

pub fn render(report: &Report) -> String {
    let mut text = String::new();
    head(report, &mut text);
    table(report, &mut text);
    verdict(report, &mut text);
    let first = report.first_to_break().is_some();
    let rest = report.findings.iter().skip(usize::from(first));
    for (severity, title) in [
        (Severity::Breaks, "Then:"),
        (Severity::Risk, "In a bad hour (a server down, everybody back at once):"),
        (Severity::Hint, "Good to know:"),
    ] {
        let findings: Vec<&Finding> = rest.clone().filter(|finding| finding.severity == severity).collect();
        if !findings.is_empty() {
            let _ = writeln!(text, "\n{title}");
        }
        for finding in findings {
            let _ = writeln!(text);
            let _ = writeln!(text, "  {}{}", capital(finding.subject), at(finding));
            body(finding, "    ", &mut text);
        }
    }
    text
}

fn head(report: &Report, text: &mut String) {
    let plural = if report.workers == 1 { "" } else { "s" };
    let cpus = if report.cpus == 1 { "" } else { "s" };
    let origin = if report.automatic_maxconn { " (computed from the descriptor limit)" } else { "" };
    let _ = writeln!(
        text,
        "{}: maxconn {}{origin}, {} worker{plural} on {} CPU{cpus}",
        report.files.join(", "),
        grouped(report.maxconn),
        report.workers,
        report.cpus
    );
    let _ = writeln!(text, "Engine: {} ({})\n", report.engine, report.engine_reason);
}

fn table(report: &Report, text: &mut String) {
    let amount = |number: u64, unit: Unit| match unit {
        Unit::Count => grouped(number),
        Unit::Bytes => human_bytes(number),
    };
    let carries = |measure: &Measure| match measure.carries_connections {
        None => String::new(),
        // More than anybody has tried is no figure.
        Some(connections) if connections > 10_000_000 => "any number".to_owned(),
        Some(connections) => format!("{} connections", grouped(connections)),
    };
    let sign = |measure: &Measure| {
        let too_little = measure
            .carries_connections
            .map_or(measure.needs > measure.has, |carries| carries < report.maxconn && measure.needs > measure.has);
        if !too_little {
            "ok"
        } else if report
            .findings
            .iter()
            .any(|finding| finding.subject == measure.subject && finding.severity == Severity::Breaks)
        {
            "TOO LITTLE"
        } else {
            "little"
        }
    };
    let mut rows = vec![["at maxconn", "needs", "has", "enough for", "", ""].map(str::to_owned)];
    for measure in &report.measures {
        rows.push([
            measure.subject.to_owned(),
            amount(measure.needs, measure.unit),
            amount(measure.has, measure.unit),
            carries(measure),
            sign(measure).to_owned(),
            measure.scope.clone(),
        ]);
    }
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let [subject, needs, has, enough, verdict] = widths;
    for row in rows {
        let line = format!(
            "  {:<subject$}  {:>needs$}  {:>has$}  {:>enough$}  {:<verdict$}  {}",
            row[0], row[1], row[2], row[3], row[4], row[5]
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = writeln!(text);
}

fn verdict(report: &Report, text: &mut String) {
    match report.first_to_break() {
        None => {
            let _ = writeln!(text, "Nothing breaks at maxconn {}.", grouped(report.maxconn));
        }
        Some(finding) => {
            let _ = writeln!(text, "What breaks first: {}{}.", finding.subject, at(finding));
            body(finding, "  ", text);
        }
    }
}

fn at(finding: &Finding) -> String {
    match finding.at_connections {
        Some(0) => ", at the start".to_owned(),
        Some(connections) => format!(", at {} connections", grouped(connections)),
        None => String::new(),
    }
}

fn body(finding: &Finding, indent: &str, text: &mut String) {
    for line in wrapped(&finding.text, WIDTH - indent.len()) {
        let _ = writeln!(text, "{indent}{line}");
    }
    match &finding.fix {
        None => {}
        Some(Fix::Command(command)) => {
            let _ = writeln!(text, "{indent}Run:   {command}");
        }
        Some(Fix::Configuration(lines)) => {
            for (index, line) in lines.lines().enumerate() {
                let lead = if index == 0 { "Write: " } else { "       " };
                let _ = writeln!(text, "{indent}{lead}{line}");
            }
        }
    }
    for line in finding.remark.iter().flat_map(|remark| wrapped(&format!("({remark})"), WIDTH - indent.len() - 7)) {
        let _ = writeln!(text, "{indent}       {line}");
    }
}

fn capital(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// Broken between words at `width` characters; a word that is longer has a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("averylongword a", 3), ["averylongword", "a"]);
        assert!(wrapped(" ", 3).is_empty());
    }
}
