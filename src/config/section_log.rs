//! `log`, `log-tag`, `log-format` (configuration.txt sections 3.1, 4.2 and 8).

use super::addresses::parse_log;
use super::keywords::Modifier;
use super::model::*;
use super::statement::{LineParser, Statement};
use super::values::parse_u32;
use super::written::*;

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[
    ("log", log),
    ("log-tag", log_tag),
    ("log-format", log_format),
    ("error-log-format", error_log_format),
    ("log-format-sd", structured_log_format),
];

/// In HAProxy's order: the index is the syslog number (RFC 5424 section 6.2.1, with the names of glibc and BSD).
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2", "ftp", "ntp", "audit",
    "alert", "cron2", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
const FORMATS: [(&str, SyslogFormat); 8] = [
    ("rfc3164", SyslogFormat::Rfc3164),
    ("rfc5424", SyslogFormat::Rfc5424),
    ("local", SyslogFormat::Local),
    ("short", SyslogFormat::Short),
    ("priority", SyslogFormat::Priority),
    ("timed", SyslogFormat::Timed),
    ("iso", SyslogFormat::Iso),
    ("raw", SyslogFormat::Raw),
];
/// `len` of a log line that has none.
const LENGTH_DEFAULT_BYTES: u32 = 1024;
const LENGTH_BYTES_MAX: u32 = 65_535;

fn log(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if statement.modifier != Modifier::None {
        if statement.at_most(0) {
            proxy.settings.log.clear();
        }
        return;
    }
    if statement.text(0) == "global" && statement.arguments.len() == 1 {
        proxy.settings.log.push(WrittenLog::Global(statement.location()));
        return;
    }
    if let Some(target) = parse_log_target(statement) {
        proxy.settings.log.push(WrittenLog::Target(target));
    }
}

/// Reads `<address> [len <n>] [format <f>] [sample <ranges>:<size>] <facility> [<level> [<minlevel>]]`; `None` if an error was reported.
pub fn parse_log_target(statement: &mut Statement) -> Option<LogTarget> {
    let address = statement.required(0, "<address> and <facility>, or 'global',")?;
    let address = parse_log(address, statement.names);
    let address = statement.accept(0, address)?;
    let mut length_bytes = LENGTH_DEFAULT_BYTES;
    let mut format = SyslogFormat::Unspecified;
    let mut sample = None;
    let mut index = 1;
    loop {
        match statement.text(index) {
            "len" => {
                let length = parse_u32(statement.text(index + 1), 80, LENGTH_BYTES_MAX, "len");
                length_bytes = statement.accept(index + 1, length)?;
            }
            "format" => {
                let name = statement.text(index + 1);
                let Some((_, found)) = FORMATS.iter().find(|(known, _)| *known == name) else {
                    let known = FORMATS.map(|(name, _)| name).join(", ");
                    statement.error(index + 1, format!("log : unknown format '{name}'; known are {known}."));
                    return None;
                };
                format = *found;
            }
            "sample" => {
                let parsed = parse_sample(statement.text(index + 1));
                sample = Some(statement.accept(index + 1, parsed)?);
            }
            "profile" => {
                statement.error(index, "log : 'profile' is not supported; leave it out: 'log-format' sets the line.");
                return None;
            }
            _ => break,
        }
        index += 2;
    }
    let facility = statement.text(index);
    let Some(number) = FACILITIES.iter().position(|name| *name == facility) else {
        if facility.is_empty() {
            statement.error(index, "log : expects <address> and <facility>, or 'global', as arguments.");
        } else {
            statement.error(index, format!("log : unknown log facility '{facility}'."));
        }
        return None;
    };
    let max_level = level(statement, index + 1, 7)?;
    let min_level = level(statement, index + 2, 0)?;
    if !statement.at_most(index + 3) {
        return None;
    }
    Some(LogTarget { address, format, facility: number as u8, max_level, min_level, length_bytes, sample })
}

/// `1,3-4:10`
fn parse_sample(text: &str) -> Result<LogSample, String> {
    let Some((ranges, size)) = text.split_once(':') else {
        return Err("log : missing sample size, as in 'sample 1:10'".to_owned());
    };
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
    let size_number =
        number(size).ok_or_else(|| format!("log : wrong sample size '{size}' for sample range '{ranges}'"))?;
    if ranges.is_empty() {
        return Err("log : no sampling ranges given".to_owned());
    }
    let mut found = Vec::new();
    for range in ranges.split(',') {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        match (number(low), number(high)) {
            (Some(low), Some(high)) if low <= high => found.push((low, high)),
            _ => return Err(format!("log : wrong sample range '{range}'")),
        }
    }
    found.sort_unstable();
    if found.windows(2).any(|pair| pair[0].1 >= pair[1].0) {
        return Err("log : ranges are overlapping".to_owned());
    }
    let last = found.last().map_or(0, |range| range.1);
    if last > size_number {
        return Err(format!("log : sample size {size_number} should be greater or equal to {last}, the highest place"));
    }
    Ok(LogSample { ranges: found, size: size_number })
}

fn level(statement: &mut Statement, index: usize, absent: u8) -> Option<u8> {
    match statement.text(index) {
        "" => Some(absent),
        text => match LEVELS.iter().position(|name| *name == text) {
            Some(number) => Some(number as u8),
            None => {
                let known = LEVELS.join(", ");
                statement.error(index, format!("log : unknown log level '{text}'; known are {known}."));
                None
            }
        },
    }
}

fn log_tag(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(tag) = statement.required(0, "a tag for use in syslog") {
        proxy.settings.log_tag = Some(tag.to_owned());
        statement.ignores_after(1);
    }
}

fn log_format(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(format) = format_text(statement) {
        proxy.settings.log_format = format;
    }
}

fn error_log_format(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(format) = format_text(statement) {
        proxy.settings.error_log_format = Some(format);
    }
}

fn structured_log_format(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if let Some(format) = format_text(statement) {
        proxy.settings.structured_log_format = Some(format);
    }
}

/// The one argument, a format that is compiled when the proxy's mode is known. `None` if an error was reported.
fn format_text(statement: &mut Statement) -> Option<WrittenLogFormat> {
    let text = statement.required(0, "a format")?;
    if !statement.at_most(1) {
        return None;
    }
    let column = statement.arguments.first().map_or(1, |word| word.column);
    Some(WrittenLogFormat {
        choice: LogFormatChoice::Text(text.to_owned()),
        location: statement.location(),
        excerpt: Some((statement.line.raw.to_string(), column)),
    })
}
