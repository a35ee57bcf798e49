//! Whole configurations through the loader: the tutorial's file, inheritance, numbering, warnings.

use super::diagnostics::Severity;
use super::load::{Loaded, load_text_with};
use super::model::*;
use super::names::NoNames;
use std::time::Duration;

/// The first half of the tutorial, addresses as written there.
pub const TUTORIAL: &str = "\
global
log 127.0.0.1 local0
log 127.0.0.1 local1 notice
daemon
nbproc 2
maxconn 51200
pidfile /home/hylink/haproxy/sbin/haproxy.pid
defaults
log global
mode http
option httplog
option dontlognull
retries 3
option abortonclose
timeout connect 5000ms
timeout client 30000ms
timeout server 60000ms
balance roundrobin
listen stats
bind *:9080
mode http
option httplog
maxconn 10
stats refresh 30s
stats uri /stats
stats realm Haproxy Manager
stats hide-version
stats admin if TRUE
listen mqtt
bind *:1890
mode tcp
maxconn 50000
option clitcpka # For TCP keep-alive
timeout client 3h #By default TCP keep-alive interval is 2hours in OS kernal, 'cat /proc/sys/net/ipv4/tcp_keepalive_time'
timeout server 3h #By default TCP keep-alive interval is 2hours in OS kernal
option tcplog
balance leastconn
server emq1 172.19.12.231:1883 check inter 10000 fall 2 rise 5 weight 1
server emq2 172.19.12.207:1883 check inter 10000 fall 2 rise 5 weight 1
";

/// Loads `text` without asking a name server.
pub fn loaded(text: &str) -> Loaded {
    load_text_with("t.cfg", text, &NoNames)
}

/// The model of `text`, which must be valid.
#[track_caller]
pub fn config(text: &str) -> Config {
    let loaded = loaded(text);
    match loaded.config {
        Some(config) => config,
        None => panic!("{:#?}", loaded.diagnostics),
    }
}

pub fn texts(loaded: &Loaded, severity: Severity) -> Vec<&str> {
    let found = loaded.diagnostics.messages.iter().filter(|message| message.severity == severity);
    found.map(|message| message.text.as_str()).collect()
}

#[test]
fn the_tutorial_loads_as_written() {
    let loaded = loaded(TUTORIAL);
    assert_eq!(texts(&loaded, Severity::Alert), Vec::<&str>::new());
    let warnings = texts(&loaded, Severity::Warning);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings.iter().any(|text| text.contains("'nbproc' is an old spelling")), "{warnings:?}");
    assert!(warnings.iter().any(|text| text.contains("stats realm Haproxy\\ Manager")), "{warnings:?}");
    let config = loaded.config.unwrap();
    assert_eq!((config.global.workers, config.global.nbproc), (Some(2), 2));
    assert_eq!(config.global.maxconn, Some(51_200));
    assert!(config.global.daemon);
    assert_eq!(config.global.pidfile.as_deref(), Some("/home/hylink/haproxy/sbin/haproxy.pid".as_ref()));
    let [all, notices] = config.global.log.targets.as_slice() else { panic!("two targets") };
    assert_eq!((all.facility, all.max_level), (16, 7));
    assert_eq!((notices.facility, notices.max_level), (17, 5));
    let [stats, mqtt] = config.proxies.as_slice() else { panic!("two proxies") };
    the_page(stats);
    the_brokers(&config, mqtt);
    let addresses: Vec<_> = config.listeners.iter().map(|listener| listener.written.as_str()).collect();
    assert_eq!(addresses, ["*:9080", "*:1890"]);
}

fn the_page(stats: &Proxy) {
    assert_eq!((stats.name.as_str(), stats.iid, stats.mode), ("stats", 1, ProxyMode::Http));
    let page = stats.stats.as_ref().unwrap();
    assert_eq!((page.uri.as_str(), page.realm.as_str(), page.admin.len()), ("/stats", "Haproxy", 1));
    assert_eq!(page.refresh, Some(Duration::from_secs(30)));
    assert!(page.hide_version);
    assert_eq!(stats.frontend.as_ref().unwrap().maxconn, Some(10));
    assert_eq!(stats.log_format.kind, LogFormatKind::Http);
}

fn the_brokers(config: &Config, mqtt: &Proxy) {
    assert_eq!((mqtt.mode, mqtt.iid), (ProxyMode::Tcp, 2));
    assert!(mqtt.stats.is_none());
    assert!(mqtt.client_keepalive.enabled && !mqtt.server_keepalive.enabled);
    assert!(mqtt.options.abortonclose && mqtt.options.dontlognull);
    assert_eq!(mqtt.timeouts.client, Some(Duration::from_secs(3 * 3600)));
    assert_eq!(mqtt.timeouts.server, Some(Duration::from_secs(3 * 3600)));
    assert_eq!(mqtt.timeouts.connect, Some(Duration::from_millis(5000)));
    assert_eq!(mqtt.log_format.kind, LogFormatKind::Tcp);
    assert_eq!(mqtt.log.targets, config.global.log.targets);
    let backend = mqtt.backend.as_ref().unwrap();
    assert_eq!(backend.balance, BalanceAlgorithm::LeastConnections);
    assert_eq!((backend.retries, backend.fullconn), (3, Some(5000)));
    assert_eq!(mqtt.frontend.as_ref().unwrap().maxconn, Some(50_000));
    assert_eq!(backend.servers, [ServerId(0), ServerId(1)]);
    let server = config.server(ServerId(1));
    assert_eq!((server.name.as_str(), server.sid, server.weight), ("emq2", 2, 1));
    assert_eq!(server.address, Some(ServerAddress::Ip("172.19.12.207:1883".parse().unwrap())));
    let check = server.check.as_ref().unwrap();
    assert_eq!((check.inter.as_millis(), check.fall, check.rise), (10_000, 2, 5));
}

/// Debian's /etc/haproxy/haproxy.cfg but for the user and group, which the machine may not have.
#[test]
fn debians_stock_file_loads() {
    let loaded = loaded(
        "global\n\tlog /dev/log\tlocal0\n\tlog /dev/log\tlocal1 notice\n\tchroot /var/lib/haproxy\n\
         \tstats socket /run/haproxy/admin.sock mode 660 level admin\n\tstats timeout 30s\n\tuser root\n\tgroup root\n\
         \tdaemon\n\n\t# Default SSL material locations\n\tca-base /etc/ssl/certs\n\tcrt-base /etc/ssl/private\n\n\
         \tssl-default-bind-ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256\n\
         \tssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets\n\ndefaults\n\tlog\tglobal\n\tmode\thttp\n\
         \toption\thttplog\n\toption\tdontlognull\n        timeout connect 5000\n        timeout client  50000\n\
         \terrorfile 400 /etc/haproxy/errors/400.http\n",
    );
    assert_eq!(texts(&loaded, Severity::Alert), Vec::<&str>::new());
    assert_eq!(texts(&loaded, Severity::Warning), Vec::<&str>::new());
    let global = loaded.config.unwrap().global;
    assert_eq!(global.stats_timeout, Some(Duration::from_secs(30)));
    let [socket] = global.runtime_sockets.as_slice() else { panic!("one socket") };
    assert_eq!(socket.address, ListenAddress::Unix("/run/haproxy/admin.sock".into()));
    assert_eq!((socket.level, socket.mode), (RuntimeLevel::Admin, Some(0o660)));
}

#[test]
fn without_anything_the_defaults_hold() {
    let config = config("listen a\n bind :1\n timeout client 1\n");
    let global = &config.global;
    assert_eq!((global.workers, global.nbproc, global.maxconn), (None, 1, None));
    assert_eq!((global.log_tag.as_str(), global.bufsize_bytes, global.stats_maxconn), ("haproxy", 16_384, 10));
    assert!(!global.strict_limits && !global.daemon);
    let proxy = &config.proxies[0];
    assert_eq!((proxy.mode, proxy.log_format.kind), (ProxyMode::Tcp, LogFormatKind::Default));
    let backend = proxy.backend.as_ref().unwrap();
    assert_eq!((backend.balance.clone(), backend.retries, backend.fullconn), (BalanceAlgorithm::RoundRobin, 3, None));
    assert_eq!(proxy.frontend.as_ref().unwrap().maxconn, None);
}

/// The client time-outs that `text`'s proxies end up with, in seconds.
fn client_timeouts(text: &str) -> Vec<Option<u64>> {
    config(text).proxies.iter().map(|proxy| proxy.timeouts.client.map(|time| time.as_secs())).collect()
}

#[test]
fn the_last_defaults_hold_and_start_from_nothing() {
    let text = "defaults\n timeout client 1s\nlisten a\n bind :1\nlisten b\n bind :2\n timeout client 2s\n\
                listen c\n bind :3\ndefaults\n mode tcp\nlisten d\n bind :4\n";
    assert_eq!(client_timeouts(text), [Some(1), Some(2), Some(1), None]);
}

#[test]
fn named_defaults_are_chosen_with_from() {
    let text = "defaults one\n timeout client 1s\ndefaults two from one\n retries 7\ndefaults three\n timeout client 3s\n\
                listen a from one\n bind :1\nlisten b from two\n bind :2\nlisten c\n bind :3\n";
    assert_eq!(client_timeouts(text), [Some(1), Some(1), Some(3)]);
    assert_eq!(config(text).proxies[1].backend.as_ref().unwrap().retries, 7);
}

#[test]
fn options_are_set_unset_and_put_back() {
    let text = "defaults\n option abortonclose\n option splice-auto\n option clitcpka\n\
                listen a\n bind :1\n no option abortonclose\n no option splice-request\n default option clitcpka\n\
                listen b\n bind :2\n no option splice-auto\n option redispatch 3\n";
    let config = config(text);
    let [a, b] = config.proxies.as_slice() else { panic!("two") };
    assert!(!a.options.abortonclose && b.options.abortonclose);
    assert!(!a.client_keepalive.enabled && b.client_keepalive.enabled);
    // `splice-auto` still asks for what `no option splice-request` alone would forbid.
    assert_eq!((a.splice.request, a.splice.response), (SpliceChoice::Always, SpliceChoice::Always));
    assert_eq!((b.splice.request, b.splice.response), (SpliceChoice::Never, SpliceChoice::Never));
    assert_eq!((a.options.redispatch_interval, b.options.redispatch_interval), (None, Some(3)));
}

#[test]
fn logs_are_inherited_added_to_and_cleared() {
    let text = "global\n log 10.0.0.1 local0\ndefaults\n log global\nlisten a\n bind :1\n log 10.0.0.2 local1 err\n\
                listen b\n bind :2\n no log\n log stderr len 200 format raw daemon info notice\n";
    let config = config(text);
    let addresses = |proxy: &Proxy| proxy.log.targets.iter().map(|target| target.address.clone()).collect::<Vec<_>>();
    let udp = |text: &str| LogAddress::Udp(text.parse().unwrap());
    assert_eq!(addresses(&config.proxies[0]), [udp("10.0.0.1:514"), udp("10.0.0.2:514")]);
    assert_eq!(addresses(&config.proxies[1]), [LogAddress::Descriptor(2)]);
    let target = &config.proxies[1].log.targets[0];
    assert_eq!((target.length_bytes, target.format, target.facility), (200, SyslogFormat::Raw, 3));
    assert_eq!((target.max_level, target.min_level), (6, 5));
}

/// Measured on HAProxy 2.6: the runtime socket's own frontend takes 1, and the counter moves on past written numbers.
#[test]
fn proxies_servers_and_listeners_are_numbered_as_haproxy_numbers_them() {
    let proxies = "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
                   frontend f\n bind :1\n bind :2-3\n bind :4 id 9\n bind :5\n default_backend b\n\
                   backend b\n server s1 10.0.0.1:1\n server s2 10.0.0.1:2 id 5\n server s3 10.0.0.1:3\n\
                   \x20server-template t 3 10.0.0.1:4\nbackend c\n id 4\nbackend d\nbackend e\n";
    let numbers = |config: &Config| config.proxies.iter().map(|proxy| proxy.iid).collect::<Vec<_>>();
    let without = config(proxies);
    assert_eq!(numbers(&without), [1, 2, 4, 5, 6]);
    assert_eq!(without.servers.iter().map(|server| server.sid).collect::<Vec<_>>(), [1, 5, 3, 4, 6, 7]);
    assert_eq!(without.listeners.iter().map(|listener| listener.lid).collect::<Vec<_>>(), [1, 2, 3, 9, 5]);
    let names: Vec<_> = without.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["s1", "s2", "s3", "t1", "t2", "t3"]);
    let with = config(&format!("global\n stats socket /run/x level admin\n{proxies}"));
    assert_eq!(numbers(&with), [2, 3, 4, 5, 6]);
}

/// Measured on HAProxy 2.6 with `maxconn 777`: 78 for the backend that the frontend leads to, 1 for the others.
#[test]
fn fullconn_is_a_tenth_of_what_can_come() {
    let text = "global\n maxconn 777\nfrontend f\n bind :1\n timeout client 1s\n default_backend b\nbackend b\nbackend c\n\
                backend d\n fullconn 5\n";
    let config = config(text);
    let fullconn = |index: usize| config.proxies[index].backend.as_ref().unwrap().fullconn;
    assert_eq!((fullconn(1), fullconn(2), fullconn(3)), (Some(78), Some(1), Some(5)));
    assert_eq!(config.proxies[0].frontend.as_ref().unwrap().maxconn, Some(777));
}

#[test]
fn the_longest_grace_holds() {
    let text = "defaults\n grace 5s\n timeout client 1s\nlisten a\n bind :1\nlisten b\n bind :2\n grace 7s\n";
    assert_eq!(config(text).global.grace, Some(Duration::from_secs(7)));
}

#[test]
fn default_server_holds_for_what_follows_it() {
    let text = "listen l\n bind :1\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n server a 10.0.0.1:1\n\
                \x20default-server inter 5s fall 7 weight 9 check\n server b 10.0.0.1:2 no-check\n server c 10.0.0.1:3 fall 2\n";
    let config = config(text);
    let [a, b, c] = config.servers.as_slice() else { panic!("three") };
    assert!(a.check.is_none() && b.check.is_none());
    assert_eq!((a.weight, b.weight, c.weight), (1, 9, 9));
    let check = c.check.as_ref().unwrap();
    assert_eq!((check.inter.as_secs(), check.fall, check.rise), (5, 2, 2));
}

#[test]
fn minconn_and_maxconn_complete_each_other() {
    let text = "listen l\n bind :1\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n server a 10.0.0.1:1 minconn 5\n\
                \x20server b 10.0.0.1:2 maxconn 6\n server c 10.0.0.1:3 minconn 9 maxconn 4\n\
                \x20server d 10.0.0.1:3 minconn 2 maxconn 4\n server e 10.0.0.1:3\n";
    let limits: Vec<_> = config(text).servers.iter().map(|server| (server.minconn, server.maxconn)).collect();
    assert_eq!(limits, [(5, 5), (6, 6), (9, 9), (2, 4), (0, 0)]);
}

#[test]
fn workers_are_processes_times_threads() {
    let text = "global\n nbproc 2\n nbthread 2\n cpu-map 1/1 7\n cpu-map auto:2/1-2 3-4\nlisten a\n bind :1\n bind :2 process 2\n\
                \x20bind :3 process all/1\n bind :4 thread 2\n timeout client 1s\nlisten b\n bind :5\n bind-process 1\n\
                \x20timeout client 1s\n";
    let config = config(text);
    assert_eq!((config.global.workers, config.global.nbproc), (Some(4), 2));
    let map: Vec<_> = config.global.cpu_map.into_iter().collect();
    assert_eq!(map, [(0, vec![7]), (2, vec![3]), (3, vec![4])]);
    let workers: Vec<_> = config.listeners.iter().map(|listener| listener.workers.clone()).collect();
    assert_eq!(workers, [None, Some(vec![2, 3]), Some(vec![0, 2]), Some(vec![1, 3]), Some(vec![0, 1])]);
}

#[test]
fn checks_are_collected_in_order() {
    let text = "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\nbackend t\n option tcp-check\n\
                \x20tcp-check comment first\n tcp-check connect port 7\n tcp-check send PING\\r\\n comment second\n\
                \x20tcp-check expect string +PONG\n tcp-check send-binary 0a0b\n tcp-check expect ! rstring ^x on-error no\n\
                backend h\n option httpchk HEAD /up HTTP/1.1\\r\\nHost:\\ www\n http-check expect status 200-204,301\n\
                backend p\n http-check send meth GET uri /p ver HTTP/1.1 hdr Host a hdr Connection x body hi\n\
                \x20option httpchk\n http-check disable-on-404\n";
    let config = config(text);
    let check = |index: usize| config.proxies[index].backend.as_ref().unwrap().check.clone();
    let CheckMethod::Tcp(rules) = check(0) else { panic!("tcp") };
    let comments: Vec<_> = rules.iter().map(|rule| rule.comment.as_deref().unwrap_or("")).collect();
    assert_eq!(comments, ["first", "second", "second", "second", "second"]);
    assert_eq!(rules[0].step, TcpCheckStep::Connect { port: Some(7), address: None });
    assert_eq!(rules[1].step, TcpCheckStep::Send(b"PING\r\n".to_vec()));
    assert_eq!(rules[3].step, TcpCheckStep::Send(vec![10, 11]));
    let TcpCheckStep::Expect(expect) = &rules[4].step else { panic!("expect") };
    assert_eq!((expect.negate, expect.on_error.as_deref()), (true, Some("no")));
    let CheckMethod::Http(head) = check(1) else { panic!("http") };
    assert_eq!((head.method.as_str(), head.uri.as_str(), head.version.as_str()), ("HEAD", "/up", "HTTP/1.1"));
    assert_eq!(head.headers, [("Host".to_owned(), "www".to_owned())]);
    assert_eq!(head.expect[0].pattern, ExpectPattern::Status(vec![(200, 204), (301, 301)]));
    let CheckMethod::Http(post) = check(2) else { panic!("http") };
    assert_eq!((post.method.as_str(), post.body.as_slice()), ("GET", b"hi".as_slice()));
    assert_eq!(post.headers, [("Host".to_owned(), "a".to_owned())]);
    assert!(post.disable_on_404);
}

#[test]
fn a_proxys_own_statistics_lines_let_go_of_the_defaults() {
    let text = "defaults\n mode http\n timeout client 1s\n stats uri /d\n stats auth a:b\nlisten a\n bind :1\n\
                listen b\n bind :2\n stats uri /b\nlisten c\n bind :3\n mode tcp\n";
    let config = config(text);
    let page = |index: usize| config.proxies[index].stats.clone();
    assert_eq!(page(0).unwrap().auth, [("a".to_owned(), "b".to_owned())]);
    let own = page(1).unwrap();
    assert_eq!((own.uri.as_str(), own.auth.len(), own.realm.as_str()), ("/b", 0, "HAProxy Statistics"));
    assert_eq!(page(2), None);
}

#[test]
fn who_may_see_and_change_the_statistics_page() {
    let page = |lines: &str| {
        loaded(&format!(
            "userlist u\n user a insecure-password b\nlisten a\n bind :1\n mode http\n timeout client 1s\n{lines}\n"
        ))
    };
    let config = page(
        " acl office src 10.0.0.0/8\n stats admin if office !{ method POST } || LOCALHOST\n stats admin unless office\n \
         stats http-request allow if office\n stats http-request auth unless { http_auth(u) }\n \
         stats http-request deny deny_status 404",
    );
    let config = config.config.expect("it loads");
    let proxy = &config.proxies[0];
    let admin: Vec<usize> =
        proxy.stats.as_ref().expect("a page").admin.iter().map(|condition| condition.alternatives.len()).collect();
    assert_eq!(admin, [2, 1]);
    let actions: Vec<bool> = proxy.rules.statistics.iter().map(|rule| rule.condition.is_some()).collect();
    assert_eq!(actions, [true, true, false]);
    for (lines, expected) in [
        (" stats admin TRUE", "requires either 'if' or 'unless'"),
        (" stats admin if nope", "no such ACL : 'nope'"),
        (" stats http-request redirect location /", "expects 'allow', 'deny' or 'auth'"),
        (" stats http-request deny if nope", "no such ACL : 'nope'"),
        (" stats http-request auth realm", "'realm' expects"),
        (" stats http-request auth x", "only 'if' and 'unless'"),
        (" stats auth a:b\n stats http-request deny", "can't be used at the same time"),
        (" stats http-request deny\n stats realm x", "can't be used at the same time"),
    ] {
        let loaded = page(lines);
        assert!(loaded.config.is_none(), "{lines}");
        assert!(format!("{:?}", loaded.diagnostics).contains(expected), "{lines}: {:?}", loaded.diagnostics);
    }
    let warned = page(" stats http-request allow\n stats http-request deny");
    assert!(warned.config.is_some() && format!("{:?}", warned.diagnostics).contains("never reached"));
}

#[test]
fn tracking_finds_servers_of_other_backends() {
    let text = "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\nlisten l\n bind :1\n\
                \x20server a 10.0.0.1:1 track b/x\n server c 10.0.0.1:1 track a\nbackend b\n server x 10.0.0.1:2 check\n";
    let tracks: Vec<_> = config(text).servers.iter().map(|server| server.track).collect();
    assert_eq!(tracks, [Some(ServerId(2)), Some(ServerId(0)), None]);
}

#[test]
fn names_that_do_not_resolve() {
    let proxy = |options: &str| {
        format!(
            "listen l\n bind :1\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n\
             \x20server a broker.lan:1883 {options}\n"
        )
    };
    let refused = loaded(&proxy(""));
    assert!(texts(&refused, Severity::Alert)[0].starts_with("'server l/a' : could not resolve address 'broker.lan'"));
    let none = loaded(&proxy("init-addr libc,none"));
    assert!(texts(&none, Severity::Warning)[0].contains("could not resolve address 'broker.lan'"));
    let server = none.config.unwrap().servers.remove(0);
    assert_eq!((server.address, server.written_host.as_str()), (None, "broker.lan"));
    let fallback = config(&proxy("init-addr libc,10.0.0.9")).servers.remove(0);
    assert_eq!(fallback.address, Some(ServerAddress::Ip("10.0.0.9:1883".parse().unwrap())));
    let disabled = format!("{} disabled\n", proxy(""));
    assert!(loaded(&disabled).config.is_some(), "nobody connects to a disabled proxy's servers");
}

#[test]
fn what_will_hurt_later_is_warned_of() {
    let all = |text: &str| texts(&loaded(text), Severity::Warning).join("\n");
    let timeouts = all("listen a\n bind :1\n server s 10.0.0.1:1\n");
    assert!(timeouts.contains("missing timeouts for proxy 'a'.\n"), "{timeouts}");
    assert!(timeouts.contains("timeouts are set to a non-zero value: 'client', 'connect', 'server'."), "{timeouts}");
    assert!(all("backend b\n").contains("backend 'b' is used by no frontend."));
    for rule in ["default_backend b", "use_backend b if TRUE", "use_backend %[path]", "reqisetbe ^GET b"] {
        let text = format!("defaults\n mode http\nfrontend f\n bind :1\n {rule}\nbackend b\n");
        assert!(!all(&text).contains("is used by no frontend"), "{rule}");
    }
    assert!(all("frontend f\n timeout client 1s\n").contains("frontend 'f' has no 'bind' directive."));
    assert!(all("listen a\n bind :1\n option httplog\n").contains("Falling back to 'option tcplog'."));
    assert!(all("listen a\n bind :1\n option tcplog\n").contains("log format ignored for proxy 'a'"));
    assert!(all("listen a\n bind :1\n log global\n").contains("'global' has no 'log' line"));
    assert!(all("listen a\n bind :1\n stats enable\n").contains("as it requires HTTP mode."));
    assert!(all("listen a\n bind :1\n tcp-check connect\n").contains("without 'option tcp-check'"));
    assert!(all("backend a\n maxconn 5\n").contains("Maybe you want 'fullconn' instead ?"));
    assert!(
        all("listen a\n bind :1\n timeout client 1s\n timeout client 2s\n").contains("overwriting 'timeout client'")
    );
}

#[test]
fn one_address_belongs_to_one_frontend() {
    let text = "frontend a\n bind *:80\n timeout client 1s\nfrontend b\n bind 0.0.0.0:80\n timeout client 1s\n";
    let loaded = loaded(text);
    let errors = texts(&loaded, Severity::Alert);
    assert!(errors[0].contains("proxy 'b' binds '0.0.0.0:80', which proxy 'a' binds at t.cfg:2"), "{errors:?}");
    let apart = "global\n nbproc 2\nfrontend a\n bind *:80 process 1\n timeout client 1s\n\
                 frontend b\n bind *:80 process 2\n timeout client 1s\n";
    assert!(config(apart).listeners.len() == 2, "workers apart may share an address");
}

/// Generated files are large: nothing may look at all proxies for each proxy, or at the whole table for each word.
#[test]
fn a_thousand_proxies_of_ten_servers_load_in_seconds() {
    let mut text = String::from("defaults\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n");
    for number in 1..=1000 {
        text.push_str(&format!("frontend f{number}\n bind :{number}\n default_backend b{number}\nbackend b{number}\n"));
        for server in 1..=10 {
            text.push_str(&format!(" server s{server} 10.0.0.{server}:{number} check inter 5s weight 3\n"));
        }
    }
    let start = std::time::Instant::now();
    assert_eq!(config(&text).servers.len(), 10_000);
    // An unoptimised build on a busy machine; the optimised one takes well under a second.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

/// Problems that only show once everything is read, each with the line it is about.
#[test]
fn what_does_not_fit_together_is_refused() {
    let proxy = "listen l\n bind :1\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n";
    for (lines, start, line) in [
        (" server a 10.0.0.1 check\n", "'server l/a' : server 'a' has neither service port nor check port.", 6),
        (" server a 10.0.0.1:1 track b\n", "'server l/a' : unable to find required server 'b' for tracking.", 6),
        (" server a 10.0.0.1:1 track x/b\n", "'server l/a' : unable to find required proxy 'x' for tracking.", 6),
        (" server a 10.0.0.1:1 track b\n server b 10.0.0.1:2\n", "'server l/a' : unable to use l/b for tracking", 6),
        (" server a 10.0.0.1:1 track b\n server b 10.0.0.1:2 track a\n", "'server l/a' : the chain of 'track'", 6),
        (" server a 10.0.0.1:1 check track b\n", "'server l/a' : unable to enable checks and tracking", 6),
        (" server a 10.0.0.1:1 check observe layer7\n", "'server l/a' : 'observe layer7' can only be used", 6),
        (" server a 10.0.0.1:1 id 4\n server b 10.0.0.1:1 id 4\n", "'server l/b' : the id 4 is already that of", 7),
        (" bind :2 id 4\n bind :3 id 4\n", "listen 'l': 'id' : custom id 4 already used at t.cfg:6.", 7),
        (" default_backend l\n", "Proxy 'l': loop detected for default_backend: 'l'.", 6),
        (" bind-process 3\n", "listen 'l': this 'bind' names processes or threads that do not exist", 2),
        (" id 4\nbackend b\n id 4\n", "backend 'b' reuses the id 4 of listen 'l' declared at t.cfg:1.", 7),
    ] {
        let loaded = loaded(&format!("{proxy}{lines}"));
        let found = loaded.diagnostics.messages.iter().find(|message| message.severity == Severity::Alert);
        let message = found.unwrap_or_else(|| panic!("{lines:?} is not refused"));
        assert!(message.text.starts_with(start), "{lines:?}: {}", message.text);
        assert_eq!(message.location.as_ref().map(|location| location.line), Some(line), "{lines:?}");
        assert!(message.excerpt.is_some(), "{lines:?}");
    }
}

#[test]
fn http_is_answered_and_forwarded() {
    assert!(loaded("frontend f\n mode http\n bind :1\n timeout client 1s\n stats enable\n").config.is_some());
    assert!(loaded("listen f\n mode health\n bind :1\n").config.is_some());
    let text = "frontend f\n mode http\n bind :1\n timeout client 1s\n default_backend b\nbackend b\n mode http\n";
    assert!(loaded(text).config.is_some());
}
