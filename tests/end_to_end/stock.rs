//! Debian's own haproxy.cfg, as its package installs it: no `bind`, only a `stats socket`.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::support::*;

on_each_proxy!(debians_file_runs, what_counts_as_a_listener);

const STOCK_FILE: &str = "/etc/haproxy/haproxy.cfg";

fn debians_file_runs(flavour: Flavour) {
    let checked = flavour.command().args(["-c", "-f", STOCK_FILE]).output().expect("it runs");
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(0), "{said}");
    assert!(String::from_utf8_lossy(&checked.stdout).contains("Configuration file is valid"));
    assert!(!said.contains("[WARNING]") && !said.contains("[ALERT]"), "{said}");

    let text = fs::read_to_string(STOCK_FILE).expect("the package installs it");
    let setup = Setup::new(flavour);
    let socket = setup.stats_socket();
    // The package's start creates /run/haproxy; all else is as it stands: user, group, chroot, /dev/log.
    let own = text.replace("/run/haproxy/admin.sock", &socket.display().to_string());
    assert_ne!(own, text, "the file still has the socket this test means");
    let mut proxy = setup.start_file(&own, &[]);
    eventually(10, "the stats socket accepts", || UnixStream::connect(&socket).map_err(|error| error.to_string()));
    let info = proxy.command("show info");
    assert!(info.contains(&format!("\nPid: {}\n", proxy.pid())), "{info}");
    assert!(proxy.stats().rows.is_empty(), "it has no proxy");
    assert!(proxy.is_running(), "a missing /dev/log stops nothing: {}", proxy.messages());

    let process = format!("/proc/{}", proxy.pid());
    let status = fs::read_to_string(format!("{process}/status")).expect("its status");
    let uid: u32 = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|ids| ids.split_whitespace().next()?.parse().ok())
        .expect("a uid");
    assert_ne!(uid, 0, "`user haproxy`");
    assert_eq!(fs::read_link(format!("{process}/root")).expect("its root"), Path::new("/var/lib/haproxy"));

    proxy.signal(Signal::SIGTERM);
    assert_eq!(proxy.wait_code(5), 143);
}

/// Exit codes and the line that tells why, of `-c` and of a start, with nothing to listen on.
fn what_counts_as_a_listener(flavour: Flavour) {
    let directory = tempfile::tempdir().expect("a directory");
    let port = ports::free_port();
    let socket = directory.path().join("s.sock");
    let stats_socket = format!("global\n    stats socket {}\n", socket.display());
    let disabled =
        format!("frontend px\n    disabled\n    bind 127.0.0.1:{port}\n    mode tcp\n    timeout client 1s\n");
    let cases = [
        ("", 2, Some(1)),
        (disabled.as_str(), 2, Some(1)),
        ("backend px\n    mode tcp\n    timeout connect 1s\n    timeout server 1s\n", 2, Some(1)),
        (stats_socket.as_str(), 0, None),
        (&format!("{stats_socket}{disabled}"), 0, None),
    ];
    for (text, checked_code, run_code) in cases {
        let path = directory.path().join("px.cfg");
        fs::write(&path, text).expect("written");
        let checked = flavour.command().arg("-c").arg("-f").arg(&path).output().expect("it runs");
        let verdict = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert_eq!(checked.status.code(), Some(checked_code), "{text}: {verdict}");
        let words = if checked_code == 0 {
            "Configuration file is valid\n"
        } else {
            "Configuration file has no error but will not start (no listener) => exit(2).\n"
        };
        assert!(verdict.ends_with(words), "{text}: {verdict}");
        match run_code {
            Some(code) => {
                let ran = flavour.command().arg("-db").arg("-f").arg(&path).output().expect("it runs");
                let said = String::from_utf8_lossy(&ran.stderr);
                assert_eq!(ran.status.code(), Some(code), "{text}: {said}");
                assert!(said.contains("No enabled listener found (check for 'bind' directives) ! Exiting."), "{said}");
            }
            None => {
                let mut proxy = Setup::new(flavour).start_file(text, &[]);
                eventually(10, "it answers", || UnixStream::connect(&socket).map_err(|error| error.to_string()));
                assert!(stats::command(&socket, "show info").contains("\nPid: "));
                assert!(!proxy::is_listening(port), "a disabled frontend does not listen");
                proxy.signal(Signal::SIGTERM);
                assert_eq!(proxy.wait_code(5), 143);
            }
        }
    }
}
