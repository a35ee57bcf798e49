//! Configurations on machines that are made up: low limits, little memory, few ports.

use super::finding::{Finding, Fix, Severity};
use super::machine::{Conntrack, Keepalive, OpenFiles, Paths, Rights};
use super::*;
use crate::config::load::load_text;
use crate::control::descriptors::Situation;
use proptest::prelude::*;

const TUTORIAL: &str = include_str!("../../../configs/mqtt.cfg");
const WEB: &str = include_str!("../../../configs/web.cfg");

/// A server as one rents it, with nothing tuned but the descriptor limit.
fn machine() -> Machine {
    Machine {
        descriptors: Situation { soft: 1024, hard: 524_288, ceiling: 1_048_576, may_raise_hard: true },
        open_files: Some(OpenFiles { max: 1_600_000, used: 2_000 }),
        ports: (32_768, 60_999),
        reserved_ports: [].into(),
        memory_available_bytes: Some(8 << 30),
        tcp_pressure_bytes: Some(1 << 30),
        page_bytes: 4096,
        backlog_max: Some(65_535),
        conntrack: None,
        keepalive: Keepalive::default(),
        cpus: 2,
        kernel: "6.12.0".into(),
        io_uring: Ok(()),
        io_uring_disabled: 0,
        locked_memory_bytes: 8 << 20,
        rights: Rights { user_id: 0, unprivileged_port_start: 1024, may_bind_low_ports: true },
        paths: Paths::default(),
    }
}

fn examined(text: &str, machine: &Machine) -> Report {
    examined_with(text, machine, Ok(EngineChoice::Automatic))
}

fn examined_with(text: &str, machine: &Machine, engine: Result<EngineChoice, String>) -> Report {
    let config = load_text("t.cfg", text).config.expect("a valid configuration");
    let workers = config.global.workers.unwrap_or(machine.cpus);
    examine(&config, machine, vec!["t.cfg".into()], workers, engine)
}

fn finding<'a>(report: &'a Report, subject: &str) -> &'a Finding {
    report
        .findings
        .iter()
        .find(|finding| finding.subject == subject)
        .unwrap_or_else(|| panic!("{subject}: {report:#?}"))
}

fn command(finding: &Finding) -> &str {
    match &finding.fix {
        Some(Fix::Command(command)) => command,
        other => panic!("no command: {other:?}"),
    }
}

fn written(finding: &Finding) -> &str {
    match &finding.fix {
        Some(Fix::Configuration(lines)) => lines,
        other => panic!("no lines: {other:?}"),
    }
}

fn has(report: &Report, subject: &str) -> bool {
    report.findings.iter().any(|finding| finding.subject == subject)
}

#[test]
fn a_good_machine_carries_the_tutorial() {
    let report = examined(TUTORIAL, &machine());
    assert_eq!((report.exit_code(), report.first_to_break()), (0, None));
    assert_eq!((report.maxconn, report.workers, report.engine), (51_200, 2, "io_uring"));
    let text = text::render(&report);
    assert!(text.contains("Nothing breaks at maxconn 51,200."), "{text}");
    let subjects: Vec<&str> = report.measures.iter().map(|measure| measure.subject).collect();
    assert_eq!(subjects, ["descriptors", "open files", "source ports", "memory", "listen queue"]);
    // 25,000 of 28,232 ports: the second half is dear to find.
    assert_eq!(finding(&report, "port search").severity, Severity::Risk);
    assert_eq!(command(finding(&report, "port search")), "sudo sysctl -w net.ipv4.ip_local_port_range='10240 65535'");
    assert!(!has(&examined(TUTORIAL, &Machine { ports: (10_240, 65_535), ..machine() }), "port search"));
    // What does break is a broker, and then the other one has too few ports.
    assert_eq!(finding(&report, "source ports").severity, Severity::Risk);
    assert!(finding(&report, "source ports").text.starts_with("When emq2 is down, mqtt/emq1 gets 50,000"));
}

#[test]
fn low_descriptor_limits() {
    let mut machine = machine();
    machine.descriptors = Situation { soft: 1024, hard: 4096, ceiling: 1_048_576, may_raise_hard: false };
    machine.rights.user_id = 1000;
    let report = examined(TUTORIAL, &machine);
    let first = report.first_to_break().expect("it breaks");
    assert_eq!((first.subject, report.exit_code()), ("descriptors", 2));
    assert!(first.at_connections.is_some_and(|at| (3000..4096).contains(&at)), "{first:?}");
    let needed = report.measures[0].needs;
    assert_eq!(command(first), format!("sudo prlimit --pid $$ --nofile={needed}:{needed}"));
    assert!(first.remark.as_ref().is_some_and(|remark| remark.contains(&format!("LimitNOFILE={needed}"))));
    // The fix is enough.
    machine.descriptors.hard = needed;
    assert!(!has(&examined(TUTORIAL, &machine), "descriptors"));
}

#[test]
fn root_that_may_not_raise_limits_takes_more_workers() {
    let mut machine = machine();
    machine.descriptors = Situation { soft: 20_000, hard: 20_000, ceiling: 1_048_576, may_raise_hard: false };
    let report = examined(TUTORIAL, &machine);
    assert_eq!(written(report.first_to_break().expect("it breaks")), "global\n    nbproc 6");
    // The fix is enough.
    let fixed = examined(&TUTORIAL.replace("nbproc 2", "nbproc 6"), &machine);
    assert!(!has(&fixed, "descriptors"), "{fixed:#?}");
    assert_eq!(finding(&fixed, "workers").severity, Severity::Hint);
}

#[test]
fn limits_that_the_file_sets() {
    let with = |line: &str| TUTORIAL.replace("maxconn 51200", &format!("maxconn 51200\n    {line}"));
    let low = examined(&with("ulimit-n 1000"), &machine());
    assert!(written(low.first_to_break().expect("it breaks")).starts_with("global\n    ulimit-n "));
    let capped = examined(&with("fd-hard-limit 1000"), &machine());
    assert!(written(capped.first_to_break().expect("it breaks")).starts_with("global\n    fd-hard-limit "));
    let mut small = machine();
    small.descriptors = Situation { soft: 1024, hard: 4096, ceiling: 1_048_576, may_raise_hard: false };
    let strict = examined(&with("strict-limits"), &small);
    assert_eq!(strict.first_to_break().and_then(|finding| finding.at_connections), Some(0));
    assert!(strict.first_to_break().is_some_and(|finding| finding.text.contains("does not start")));
    small.descriptors.ceiling = 20_000;
    small.descriptors.may_raise_hard = true;
    let beyond = examined(TUTORIAL, &small);
    assert!(command(beyond.first_to_break().expect("it breaks")).starts_with("sudo sysctl -w fs.nr_open="));
}

#[test]
fn few_ports() {
    let mut machine = machine();
    machine.ports = (50_000, 60_000);
    let report = examined(TUTORIAL, &machine);
    let first = report.first_to_break().expect("it breaks");
    assert_eq!((first.subject, first.at_connections), ("source ports", Some(20_006)));
    assert_eq!(command(first), "sudo sysctl -w net.ipv4.ip_local_port_range='10240 65535'");
    // Listening ports inside the new range are kept out of it.
    let high = examined(&TUTORIAL.replace("*:1890", "*:18900"), &machine);
    assert!(command(high.first_to_break().expect("it breaks")).ends_with(" net.ipv4.ip_local_reserved_ports=18900"));
    // One broker cannot have 200,000 from one address.
    let one = TUTORIAL
        .replace("maxconn 51200", "maxconn 200000")
        .replace("maxconn 50000", "maxconn 200000")
        .replace("    server emq2 127.0.0.12:1883 check inter 10000 fall 2 rise 5 weight 1\n", "");
    let many = examined(&one, &Machine { ports: (32_768, 60_999), ..machine.clone() });
    let lines = written(finding(&many, "source ports"));
    assert!(lines.starts_with("    server emq1-1 127.0.0.11:1883 … source <own address 1>\n"), "{lines}");
    assert!(lines.contains("… 8 lines in all"), "{lines}");
    // `source` with a range of its own is counted by that range.
    let ranged = examined(&TUTORIAL.replace("weight 1", "weight 1 source 127.0.0.1:2000-2099"), &machine);
    assert_eq!(ranged.measures.iter().find(|measure| measure.subject == "source ports").map(|row| row.has), Some(100));
}

#[test]
fn little_memory() {
    let machine = Machine { memory_available_bytes: Some(300 << 20), ..machine() };
    let report = examined(TUTORIAL, &machine);
    let first = report.first_to_break().expect("it breaks");
    assert_eq!(first.subject, "memory");
    let at = first.at_connections.expect("a number");
    assert!((25_000..33_000).contains(&at), "{at}");
    assert_eq!(written(first), format!("global\n    maxconn {at}"));
    // With what it says, it fits.
    let fixed = examined(&TUTORIAL.replace("maxconn 51200", &format!("maxconn {at}")), &machine);
    assert!(!has(&fixed, "memory"));
}

#[test]
fn the_first_to_break_is_the_one_with_the_fewest_connections() {
    let mut machine = Machine { memory_available_bytes: Some(300 << 20), ..machine() };
    machine.descriptors = Situation { soft: 1024, hard: 4096, ceiling: 1_048_576, may_raise_hard: false };
    machine.open_files = Some(OpenFiles { max: 30_000, used: 10_000 });
    machine.conntrack = Some(Conntrack { max: 65_536, used: 10 });
    machine.ports = (60_000, 60_999);
    let report = examined(TUTORIAL, &machine);
    let broken: Vec<&str> = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Breaks)
        .map(|finding| finding.subject)
        .collect();
    assert_eq!(broken, ["source ports", "descriptors", "open files", "memory", "conntrack"]);
    assert_eq!(command(finding(&report, "conntrack")), "sudo sysctl -w net.netfilter.nf_conntrack_max=131072");
    assert!(command(finding(&report, "open files")).starts_with("sudo sysctl -w fs.file-max="));
    machine.paths.pidfile_error = Some("/home/hylink/haproxy/sbin does not exist".into());
    let report = examined(TUTORIAL, &machine);
    assert_eq!(command(report.first_to_break().expect("it breaks")), "sudo mkdir -p /home/hylink/haproxy/sbin");
    assert!(text::render(&report).contains("What breaks first: pid file, at the start."));
}

#[test]
fn a_table_that_tracks_nothing_is_no_limit() {
    let machine = Machine { conntrack: Some(Conntrack { max: 10, used: 0 }), ..machine() };
    assert!(!has(&examined(TUTORIAL, &machine), "conntrack"));
}

#[test]
fn storms_and_slow_peers() {
    let machine = Machine { backlog_max: Some(128), tcp_pressure_bytes: Some(64 << 20), ..machine() };
    let report = examined(TUTORIAL, &machine);
    assert_eq!(report.exit_code(), 0);
    assert_eq!(command(finding(&report, "listen queue")), "sudo sysctl -w net.core.somaxconn=65535");
    assert_eq!(finding(&report, "socket buffers").at_connections, Some(8192));
    assert!(command(finding(&report, "socket buffers")).starts_with("sudo sysctl -w net.ipv4.tcp_mem='"));
    assert!(!has(&examined(TUTORIAL, &self::machine()), "listen queue"));
}

#[test]
fn engines() {
    let disabled = Machine { io_uring: Err("forbidden".into()), io_uring_disabled: 2, ..machine() };
    let report = examined(TUTORIAL, &disabled);
    assert_eq!((report.engine, finding(&report, "engine").severity), ("epoll", Severity::Hint));
    assert_eq!(command(finding(&report, "engine")), "sudo sysctl -w kernel.io_uring_disabled=0");
    let forced = examined_with(TUTORIAL, &disabled, Ok(EngineChoice::IoUring));
    assert_eq!((forced.exit_code(), forced.engine), (2, "none"));
    assert_eq!(forced.first_to_break().map(|finding| finding.subject), Some("engine"));
    let chosen = examined_with(TUTORIAL, &disabled, Ok(EngineChoice::Epoll));
    assert!(!has(&chosen, "engine"));
    assert_eq!(examined_with(TUTORIAL, &machine(), Err("no such engine".into())).exit_code(), 2);
    let locked = Machine { io_uring: Err("too little lockable memory (ulimit -l)".into()), ..machine() };
    assert!(command(finding(&examined(TUTORIAL, &locked), "engine")).contains("--memlock="));
}

#[test]
fn long_lived_connections() {
    let vanished = examined(TUTORIAL, &machine());
    assert!(finding(&vanished, "vanished clients").text.contains("for 2 h 11 min"));
    let probed = TUTORIAL.replace(
        "option clitcpka ",
        "option clitcpka\n    clitcpka-idle 60s\n    clitcpka-intvl 15s\n    clitcpka-cnt 4 ",
    );
    assert!(!has(&examined(&probed, &machine()), "vanished clients"));
    let unprobed = examined(&TUTORIAL.replace("option clitcpka", "#"), &machine());
    assert!(finding(&unprobed, "vanished clients").text.contains("for 3 h (nobody asks"));
    let endless = "listen a\n  mode tcp\n  bind :1890\n  server s 10.0.0.1:1\n";
    assert_eq!(finding(&examined(endless, &machine()), "time-outs").severity, Severity::Risk);
    let web = examined(WEB, &machine());
    assert!(finding(&web, "quiet connections").text.contains("30 s is cut: tcptest, by_rdp_cookie."));
    assert!(written(finding(&web, "tunnels")).ends_with("timeout tunnel 3h"));
    assert_eq!(web.exit_code(), 0);
}

#[test]
fn who_may_start_it() {
    let user = Machine {
        rights: Rights { user_id: 1000, unprivileged_port_start: 1024, may_bind_low_ports: false },
        ..machine()
    };
    let low = examined(WEB, &user);
    assert_eq!(
        command(low.first_to_break().expect("it breaks")),
        "sudo sysctl -w net.ipv4.ip_unprivileged_port_start=80"
    );
    let jailed = examined(&TUTORIAL.replace("    daemon\n", "    chroot /\n    user root\n"), &user);
    assert_eq!(command(jailed.first_to_break().expect("it breaks")), "sudo ringway -f t.cfg");
    assert_eq!(examined(TUTORIAL, &user).exit_code(), 0);
}

#[test]
fn maxconn_that_nobody_wrote() {
    let text = TUTORIAL.replace("    maxconn 51200\n", "");
    let report = examined(&text, &machine());
    assert!(report.automatic_maxconn && !has(&report, "descriptors"), "{report:#?}");
    assert!(text::render(&report).contains("(computed from the descriptor limit)"));
}

#[test]
fn workers_and_cpus() {
    let machine = Machine { cpus: 8, ..machine() };
    let report = examined(TUTORIAL, &machine);
    assert_eq!(finding(&report, "workers").text, "2 of 8 CPUs get a worker.");
    assert_eq!(written(finding(&report, "workers")), "global\n    nbproc 8");
}

#[test]
fn tools_get_the_same() {
    let machine = Machine { memory_available_bytes: Some(300 << 20), ..machine() };
    let report = examined(TUTORIAL, &machine);
    let value: serde_json::Value = serde_json::from_str(&json::render(&report)).expect("JSON");
    assert_eq!(value["breaks_first"], "memory");
    assert_eq!(value["exit_code"], 2);
    assert_eq!(value["maxconn"], 51_200);
    let first = &value["findings"][0];
    assert_eq!((first["severity"].as_str(), first["fix_kind"].as_str()), (Some("breaks"), Some("configuration")));
    assert_eq!(value["measures"].as_array().map(Vec::len), Some(report.measures.len()));
    let good: serde_json::Value =
        serde_json::from_str(&json::render(&examined(TUTORIAL, &self::machine()))).expect("JSON");
    assert!(good["breaks_first"].is_null());
}

proptest! {
    /// Whatever the machine, there is an answer; and a machine with more of everything breaks no sooner.
    #[test]
    fn more_of_everything_is_never_worse(
        hard in 1u64..2_000_000, more in 0u64..1_000_000, memory in 0u64..1 << 36, ports in 1u16..60_000,
        files in 0u64..1 << 40, conntrack in 1u64..1 << 30, maxconn in 1u32..2_000_000, workers in 1u32..65,
        may_raise in any::<bool>(), strict in any::<bool>(),
    ) {
        let extra = if strict { "\n    strict-limits" } else { "" };
        let text = TUTORIAL
            .replace("nbproc 2", &format!("nbproc {workers}"))
            .replace("maxconn 51200", &format!("maxconn {maxconn}{extra}"))
            .replace("maxconn 50000", &format!("maxconn {maxconn}"));
        let of = |more: u64| {
            let machine = Machine {
                descriptors: Situation { soft: 1, hard: hard + more, ceiling: 2_000_000, may_raise_hard: may_raise },
                memory_available_bytes: Some(memory + more * 1024),
                ports: (1025, 1024 + ports + u16::try_from(more % 4000).unwrap_or(0)),
                open_files: Some(OpenFiles { max: files + more, used: 1000 }),
                conntrack: Some(Conntrack { max: conntrack + more, used: 1 }),
                ..machine()
            };
            examined(&text, &machine)
        };
        let (less, more) = (of(0), of(more));
        let at = |report: &Report| report.first_to_break().map_or(u64::MAX, |finding| finding.at_connections.unwrap_or(0));
        prop_assert!(at(&more) >= at(&less), "{less:#?}\n{more:#?}");
        for report in [less, more] {
            for finding in &report.findings {
                // What breaks does so before maxconn is reached, or it would not break.
                if finding.severity == Severity::Breaks {
                    prop_assert!(finding.at_connections.is_some_and(|at| at <= report.maxconn));
                }
            }
            prop_assert!(!text::render(&report).is_empty() && !json::render(&report).is_empty());
        }
    }
}
