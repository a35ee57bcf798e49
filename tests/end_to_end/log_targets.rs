//! Which targets a line goes to, and how often.

use std::thread;
use std::time::Duration;

use crate::support::*;

on_each_proxy!(log_global_in_defaults_and_proxy_is_one, a_target_written_twice_gets_two_lines);

/// One session leaves `wanted` lines when the proxy says `lines` beside the `log global` of its defaults.
fn one_session_leaves(wanted: usize, lines: &str, flavour: Flavour) {
    let setup = Setup::new(flavour);
    let origin = Origin::echo();
    let port = ports::free_port();
    let lines = lines.replace("SYSLOG", &setup.syslog.address().to_string());
    let sections = format!("listen px\n    bind 127.0.0.1:{port}\n{lines}    server s1 {}\n", origin.address());
    let proxy = setup.start(&sections, &[port]);
    exchange(&mut connect(port), b"hello");
    proxy.syslog().wait_for_sessions(10, "px", wanted);
    // For those that nobody wants.
    thread::sleep(Duration::from_millis(300));
    assert_eq!(proxy.syslog().sessions("px").len(), wanted);
}

fn log_global_in_defaults_and_proxy_is_one(flavour: Flavour) {
    one_session_leaves(1, "    log global\n    log global\n", flavour);
}

fn a_target_written_twice_gets_two_lines(flavour: Flavour) {
    one_session_leaves(2, "    no log\n    log SYSLOG local0\n    log SYSLOG local0\n", flavour);
}
