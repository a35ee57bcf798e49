use super::super::fixture;
use super::super::request::PageOptions;
use super::*;
use crate::config::model::{Config, ServerId};
use crate::policy::health::{AdminChange, set_admin};
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

const CONFIG: &str = "\
global
  stats socket /run/x.sock
  node n1
  description \"<the> desc\"
defaults
  timeout connect 1s
  timeout client 1s
  timeout server 1s
listen mqtt
  mode tcp
  bind 127.0.0.1:1890 name in
  option socket-stats
  balance leastconn
  server emq1 127.0.0.1:1883 check
  server emq2 127.0.0.1:1884 backup
";

fn config() -> Arc<Config> {
    static LOADED: LazyLock<Arc<Config>> = LazyLock::new(|| fixture::config(CONFIG));
    LOADED.clone()
}

fn page(config: Arc<Config>, settings: &StatsSettings, options: &PageOptions, may_administer: bool) -> String {
    let shared = fixture::shared(config);
    let _ = set_admin(&shared, ServerId(0), AdminChange::Maint, 1_000_000, "by a test");
    let snapshot = Snapshot { shared: &shared, now_us: 90_000_000, wall_us: 1_700_000_090_000_000 };
    let mut selection = Selection { details: settings.show_legends, ..Default::default() };
    options.narrow(&mut selection);
    let context =
        PageContext { snapshot, settings, options, selection: &selection, may_administer, pid: 4711, hostname: "host" };
    let mut output = String::new();
    write(&context, &mut output);
    output
}

#[test]
fn shows_every_column_and_line() {
    let text = page(config(), &fixture::settings(), &PageOptions::default(), false);
    for heading in ["Queue", "Session rate", "Sessions", "Bytes", "Denied", "Errors", "Warnings", "Server"] {
        assert!(text.contains(&format!("class=\"group\">{heading}</th>")), "{heading}");
    }
    for column in [
        "Cur", "Max", "Limit", "Total", "LbTot", "Last", "In", "Out", "Req", "Resp", "Conn", "Retr", "Redis", "Status",
        "LastChk", "Wght", "Act", "Bck", "Chk", "Dwn", "Dwntme", "Thrtle",
    ] {
        assert!(text.contains(&format!(">{column}</th>")), "{column}");
    }
    for line in ["Frontend", "in", "emq1", "emq2", "Backend"] {
        assert!(text.contains(&format!("class=\"name\">{line}")), "{line}");
    }
    assert!(text.contains("<b>MAINT</b> <small>1m29s</small>"));
    assert!(text.contains("pid 4711") && text.contains(product::VERSION));
    assert!(!text.contains("<form") && !text.contains("127.0.0.1") && !text.contains("n1"));
    let widths: Vec<usize> =
        text.split("<tr class=").skip(1).map(|row| row.split("</tr>").next().unwrap().matches("<td").count()).collect();
    assert_eq!(widths, [30; 5], "every line has every column");
}

#[test]
fn settings_and_options_show() {
    let mut settings = fixture::settings();
    settings.hide_version = true;
    settings.show_legends = true;
    settings.show_node = Some(String::new());
    settings.show_desc = Some(String::new());
    settings.refresh = Some(std::time::Duration::from_secs(5));
    let options = PageOptions { form_result: Some("DENY".into()), up_only: true, ..Default::default() };
    let text = page(config(), &settings, &options, true);
    assert!(!text.contains(product::VERSION) && text.contains("127.0.0.1:1884") && text.contains("leastconn"));
    assert!(text.contains("on n1</title>") && text.contains("&lt;the&gt; desc"));
    assert!(text.contains("you may not administer") && text.contains("action=\"&#x2F;stats;up\""));
    assert!(text.contains("name=\"b\" value=\"#2\"") && text.contains("name=\"s\" value=\"emq2\""));
    assert!(!text.contains("value=\"emq1\""), "DOWN servers are hidden");
    assert!(text.contains("Disable refresh"));
}

#[test]
fn numbers_and_durations() {
    assert_eq!([grouped("7"), grouped("1234567"), grouped("-1")], ["7", "1\u{202f}234\u{202f}567", "-1"]);
    assert_eq!([0, 61, 7199, 90_000].map(duration_text), ["0s", "1m1s", "1h59m", "1d1h"]);
}

/// The text without anything between quotes, so that what is left of markup can be counted.
fn tags(text: &str) -> usize {
    text.matches('<').count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn nothing_written_becomes_markup(name in "[ -~é]{0,12}[<>\"'&][ -~]{0,12}") {
        let build = |text: &str| {
            let mut changed = (*config()).clone();
            changed.proxies[0].name = text.to_string();
            changed.proxies[0].description = Some(text.to_string());
            for server in &mut changed.servers {
                server.name = text.to_string();
                server.cookie = Some(text.to_string());
            }
            changed.listeners[0].name = Some(text.to_string());
            let mut settings = fixture::settings();
            settings.uri = format!("/{text}");
            settings.show_legends = true;
            settings.show_node = Some(text.to_string());
            settings.show_desc = Some(text.to_string());
            let options = PageOptions { form_result: Some(text.to_string()), ..Default::default() };
            page(Arc::new(changed), &settings, &options, true)
        };
        let (plain, hostile) = (build("plain"), build(&name));
        prop_assert_eq!(tags(&plain), tags(&hostile));
        prop_assert_eq!(plain.matches('"').count(), hostile.matches('"').count());
    }
}
