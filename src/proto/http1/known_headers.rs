//! The headers that decide about framing and connections, found in one walk over a message.

use super::message::Message;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    ProxyConnection,
    KeepAlive,
    Te,
    Upgrade,
    Http2Settings,
    Expect,
}

const KINDS: usize = 10;

impl Known {
    pub fn of(name: &[u8]) -> Option<Known> {
        let (known, spelled): (Known, &[u8]) = match name.len() {
            2 => (Known::Te, b"te"),
            4 => (Known::Host, b"host"),
            6 => (Known::Expect, b"expect"),
            7 => (Known::Upgrade, b"upgrade"),
            10 if name.first().is_some_and(|byte| *byte | 0x20 == b'c') => (Known::Connection, b"connection"),
            10 => (Known::KeepAlive, b"keep-alive"),
            14 if name.first().is_some_and(|byte| *byte | 0x20 == b'c') => (Known::ContentLength, b"content-length"),
            14 => (Known::Http2Settings, b"http2-settings"),
            16 => (Known::ProxyConnection, b"proxy-connection"),
            17 => (Known::TransferEncoding, b"transfer-encoding"),
            _ => return None,
        };
        name.eq_ignore_ascii_case(spelled).then_some(known)
    }
}

/// How often each of them stands in a message, and where first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Survey {
    first: [usize; KINDS],
    count: [usize; KINDS],
}

impl Survey {
    pub fn of(message: &Message) -> Survey {
        let mut survey = Survey::default();
        for (index, (name, _)) in message.headers().enumerate() {
            let Some(known) = Known::of(name) else { continue };
            if survey.count[known as usize] == 0 {
                survey.first[known as usize] = index;
            }
            survey.count[known as usize] += 1;
        }
        survey
    }
    pub fn count(&self, known: Known) -> usize {
        self.count[known as usize]
    }
    pub fn has(&self, known: Known) -> bool {
        self.count(known) > 0
    }
    /// Where the first one stands.
    pub fn index(&self, known: Known) -> Option<usize> {
        self.has(known).then_some(self.first[known as usize])
    }
    pub fn first_value<'a>(&self, known: Known, message: &'a Message) -> Option<&'a [u8]> {
        self.index(known).map(|index| message.header(index).1)
    }
    /// All values of one kind, in order.
    pub fn values<'a>(&self, known: Known, message: &'a Message) -> impl Iterator<Item = &'a [u8]> {
        let skipped = self.index(known).unwrap_or(usize::MAX);
        let rest = message.headers().skip(skipped);
        rest.filter(move |(name, _)| Known::of(name) == Some(known)).map(|(_, value)| value)
    }
    /// The items of a comma-separated header, all lines of it together; empty ones left out.
    pub fn items<'a>(&self, known: Known, message: &'a Message) -> impl Iterator<Item = &'a [u8]> {
        let items = self.values(known, message).flat_map(|value| value.split(|byte| *byte == b','));
        items.map(super::trim_blanks).filter(|item| !item.is_empty())
    }
}
