//! The stats page in a real browser: what a person sees of it and does with it.

use std::time::Duration;

use crate::support::*;

on_each_engine!(
    a_server_is_put_into_maintenance_by_hand within 60,
    the_page_asks_who_is_there within 60,
    the_page_loads_itself_again within 60,
);

/// A server's row of a proxy's table.
fn row(proxy: &str, name: &str) -> String {
    format!("//section[@id='{proxy}']//tr[th[starts-with(normalize-space(.), '{name}')]]")
}

fn status_of(browser: &Browser, proxy: &str, name: &str) -> String {
    browser.one(&format!("{}/td[contains(@class, 'status')]/b", row(proxy, name))).text()
}

/// The tutorial's two sections, with our ports, origins and `lines` for the page.
fn tutorial(flavour: Flavour, lines: &str) -> (Running, Vec<Origin>, String) {
    let origins = vec![Origin::echo(), Origin::echo()];
    let (page, port) = (ports::free_port(), ports::free_port());
    let file = format!(
        "global\n    nbproc 2\n    maxconn 4000\ndefaults\n    log global\n    mode http\n    option httplog\n\
         \x20   option dontlognull\n    retries 3\n    option abortonclose\n    timeout connect 5000ms\n\
         \x20   timeout client 30000ms\n    timeout server 60000ms\n    balance roundrobin\n\
         listen stats\n    bind 127.0.0.1:{page}\n    mode http\n    option httplog\n    maxconn 10\n\
         \x20   stats uri /stats\n    stats hide-version\n{lines}\
         listen mqtt\n    bind 127.0.0.1:{port}\n    mode tcp\n    maxconn 2000\n    option clitcpka\n\
         \x20   timeout client 3h\n    timeout server 3h\n    option tcplog\n    balance leastconn\n\
         \x20   server emq1 {} check inter 10000 fall 2 rise 5 weight 1\n\
         \x20   server emq2 {} check inter 10000 fall 2 rise 5 weight 1\n",
        origins[0].address(),
        origins[1].address()
    );
    let proxy = Setup::new(flavour).start_file(&file, &[page, port]);
    (proxy, origins, format!("127.0.0.1:{page}/stats"))
}

fn a_server_is_put_into_maintenance_by_hand(flavour: Flavour) {
    let lines = "    stats refresh 30s\n    stats realm Haproxy\\ Manager\n    stats admin if TRUE\n";
    let (_proxy, _origins, page) = tutorial(flavour, lines);
    let browser = Browser::start();
    browser.open(&format!("http://{page}"));

    // The columns that the tutorial lists, under their groups.
    let heads = |row: u32| -> Vec<String> {
        let head = format!("//section[@id='mqtt']//thead/tr[{row}]/th");
        browser.all(&head).iter().map(Element::text).filter(|text| !text.is_empty()).collect()
    };
    let groups = ["Queue", "Session rate", "Sessions", "Bytes", "Denied", "Errors", "Warnings", "Server"];
    assert_eq!(heads(1), groups);
    let columns = "Cur Max Limit Cur Max Limit Cur Max Limit Total LbTot Last In Out Req Resp Req Conn Resp Retr Redis \
                   Status LastChk Wght Act Bck Chk Dwn Dwntme Thrtle";
    assert_eq!(heads(2), columns.split_whitespace().collect::<Vec<_>>());
    // Each cell stands under its heading: the tables of groups and columns are as wide as the rows.
    let cells = browser.all(&format!("{}/td[not(contains(@class, 'check'))]", row("mqtt", "emq1"))).len();
    assert_eq!(cells, heads(2).len());

    // "UP 1/2" before a server's first check, which comes within `inter`.
    assert!(status_of(&browser, "mqtt", "emq1").starts_with("UP"));
    let select = browser.one(&format!("{}//input[@type='checkbox']", row("mqtt", "emq1")));
    select.click();
    assert!(select.is_checked());
    browser.one("//section[@id='mqtt']//select[@name='action']/option[@value='maint']").click();
    browser.one("//section[@id='mqtt']//button").click_away();

    assert_eq!(browser.address(), format!("http://{page};st=DONE"));
    assert_eq!(status_of(&browser, "mqtt", "emq1"), "MAINT");
    assert!(status_of(&browser, "mqtt", "emq2").starts_with("UP"), "only the one whose box was checked");
    assert!(!browser.one("//p[@role='status']").text().is_empty(), "and says that it was done");
    // The way back.
    browser.one(&format!("{}//input[@type='checkbox']", row("mqtt", "emq1"))).click();
    browser.one("//section[@id='mqtt']//select[@name='action']/option[@value='ready']").click();
    browser.one("//section[@id='mqtt']//button").click_away();
    assert!(status_of(&browser, "mqtt", "emq1").starts_with("UP"));
}

fn the_page_asks_who_is_there(flavour: Flavour) {
    let lines = "    stats realm Haproxy\\ Manager\n    stats auth admin:s3cret\n    stats admin if TRUE\n";
    let (_proxy, _origins, page) = tutorial(flavour, lines);
    let browser = Browser::start();
    browser.open(&format!("http://{page}"));
    assert!(browser.all("//section").is_empty(), "nothing without credentials");
    browser.open(&format!("http://admin:wrong@{page}"));
    assert!(browser.all("//section").is_empty(), "nothing with wrong ones");
    browser.open(&format!("http://admin:s3cret@{page}"));
    assert!(status_of(&browser, "mqtt", "emq2").starts_with("UP"));
    // The browser sends them again with the form.
    browser.one(&format!("{}//input[@type='checkbox']", row("mqtt", "emq2"))).click();
    browser.one("//section[@id='mqtt']//select[@name='action']/option[@value='drain']").click();
    browser.one("//section[@id='mqtt']//button").click_away();
    assert!(browser.address().ends_with("/stats;st=DONE"), "{}", browser.address());
    assert!(status_of(&browser, "mqtt", "emq2").starts_with("DRAIN"));
}

fn the_page_loads_itself_again(flavour: Flavour) {
    let (proxy, _origins, page) = tutorial(flavour, "    stats refresh 3s\n");
    let browser = Browser::start();
    browser.open(&format!("http://{page}"));
    let before = browser.one("//section[@id='mqtt']");
    eventually(30, "the page is a new one", || if before.is_there() { Err("the old one".to_string()) } else { Ok(()) });
    browser.one("//nav/a[normalize-space(.)='Disable refresh']").click_away();
    assert!(browser.address().ends_with("/stats;norefresh"), "{}", browser.address());
    let before = browser.one("//section[@id='mqtt']");
    std::thread::sleep(Duration::from_millis(5000));
    assert!(before.is_there(), "it stays now");
    drop(proxy);
}
