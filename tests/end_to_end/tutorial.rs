//! The tutorial's MQTT file, as it stands in configs/, on the ports that it names.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::mqtt::{crowd, split};
use crate::support::mqtt::run;
use crate::support::*;

on_each_engine!(
    two_thousand_clients_through_the_file_as_written within 120,
    starts_with_a_descriptor_limit_of_4096 within 120,
    a_check_of_the_file_succeeds,
);

fn tutorial_file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("configs/mqtt.cfg")
}

/// The file names its ports, so that one test at a time may run it, on the whole machine.
fn alone() -> File {
    let lock = File::create(std::env::temp_dir().join("ringway-tutorial-ports.lock")).expect("a lock file");
    lock.lock().expect("locked");
    lock
}

fn brokers() -> [Broker; 2] {
    [("emq1", 11), ("emq2", 12)].map(|(name, host)| Broker::start_on(name, SocketAddr::from(([127, 0, 0, host], 1883))))
}

fn start(flavour: Flavour, descriptor_limit: Option<u64>) -> Running {
    let mut setup = Setup::new(flavour);
    setup.stats_port = 9080;
    setup.descriptor_limit = descriptor_limit;
    // The file's pidfile lies in a directory of the tutorial's own machine; the command line wins over it.
    setup.arguments = vec!["-p".to_string(), setup.path("ringway.pid").display().to_string()];
    let file = fs::read_to_string(tutorial_file()).expect("configs/mqtt.cfg");
    setup.start_file(&file, &[1890, 9080])
}

fn figures(proxy: &Running) -> stats::Table {
    let answer = stats::get(proxy.stats_address(), "/stats;csv");
    assert_eq!(answer.status, 200);
    stats::Table::parse(&answer.body)
}

fn two_thousand_clients_through_the_file_as_written(flavour: Flavour) {
    let _alone = alone();
    let _brokers = brokers();
    let proxy = start(flavour, None);
    run(async {
        let clients = crowd(SocketAddr::from(([127, 0, 0, 1], 1890)), 2000, "tutorial").await;
        assert_eq!(split(&clients), [("emq1".to_string(), 1000), ("emq2".to_string(), 1000)].into());
        let figures = figures(&proxy);
        assert_eq!(figures.number("mqtt", "FRONTEND", "scur"), 2000);
        assert_eq!(figures.number("mqtt", "FRONTEND", "slim"), 50_000);
        assert_eq!(figures.number("mqtt", "emq1", "scur"), 1000);
        assert_eq!(figures.number("mqtt", "emq2", "scur"), 1000);
        for (client, _) in clients {
            client.disconnect().await;
        }
    });
    eventually(10, "all sessions end", || match figures(&proxy).number("mqtt", "FRONTEND", "scur") {
        0 => Ok(()),
        left => Err(left.to_string()),
    });
    let page = stats::get(proxy.stats_address(), "/stats");
    assert_eq!((page.status, page.header("refresh")), (200, Some("30")));
    assert!(page.body.contains("emq1") && page.body.contains("emq2"), "{}", page.body);
    let messages = proxy.messages();
    assert!(!messages.contains("[ALERT]"), "{messages}");
}

fn starts_with_a_descriptor_limit_of_4096(flavour: Flavour) {
    let _alone = alone();
    let _brokers = brokers();
    let proxy = start(flavour, Some(4096));
    let messages = proxy.messages();
    let about: Vec<&str> = messages.lines().filter(|line| line.contains("FD limit (4096)")).collect();
    assert_eq!(about.len(), 1, "one line about the limit:\n{messages}");
    assert!(about[0].contains("maxconn"), "it names the effective maxconn: {}", about[0]);
    run(async {
        let clients = crowd(SocketAddr::from(([127, 0, 0, 1], 1890)), 1000, "limited").await;
        assert_eq!(split(&clients), [("emq1".to_string(), 500), ("emq2".to_string(), 500)].into());
    });
    assert_eq!(figures(&proxy).number("mqtt", "FRONTEND", "stot"), 1000);
}

fn a_check_of_the_file_succeeds(flavour: Flavour) {
    let output = flavour.command().arg("-c").arg("-f").arg(tutorial_file()).output().expect("it runs");
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{errors}");
    assert!(out.contains("Configuration file is valid"), "{out}");
    // The second word of `stats realm Haproxy Manager` is lost without a backslash: said, not refused.
    assert!(errors.contains("stats realm"), "{errors}");
    assert!(!errors.contains("[ALERT]"), "{errors}");
}
