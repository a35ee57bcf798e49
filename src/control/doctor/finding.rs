//! What the doctor says: figures side by side, and findings with their cure.

/// How bad a finding is, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// At maxconn, with everything healthy, it fails.
    Breaks,
    /// It fails in a bad hour: a server is down, all clients come back at once, all peers are slow.
    Risk,
    /// It works, but not as one may think.
    Hint,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Breaks => "breaks",
            Severity::Risk => "risk",
            Severity::Hint => "hint",
        }
    }
}

/// What to do about it: one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fix {
    /// To be run in a shell.
    Command(String),
    /// To be written into the configuration.
    Configuration(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// What it is about, one word or two: a key for tools.
    pub subject: &'static str,
    /// Connections of the process that it still carries; 0: it does not start. `None`: not a matter of their number.
    pub at_connections: Option<u64>,
    /// What happens and why, for people.
    pub text: String,
    /// `None`: only people can tell what is right.
    pub fix: Option<Fix>,
    /// What to know beside the fix: where it has to be written to last, or what to do where it is not allowed.
    pub remark: Option<String>,
}

/// A resource: what maxconn takes of it and what there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    pub subject: &'static str,
    pub needs: u64,
    pub has: u64,
    pub unit: Unit,
    /// What is counted, where that is not plain: `in each worker`.
    pub scope: String,
    /// Connections of the process that this carries.
    pub carries_connections: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Count,
    Bytes,
}

/// Everything that is said about one configuration on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub files: Vec<String>,
    /// The connections that the file asks for.
    pub maxconn: u64,
    /// `maxconn` is nowhere in the file: it was computed from the descriptor limit.
    pub automatic_maxconn: bool,
    pub workers: u32,
    pub cpus: u32,
    pub engine: &'static str,
    /// Why this one.
    pub engine_reason: String,
    pub measures: Vec<Measure>,
    /// Worst first; among those that break, the first to break first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Sorts the findings: what breaks, at the fewest connections first; then the risks; then the hints.
    pub fn sort(&mut self) {
        self.findings.sort_by_key(|finding| (finding.severity, finding.at_connections.unwrap_or(u64::MAX)));
    }

    /// What breaks first.
    pub fn first_to_break(&self) -> Option<&Finding> {
        self.findings.first().filter(|finding| finding.severity == Severity::Breaks)
    }

    /// 2: something breaks at maxconn; 0: nothing does.
    pub fn exit_code(&self) -> i32 {
        if self.first_to_break().is_some() { 2 } else { 0 }
    }
}

/// `1,234,567`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes for people: three digits at most, in units of 1024.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(value < 10.0);
    format!("{value:.decimals$} {}", UNITS.get(unit).copied().unwrap_or("PiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(
            [0, 999, 1000, 51200, 1_048_576].map(grouped),
            ["0", "999", "1,000", "51,200", "1,048,576"].map(str::to_owned)
        );
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(
            [0, 1024, 700 << 20, 1 << 30, 25 << 30].map(human_bytes),
            ["0.0 KiB", "1.0 KiB", "700 MiB", "1.0 GiB", "25 GiB"].map(str::to_owned)
        );
        assert!(human_bytes(u64::MAX).ends_with(" PiB"));
    }
}
