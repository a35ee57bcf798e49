//! As much MQTT 3.1.1 as the tools speak: packets to bytes and back, up to QoS 1. Sections are those of the OASIS standard.

/// A packet's parts as they lie in the bytes it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    Connect {
        client_id: &'a [u8],
        keep_alive: u16,
        username: Option<&'a [u8]>,
        password: Option<&'a [u8]>,
    },
    Connack {
        code: u8,
    },
    /// `packet_id` with QoS 1, none with QoS 0.
    Publish {
        topic: &'a [u8],
        packet_id: Option<u16>,
        payload: &'a [u8],
    },
    Puback {
        packet_id: u16,
    },
    /// One filter: the tools ask for no more.
    Subscribe {
        packet_id: u16,
        filter: &'a [u8],
        qos: u8,
    },
    Suback {
        packet_id: u16,
        code: u8,
    },
    Pingreq,
    Pingresp,
    Disconnect,
}

/// A longer packet is an error: nothing that the tools send comes near.
const LONGEST: usize = 2 << 20;

const TOO_SHORT: &str = "MQTT packet shorter than its parts";

/// Reads the first packet in `bytes` and how many it took; None: it isn't complete.
pub fn decode(bytes: &[u8]) -> Result<Option<(Packet<'_>, usize)>, &'static str> {
    let Some((&kind, rest)) = bytes.split_first() else { return Ok(None) };
    let Some((length, length_bytes)) = remaining_length(rest)? else { return Ok(None) };
    let taken = 1 + length_bytes + length;
    let Some(body) = bytes.get(1 + length_bytes..taken) else { return Ok(None) };
    Ok(Some((packet(kind, &mut Parts(body))?, taken)))
}

/// Section 2.2.3; and how many bytes say it.
fn remaining_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, &'static str> {
    let mut length = 0;
    for (position, &byte) in bytes.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return if length > LONGEST { Err("MQTT packet too long") } else { Ok(Some((length, position + 1))) };
        }
    }
    if bytes.len() >= 4 { Err("MQTT length of more than four bytes") } else { Ok(None) }
}

/// What of a packet hasn't been read.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(TOO_SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        self.take(1)?.first().copied().ok_or(TOO_SHORT)
    }

    fn number(&mut self) -> Result<u16, &'static str> {
        Ok(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    fn text(&mut self) -> Result<&'a [u8], &'static str> {
        let length = self.number()?;
        self.take(usize::from(length))
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

fn packet<'a>(kind: u8, parts: &mut Parts<'a>) -> Result<Packet<'a>, &'static str> {
    let packet = match (kind >> 4, kind & 0xf) {
        (1, 0) => connect(parts)?,
        (2, 0) => {
            parts.byte()?;
            Packet::Connack { code: parts.byte()? }
        }
        (3, flags) => {
            let topic = parts.text()?;
            let packet_id = match (flags >> 1) & 3 {
                0 => None,
                1 => Some(parts.number()?),
                _ => return Err("MQTT PUBLISH of QoS 2"),
            };
            Packet::Publish { topic, packet_id, payload: parts.rest() }
        }
        (4, 0) => Packet::Puback { packet_id: parts.number()? },
        (8, 2) => Packet::Subscribe { packet_id: parts.number()?, filter: parts.text()?, qos: parts.byte()? },
        (9, 0) => Packet::Suback { packet_id: parts.number()?, code: parts.byte()? },
        (12, 0) => Packet::Pingreq,
        (13, 0) => Packet::Pingresp,
        (14, 0) => Packet::Disconnect,
        _ => return Err("MQTT packet of an unexpected type"),
    };
    if parts.0.is_empty() { Ok(packet) } else { Err("MQTT packet longer than its parts") }
}

/// Section 3.1; a will is refused, no tool sends one.
fn connect<'a>(parts: &mut Parts<'a>) -> Result<Packet<'a>, &'static str> {
    if parts.text()? != b"MQTT" || parts.byte()? != 4 {
        return Err("not MQTT 3.1.1");
    }
    let flags = parts.byte()?;
    if flags & 0x3d != 0 {
        return Err("MQTT CONNECT with a will");
    }
    Ok(Packet::Connect {
        keep_alive: parts.number()?,
        client_id: parts.text()?,
        username: if flags & 0x80 != 0 { Some(parts.text()?) } else { None },
        password: if flags & 0x40 != 0 { Some(parts.text()?) } else { None },
    })
}

/// Appends the packet's bytes. Texts end at 65,535 bytes.
pub fn encode(packet: &Packet<'_>, out: &mut Vec<u8>) {
    let mut body = Vec::new();
    let kind = match packet {
        Packet::Connect { client_id, keep_alive, username, password } => {
            put_text(b"MQTT", &mut body);
            let clean_session = 2;
            let flags = clean_session | (username.is_some() as u8) << 7 | (password.is_some() as u8) << 6;
            body.extend([4, flags]);
            body.extend(keep_alive.to_be_bytes());
            put_text(client_id, &mut body);
            username.iter().chain(password).for_each(|text| put_text(text, &mut body));
            0x10
        }
        Packet::Connack { code } => {
            body.extend([0, *code]);
            0x20
        }
        Packet::Publish { topic, packet_id, payload } => {
            put_text(topic, &mut body);
            body.extend(packet_id.iter().flat_map(|id| id.to_be_bytes()));
            body.extend_from_slice(payload);
            0x30 | (packet_id.is_some() as u8) << 1
        }
        Packet::Puback { packet_id } => {
            body.extend(packet_id.to_be_bytes());
            0x40
        }
        Packet::Subscribe { packet_id, filter, qos } => {
            body.extend(packet_id.to_be_bytes());
            put_text(filter, &mut body);
            body.push(*qos);
            0x82
        }
        Packet::Suback { packet_id, code } => {
            body.extend(packet_id.to_be_bytes());
            body.push(*code);
            0x90
        }
        Packet::Pingreq => 0xc0,
        Packet::Pingresp => 0xd0,
        Packet::Disconnect => 0xe0,
    };
    out.push(kind);
    let mut length = body.len();
    loop {
        let more = if length > 0x7f { 0x80 } else { 0 };
        out.push((length & 0x7f) as u8 | more);
        length >>= 7;
        if length == 0 {
            break;
        }
    }
    out.append(&mut body);
}

fn put_text(text: &[u8], out: &mut Vec<u8>) {
    let text = &text[..text.len().min(usize::from(u16::MAX))];
    out.extend((text.len() as u16).to_be_bytes());
    out.extend_from_slice(text);
}

/// Whether a topic is one that a filter asks for (section 4.7).
pub fn matches(filter: &[u8], topic: &[u8]) -> bool {
    let mut levels = topic.split(|&byte| byte == b'/');
    for wanted in filter.split(|&byte| byte == b'/') {
        if wanted == b"#" {
            return true;
        }
        match levels.next() {
            Some(level) if wanted == b"+" || wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

/// Puts packets together from pieces of a stream. It holds nothing between packets.
#[derive(Default)]
pub struct PacketReader {
    unfinished: Vec<u8>,
}

impl PacketReader {
    /// Hands each packet that is complete with this piece to `take`; the first error ends the stream.
    pub fn read(&mut self, bytes: &[u8], mut take: impl FnMut(Packet<'_>)) -> Result<(), &'static str> {
        if self.unfinished.is_empty() {
            let taken = each(bytes, &mut take)?;
            if taken < bytes.len() {
                self.unfinished.extend_from_slice(&bytes[taken..]);
            }
            return Ok(());
        }
        self.unfinished.extend_from_slice(bytes);
        let taken = each(&self.unfinished, &mut take)?;
        self.unfinished.drain(..taken);
        if self.unfinished.is_empty() {
            self.unfinished = Vec::new();
        }
        Ok(())
    }
}

fn each(bytes: &[u8], take: &mut impl FnMut(Packet<'_>)) -> Result<usize, &'static str> {
    let mut taken = 0;
    while let Some((packet, count)) = decode(&bytes[taken..])? {
        take(packet);
        taken += count;
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A packet of every kind out of these parts.
    fn packets<'a>(text: &'a [u8], payload: &'a [u8], number: u16, byte: u8) -> Vec<Packet<'a>> {
        vec![
            Packet::Connect { client_id: text, keep_alive: number, username: None, password: None },
            Packet::Connect { client_id: text, keep_alive: number, username: Some(text), password: Some(text) },
            Packet::Connack { code: byte },
            Packet::Publish { topic: text, packet_id: None, payload },
            Packet::Publish { topic: text, packet_id: Some(number), payload },
            Packet::Puback { packet_id: number },
            Packet::Subscribe { packet_id: number, filter: text, qos: byte },
            Packet::Suback { packet_id: number, code: byte },
            Packet::Pingreq,
            Packet::Pingresp,
            Packet::Disconnect,
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_however_it_is_cut(
            text in prop::collection::vec(any::<u8>(), 0..300),
            payload in prop::collection::vec(any::<u8>(), 0..20_000),
            (number, byte) in any::<(u16, u8)>(),
            size in 1usize..2_000,
        ) {
            let packets = packets(&text, &payload, number, byte);
            let mut stream = Vec::new();
            packets.iter().for_each(|packet| encode(packet, &mut stream));
            let (mut reader, mut read) = (PacketReader::default(), 0);
            for piece in stream.chunks(size) {
                let mut same = true;
                reader.read(piece, |packet| {
                    same &= packets.get(read) == Some(&packet);
                    read += 1;
                }).expect("well-formed");
                prop_assert!(same, "packet {}", read);
            }
            prop_assert_eq!(read, packets.len());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(Some((packet, taken))) = decode(&bytes) {
                prop_assert!(taken <= bytes.len());
                let mut again = Vec::new();
                encode(&packet, &mut again);
                prop_assert_eq!(decode(&again).expect("own bytes").map(|(packet, _)| packet), Some(packet));
            }
        }
    }

    #[test]
    fn the_standards_examples() {
        let mut out = Vec::new();
        encode(&Packet::Pingreq, &mut out);
        encode(&Packet::Subscribe { packet_id: 10, filter: b"a/b", qos: 1 }, &mut out);
        assert_eq!(out, b"\xc0\0\x82\x08\0\x0a\0\x03a/b\x01");
        assert_eq!(decode(b"\xff\xff\xff\xff\xff"), Err("MQTT length of more than four bytes"));
        assert_eq!(decode(b"\x20\x02\0"), Ok(None));
    }

    #[test]
    fn filters_match_as_the_standard_says() {
        for (filter, topic, expected) in [
            ("sport/#", "sport/tennis/player1", true),
            ("sport/#", "sport", true),
            ("sport/+", "sport/tennis", true),
            ("sport/+", "sport", false),
            ("sport/+", "sport/tennis/player1", false),
            ("a/b", "a/b", true),
            ("a/b", "a/bc", false),
        ] {
            assert_eq!(matches(filter.as_bytes(), topic.as_bytes()), expected, "{filter} {topic}");
        }
    }
}
