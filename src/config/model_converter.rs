//! Compiled converters (configuration.txt section 7.3.1).

use super::model_patterns::PatternView;
use super::model_sample::{Operand, SampleType, TextOperand, TimeUnit, Value, VariableName};
use std::net::{Ipv4Addr, Ipv6Addr};

/// One step of an expression: what its input is cast to, and what is done.
#[derive(Clone, Debug)]
pub struct Converter {
    pub input: SampleType,
    pub step: Step,
}

/// What a converter does.
#[derive(Clone, Debug)]
pub enum Step {
    Arithmetic(Arithmetic, Operand),
    Negate,
    Complement,
    IsOdd,
    IsEven,
    IsNonZero,
    IsZero,
    Choose {
        yes: Box<[u8]>,
        no: Box<[u8]>,
    },
    Lower,
    Upper,
    Length,
    CutAtLineEnd,
    TrimStart(Box<[u8]>),
    TrimEnd(Box<[u8]>),
    /// `bytes(offset[,length])`
    Bytes {
        offset: i64,
        length: Option<i64>,
    },
    /// `field` and `word`: `index` is not 0; `count` 0 is all that remain.
    Piece {
        index: i64,
        delimiters: Box<[u8]>,
        count: i64,
        are_delimiters_skipped: bool,
    },
    /// `concat`, and `add_item` with its delimiter.
    Concatenate {
        delimiter: Option<Box<[u8]>>,
        start: Box<[u8]>,
        variable: Option<VariableName>,
        end: Box<[u8]>,
    },
    Replace {
        regex: regex::bytes::Regex,
        /// With `\1` references.
        with: Box<[u8]>,
        is_global: bool,
    },
    Compare(VariableName),
    SecureCompare(VariableName),
    Hex,
    HexToInteger,
    ToDecimals(Grouping),
    ToHex(Grouping),
    NetworkOrder,
    Base64,
    Base64Decode,
    Base64Url,
    Base64UrlDecode,
    Json(JsonInput),
    JsonQuery {
        path: Box<[JsonStep]>,
        is_integer: bool,
    },
    /// `url_dec`: whether `+` is a blank everywhere, or only behind a `?`.
    UrlDecode {
        is_form: bool,
    },
    UrlEncode,
    IpMask(Ipv4Addr, Option<Ipv6Addr>),
    HostOnly,
    PortOnly,
    HttpDate {
        offset: i64,
        unit: TimeUnit,
    },
    FormatTime {
        format: String,
        offset: i64,
        is_local: bool,
    },
    Hash(HashKind),
    Digest(DigestKind),
    Hmac(DigestKind, TextOperand),
    Language {
        values: Box<[Box<[u8]>]>,
        default: Option<Box<[u8]>>,
    },
    MqttIsValid,
    MqttField(MqttField),
    FixIsValid,
    FixTag(u64),
    /// `nbsrv`: the input is a backend's name.
    UsableServers,
    /// `srv_queue`: the input is `server` or `backend/server`.
    ServerQueue,
    SetVariable(VariableName, SetConditions),
    UnsetVariable(VariableName),
    Map(MapUse),
    /// The input is a key of a stick table.
    Table(Box<super::model::TableLookup>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    And,
    Or,
    ExclusiveOr,
}

/// `be2dec`, `be2hex`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    pub separator: Box<[u8]>,
    /// 0: no groups.
    pub group_bytes: usize,
    /// A group that is not full is left out.
    pub is_truncated: bool,
}

/// How the input of `json` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonInput {
    Ascii,
    Utf8 { are_errors_skipped: bool, are_overlong_forms_read: bool },
}

/// A step of a JSON path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonStep {
    Key(String),
    Index(usize),
}

/// Hashes of the balancer, and xxHash with its seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashKind {
    Crc32 { avalanche: bool },
    Crc32c { avalanche: bool },
    Djb2 { avalanche: bool },
    Sdbm { avalanche: bool },
    Wt6 { avalanche: bool },
    Xxh32 { seed: u32 },
    Xxh64 { seed: u64 },
    Xxh3 { seed: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestKind {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// What `mqtt_field_value` takes out of a CONNECT or CONNACK packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MqttField {
    ConnectFlags,
    ConnectProtocolName,
    ConnectProtocolVersion,
    ConnectClientIdentifier,
    ConnectWillTopic,
    ConnectWillPayload,
    ConnectUsername,
    ConnectPassword,
    ConnectKeepalive,
    /// A property's number (MQTT 5 section 2.2.2.2).
    ConnectProperty(u8),
    ConnackFlags,
    ConnackProtocolVersion,
    ConnackReasonCode,
    ConnackProperty(u8),
}

/// The conditions of `set-var`; all must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetConditions {
    pub if_exists: bool,
    pub if_not_exists: bool,
    pub if_empty: bool,
    pub if_not_empty: bool,
    pub if_set: bool,
    pub if_not_set: bool,
    pub if_greater: bool,
    pub if_less: bool,
}

/// A `map_*` converter: where keys are looked up, and what becomes of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapUse {
    pub view: PatternView,
    /// `map_regm`: the value's `\\1` are what the groups of the key matched.
    pub has_groups: bool,
    pub output: MapOutput,
    pub default: Option<Value>,
}

/// What the values of a map are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapOutput {
    Text,
    Integer,
    Address,
}
