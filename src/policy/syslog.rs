//! Syslog framing of a message (configuration.txt section 4.2, `log`; RFC 3164, RFC 5424).

use super::log_date;
use crate::config::model::{LogTarget, SyslogFormat};
use std::fmt::Write;

/// Who logs.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// `log-tag`
    pub tag: &'a str,
    /// `log-send-hostname`, resolved to a name; `None`: off.
    pub hostname: Option<&'a str>,
    pub pid: u32,
    /// RFC 5424 section 6.3; empty: none. The other formats have no place for it.
    pub structured: &'a [u8],
}

/// The level that `target` shows for a message of `level`, or `None` when it is too unimportant for it: less severe
/// than `max` is dropped, more severe than `min` is lowered to it.
pub fn filter(target: &LogTarget, level: u8) -> Option<u8> {
    let level = level.min(7);
    (level <= target.max_level).then(|| level.max(target.min_level.min(7)))
}

/// Appends the whole line for `target`: header, message cut to the target's length, end of line. `level` is what
/// [`filter`] returned. Ends of line and NULs inside the message become spaces, so that a message stays one line.
pub fn frame(target: &LogTarget, origin: &Origin, level: u8, message: &[u8], wall_us: u64, out: &mut Vec<u8>) {
    let start = out.len();
    let priority = u32::from(target.facility) * 8 + u32::from(level);
    let Origin { tag, hostname, pid, structured } = *origin;
    let mut header = String::with_capacity(96);
    let _ = match target.format {
        SyslogFormat::Rfc5424 => {
            let _ = write!(header, "<{priority}>1 ");
            log_date::local(wall_us, |second| second.write_iso(wall_us, &mut header));
            write!(header, " {} {tag} {pid} - ", hostname.unwrap_or("-"))
        }
        SyslogFormat::Rfc3164 | SyslogFormat::Local | SyslogFormat::Unspecified => {
            let hostname = match target.format {
                SyslogFormat::Rfc3164 => Some(hostname.unwrap_or("localhost")),
                SyslogFormat::Unspecified => hostname,
                _ => None,
            };
            let _ = write!(header, "<{priority}>");
            log_date::local(wall_us, |second| header.push_str(&second.syslog));
            if let Some(hostname) = hostname {
                let _ = write!(header, " {hostname}");
            }
            write!(header, " {tag}[{pid}]: ")
        }
        SyslogFormat::Short => write!(header, "<{level}>"),
        SyslogFormat::Priority => write!(header, "<{priority}>"),
        SyslogFormat::Timed => {
            let _ = write!(header, "<{level}>");
            log_date::local(wall_us, |second| second.write_iso(wall_us, &mut header));
            header.write_char(' ')
        }
        SyslogFormat::Iso => {
            log_date::local(wall_us, |second| second.write_iso(wall_us, &mut header));
            header.write_char(' ')
        }
        SyslogFormat::Raw => Ok(()),
    };
    out.extend_from_slice(header.as_bytes());
    if target.format == SyslogFormat::Rfc5424 {
        one_line(if structured.is_empty() { b"-" } else { structured }, out);
        out.push(b' ');
    }
    let message = message.strip_suffix(b"\n").unwrap_or(message);
    one_line(message, out);
    out.truncate(start.saturating_add(target.length_bytes as usize));
    out.push(b'\n');
}

/// Ends of line and NULs become spaces.
fn one_line(text: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(text);
    for byte in &mut out[start..] {
        if matches!(*byte, b'\n' | b'\r' | 0) {
            *byte = b' ';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::LogAddress;

    const WALL_US: u64 = 1_795_456_098_577_885;

    fn target(format: SyslogFormat) -> LogTarget {
        let address = LogAddress::Descriptor(1);
        LogTarget { address, format, facility: 17, max_level: 7, min_level: 0, length_bytes: 1024, sample: None }
    }

    fn line(target: &LogTarget, hostname: Option<&str>) -> String {
        let origin = Origin { tag: "hop", hostname, pid: 641, structured: b"" };
        let mut out = Vec::new();
        frame(target, &origin, 6, b"text\n", WALL_US, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// Lines that HAProxy 2.6 sent for the same settings.
    #[test]
    fn frames_as_haproxy() {
        let local = |format, hostname| line(&target(format), hostname);
        let date = log_date::local(WALL_US, |second| second.syslog.clone());
        let mut iso = String::new();
        log_date::local(WALL_US, |second| second.write_iso(WALL_US, &mut iso));
        assert_eq!(local(SyslogFormat::Unspecified, None), format!("<142>{date} hop[641]: text\n"));
        assert_eq!(local(SyslogFormat::Unspecified, Some("h")), format!("<142>{date} h hop[641]: text\n"));
        assert_eq!(local(SyslogFormat::Local, Some("h")), format!("<142>{date} hop[641]: text\n"));
        assert_eq!(local(SyslogFormat::Rfc3164, None), format!("<142>{date} localhost hop[641]: text\n"));
        assert_eq!(local(SyslogFormat::Rfc5424, None), format!("<142>1 {iso} - hop 641 - - text\n"));
        assert_eq!(local(SyslogFormat::Rfc5424, Some("h")), format!("<142>1 {iso} h hop 641 - - text\n"));
        assert_eq!(local(SyslogFormat::Short, None), "<6>text\n");
        assert_eq!(local(SyslogFormat::Priority, None), "<142>text\n");
        assert_eq!(local(SyslogFormat::Timed, None), format!("<6>{iso} text\n"));
        assert_eq!(local(SyslogFormat::Iso, None), format!("{iso} text\n"));
        assert_eq!(local(SyslogFormat::Raw, None), "text\n");
    }

    #[test]
    fn cuts_to_the_length_and_keeps_to_one_line() {
        let mut short = target(SyslogFormat::Priority);
        short.length_bytes = 8;
        assert_eq!(line(&short, None), "<142>tex\n");
        let mut out = Vec::new();
        let origin = Origin { tag: "", hostname: None, pid: 1, structured: b"" };
        frame(&target(SyslogFormat::Raw), &origin, 6, b"a\nb\0c\r", 0, &mut out);
        assert_eq!(out, b"a b c \n");
    }

    #[test]
    fn levels() {
        let mut target = target(SyslogFormat::Raw);
        (target.max_level, target.min_level) = (6, 3);
        let shown: Vec<_> = (0..=8).map(|level| filter(&target, level)).collect();
        assert_eq!(shown, [Some(3), Some(3), Some(3), Some(3), Some(4), Some(5), Some(6), None, None]);
    }
}
