use super::*;
use crate::config::model::Config;
use crate::policy::state_log::StateLog;
use crate::session::stats::fixture;
use crate::shared::mailbox::{Message, SessionKill};
use crate::shared::server::admin;
use crate::shared::{FrontendStatus, Shared};
use proptest::prelude::*;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, LazyLock};

const CONFIG: &str = "\
global
  stats socket /run/x.sock level admin
defaults
  timeout connect 1s
  timeout client 1s
  timeout server 1s
frontend fe
  bind 127.0.0.1:1890
  default_backend be
backend be
  server s1 127.0.0.1:1883 check weight 3
  server s2 127.0.0.1:1884 backup
  server s3 127.0.0.1:1885 disabled check
";

struct Terminal {
    shared: Arc<Shared>,
    session: RuntimeSession,
    state_logs: Vec<StateLog>,
    last: Verdict,
}

impl Terminal {
    fn new(level: RuntimeLevel) -> Terminal {
        static LOADED: LazyLock<Arc<Config>> = LazyLock::new(|| fixture::config(CONFIG));
        let shared = fixture::shared(LOADED.clone());
        for worker in &shared.workers {
            while worker.mailbox.take().is_some() {}
        }
        let session = RuntimeSession::new(level, Some(Duration::from_secs(10)));
        Terminal { shared, session, state_logs: Vec::new(), last: Verdict::Continue }
    }
    fn bytes(&mut self, input: &[u8], end_of_input: bool) -> Vec<u8> {
        let mut output = Vec::new();
        let mut context = LocalContext {
            shared: &self.shared,
            worker: 2,
            now_us: 125_000_000,
            wall_us: 1_700_000_125_000_000,
            pid: 4711,
            hostname: "lb",
            client_ip: None,
            state_logs: &mut self.state_logs,
        };
        self.last = self.session.receive(input, end_of_input, &mut context, &mut output);
        output
    }
    fn text(&mut self, input: &str, end_of_input: bool) -> String {
        String::from_utf8(self.bytes(input.as_bytes(), end_of_input)).unwrap()
    }
}

/// One line on a fresh connection.
fn ask(level: RuntimeLevel, line: &str) -> String {
    Terminal::new(level).text(&format!("{line}\n"), false)
}
fn admin(line: &str) -> String {
    ask(RuntimeLevel::Admin, line)
}

#[test]
fn answers_are_haproxys() {
    for (line, expected) in [
        ("get weight be/s1", "3 (initial 3)\n\n"),
        ("get weight #3/#1", "3 (initial 3)\n\n"),
        ("get weight be/nope", "No such server.\n\n"),
        ("get weight nope/s1", "No such backend.\n\n"),
        ("get weight be", "Require 'backend/server'.\n\n"),
        ("get weight be/", "Require 'backend/server'.\n\n"),
        ("set server be/s1 state ready", "\n"),
        ("set server be/s1 state", "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n\n"),
        ("set server be/s1 health x", "'set server <srv> health' expects 'up', 'stopping', or 'down'.\n\n"),
        ("set server be/s1 weight 300", "Absolute weight can only be between 0 and 256 inclusive.\n\n"),
        ("set server be/s1 weight", "Require <weight> or <weight%>.\n\n"),
        ("set maxconn frontend fe", "Integer value expected.\n\n"),
        ("set maxconn frontend be 1", "No such frontend.\n\n"),
        ("set maxconn global 5000", "Value out of range.\n\n"),
        ("set maxconn global", "Expects an integer value.\n\n"),
        ("set maxconn server be/s2", "Require <maxconn>.\n\n"),
        ("set timeout cli", "Expects an integer value.\n\n"),
        ("set timeout cli 0", "Invalid timeout value.\n\n"),
        ("set timeout foo 3", "'set timeout' only supports 'cli'.\n\n"),
        ("set severity-output x", "one of 'none', 'number', 'string' is a required argument\n\n"),
        ("disable frontend", "A frontend name is expected.\n\n"),
        ("disable frontend nope", "No such frontend.\n\n"),
        ("enable frontend fe", "All sockets are already enabled.\n\n"),
        ("enable health be/s2", "Health check was not configured on this server, cannot enable.\n\n"),
        ("show servers state nope", "Can't find backend.\n\n"),
        ("show backend", "# name\nbe\n\n"),
        ("show stat domain dns", "Invalid statistics domain.\n\n"),
        ("show stat nope 4 1", "No such proxy.\n\n"),
        ("show env NO_SUCH_VARIABLE", "Variable not found\n\n"),
        ("show cli sockets", "# socket lvl processes\nunix@/run/x.sock admin all\n\n"),
        ("quit", ""),
    ] {
        assert_eq!(admin(line), expected, "{line}");
    }
    assert!(admin("show peers").contains("not supported"));
    assert!(admin("shutdown session 0x12").contains("not supported"));
    assert!(admin("foo").starts_with("Unknown command, but maybe"));
    assert!(admin("show").contains("  show stat "), "commands that start alike are offered");
    assert!(admin("").starts_with("Unknown command. Please enter one of the following commands only:\n"));
    assert!(admin("help get").contains("  get weight <bk>/<srv> "));
}

#[test]
fn levels_are_kept() {
    use RuntimeLevel::{Operator, User};
    for line in [
        "set server be/s1 state maint",
        "disable server be/s1",
        "set maxconn global 1",
        "disable frontend fe",
        "set weight be/s1 1",
        "shutdown sessions server be/s1",
        "clear counters all",
        "set server foo",
    ] {
        assert_eq!(ask(User, line), "Permission denied\n\n", "{line}");
        assert_eq!(ask(Operator, line), "Permission denied\n\n", "{line}");
    }
    assert_eq!(
        (ask(User, "clear counters"), ask(Operator, "clear counters")),
        ("Permission denied\n\n".into(), "\n".into())
    );
    assert_eq!(ask(User, "show env HOME"), "Permission denied\n\n");
    assert_eq!(admin("user;show cli level;operator;show cli level"), "\nuser\n\nPermission denied\n\nuser\n\n");
    assert!(ask(Operator, "show stat be 4 1").contains(",127.0.0.1:1883,"));
    assert!(!ask(User, "show stat be 4 1").contains("127.0.0.1"), "addresses are for operators");
}

#[test]
fn several_commands_prompts_and_half_close() {
    assert_eq!(admin("get weight be/s1;get weight be/s2"), "3 (initial 3)\n\n1 (initial 1)\n\n");
    let mut terminal = Terminal::new(RuntimeLevel::Admin);
    assert_eq!(terminal.text("get weight be/s1", true), "3 (initial 3)\n\n");
    assert_eq!(terminal.last, Verdict::CloseAfterOutput);

    let mut terminal = Terminal::new(RuntimeLevel::Admin);
    assert_eq!(terminal.text("prompt\nget weight be/s1\n", false), "\n> 3 (initial 3)\n\n> ");
    assert_eq!((terminal.text("\n", false).as_str(), terminal.last), ("\n> ", Verdict::Continue));
    assert_eq!(terminal.text("add map x <<\nkey value\n", false), "+ + ");
    assert_eq!(terminal.text("\n", false), "Unknown map identifier. Please use #<id> or <file>.\n\n> ");
    assert_eq!((terminal.text("quit\n", false).as_str(), terminal.last), ("", Verdict::CloseAfterOutput));

    let mut terminal = Terminal::new(RuntimeLevel::Admin);
    assert_eq!(
        (terminal.text("get weight be/s1\nget we", false), terminal.last),
        ("3 (initial 3)\n\n".into(), Verdict::Continue)
    );
    assert_eq!(
        (terminal.text("ight be/s2\r\n", false), terminal.last),
        ("1 (initial 1)\n\n".into(), Verdict::CloseAfterOutput)
    );
    assert_eq!(
        admin("set severity-output number;get weight be/x;set severity-output string;get weight be/x;get weight be/s1"),
        "\n[3]: No such server.\n\n\n[err]: No such server.\n\n3 (initial 3)\n\n"
    );
    let mut terminal = Terminal::new(RuntimeLevel::Admin);
    terminal.text("prompt\nset timeout cli 2m\n", false);
    assert_eq!(terminal.session.idle_timeout(), Some(Duration::from_secs(120)));
    assert!(terminal.text(&"x".repeat(20_000), false).contains("too long"));
    assert_eq!(terminal.last, Verdict::CloseAfterOutput);
}

#[test]
fn servers_change_and_everybody_is_told() {
    let mut terminal = Terminal::new(RuntimeLevel::Admin);
    assert_eq!(terminal.text("prompt\ndisable server be/s1\nset server be/s2 state drain\n", false), "\n> \n> \n> ");
    assert_eq!(terminal.shared.servers[0].admin_state(), admin::FORCED_MAINT);
    assert_eq!(terminal.shared.servers[1].admin_state(), admin::FORCED_DRAIN);
    assert!(terminal.state_logs.len() >= 2, "{:?}", terminal.state_logs);
    terminal.text("set weight be/s1 50%\nset maxconn server be/s1 9\nset maxconn global 7\n", false);
    assert_eq!(terminal.shared.servers[0].user_weight.load(Relaxed), 1);
    assert_eq!(terminal.shared.servers[0].maxconn.load(Relaxed), 9);
    assert_eq!(terminal.shared.process.maxconn.load(Relaxed), 7);
    terminal.text("shutdown sessions server be/s1\ndisable frontend fe\n", false);
    for worker in &terminal.shared.workers {
        let mail: Vec<Message> = std::iter::from_fn(|| worker.mailbox.take()).collect();
        let server = crate::config::model::ServerId(0);
        assert!(mail.contains(&Message::ShutdownServerSessions { server, why: SessionKill::Killed }));
        assert!(mail.contains(&Message::PauseListener { listener: crate::config::model::ListenerId(0) }));
    }
    assert_eq!(terminal.shared.proxies[0].frontend_status.load(Relaxed), FrontendStatus::Paused as u8);
    assert_eq!(terminal.text("disable frontend fe\n", false), "All sockets are already disabled.\n\n> ");
    terminal.text("shutdown frontend fe\n", false);
    assert_eq!(terminal.text("enable frontend fe\n", false), "Frontend was previously shut down, cannot enable.\n\n> ");
    let frontend = crate::config::model::ProxyId(0);
    assert_eq!(terminal.shared.workers[1].mailbox.take(), Some(Message::StopFrontend { frontend }));
}

#[test]
fn states_as_the_state_file_wants_them() {
    let answer = admin("show servers state");
    let mut lines = answer.lines();
    assert_eq!(lines.next(), Some("1"));
    let columns = lines.next().unwrap().trim_start_matches("# ").split(' ').count();
    let rows: Vec<Vec<&str>> = lines.filter(|line| !line.is_empty()).map(|line| line.split(' ').collect()).collect();
    assert_eq!((columns, rows.len()), (25, 3));
    assert!(rows.iter().all(|row| row.len() == columns), "{rows:?}");
    // As HAProxy 2.6 prints the same servers.
    assert_eq!(rows[1].join(" "), "3 be 2 s2 127.0.0.1 2 0 1 1 125 1 0 2 0 0 0 0 - 1884 - 0 0 - - 0");
    assert_eq!(rows[2].join(" "), "3 be 3 s3 127.0.0.1 0 5 1 1 125 1 0 0 14 0 0 0 - 1885 - 0 0 - - 0");
    assert!(admin("show servers conn").lines().nth(1).unwrap().starts_with("be/s1 3/1 127.0.0.1 1883 - "));
}

#[test]
fn counters_clear() {
    let mut terminal = Terminal::new(RuntimeLevel::Admin);
    let shared = terminal.shared.clone();
    shared.workers[0].proxies[0].frontend_connections.add(5);
    shared.process.connections.store(2, Relaxed);
    shared.process.connections_max.store(9, Relaxed);
    terminal.text("prompt\nclear counters\n", false);
    assert_eq!(shared.process.connections_max.load(Relaxed), 2);
    assert_eq!(shared.workers[0].proxies[0].frontend_connections.get(), 5);
    terminal.text("clear counters all\n", false);
    assert_eq!(shared.workers[0].proxies[0].frontend_connections.get(), 0);
}

#[test]
fn json_is_json() {
    for line in ["show info json", "show stat json", "show schema json"] {
        let value: serde_json::Value = serde_json::from_str(&admin(line)).unwrap();
        assert!(value.is_array() || value.is_object(), "{line}");
    }
    assert!(admin("show info").contains("\nUptime: 0d 0h02m05s\nUptime_sec: 125\n"));
    assert!(admin("show info typed").contains("\n6.Pid.1:SGP:u32:4711\n"));
    assert!(admin("show info desc").contains("\nPid: 4711:\""));
}

proptest! {
    #[test]
    fn no_input_is_too_much(input in proptest::collection::vec(any::<u8>(), 0..300), end in any::<bool>()) {
        Terminal::new(RuntimeLevel::Admin).bytes(&input, end);
    }

    #[test]
    fn pieces_do_not_matter_in_interactive_mode(
        lines in proptest::collection::vec(prop_oneof![
            Just("get weight be/s1".to_string()), Just("show backend;;foo".to_string()), Just("add map <<".to_string()),
            Just(String::new()), Just("set server be/s1 weight 5%".to_string()), "[ -~]{0,12}",
        ], 0..6), piece in 1usize..7) {
        let input = format!("prompt\n{}\n", lines.join("\n"));
        let (mut whole, mut cut) = (Terminal::new(RuntimeLevel::Admin), Terminal::new(RuntimeLevel::Admin));
        let expected = whole.bytes(input.as_bytes(), true);
        let mut got = Vec::new();
        for part in input.as_bytes().chunks(piece) {
            got.extend(cut.bytes(part, false));
        }
        got.extend(cut.bytes(b"", true));
        prop_assert_eq!(String::from_utf8(got), String::from_utf8(expected));
    }
}
