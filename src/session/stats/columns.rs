//! The columns of `show stat`, in order. Monitoring tools read them by position, so this is HAProxy 2.6's set to the
//! letter, its module columns after the `-` included: each of them can be filled truthfully here. The columns that 3.x
//! appends before the `-` (management.txt calls their order free) would shift those module columns for nothing.

use super::row::RowKind;

macro_rules! columns {
    ($($column:ident $name:literal $tags:literal $description:literal;)*) => {
        /// A column by what it holds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Column { $($column,)* }
        /// All of them, by position.
        pub static COLUMNS: &[ColumnInfo] = &[
            $(ColumnInfo { column: Column::$column, name: $name, tags: $tags, description: $description },)*
        ];
    };
}

/// What is known about a column beside its value.
pub struct ColumnInfo {
    pub column: Column,
    /// As in the CSV header.
    pub name: &'static str,
    /// Origin, nature and scope of the value (management.txt section 9.2).
    tags: &'static str,
    pub description: &'static str,
}

impl ColumnInfo {
    /// The three letters of typed output; a few differ by kind of row.
    pub fn tags(&self, kind: RowKind) -> &'static str {
        match (self.column, kind) {
            (Column::Active | Column::Backup, RowKind::Backend) => "MGP",
            (Column::Rate | Column::RateMaximum, RowKind::Backend) => "MGP",
            _ => self.tags,
        }
    }
}

/// Columns before the `-` that ends the fixed part of a line.
pub const FIXED_COLUMNS: usize = Column::TlsSessions as usize;

#[rustfmt::skip]
mod list {
use super::*;
columns! {
    ProxyName "pxname" "KNS" "proxy";
    ServiceName "svname" "KNS" "FRONTEND, BACKEND, or the name of the server or listener";
    QueueCurrent "qcur" "MGP" "connections waiting in the queue now";
    QueueMaximum "qmax" "MMP" "most that ever waited at once";
    SessionsCurrent "scur" "MGP" "sessions now";
    SessionsMaximum "smax" "MMP" "most sessions at once";
    SessionsLimit "slim" "CLP" "maxconn, for a backend its fullconn";
    SessionsTotal "stot" "MCP" "sessions since start";
    BytesIn "bin" "MCP" "bytes from clients";
    BytesOut "bout" "MCP" "bytes to clients";
    DeniedRequests "dreq" "MCP" "requests denied by a rule";
    DeniedResponses "dresp" "MCP" "responses denied by a rule";
    RequestErrors "ereq" "MCP" "requests that were invalid or broken off";
    ConnectionErrors "econ" "MCP" "connections to servers that failed";
    ResponseErrors "eresp" "MCP" "responses that were invalid or broken off";
    Retries "wretr" "MCP" "connections to a server tried again";
    Redispatches "wredis" "MCP" "sessions moved to another server after a failure";
    Status "status" "SGP" "state in words";
    Weight "weight" "MaP" "effective weight, for a backend the sum of its usable servers'";
    Active "act" "SGP" "active server, for a backend how many are usable";
    Backup "bck" "SGP" "backup server, for a backend how many are usable";
    CheckFailures "chkfail" "MCP" "failed health checks while up";
    DownTransitions "chkdown" "MCP" "changes from up to down";
    LastChange "lastchg" "MAP" "seconds since the last change of state";
    Downtime "downtime" "MCP" "seconds spent down";
    QueueLimit "qlimit" "CLS" "maxqueue";
    ProcessNumber "pid" "KGP" "process number, always 1";
    ProxyNumber "iid" "KGS" "numeric id of the proxy";
    ServiceNumber "sid" "KGS" "numeric id of the server or listener within its proxy";
    Throttle "throttle" "MGP" "percent of the weight reached while warming up";
    Selected "lbtot" "MCP" "times chosen by load balancing";
    Tracked "tracked" "CNS" "the server whose state this one follows";
    Type "type" "CGS" "0 frontend, 1 backend, 2 server, 3 listener";
    Rate "rate" "MRP" "sessions in the last second";
    RateLimit "rate_lim" "CLP" "most sessions a second allowed";
    RateMaximum "rate_max" "MMP" "most sessions ever in a second";
    CheckStatus "check_status" "MOP" "result of the last health check, after an asterisk while another runs";
    CheckCode "check_code" "MOP" "status code the last health check got";
    CheckDuration "check_duration" "MDP" "milliseconds the last health check took";
    Http1xx "hrsp_1xx" "MCP" "responses with status 100 to 199";
    Http2xx "hrsp_2xx" "MCP" "responses with status 200 to 299";
    Http3xx "hrsp_3xx" "MCP" "responses with status 300 to 399";
    Http4xx "hrsp_4xx" "MCP" "responses with status 400 to 499";
    Http5xx "hrsp_5xx" "MCP" "responses with status 500 to 599";
    HttpOther "hrsp_other" "MCP" "responses with any other status";
    HealthAnalysisFailures "hanafail" "MCP" "failures seen in live traffic";
    RequestRate "req_rate" "MRP" "HTTP requests in the last second";
    RequestRateMaximum "req_rate_max" "MMP" "most HTTP requests ever in a second";
    RequestsTotal "req_tot" "MCP" "HTTP requests since start";
    ClientAborts "cli_abrt" "MCP" "transfers broken off by the client";
    ServerAborts "srv_abrt" "MCP" "transfers broken off by the server";
    CompressionIn "comp_in" "MCP" "bytes given to the compressor";
    CompressionOut "comp_out" "MCP" "bytes the compressor made";
    CompressionBypassed "comp_byp" "MCP" "bytes the compressor let pass";
    CompressedResponses "comp_rsp" "MCP" "responses that were compressed";
    LastSession "lastsess" "MAP" "seconds since the last session, -1 for never";
    LastCheck "last_chk" "MOP" "what the last health check said";
    LastAgentCheck "last_agt" "MOP" "what the last agent check said";
    QueueTime "qtime" "MaP" "mean milliseconds in the queue of the last 1024 sessions";
    ConnectTime "ctime" "MaP" "mean milliseconds to connect of the last 1024 sessions";
    ResponseTime "rtime" "MaP" "mean milliseconds to the first response byte of the last 1024 sessions";
    TotalTime "ttime" "MaP" "mean milliseconds in all of the last 1024 sessions";
    AgentStatus "agent_status" "MOP" "result of the last agent check";
    AgentCode "agent_code" "MOP" "code of the last agent check";
    AgentDuration "agent_duration" "MDP" "milliseconds the last agent check took";
    CheckDescription "check_desc" "MOP" "the health check result in words";
    AgentDescription "agent_desc" "MOP" "the agent check result in words";
    CheckRise "check_rise" "CGS" "good checks before the server is up";
    CheckFall "check_fall" "CGS" "bad checks before the server is down";
    CheckHealth "check_health" "CGS" "health counter, from 0 to rise + fall - 1";
    AgentRise "agent_rise" "CGS" "good agent checks before the server is up";
    AgentFall "agent_fall" "CGS" "bad agent checks before the server is down";
    AgentHealth "agent_health" "CGS" "agent counter, from 0 to rise + fall - 1";
    Address "addr" "CGS" "address and port";
    Cookie "cookie" "CNS" "cookie value of the server, or name of the backend's";
    Mode "mode" "CGS" "tcp, http or health";
    Algorithm "algo" "CGS" "load balancing algorithm";
    ConnectionRate "conn_rate" "MRP" "connections in the last second";
    ConnectionRateMaximum "conn_rate_max" "MMP" "most connections ever in a second";
    ConnectionsTotal "conn_tot" "MCP" "connections since start";
    Intercepted "intercepted" "MCP" "requests answered by the proxy itself";
    DeniedConnections "dcon" "MCP" "connections denied by a rule";
    DeniedSessions "dses" "MCP" "sessions denied by a rule";
    RewriteFailures "wrew" "MCP" "header changes that failed";
    Connects "connect" "MCP" "attempts to connect to a server";
    Reuses "reuse" "MCP" "server connections used again";
    CacheLookups "cache_lookups" "MCP" "requests looked for in the cache";
    CacheHits "cache_hits" "MCP" "requests found in the cache";
    IdleConnections "srv_icur" "MGP" "idle connections kept for reuse";
    IdleConnectionsLimit "src_ilim" "CLP" "most idle connections kept";
    QueueTimeMaximum "qtime_max" "MMP" "longest milliseconds in the queue";
    ConnectTimeMaximum "ctime_max" "MMP" "longest milliseconds to connect";
    ResponseTimeMaximum "rtime_max" "MMP" "longest milliseconds to the first response byte";
    TotalTimeMaximum "ttime_max" "MMP" "longest milliseconds in all";
    InternalErrors "eint" "MCP" "internal errors";
    IdleUnsafe "idle_conn_cur" "MGP" "idle connections not yet proven";
    IdleSafe "safe_conn_cur" "MGP" "idle connections proven to work";
    ConnectionsUsed "used_conn_cur" "MGP" "connections in use";
    ConnectionsNeeded "need_conn_est" "MGP" "connections likely to be needed";
    UserWeight "uweight" "MaP" "weight as set, for a backend the sum of its usable servers'";
    AggregatedServerStatus "agg_server_status" "MGP" "servers counted by state";
    AggregatedServerCheckStatus "agg_server_check_status" "MGP" "servers counted by state, older name";
    AggregatedCheckStatus "agg_check_status" "MGP" "servers counted by check result";
    TlsSessions "ssl_sess" "MCP" "TLS sessions";
    TlsReusedSessions "ssl_reused_sess" "MCP" "TLS sessions resumed";
    TlsFailedHandshakes "ssl_failed_handshake" "MCP" "TLS handshakes that failed";
    H2HeadersReceived "h2_headers_rcvd" "MCP" "HEADERS frames received";
    H2DataReceived "h2_data_rcvd" "MCP" "DATA frames received";
    H2SettingsReceived "h2_settings_rcvd" "MCP" "SETTINGS frames received";
    H2ResetsReceived "h2_rst_stream_rcvd" "MCP" "RST_STREAM frames received";
    H2GoawaysReceived "h2_goaway_rcvd" "MCP" "GOAWAY frames received";
    H2ConnectionErrors "h2_detected_conn_protocol_errors" "MCP" "HTTP/2 connection errors found";
    H2StreamErrors "h2_detected_strm_protocol_errors" "MCP" "HTTP/2 stream errors found";
    H2ResetsSent "h2_rst_stream_resp" "MCP" "RST_STREAM frames sent after an error";
    H2GoawaysSent "h2_goaway_resp" "MCP" "GOAWAY frames sent after an error";
    H2OpenConnections "h2_open_connections" "MGP" "HTTP/2 connections now";
    H2OpenStreams "h2_backend_open_streams" "MGP" "HTTP/2 streams now";
    H2TotalConnections "h2_total_connections" "MCP" "HTTP/2 connections since start";
    H2TotalStreams "h2_backend_total_streams" "MCP" "HTTP/2 streams since start";
    H1OpenConnections "h1_open_connections" "MGP" "HTTP/1 connections now";
    H1OpenStreams "h1_open_streams" "MGP" "HTTP/1 requests now";
    H1TotalConnections "h1_total_connections" "MCP" "HTTP/1 connections since start";
    H1TotalStreams "h1_total_streams" "MCP" "HTTP/1 requests since start";
    H1BytesIn "h1_bytes_in" "MCP" "bytes received over HTTP/1";
    H1BytesOut "h1_bytes_out" "MCP" "bytes sent over HTTP/1";
    H1SplicedIn "h1_spliced_bytes_in" "MCP" "bytes received over HTTP/1 through a pipe";
    H1SplicedOut "h1_spliced_bytes_out" "MCP" "bytes sent over HTTP/1 through a pipe";
}
}
pub use list::*;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_that_tools_rely_on() {
        let at = |index: usize| COLUMNS[index].name;
        assert_eq!(
            [at(0), at(17), at(32), at(36), at(55), at(73), at(82), at(99), at(102)],
            ["pxname", "status", "type", "check_status", "lastsess", "addr", "dses", "uweight", "agg_check_status"]
        );
        assert_eq!(FIXED_COLUMNS, 103);
        for (index, info) in COLUMNS.iter().enumerate() {
            assert_eq!(info.column as usize, index, "{}", info.name);
        }
    }
}
