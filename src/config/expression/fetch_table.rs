//! Every fetch: its arguments, what it gives, and where it is available. Types and places are those that HAProxy 2.6
//! prints (`haproxy -dKsmp`).

use super::super::model::*;
use super::Make;
use super::arguments::Kind::{self, Integer as I, Text as T};
use super::fetch_parts::*;
use super::stick_table_rows;
use MessageSide::{Current, Request, Response};
use SampleType as Type;

/// One fetch.
pub struct FetchRow {
    pub name: &'static str,
    pub kinds: &'static [Kind],
    pub required: usize,
    pub output: SampleType,
    /// See [`Place::of_pattern`].
    pub places: &'static str,
    pub make: Make<Fetch>,
}

const fn row(
    name: &'static str,
    kinds: &'static [Kind],
    required: usize,
    output: SampleType,
    places: &'static str,
    make: Make<Fetch>,
) -> FetchRow {
    FetchRow { name, kinds, required, output, places, make }
}

const ALWAYS: &str = "YYYYYYYYYYYYYYYYYYYYYY";
/// Not while the file is read.
const RUNNING: &str = "YYYYYYYYYYYYYYYYYYYY.Y";
/// With a client.
const CLIENT: &str = "YYYYYYYYYYYYYYYYYYYY..";
const FRONT: &str = "YYYYYYYYYYYYYYYYYYY...";
/// In a stream, with what outlives the messages.
const STREAM: &str = "..YYYYYYYYYYYYYYYYY...";
const REQUEST: &str = "..YYYYYYYYY...........";
const RESPONSE: &str = "...........YYYYYYY.Y..";
const EITHER: &str = "..YYYYYYYYYYYYYYYY.Y..";
const BACK: &str = "......YYYYYYYYYYYYYY..";
const SERVER: &str = "..........YYYYYYYYYY..";
/// Once a server was connected to.
const ANSWERED: &str = "...........YYYYYYYYY..";

const ROWS: &[&[FetchRow]] = &[
    INTERNAL,
    PROXIES,
    CONNECTIONS,
    PAYLOADS,
    HTTP,
    HEADERS,
    stick_table_rows::OF_COUNTERS,
    stick_table_rows::OF_SOURCE,
    stick_table_rows::OF_ELEMENTS,
    stick_table_rows::OF_TABLES,
];

pub fn find(name: &str) -> Option<&'static FetchRow> {
    ROWS.iter().flat_map(|rows| rows.iter()).find(|row| row.name == name)
}

pub fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().flat_map(|rows| rows.iter()).map(|row| row.name)
}

/// configuration.txt section 7.3.2
const INTERNAL: &[FetchRow] = &[
    row("always_false", &[], 0, Type::Bool, ALWAYS, |_| constant(Value::Bool(false))),
    row("always_true", &[], 0, Type::Bool, ALWAYS, |_| constant(Value::Bool(true))),
    row("bin", &[T], 1, Type::Binary, ALWAYS, binary),
    row("bool", &[T], 1, Type::Bool, ALWAYS, boolean),
    row("date", &[I, T], 0, Type::Integer, ALWAYS, date),
    row("date_us", &[], 0, Type::Integer, ALWAYS, |_| Ok(Fetch::Process(ProcessFetch::DateMicroseconds))),
    row("env", &[T], 1, Type::Text, ALWAYS, environment),
    row("hostname", &[], 0, Type::Text, ALWAYS, |_| Ok(Fetch::Process(ProcessFetch::Hostname))),
    row("int", &[I], 1, Type::Integer, ALWAYS, integer),
    row("ipv4", &[T], 1, Type::Ipv4, ALWAYS, ipv4),
    row("ipv6", &[T], 1, Type::Ipv6, ALWAYS, ipv6),
    row("last_rule_file", &[], 0, Type::Text, RUNNING, |_| Ok(Fetch::Exchange(ExchangeFetch::LastRuleFile))),
    row("last_rule_line", &[], 0, Type::Integer, RUNNING, |_| Ok(Fetch::Exchange(ExchangeFetch::LastRuleLine))),
    row("meth", &[T], 1, Type::Method, ALWAYS, method),
    // One process, as the manual says of `proc`.
    row("nbproc", &[], 0, Type::Integer, ALWAYS, |_| constant(Value::Integer(1))),
    row("proc", &[], 0, Type::Integer, ALWAYS, |_| constant(Value::Integer(1))),
    row("rand", &[I], 0, Type::Integer, ALWAYS, random),
    row("stopping", &[], 0, Type::Bool, RUNNING, |_| Ok(Fetch::Process(ProcessFetch::Stopping))),
    row("str", &[T], 0, Type::Text, ALWAYS, text),
    row("thread", &[], 0, Type::Integer, ALWAYS, |_| Ok(Fetch::Process(ProcessFetch::Thread))),
    row("uuid", &[I], 0, Type::Text, ALWAYS, uuid),
    row("var", &[T, T], 1, Type::Any, ALWAYS, variable),
];

/// Figures of proxies and servers: sections 7.3.2 and 7.3.3.
const PROXIES: &[FetchRow] = &[
    row("avg_queue", &[T], 0, Type::Integer, RUNNING, |a| backend(BackendFigure::AverageQueue, a)),
    row("be_conn", &[T], 0, Type::Integer, RUNNING, |a| backend(BackendFigure::Connections, a)),
    row("be_conn_free", &[T], 0, Type::Integer, RUNNING, |a| backend(BackendFigure::FreeConnections, a)),
    row("be_id", &[], 0, Type::Integer, BACK, |_| own_backend(BackendFigure::Id)),
    row("be_name", &[], 0, Type::Text, BACK, |_| own_backend(BackendFigure::Name)),
    row("be_server_timeout", &[], 0, Type::Integer, BACK, |_| own_backend(BackendFigure::ServerTimeout)),
    row("be_sess_rate", &[T], 0, Type::Integer, RUNNING, |a| backend(BackendFigure::SessionRate, a)),
    row("be_tunnel_timeout", &[], 0, Type::Integer, BACK, |_| own_backend(BackendFigure::TunnelTimeout)),
    row("connslots", &[T], 0, Type::Integer, RUNNING, |a| backend(BackendFigure::ConnectionSlots, a)),
    row("cur_client_timeout", &[], 0, Type::Integer, FRONT, |_| exchange(ExchangeFetch::CurrentClientTimeout)),
    row("cur_server_timeout", &[], 0, Type::Integer, BACK, |_| exchange(ExchangeFetch::CurrentServerTimeout)),
    row("cur_tunnel_timeout", &[], 0, Type::Integer, BACK, |_| exchange(ExchangeFetch::CurrentTunnelTimeout)),
    row("fe_client_timeout", &[], 0, Type::Integer, FRONT, |_| own_frontend(FrontendFigure::ClientTimeout)),
    row("fe_conn", &[T], 0, Type::Integer, RUNNING, |a| frontend(FrontendFigure::Connections, a)),
    row("fe_defbe", &[], 0, Type::Text, FRONT, |_| own_frontend(FrontendFigure::DefaultBackend)),
    row("fe_id", &[], 0, Type::Integer, FRONT, |_| own_frontend(FrontendFigure::Id)),
    row("fe_name", &[], 0, Type::Text, FRONT, |_| own_frontend(FrontendFigure::Name)),
    row("fe_req_rate", &[T], 0, Type::Integer, RUNNING, |a| frontend(FrontendFigure::RequestRate, a)),
    row("fe_sess_rate", &[T], 0, Type::Integer, RUNNING, |a| frontend(FrontendFigure::SessionRate, a)),
    row("nbsrv", &[T], 0, Type::Integer, RUNNING, |a| backend(BackendFigure::UsableServers, a)),
    row("queue", &[T], 0, Type::Integer, RUNNING, |a| backend(BackendFigure::Queue, a)),
    row("srv_conn", &[T], 1, Type::Integer, RUNNING, |a| server(ServerFigure::Connections, a)),
    row("srv_conn_free", &[T], 1, Type::Integer, RUNNING, |a| server(ServerFigure::FreeConnections, a)),
    row("srv_id", &[], 0, Type::Integer, SERVER, |_| exchange(ExchangeFetch::ServerId)),
    row("srv_is_up", &[T], 1, Type::Bool, RUNNING, |a| server(ServerFigure::IsUp, a)),
    row("srv_iweight", &[T], 1, Type::Integer, RUNNING, |a| server(ServerFigure::InitialWeight, a)),
    row("srv_name", &[], 0, Type::Text, SERVER, |_| exchange(ExchangeFetch::ServerName)),
    row("srv_queue", &[T], 1, Type::Integer, RUNNING, |a| server(ServerFigure::Queue, a)),
    row("srv_sess_rate", &[T], 1, Type::Integer, RUNNING, |a| server(ServerFigure::SessionRate, a)),
    row("srv_uweight", &[T], 1, Type::Integer, RUNNING, |a| server(ServerFigure::UserWeight, a)),
    row("srv_weight", &[T], 1, Type::Integer, RUNNING, |a| server(ServerFigure::Weight, a)),
];

fn exchange(of: ExchangeFetch) -> Result<Fetch, String> {
    Ok(Fetch::Exchange(of))
}

fn connection(of: ConnectionFetch) -> Result<Fetch, String> {
    Ok(Fetch::Connection(of))
}

/// configuration.txt section 7.3.3
const CONNECTIONS: &[FetchRow] = &[
    row("bc_dst", &[], 0, Type::Address, ANSWERED, |_| connection(ConnectionFetch::ServerDestination)),
    row("bc_dst_port", &[], 0, Type::Integer, ANSWERED, |_| connection(ConnectionFetch::ServerDestinationPort)),
    row("bc_http_major", &[], 0, Type::Integer, ANSWERED, |_| connection(ConnectionFetch::BackendHttpMajor)),
    row("bc_reused", &[], 0, Type::Bool, ANSWERED, |_| connection(ConnectionFetch::IsReused)),
    row("bc_rtt", &[T], 0, Type::Integer, ANSWERED, |a| round_trip(a, true, false)),
    row("bc_rttvar", &[T], 0, Type::Integer, ANSWERED, |a| round_trip(a, true, true)),
    row("bc_src", &[], 0, Type::Address, ANSWERED, |_| connection(ConnectionFetch::ServerSource)),
    row("bc_src_port", &[], 0, Type::Integer, ANSWERED, |_| connection(ConnectionFetch::ServerSourcePort)),
    row("dst", &[], 0, Type::Address, CLIENT, |_| connection(ConnectionFetch::Destination)),
    row("dst_conn", &[], 0, Type::Integer, FRONT, |_| connection(ConnectionFetch::ListenerConnections)),
    row("dst_port", &[], 0, Type::Integer, CLIENT, |_| connection(ConnectionFetch::DestinationPort)),
    row("fc_http_major", &[], 0, Type::Integer, CLIENT, |_| connection(ConnectionFetch::FrontendHttpMajor)),
    row("fc_rtt", &[T], 0, Type::Integer, CLIENT, |a| round_trip(a, false, false)),
    row("fc_rttvar", &[T], 0, Type::Integer, CLIENT, |a| round_trip(a, false, true)),
    row("so_id", &[], 0, Type::Integer, FRONT, |_| connection(ConnectionFetch::ListenerId)),
    row("so_name", &[], 0, Type::Text, FRONT, |_| connection(ConnectionFetch::ListenerName)),
    row("src", &[], 0, Type::Address, CLIENT, |_| connection(ConnectionFetch::Source)),
    row("src_port", &[], 0, Type::Integer, CLIENT, |_| connection(ConnectionFetch::SourcePort)),
];

fn payload_of(of: PayloadFetch) -> Result<Fetch, String> {
    Ok(Fetch::Payload(of))
}

/// configuration.txt section 7.3.5
const PAYLOADS: &[FetchRow] = &[
    row("payload", &[I, I], 2, Type::Binary, EITHER, |a| payload(a, Current)),
    row("payload_lv", &[I, I, T], 2, Type::Binary, EITHER, |a| payload_lv(a, Current)),
    row("rdp_cookie", &[T], 0, Type::Text, REQUEST, |a| rdp_cookie(a, false)),
    row("rdp_cookie_cnt", &[T], 0, Type::Integer, REQUEST, |a| rdp_cookie(a, true)),
    row("rep_ssl_hello_type", &[], 0, Type::Integer, RESPONSE, |_| payload_of(PayloadFetch::TlsHelloType(Response))),
    row("req.len", &[], 0, Type::Integer, REQUEST, |_| payload_of(PayloadFetch::Length(Request))),
    row("req.payload", &[I, I], 2, Type::Binary, REQUEST, |a| payload(a, Request)),
    row("req.payload_lv", &[I, I, T], 2, Type::Binary, REQUEST, |a| payload_lv(a, Request)),
    row("req.proto_http", &[], 0, Type::Bool, STREAM, |_| payload_of(PayloadFetch::IsHttp)),
    row("req.rdp_cookie", &[T], 0, Type::Text, REQUEST, |a| rdp_cookie(a, false)),
    row("req.rdp_cookie_cnt", &[T], 0, Type::Integer, REQUEST, |a| rdp_cookie(a, true)),
    row("req.ssl_alpn", &[], 0, Type::Text, REQUEST, |_| payload_of(PayloadFetch::TlsAlpn)),
    row("req.ssl_ec_ext", &[], 0, Type::Bool, REQUEST, |_| payload_of(PayloadFetch::TlsHasEllipticCurves)),
    row("req.ssl_hello_type", &[], 0, Type::Integer, REQUEST, |_| payload_of(PayloadFetch::TlsHelloType(Request))),
    row("req.ssl_sni", &[], 0, Type::Text, REQUEST, |_| payload_of(PayloadFetch::TlsServerName)),
    row("req.ssl_st_ext", &[], 0, Type::Integer, REQUEST, |_| payload_of(PayloadFetch::TlsSessionTicket)),
    row("req.ssl_ver", &[], 0, Type::Integer, REQUEST, |_| payload_of(PayloadFetch::TlsVersion)),
    row("req_len", &[], 0, Type::Integer, REQUEST, |_| payload_of(PayloadFetch::Length(Request))),
    row("req_proto_http", &[], 0, Type::Bool, STREAM, |_| payload_of(PayloadFetch::IsHttp)),
    row("req_ssl_hello_type", &[], 0, Type::Integer, REQUEST, |_| payload_of(PayloadFetch::TlsHelloType(Request))),
    row("req_ssl_sni", &[], 0, Type::Text, REQUEST, |_| payload_of(PayloadFetch::TlsServerName)),
    row("req_ssl_ver", &[], 0, Type::Integer, REQUEST, |_| payload_of(PayloadFetch::TlsVersion)),
    row("res.cache_hit", &[], 0, Type::Bool, SERVER, |_| exchange(ExchangeFetch::IsCacheHit)),
    row("res.cache_name", &[], 0, Type::Text, SERVER, |_| exchange(ExchangeFetch::CacheName)),
    row("res.len", &[], 0, Type::Integer, RESPONSE, |_| payload_of(PayloadFetch::Length(Response))),
    row("res.payload", &[I, I], 2, Type::Binary, RESPONSE, |a| payload(a, Response)),
    row("res.payload_lv", &[I, I, T], 2, Type::Binary, RESPONSE, |a| payload_lv(a, Response)),
    row("res.ssl_hello_type", &[], 0, Type::Integer, RESPONSE, |_| payload_of(PayloadFetch::TlsHelloType(Response))),
    row("wait_end", &[], 0, Type::Bool, RUNNING, |_| payload_of(PayloadFetch::WaitEnd)),
];

fn url(part: UrlPart) -> Result<Fetch, String> {
    Ok(Fetch::Url(part))
}

fn message(side: MessageSide, part: MessagePart) -> Result<Fetch, String> {
    Ok(Fetch::Message(side, part))
}

/// configuration.txt section 7.3.6, without headers and cookies.
const HTTP: &[FetchRow] = &[
    row("base", &[], 0, Type::Text, REQUEST, |_| url(UrlPart::Base)),
    row("base32", &[], 0, Type::Integer, REQUEST, |_| url(UrlPart::Base32)),
    row("base32+src", &[], 0, Type::Binary, REQUEST, |_| url(UrlPart::Base32AndSource)),
    row("baseq", &[], 0, Type::Text, REQUEST, |_| url(UrlPart::BaseAndQuery)),
    row("capture.req.hdr", &[I], 1, Type::Text, STREAM, |a| capture(a, ExchangeFetch::CapturedRequestHeader)),
    row("capture.req.method", &[], 0, Type::Text, STREAM, |_| exchange(ExchangeFetch::CapturedMethod)),
    row("capture.req.uri", &[], 0, Type::Text, STREAM, |_| exchange(ExchangeFetch::CapturedUri)),
    row("capture.req.ver", &[], 0, Type::Text, STREAM, |_| exchange(ExchangeFetch::CapturedRequestVersion)),
    row("capture.res.hdr", &[I], 1, Type::Text, ANSWERED, |a| capture(a, ExchangeFetch::CapturedResponseHeader)),
    row("capture.res.ver", &[], 0, Type::Text, STREAM, |_| exchange(ExchangeFetch::CapturedResponseVersion)),
    row("http_auth", &[T], 1, Type::Bool, REQUEST, |a| {
        userlist(a, |userlist| AuthorizationFetch::IsValid { userlist })
    }),
    row("http_auth_bearer", &[T], 0, Type::Text, REQUEST, bearer),
    row("http_auth_group", &[T], 1, Type::Text, REQUEST, |a| {
        userlist(a, |userlist| AuthorizationFetch::ValidUser { userlist })
    }),
    row("http_auth_pass", &[], 0, Type::Text, REQUEST, |_| Ok(Fetch::Authorization(AuthorizationFetch::Password))),
    row("http_auth_type", &[], 0, Type::Text, REQUEST, |_| Ok(Fetch::Authorization(AuthorizationFetch::Type))),
    row("http_auth_user", &[], 0, Type::Text, REQUEST, |_| Ok(Fetch::Authorization(AuthorizationFetch::User))),
    row("http_first_req", &[], 0, Type::Bool, STREAM, |_| exchange(ExchangeFetch::IsFirstRequest)),
    row("method", &[], 0, Type::Method, STREAM, |_| message(Request, MessagePart::Method)),
    row("path", &[], 0, Type::Text, REQUEST, |_| url(UrlPart::Path)),
    row("pathq", &[], 0, Type::Text, REQUEST, |_| url(UrlPart::PathAndQuery)),
    row("query", &[], 0, Type::Text, REQUEST, |_| url(UrlPart::Query)),
    row("req.body", &[], 0, Type::Binary, REQUEST, |_| message(Request, MessagePart::Body)),
    row("req.body_len", &[], 0, Type::Integer, REQUEST, |_| message(Request, MessagePart::BodyLength)),
    row("req.body_param", &[T], 0, Type::Binary, REQUEST, |a| parameter(a, true, false)),
    row("req.body_size", &[], 0, Type::Integer, REQUEST, |_| message(Request, MessagePart::BodySize)),
    row("req.ver", &[], 0, Type::Text, REQUEST, |_| message(Request, MessagePart::Version)),
    row("req_ver", &[], 0, Type::Text, REQUEST, |_| message(Request, MessagePart::Version)),
    row("res.body", &[], 0, Type::Binary, RESPONSE, |_| message(Response, MessagePart::Body)),
    row("res.body_len", &[], 0, Type::Integer, RESPONSE, |_| message(Response, MessagePart::BodyLength)),
    row("res.body_size", &[], 0, Type::Integer, RESPONSE, |_| message(Response, MessagePart::BodySize)),
    row("res.ver", &[], 0, Type::Text, RESPONSE, |_| message(Response, MessagePart::Version)),
    row("resp_ver", &[], 0, Type::Text, RESPONSE, |_| message(Response, MessagePart::Version)),
    row("status", &[], 0, Type::Integer, ANSWERED, |_| message(Response, MessagePart::Status)),
    row("unique-id", &[], 0, Type::Text, ALWAYS, |_| exchange(ExchangeFetch::UniqueId)),
    row("url", &[], 0, Type::Text, REQUEST, |_| url(UrlPart::Url)),
    row("url32", &[], 0, Type::Integer, REQUEST, |_| url(UrlPart::Url32)),
    row("url32+src", &[], 0, Type::Binary, REQUEST, |_| url(UrlPart::Url32AndSource)),
    row("url_ip", &[], 0, Type::Address, REQUEST, |_| url(UrlPart::Address)),
    row("url_param", &[T, T], 0, Type::Text, REQUEST, |a| parameter(a, false, false)),
    row("url_port", &[], 0, Type::Integer, REQUEST, |_| url(UrlPart::Port)),
    row("urlp", &[T, T], 0, Type::Text, REQUEST, |a| parameter(a, false, false)),
    row("urlp_val", &[T, T], 0, Type::Integer, REQUEST, |a| parameter(a, false, true)),
];

/// Headers and cookies.
const HEADERS: &[FetchRow] = &[
    row("cook", &[T], 0, Type::Text, REQUEST, |a| cookie(a, Request, Asked::Text)),
    row("cook_cnt", &[T], 0, Type::Integer, REQUEST, |a| cookie(a, Request, Asked::Count)),
    row("cook_val", &[T], 0, Type::Integer, REQUEST, |a| cookie(a, Request, Asked::Integer)),
    row("cookie", &[T], 0, Type::Text, EITHER, |a| cookie(a, Current, Asked::Text)),
    row("hdr", &[T, I], 0, Type::Text, EITHER, |a| header(a, Current, false, Asked::Text)),
    row("hdr_cnt", &[T], 0, Type::Integer, REQUEST, |a| header(a, Request, false, Asked::Count)),
    row("hdr_ip", &[T, I], 0, Type::Address, REQUEST, |a| header(a, Request, false, Asked::Address)),
    row("hdr_val", &[T, I], 0, Type::Integer, REQUEST, |a| header(a, Request, false, Asked::Integer)),
    row("req.cook", &[T], 0, Type::Text, REQUEST, |a| cookie(a, Request, Asked::Text)),
    row("req.cook_cnt", &[T], 0, Type::Integer, REQUEST, |a| cookie(a, Request, Asked::Count)),
    row("req.cook_val", &[T], 0, Type::Integer, REQUEST, |a| cookie(a, Request, Asked::Integer)),
    row("req.fhdr", &[T, I], 0, Type::Text, REQUEST, |a| header(a, Request, true, Asked::Text)),
    row("req.fhdr_cnt", &[T], 0, Type::Integer, REQUEST, |a| header(a, Request, true, Asked::Count)),
    row("req.hdr", &[T, I], 0, Type::Text, REQUEST, |a| header(a, Request, false, Asked::Text)),
    row("req.hdr_cnt", &[T], 0, Type::Integer, REQUEST, |a| header(a, Request, false, Asked::Count)),
    row("req.hdr_ip", &[T, I], 0, Type::Address, REQUEST, |a| header(a, Request, false, Asked::Address)),
    row("req.hdr_names", &[T], 0, Type::Text, REQUEST, |a| header_names(a, Request)),
    row("req.hdr_val", &[T, I], 0, Type::Integer, REQUEST, |a| header(a, Request, false, Asked::Integer)),
    row("req.hdrs", &[], 0, Type::Binary, REQUEST, |_| message(Request, MessagePart::Headers)),
    row("req.hdrs_bin", &[], 0, Type::Binary, REQUEST, |_| message(Request, MessagePart::HeadersBinary)),
    row("res.cook", &[T], 0, Type::Text, RESPONSE, |a| cookie(a, Response, Asked::Text)),
    row("res.cook_cnt", &[T], 0, Type::Integer, RESPONSE, |a| cookie(a, Response, Asked::Count)),
    row("res.cook_val", &[T], 0, Type::Integer, RESPONSE, |a| cookie(a, Response, Asked::Integer)),
    row("res.fhdr", &[T, I], 0, Type::Text, RESPONSE, |a| header(a, Response, true, Asked::Text)),
    row("res.fhdr_cnt", &[T], 0, Type::Integer, RESPONSE, |a| header(a, Response, true, Asked::Count)),
    row("res.hdr", &[T, I], 0, Type::Text, RESPONSE, |a| header(a, Response, false, Asked::Text)),
    row("res.hdr_cnt", &[T], 0, Type::Integer, RESPONSE, |a| header(a, Response, false, Asked::Count)),
    row("res.hdr_ip", &[T, I], 0, Type::Address, RESPONSE, |a| header(a, Response, false, Asked::Address)),
    row("res.hdr_names", &[T], 0, Type::Text, RESPONSE, |a| header_names(a, Response)),
    row("res.hdr_val", &[T, I], 0, Type::Integer, RESPONSE, |a| header(a, Response, false, Asked::Integer)),
    row("res.hdrs", &[], 0, Type::Binary, RESPONSE, |_| message(Response, MessagePart::Headers)),
    row("res.hdrs_bin", &[], 0, Type::Binary, RESPONSE, |_| message(Response, MessagePart::HeadersBinary)),
    row("scook", &[T], 0, Type::Text, RESPONSE, |a| cookie(a, Response, Asked::Text)),
    row("scook_cnt", &[T], 0, Type::Integer, RESPONSE, |a| cookie(a, Response, Asked::Count)),
    row("scook_val", &[T], 0, Type::Integer, RESPONSE, |a| cookie(a, Response, Asked::Integer)),
    row("set-cookie", &[T], 0, Type::Text, RESPONSE, |a| cookie(a, Response, Asked::Text)),
    row("shdr", &[T, I], 0, Type::Text, RESPONSE, |a| header(a, Response, false, Asked::Text)),
    row("shdr_cnt", &[T], 0, Type::Integer, RESPONSE, |a| header(a, Response, false, Asked::Count)),
    row("shdr_ip", &[T, I], 0, Type::Address, RESPONSE, |a| header(a, Response, false, Asked::Address)),
    row("shdr_val", &[T, I], 0, Type::Integer, RESPONSE, |a| header(a, Response, false, Asked::Integer)),
];
