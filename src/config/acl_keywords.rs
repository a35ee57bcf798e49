//! Keywords that only ACLs know: a fetch under another name, with a way of comparing (configuration.txt section 7.3,
//! "ACL derivatives").

use super::model::MatchMethod::{self, *};

/// The fetch that an ACL keyword stands for, and how it compares; `None` if it is none of ACLs' own. `keyword` comes
/// without arguments.
pub fn derived(keyword: &str) -> Option<(&'static str, MatchMethod)> {
    if let Some((_, fetch, method)) = SINGLE.iter().find(|(name, _, _)| *name == keyword) {
        return Some((fetch, *method));
    }
    if let Some((_, fetch)) = FAMILIES.iter().find(|(family, _)| *family == keyword) {
        return Some((fetch, Exact));
    }
    let (family, suffix) = keyword.rsplit_once('_')?;
    let (_, fetch) = FAMILIES.iter().find(|(name, _)| *name == family)?;
    let method = [Begin, Directory, Domain, End, Length, Regex, Substring].into_iter();
    method.filter(|method| method.name() == suffix).map(|method| (*fetch, method)).next()
}

/// Keywords with `_beg`, `_dir`, `_dom`, `_end`, `_len`, `_reg` and `_sub`, and the fetch of each.
const FAMILIES: [(&str, &str); 8] = [
    ("base", "base"),
    ("cook", "req.cook"),
    ("hdr", "req.hdr"),
    ("path", "path"),
    ("scook", "res.cook"),
    ("shdr", "res.hdr"),
    ("url", "url"),
    ("urlp", "urlp"),
];

const SINGLE: [(&str, &str, MatchMethod); 12] = [
    ("http_auth_group", "http_auth_group", Exact),
    ("payload", "req.payload", Binary),
    ("payload_lv", "req.payload_lv", Binary),
    ("req.ssl_ver", "req.ssl_ver", Integer),
    ("req_rdp_cookie", "req.rdp_cookie", Exact),
    ("req_rdp_cookie_cnt", "req.rdp_cookie_cnt", Integer),
    ("req_ssl_sni", "req.ssl_sni", Exact),
    ("req_ssl_ver", "req.ssl_ver", Integer),
    ("req_ver", "req.ver", Exact),
    ("resp_ver", "res.ver", Exact),
    ("ssl_fc_sni_end", "ssl_fc_sni", End),
    ("ssl_fc_sni_reg", "ssl_fc_sni", Regex),
];

/// The ACLs that need no declaration (section 7.4): name and criterion with its patterns.
pub const PREDEFINED: [(&str, &[&str]); 22] = [
    ("FALSE", &["always_false"]),
    ("HTTP", &["req.proto_http"]),
    ("HTTP_1.0", &["req.ver", "1.0"]),
    ("HTTP_1.1", &["req.ver", "1.1"]),
    ("HTTP_2.0", &["req.ver", "2.0"]),
    ("HTTP_CONTENT", &["req.hdr_val(content-length)", "gt", "0"]),
    ("HTTP_URL_ABS", &["url_reg", "^[^/:]*://"]),
    ("HTTP_URL_SLASH", &["url_beg", "/"]),
    ("HTTP_URL_STAR", &["url", "*"]),
    ("LOCALHOST", &["src", "127.0.0.1/8", "::1"]),
    ("METH_CONNECT", &["method", "CONNECT"]),
    ("METH_DELETE", &["method", "DELETE"]),
    ("METH_GET", &["method", "GET", "HEAD"]),
    ("METH_HEAD", &["method", "HEAD"]),
    ("METH_OPTIONS", &["method", "OPTIONS"]),
    ("METH_POST", &["method", "POST"]),
    ("METH_PUT", &["method", "PUT"]),
    ("METH_TRACE", &["method", "TRACE"]),
    ("RDP_COOKIE", &["req.rdp_cookie_cnt", "gt", "0"]),
    ("REQ_CONTENT", &["req.len", "gt", "0"]),
    ("TRUE", &["always_true"]),
    ("WAIT_END", &["wait_end"]),
];
