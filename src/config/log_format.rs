//! `log-format` text → [`LogFormat`] (configuration.txt section 8.2.6), and the built-in formats.

use super::expression;
use super::model::{
    LogFormat, LogFormatKind, LogFormatNeeds, LogFormatPurpose, LogItem, LogItemFlags, LogTag, Place, ProxyMode,
};

/// What is wrong with a format, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// In characters of the format text, from 1.
    pub column: u32,
    pub message: String,
}

impl std::fmt::Display for FormatError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

/// `option tcplog` (configuration.txt section 8.2.2).
pub const TCPLOG: &str = "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq";
/// `option httplog` (section 8.2.3).
pub const HTTPLOG: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc \
     %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";
/// `option httplog clf`.
pub const HTTPLOG_CLF: &str = "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta \
     %tsc %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl";
/// `option tcplog clf` (3.x).
pub const TCPLOG_CLF: &str = "%{+Q}o %{-Q}ci - - [%T] \"TCP \" 000 %B \"\" \"\" %cp %ms %ft %b %s %Th %Tw %Tc %Tt \
     %U %ts-- %ac %fc %bc %sc %rc %sq %bq \"\" \"\" ";

/// The formats that have a keyword of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// Nothing written: `Connect from …`, at accept.
    Default,
    Tcp,
    TcpClf,
    Http,
    HttpClf,
}

/// The format of an `option` keyword.
pub fn built_in(which: BuiltIn) -> LogFormat {
    let (text, kind) = match which {
        BuiltIn::Default => return LogFormat::default(),
        BuiltIn::Tcp => (TCPLOG, LogFormatKind::Tcp),
        BuiltIn::TcpClf => (TCPLOG_CLF, LogFormatKind::Tcp),
        BuiltIn::Http => (HTTPLOG, LogFormatKind::Http),
        BuiltIn::HttpClf => (HTTPLOG_CLF, LogFormatKind::Http),
    };
    // A test compiles each of them.
    let mut format = compile(text, FormatPlace::Log(ProxyMode::Http)).unwrap_or_default();
    format.kind = kind;
    format
}

/// Where a format stands: what may be asked for there, and how what it makes is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatPlace {
    /// `log-format` and its kin, in a proxy of that mode. In a TCP proxy, tags that HTTP alone gives a meaning are
    /// errors, as in HAProxy.
    Log(ProxyMode),
    /// `unique-id-format`
    UniqueId,
    /// A rule that makes a part of a head: a header, a URI, a location, a cookie.
    Head(Place),
    /// A rule that makes anything else: a body (`lf-string`), a variable (`set-var-fmt`), a backend's name.
    Plain(Place),
}

impl FormatPlace {
    fn purpose(self) -> LogFormatPurpose {
        match self {
            FormatPlace::Log(_) => LogFormatPurpose::LogLine,
            FormatPlace::UniqueId | FormatPlace::Head(_) => LogFormatPurpose::Head,
            FormatPlace::Plain(_) => LogFormatPurpose::Plain,
        }
    }

    /// Runs of blanks are one blank.
    fn merges_blanks(self) -> bool {
        matches!(self, FormatPlace::Log(_) | FormatPlace::UniqueId)
    }

    fn samples(self) -> Place {
        match self {
            FormatPlace::Log(_) => Place::LOG,
            FormatPlace::UniqueId => Place::http_request(true, false),
            FormatPlace::Head(place) | FormatPlace::Plain(place) => place,
        }
    }
}

/// Compiles the text of a format for where it stands.
pub fn compile(text: &str, place: FormatPlace) -> Result<LogFormat, FormatError> {
    let items = parse(text, place)?;
    let has = |tags: &[LogTag]| items.iter().any(|item| matches!(item, LogItem::Tag { tag, .. } if tags.contains(tag)));
    let needs = LogFormatNeeds {
        tags: items.iter().any(|item| matches!(item, LogItem::Tag { .. })),
        frontend_address: has(&[LogTag::FrontendIp, LogTag::FrontendPort]),
        source_address: has(&[LogTag::BackendSourceIp, LogTag::BackendSourcePort]),
        pid: has(&[LogTag::Pid]),
        samples: items.iter().any(|item| matches!(item, LogItem::Expression { .. })),
    };
    Ok(LogFormat { items, text: text.to_string(), kind: LogFormatKind::Custom, purpose: place.purpose(), needs })
}

/// Whether the format has a tag that needs `mode http`.
pub fn needs_http(format: &LogFormat) -> bool {
    format.items.iter().any(|item| match item {
        LogItem::Tag { tag, .. } => TAGS.iter().any(|row| row.tag == *tag && row.http_only),
        _ => false,
    })
}

struct Row {
    name: &'static str,
    tag: LogTag,
    http_only: bool,
}

const fn any(name: &'static str, tag: LogTag) -> Row {
    Row { name, tag, http_only: false }
}
const fn http(name: &'static str, tag: LogTag) -> Row {
    Row { name, tag, http_only: true }
}

/// Every tag by name. Which are HTTP's alone was asked of HAProxy 2.6 with `-c`; the manual's own table is wrong for
/// some.
#[rustfmt::skip]
const TAGS: &[Row] = &[
    any("B", LogTag::BytesRead), any("U", LogTag::BytesUploaded),
    any("ci", LogTag::ClientIp), any("cp", LogTag::ClientPort),
    any("fi", LogTag::FrontendIp), any("fp", LogTag::FrontendPort),
    any("bi", LogTag::BackendSourceIp), any("bp", LogTag::BackendSourcePort),
    any("si", LogTag::ServerIp), any("sp", LogTag::ServerPort),
    any("f", LogTag::FrontendName), any("ft", LogTag::FrontendNameTransport),
    any("b", LogTag::BackendName), any("s", LogTag::ServerName),
    any("ac", LogTag::ActiveConnections), any("fc", LogTag::FrontendConnections),
    any("bc", LogTag::BackendConnections), any("sc", LogTag::ServerConnections),
    any("rc", LogTag::Retries), any("sq", LogTag::ServerQueue), any("bq", LogTag::BackendQueue),
    any("Th", LogTag::TimeHandshake), http("Ti", LogTag::TimeIdle), http("TR", LogTag::TimeRequest),
    http("Tq", LogTag::TimeClientRequest), any("Tw", LogTag::TimeQueue), any("Tc", LogTag::TimeConnect),
    http("Tr", LogTag::TimeResponse), any("Td", LogTag::TimeDownload), http("Ta", LogTag::TimeActive),
    any("Tt", LogTag::TimeTotal), any("Tu", LogTag::TimeUser),
    any("t", LogTag::AcceptDate), any("T", LogTag::AcceptDateGmt), any("Tl", LogTag::AcceptDateLocal),
    any("Ts", LogTag::AcceptTimestamp), any("ms", LogTag::Milliseconds),
    http("tr", LogTag::RequestDate), http("trg", LogTag::RequestDateGmt), http("trl", LogTag::RequestDateLocal),
    any("ts", LogTag::TerminationState), any("tsc", LogTag::TerminationStateCookie),
    any("rt", LogTag::RequestCounter), any("lc", LogTag::LogCounter), any("H", LogTag::Hostname),
    any("pid", LogTag::Pid), any("ID", LogTag::UniqueId),
    any("ST", LogTag::StatusCode), http("CC", LogTag::CapturedRequestCookie), http("CS", LogTag::CapturedResponseCookie),
    any("hr", LogTag::CapturedRequestHeaders), any("hs", LogTag::CapturedResponseHeaders),
    any("hrl", LogTag::CapturedRequestHeaderList), any("hsl", LogTag::CapturedResponseHeaderList),
    http("r", LogTag::RequestLine), http("HM", LogTag::HttpMethod), http("HU", LogTag::HttpUri),
    http("HP", LogTag::HttpPath), http("HPO", LogTag::HttpPathOnly), http("HQ", LogTag::HttpQuery),
    http("HV", LogTag::HttpVersion), any("sslc", LogTag::SslCiphers), any("sslv", LogTag::SslVersion),
];

fn parse(text: &str, place: FormatPlace) -> Result<Vec<LogItem>, FormatError> {
    let characters: Vec<char> = text.chars().collect();
    let error = |at: usize, message: String| FormatError { column: at as u32 + 1, message };
    let mut items = Vec::new();
    let mut literal = String::new();
    let mut flags = LogItemFlags::default();
    let mut at = 0;
    while let Some(&character) = characters.get(at) {
        if character == ' ' && place.merges_blanks() {
            flush(&mut literal, &mut items);
            if items.last() != Some(&LogItem::Space) {
                items.push(LogItem::Space);
            }
            at += 1;
            continue;
        }
        if character != '%' {
            literal.push(character);
            at += 1;
            continue;
        }
        let percent = at;
        at += 1;
        if characters.get(at) == Some(&'%') {
            literal.push('%');
            at += 1;
            continue;
        }
        flush(&mut literal, &mut items);
        let mut own_flags = flags;
        let mut has_flags = false;
        if characters.get(at) == Some(&'{') {
            let Some(length) = characters[at..].iter().position(|&character| character == '}') else {
                return Err(error(percent, "no '}' after '%{'".to_string()));
            };
            apply_flags(&characters[at + 1..at + length], &mut own_flags)
                .map_err(|(offset, message)| error(at + 1 + offset, message))?;
            at += length + 1;
            has_flags = true;
        }
        if characters.get(at) == Some(&'[') {
            let Some(length) = expression_length(&characters[at + 1..]) else {
                let rest: String = characters[at..].iter().collect();
                return Err(error(percent, format!("no ']' at the end of the expression '%{rest}'")));
            };
            let written: String = characters[at + 1..at + 1 + length].iter().collect();
            let expression = expression::parse(&written, place.samples()).map_err(|message| error(at + 1, message))?;
            items.push(LogItem::Expression { expression: Box::new(expression), flags: own_flags });
            at += length + 2;
            continue;
        }
        let name: String = characters[at..].iter().take_while(|character| character.is_ascii_alphanumeric()).collect();
        if name.is_empty() {
            let message = match (characters.get(at), has_flags) {
                (_, true) => "flags in '%{…}' without a variable name after them".to_string(),
                (None, _) => "nothing after '%'; for a percent sign write '%%'".to_string(),
                (Some(character), _) => format!("'%' before '{character}'; for a percent sign write '%%'"),
            };
            return Err(error(percent, message));
        }
        at += name.len();
        if name == "o" {
            flags = own_flags;
            continue;
        }
        let Some(row) = TAGS.iter().find(|row| row.name == name) else {
            return Err(error(percent, unknown(&name)));
        };
        if row.http_only && matches!(place, FormatPlace::Log(mode) if mode != ProxyMode::Http) {
            return Err(error(percent, format!("format variable '%{name}' is reserved for HTTP mode")));
        }
        items.push(LogItem::Tag { tag: row.tag, flags: own_flags });
    }
    flush(&mut literal, &mut items);
    Ok(items)
}

/// Where the `]` is that ends an expression: not one inside of a fetch's or converter's arguments, nor a quoted one.
fn expression_length(text: &[char]) -> Option<usize> {
    let mut in_arguments = false;
    let mut quote = None;
    let mut at = 0;
    while let Some(&character) = text.get(at) {
        match (character, quote) {
            ('\\', quote) if in_arguments && quote != Some('\'') => at += 1,
            (character, Some(open)) if character == open => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) if in_arguments => quote = Some(character),
            ('(', None) => in_arguments = true,
            (')', None) => in_arguments = false,
            (']', None) if !in_arguments => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

fn flush(literal: &mut String, items: &mut Vec<LogItem>) {
    if !literal.is_empty() {
        items.push(LogItem::Text(std::mem::take(literal)));
    }
}

/// `+Q,-X`; a letter without a sign adds.
fn apply_flags(text: &[char], flags: &mut LogItemFlags) -> Result<(), (usize, String)> {
    let mut on = true;
    for (offset, character) in text.iter().enumerate() {
        match character {
            '+' => on = true,
            '-' => on = false,
            ',' | ' ' => on = true,
            'Q' => flags.quote = on,
            'X' => flags.hexadecimal = on,
            'E' => flags.escape = on,
            other => {
                return Err((offset, format!("unknown flag '{other}': Q quotes, X is hexadecimal, E escapes")));
            }
        }
    }
    Ok(())
}

fn unknown(name: &str) -> String {
    let by_distance = |row: &&Row| {
        let case = if row.name.eq_ignore_ascii_case(name) { 0 } else { 1 };
        (case, strsim::damerau_levenshtein(row.name, name), row.name.len().abs_diff(name.len()))
    };
    let nearest = TAGS.iter().min_by_key(by_distance).filter(|row| {
        row.name.eq_ignore_ascii_case(name) || strsim::damerau_levenshtein(row.name, name) < name.len().max(2)
    });
    let hint = nearest.map_or(String::new(), |row| format!("; did you mean '%{}'?", row.name));
    format!("no such format variable '%{name}'{hint} (for a percent sign write '%%')")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: FormatPlace = FormatPlace::Log(ProxyMode::Tcp);
    const HTTP: FormatPlace = FormatPlace::Log(ProxyMode::Http);

    fn flagged(tag: LogTag, quote: bool, hexadecimal: bool, escape: bool) -> LogItem {
        LogItem::Tag { tag, flags: LogItemFlags { quote, hexadecimal, escape } }
    }

    fn tag(tag: LogTag) -> LogItem {
        LogItem::Tag { tag, flags: LogItemFlags::default() }
    }

    #[test]
    fn text_spaces_and_flags() {
        let format = compile("a%%b  c%ci%cp\tx %{+Q,+X}ci %{+E}f", TCP).unwrap();
        assert_eq!(
            format.items,
            [
                LogItem::Text("a%b".into()),
                LogItem::Space,
                LogItem::Text("c".into()),
                tag(LogTag::ClientIp),
                tag(LogTag::ClientPort),
                LogItem::Text("\tx".into()),
                LogItem::Space,
                flagged(LogTag::ClientIp, true, true, false),
                LogItem::Space,
                flagged(LogTag::FrontendName, false, false, true),
            ]
        );
        let format = compile("%{+Q}o %b%{-Q}s%f", TCP).unwrap();
        let quoted: Vec<_> = format
            .items
            .iter()
            .filter_map(|item| if let LogItem::Tag { flags, .. } = item { Some(flags.quote) } else { None })
            .collect();
        assert_eq!(quoted, [true, false, true], "%o lasts, a tag's own flags do not");
    }

    #[test]
    fn errors_have_a_column_and_a_suggestion() {
        let error = |text| compile(text, TCP).unwrap_err();
        assert_eq!(error("ab %zzz").column, 4);
        assert!(error("%CI").message.contains("did you mean '%ci'"), "{:?}", error("%CI"));
        assert!(error("%cip").message.contains("did you mean '%c"), "{:?}", error("%cip"));
        assert_eq!(error("é %[nosuch]").column, 5);
        assert_eq!(error("é %[src").column, 3);
        assert!(error("%Ti").message.contains("reserved for HTTP mode"));
        assert_eq!(error("x%{+Z}ci").column, 5);
        for broken in ["%", "a% b", "x%{+Q", "x%:y", "%{+Q}", "%[", "%{"] {
            error(broken);
        }
    }

    #[test]
    fn the_built_in_ones_compile_whole() {
        for which in [BuiltIn::Tcp, BuiltIn::Http, BuiltIn::HttpClf, BuiltIn::TcpClf] {
            let format = built_in(which);
            let tags = format.text.matches('%').count() - format.text.matches("%{+Q}o").count();
            let found = format.items.iter().filter(|item| matches!(item, LogItem::Tag { .. })).count();
            assert_eq!(found, tags, "{which:?}");
        }
        assert!(!needs_http(&built_in(BuiltIn::Tcp)));
        assert!(needs_http(&built_in(BuiltIn::Http)));
        assert_eq!(built_in(BuiltIn::Default).kind, LogFormatKind::Default);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in ".{0,40}", tagged in "[%{}+QXE,\\[\\]a-zA-Z ]{0,30}") {
            let _ = compile(&text, TCP);
            let _ = compile(&tagged, HTTP);
        }
    }
}
