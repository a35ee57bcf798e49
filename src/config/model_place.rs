//! Where an expression stands: which rule sets, and so what can be fetched there.

/// A set of rule sets. An expression is allowed where one of its own places is among the asked ones (in a `listen`,
/// rules belong to a frontend and to a backend).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

/// Bits in the order of HAProxy's own table (`haproxy -dKsmp`), and how messages call them.
const NAMES: [&str; 22] = [
    "frontend tcp-request connection rule",
    "frontend tcp-request session rule",
    "frontend tcp-request content rule",
    "frontend http-request header rule",
    "frontend http-request body rule",
    "frontend use-backend rule",
    "backend tcp-request content rule",
    "backend http-request header rule",
    "backend http-request body rule",
    "backend use-server, balance or stick-match rule",
    "server source selection",
    "backend tcp-response content rule",
    "backend http-response header rule",
    "backend http-response body rule",
    "backend stick-store rule",
    "frontend tcp-response content rule",
    "frontend http-response header rule",
    "frontend http-response body rule",
    "logs",
    "backend tcp-check rule",
    "configuration parser",
    "CLI parser",
];

impl Place {
    /// Nothing is asked yet: an `acl` line.
    pub const ANY: Place = Place((1 << 22) - 1);
    pub const NONE: Place = Place(0);
    pub const TCP_REQUEST_CONNECTION: Place = Place::bit(0);
    pub const TCP_REQUEST_SESSION: Place = Place::bit(1);
    /// `use_backend`, and `log-format` strings that are backend names.
    pub const USE_BACKEND: Place = Place::bit(5);
    /// `use-server`, `balance`, `force-persist` …
    pub const USE_SERVER: Place = Place::bit(9);
    pub const SERVER_SOURCE: Place = Place::bit(10);
    pub const LOG: Place = Place::bit(18);
    pub const CHECK: Place = Place::bit(19);
    /// `set-var` of the global section.
    pub const CONFIGURATION: Place = Place::bit(20);

    const fn bit(number: u32) -> Place {
        Place(1 << number)
    }
    const fn side(frontend: (bool, u32), backend: (bool, u32)) -> Place {
        Place(((frontend.0 as u32) << frontend.1) | ((backend.0 as u32) << backend.1))
    }

    /// `tcp-request content` of a proxy with these halves.
    pub const fn tcp_request_content(frontend: bool, backend: bool) -> Place {
        Place::side((frontend, 2), (backend, 6))
    }
    /// `http-request`, `redirect`, `block`, `reqrep` …, `unique-id-format`.
    pub const fn http_request(frontend: bool, backend: bool) -> Place {
        Place::side((frontend, 3), (backend, 7))
    }
    pub const fn tcp_response_content(frontend: bool, backend: bool) -> Place {
        Place::side((frontend, 15), (backend, 11))
    }
    /// `http-response`, `http-after-response`.
    pub const fn http_response(frontend: bool, backend: bool) -> Place {
        Place::side((frontend, 16), (backend, 12))
    }

    pub const fn or(self, other: Place) -> Place {
        Place(self.0 | other.0)
    }
    /// Whether the two have a rule set in common.
    pub const fn meets(self, other: Place) -> bool {
        self.0 & other.0 != 0
    }

    /// The bits as HAProxy prints them: `Y` or `.`, 22 of them.
    pub(super) const fn of_pattern(pattern: &str) -> Place {
        let bytes = pattern.as_bytes();
        let mut bits = 0;
        let mut index = 0;
        while index < bytes.len() {
            if bytes[index] == b'Y' {
                bits |= 1 << index;
            }
            index += 1;
        }
        Place(bits)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = NAMES.iter().enumerate().filter(|(index, _)| self.0 & (1 << index) != 0).map(|(_, name)| *name);
        f.write_str(&names.collect::<Vec<_>>().join(" or "))
    }
}
