//! HTTP/1 (RFC 9112), strict: what is ambiguous is refused.
