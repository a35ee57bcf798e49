//! Which types can be turned into which (HAProxy 2.6, asked with `haproxy -c`).

use super::super::model::SampleType;

/// Whether some value of type `from` can be cast to `to`.
pub fn is_possible(from: SampleType, to: SampleType) -> bool {
    use SampleType::*;
    if from == Any || to == Any || from == to {
        return true;
    }
    match to {
        Any | Text | Binary => true,
        Bool => matches!(from, Integer | Text),
        Integer => matches!(from, Bool | Ipv4 | Address | Text),
        Address | Ipv4 | Ipv6 => matches!(from, Integer | Ipv4 | Ipv6 | Address | Text),
        Method => matches!(from, Text | Binary),
    }
}

/// As messages call a type.
pub fn title(of: SampleType) -> &'static str {
    match of {
        SampleType::Any => "any type",
        SampleType::Bool => "a boolean",
        SampleType::Integer => "an integer",
        SampleType::Address | SampleType::Ipv4 | SampleType::Ipv6 => "an address",
        SampleType::Text => "a string",
        SampleType::Binary => "binary data",
        SampleType::Method => "a method",
    }
}
