//! The first packets of an MQTT connection: CONNECT and CONNACK of MQTT 3.1, 3.1.1 and 5.0
//! (configuration.txt section 7.3.1, `mqtt_is_valid`, `mqtt_field_value`).

use super::Sample;
use crate::config::model::MqttField;

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;

const USERNAME: u8 = 0x80;
const PASSWORD: u8 = 0x40;
const WILL_RETAIN: u8 = 0x20;
const WILL_QOS: u8 = 0x18;
const WILL: u8 = 0x04;
const RESERVED: u8 = 0x01;

/// What can be said of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Read<P> {
    Packet(P),
    /// The packet has not come whole.
    Incomplete,
    Invalid,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Connect<'a> {
    protocol_name: &'a [u8],
    version: u8,
    flags: u8,
    keepalive_s: u16,
    properties: &'a [u8],
    client_identifier: &'a [u8],
    will_properties: &'a [u8],
    will_topic: Option<&'a [u8]>,
    will_payload: Option<&'a [u8]>,
    username: Option<&'a [u8]>,
    password: Option<&'a [u8]>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Connack<'a> {
    version: u8,
    flags: u8,
    reason_code: u8,
    properties: &'a [u8],
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }
    fn two_bytes(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }
    fn four_bytes(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
    /// A string or binary data with its length before it.
    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.two_bytes()?;
        self.take(usize::from(length))
    }
    /// A variable byte integer (MQTT 5 section 1.5.5); `None` also when it is longer than four bytes.
    fn variable(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
    fn properties(&mut self) -> Option<&'a [u8]> {
        let length = self.variable()?;
        self.take(length)
    }
}

/// The packet that begins with the byte `first`: what follows its fixed header.
fn body(bytes: &[u8], first: u8) -> Read<&[u8]> {
    match bytes.first() {
        None => return Read::Incomplete,
        Some(kind) if *kind != first => return Read::Invalid,
        Some(_) => {}
    }
    let mut reader = Reader(bytes.get(1..).unwrap_or_default());
    let Some(length) = reader.variable() else {
        return if bytes.len() > 4 { Read::Invalid } else { Read::Incomplete };
    };
    // What follows the first packet is not looked at.
    reader.take(length).map_or(Read::Incomplete, Read::Packet)
}

fn connect(bytes: &[u8]) -> Read<Connect<'_>> {
    match body(bytes, CONNECT) {
        Read::Packet(body) => read_connect(body).map_or(Read::Invalid, Read::Packet),
        Read::Incomplete => Read::Incomplete,
        Read::Invalid => Read::Invalid,
    }
}

fn read_connect(body: &[u8]) -> Option<Connect<'_>> {
    let mut reader = Reader(body);
    let mut packet = Connect { protocol_name: reader.text()?, version: reader.byte()?, ..Connect::default() };
    let is_known = match packet.version {
        3 => packet.protocol_name == b"MQIsdp",
        4 | 5 => packet.protocol_name == b"MQTT",
        _ => false,
    };
    packet.flags = reader.byte()?;
    if !is_known || !are_flags_valid(packet.flags, packet.version) {
        return None;
    }
    packet.keepalive_s = reader.two_bytes()?;
    if packet.version == 5 {
        packet.properties = checked(reader.properties()?)?;
    }
    packet.client_identifier = reader.text()?;
    // 3.1 asks for 1 to 23 characters; the others let a server take any, and none with a clean session.
    if packet.version == 3 && !(1..=23).contains(&packet.client_identifier.len()) {
        return None;
    }
    if packet.flags & WILL != 0 {
        if packet.version == 5 {
            packet.will_properties = checked(reader.properties()?)?;
        }
        packet.will_topic = Some(reader.text()?);
        packet.will_payload = Some(reader.text()?);
    }
    if packet.flags & USERNAME != 0 {
        packet.username = Some(reader.text()?);
    }
    if packet.flags & PASSWORD != 0 {
        packet.password = Some(reader.text()?);
    }
    reader.0.is_empty().then_some(packet)
}

/// MQTT 3.1.1 section 3.1.2.3, MQTT 5 section 3.1.2.3.
fn are_flags_valid(flags: u8, version: u8) -> bool {
    let has_will = flags & WILL != 0;
    let will_is_sound = if has_will { flags & WILL_QOS != WILL_QOS } else { flags & (WILL_QOS | WILL_RETAIN) == 0 };
    let password_is_sound = version == 5 || flags & PASSWORD == 0 || flags & USERNAME != 0;
    flags & RESERVED == 0 && will_is_sound && password_is_sound
}

fn connack(bytes: &[u8]) -> Read<Connack<'_>> {
    match body(bytes, CONNACK) {
        Read::Packet(body) => read_connack(body).map_or(Read::Invalid, Read::Packet),
        Read::Incomplete => Read::Incomplete,
        Read::Invalid => Read::Invalid,
    }
}

fn read_connack(body: &[u8]) -> Option<Connack<'_>> {
    let mut reader = Reader(body);
    let mut packet = Connack { version: 4, flags: reader.byte()?, reason_code: reader.byte()?, ..Connack::default() };
    if packet.flags & !1 != 0 {
        return None;
    }
    // Only MQTT 5 has more than the two bytes.
    if !reader.0.is_empty() {
        packet.version = 5;
        packet.properties = checked(reader.properties()?)?;
    }
    reader.0.is_empty().then_some(packet)
}

/// A property's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Property<'a> {
    Number(u32),
    Bytes(&'a [u8]),
}

/// The next property: its number and value (MQTT 5 section 2.2.2.2).
fn next_property<'a>(reader: &mut Reader<'a>) -> Option<(u8, Property<'a>)> {
    let number = u8::try_from(reader.variable()?).ok()?;
    let value = match number {
        1 | 23 | 25 | 36 | 37 | 40 | 41 | 42 => Property::Number(u32::from(reader.byte()?)),
        19 | 33 | 34 | 35 => Property::Number(u32::from(reader.two_bytes()?)),
        2 | 17 | 24 | 39 => Property::Number(reader.four_bytes()?),
        3 | 8 | 9 | 18 | 21 | 22 | 26 | 28 | 31 => Property::Bytes(reader.text()?),
        11 => Property::Number(u32::try_from(reader.variable()?).ok()?),
        // A pair of strings, of which any number may come.
        38 => {
            reader.text()?;
            Property::Bytes(reader.text()?)
        }
        _ => return None,
    };
    Some((number, value))
}

/// `properties`, when they can be read to their end and only user properties repeat.
fn checked(properties: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader(properties);
    let mut seen = 0u64;
    while !reader.0.is_empty() {
        let (number, _) = next_property(&mut reader)?;
        let bit = 1u64.checked_shl(u32::from(number))?;
        if number != 38 && seen & bit != 0 {
            return None;
        }
        seen |= bit;
    }
    Some(properties)
}

fn property(properties: &[u8], wanted: u8) -> Option<Property<'_>> {
    let mut reader = Reader(properties);
    while !reader.0.is_empty() {
        let (number, value) = next_property(&mut reader)?;
        if number == wanted {
            return Some(value);
        }
    }
    None
}

/// Whether the bytes begin with a valid CONNECT or CONNACK. `None`: not whole yet.
pub fn is_valid(bytes: &[u8]) -> Option<bool> {
    if bytes.len() < 2 {
        return None;
    }
    let read = match bytes.first() {
        Some(&CONNACK) => match connack(bytes) {
            Read::Packet(_) => Read::Packet(()),
            Read::Incomplete => Read::Incomplete,
            Read::Invalid => Read::Invalid,
        },
        _ => match connect(bytes) {
            Read::Packet(_) => Read::Packet(()),
            Read::Incomplete => Read::Incomplete,
            Read::Invalid => Read::Invalid,
        },
    };
    match read {
        Read::Packet(()) => Some(true),
        Read::Invalid => Some(false),
        Read::Incomplete => None,
    }
}

fn number(value: impl Into<i64>) -> Option<Sample<'static>> {
    Some(Sample::owned_text(super::cast::decimal(value.into())))
}

fn property_sample(found: Property<'_>) -> Option<Sample<'_>> {
    match found {
        Property::Number(value) => number(value),
        Property::Bytes(bytes) => Some(Sample::text(bytes)),
    }
}

/// A field of the packet, as text.
pub fn field(bytes: &[u8], wanted: MqttField) -> Option<Sample<'_>> {
    use MqttField::*;
    let of_connect = || match connect(bytes) {
        Read::Packet(packet) => Some(packet),
        _ => None,
    };
    let of_connack = || match connack(bytes) {
        Read::Packet(packet) => Some(packet),
        _ => None,
    };
    match wanted {
        ConnectFlags => number(of_connect()?.flags),
        ConnectProtocolName => Some(Sample::text(of_connect()?.protocol_name)),
        ConnectProtocolVersion => number(of_connect()?.version),
        ConnectClientIdentifier => Some(Sample::text(of_connect()?.client_identifier)),
        ConnectWillTopic => of_connect()?.will_topic.map(Sample::text),
        ConnectWillPayload => of_connect()?.will_payload.map(Sample::text),
        ConnectUsername => of_connect()?.username.map(Sample::text),
        ConnectPassword => of_connect()?.password.map(Sample::text),
        ConnectKeepalive => number(of_connect()?.keepalive_s),
        ConnectProperty(wanted) => {
            let packet = of_connect()?;
            let own = property(packet.properties, wanted);
            property_sample(own.or_else(|| property(packet.will_properties, wanted))?)
        }
        ConnackFlags => number(of_connack()?.flags),
        ConnackProtocolVersion => number(of_connack()?.version),
        ConnackReasonCode => number(of_connack()?.reason_code),
        ConnackProperty(wanted) => property_sample(property(of_connack()?.properties, wanted)?),
    }
}
