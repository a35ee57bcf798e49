//! Fetches and converters of HAProxy that are known and not done: why, and what to write instead.

const TLS: &str = "it comes with TLS";
const PROXY_PROTOCOL: &str = "what a PROXY header announced is in 'src' and 'dst'; the rest of it is not kept";
const LUA: &str = "Ringway has no Lua";
const FASTCGI: &str = "Ringway does not speak FastCGI";
const QUIC: &str = "Ringway does not speak QUIC";
const DEVICES: &str = "Ringway has no device detection database";
const SCHEDULER: &str = "it measures HAProxy's own scheduler";
const PRIORITY: &str = "queue priorities (set-priority-class, set-priority-offset) are not done yet";

/// Why the fetch `name` is not done; `None`: no such fetch is known.
pub fn fetch(name: &str) -> Option<&'static str> {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let is_any = |names: &[&str]| names.contains(&name);
    Some(match name {
        _ if starts(&["ssl_", "jwt_"]) => TLS,
        _ if is_any(&["res.comp", "res.comp_algo"]) => "look at the header: 'res.hdr(content-encoding)'",
        _ if starts(&["fc_pp_"]) || is_any(&["fc_rcvd_proxy", "fc_src", "fc_src_port", "fc_src_is_local"]) => {
            PROXY_PROTOCOL
        }
        _ if is_any(&["fc_dst", "fc_dst_port", "fc_dst_is_local"]) => PROXY_PROTOCOL,
        _ if is_any(&["src_is_local", "dst_is_local"]) => {
            "it would ask the kernel for each request; compare 'src' or 'dst' with the machine's addresses"
        }
        _ if starts(&["lua."]) => LUA,
        _ if starts(&["fcgi."]) => FASTCGI,
        _ if starts(&["quic_"]) => QUIC,
        _ if starts(&["51d", "da-csv", "wurfl", "deviceatlas"]) => DEVICES,
        _ if starts(&["cpu_", "lat_", "internal."]) => SCHEDULER,
        _ if starts(&["prio_"]) => PRIORITY,
        _ if starts(&["distcc_"]) => "Ringway does not read the distcc protocol; compare 'req.payload' with '-m bin'",
        _ if is_any(&["fc_err", "fc_err_str", "bc_err", "bc_err_str"]) => {
            "it tells of TLS and PROXY handshakes; '%ts' in the log tells how a connection ended"
        }
        _ if is_any(&["fc_fackets", "fc_lost", "fc_reordering", "fc_retrans", "fc_sacked", "fc_unacked"]) => {
            "of TCP's own figures only 'fc_rtt' and 'fc_rttvar' are read"
        }
        _ => return None,
    })
}

/// Why the converter `name` is not done; `None`: no such converter is known.
pub fn converter(name: &str) -> Option<&'static str> {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    Some(match name {
        _ if starts(&["aes_gcm_", "aes_cbc_", "jwt_", "x509_"]) => TLS,
        _ if starts(&["lua."]) => LUA,
        _ if starts(&["51d", "da-csv", "wurfl", "deviceatlas"]) => DEVICES,
        "protobuf" | "ungrpc" => "Ringway does not read protocol buffers; balance by a header instead",
        "debug" => "put the expression into 'log-format' as %[...] to see its values",
        "capture-req" => "use 'http-request capture <sample> id <slot>'",
        "capture-res" => "use 'http-response capture <sample> id <slot>'",
        _ => return None,
    })
}
