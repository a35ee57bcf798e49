//! Side by side: one configuration and one script of requests, on HAProxy and on Ringway, and everything that can be
//! seen from outside compared: answers, what the origins were sent, log lines.

use std::net::TcpStream;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::http_client::{HttpClient, Response};
use super::http_log::is_same;
use super::http_origin::HttpOrigin;
use super::http_wire::{Framing, latin_1, sorted};
use super::proxy::clients_of;
use super::{Flavour, Running, Setup, ports};

/// A proxy in front of origins, and the notes taken while a script runs against it.
pub struct Lab {
    pub proxy: Running,
    pub port: u16,
    pub origins: Vec<HttpOrigin>,
    notes: Vec<String>,
    earlier: Mutex<Earlier>,
}

/// The clients so far, by their port, and whether they are still there.
type Earlier = Vec<(u16, Weak<()>)>;

impl Lab {
    /// `text` after our `global` and `defaults` (mode http, httplog, one worker): `{port}` stands for the port that
    /// clients come to, `{s1}`, `{s2}`… for the origins' addresses.
    pub fn start(flavour: Flavour, origins: Vec<HttpOrigin>, text: &str) -> Lab {
        Lab::start_with(Setup::new(flavour), origins, text)
    }

    pub fn start_with(mut setup: Setup, origins: Vec<HttpOrigin>, text: &str) -> Lab {
        let port = ports::free_port();
        setup.workers = 1;
        setup.log_option = "option httplog";
        setup.defaults.insert(0, "mode http".to_string());
        let mut text = text.replace("{port}", &port.to_string());
        for (index, origin) in origins.iter().enumerate() {
            text = text.replace(&format!("{{s{}}}", index + 1), &origin.address().to_string());
        }
        Lab { proxy: setup.start(&text, &[port]), port, origins, notes: Vec::new(), earlier: Mutex::default() }
    }

    /// `listen px` with `lines`, and all origins as servers s1, s2… behind it.
    pub fn listen(flavour: Flavour, origins: Vec<HttpOrigin>, lines: &str) -> Lab {
        let text = listen_section(&origins, lines);
        Lab::start(flavour, origins, &text)
    }

    /// The same with one origin that answers as it is asked.
    pub fn plain(flavour: Flavour, lines: &str) -> Lab {
        Lab::listen(flavour, vec![HttpOrigin::named("s1")], lines)
    }

    /// Waits until the proxy's only worker has dealt with all that came to it before: it answers two more requests, on
    /// a page of its own, which are neither in the logs nor in the figures of what is tested. A proxy that ends has no
    /// page any more.
    pub fn settle(&self) {
        let Ok(stream) = TcpStream::connect(self.proxy.stats_address()) else { return };
        let mut client = HttpClient::of(stream);
        let page = client.ask("HEAD /stats;csv HTTP/1.1\r\nHost: stats\r\n\r\n");
        if page.head.has_token("connection", "close") {
            let Ok(stream) = TcpStream::connect(self.proxy.stats_address()) else { return };
            client = HttpClient::of(stream);
        }
        client.ask("HEAD /stats;csv HTTP/1.1\r\nHost: stats\r\nConnection: close\r\n\r\n");
        client.expect_end();
    }

    /// A new connection, once the proxy is done with those that their clients have closed: what it counts and which
    /// server connections it has at hand must not depend on which of the two events it sees first. Floods come by
    /// [`HttpClient::connect`].
    pub fn client(&self) -> HttpClient {
        let mut earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        if earlier.iter().any(|(_, presence)| presence.strong_count() == 0) {
            self.wait_for_departures(&mut earlier);
        }
        let client = HttpClient::connect(self.port);
        let address = client.wire.stream.local_addr().expect("its address");
        earlier.push((address.port(), Arc::downgrade(&client.presence)));
        client
    }

    /// Until those who left are no longer connected, or will be for the proxy's own reasons: it may have to wait for an
    /// answer. That is not waited for twice.
    fn wait_for_departures(&self, earlier: &mut Earlier) {
        let deadline = Instant::now() + Duration::from_secs(3);
        loop {
            let connected = clients_of(self.port);
            let is_waited_for =
                |(port, presence): &(u16, Weak<()>)| presence.strong_count() == 0 && connected.contains(port);
            if !earlier.iter().any(is_waited_for) || Instant::now() >= deadline {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        earlier.retain(|(_, presence)| presence.strong_count() > 0);
        // Its sockets are closed: its figures follow.
        self.settle();
    }

    pub fn origin(&self) -> &HttpOrigin {
        &self.origins[0]
    }

    /// Something that must be the same on both.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// An answer that came from an origin: all of it.
    pub fn note_answer(&mut self, response: &Response) {
        let framing = match response.framing {
            // A chunked answer may be cut otherwise, and a length is among the headers.
            Some(Framing::Length(_)) | None => "length",
            Some(Framing::Chunked) => "chunked",
            Some(Framing::Close) => "until closed",
            Some(Framing::None) => "no body",
        };
        let text = format!(
            "answer: {} {framing}\n{}\n{}{}",
            response.head.start,
            sorted(&response.head.headers),
            short(&response.body.bytes),
            trailers(&response.body.trailers),
        );
        self.note(text);
    }

    /// An answer that the proxy wrote itself: the page is its own affair.
    pub fn note_local(&mut self, response: &Response) {
        let connection = response.header("connection").unwrap_or("none");
        self.note(format!("own answer: {} connection: {connection}", response.status));
    }

    /// One request on a connection of its own, noted.
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Response {
        let response = self.client().ask(request);
        self.note_answer(&response);
        response
    }

    /// The notes alone.
    pub fn into_notes(self) -> Vec<String> {
        self.notes
    }

    /// `count` log lines, what each origin was sent, and all notes.
    pub fn finish(mut self, count: usize) -> Vec<String> {
        let lines = self.proxy.syslog().wait_for_exchanges(15, "px", count);
        // One more than expected would be a difference too.
        thread::sleep(Duration::from_millis(100));
        assert_eq!(self.proxy.syslog().exchanges("px").len(), count, "{:#?}", self.proxy.syslog().lines());
        self.notes.extend(lines.iter().map(|line| line.normalised()));
        for (index, origin) in self.origins.iter().enumerate() {
            for seen in origin.seen() {
                let text = format!(
                    "s{} was sent, on connection {}: {}\n{}\n{}{}",
                    index + 1,
                    seen.connection,
                    seen.head.start,
                    // Its port is another one each time.
                    sorted(&seen.head.headers).replace(&self.port.to_string(), "PORT"),
                    short(&seen.body.bytes),
                    trailers(&seen.body.trailers),
                );
                self.notes.push(text);
            }
        }
        self.notes
    }
}

pub fn listen_section(origins: &[HttpOrigin], lines: &str) -> String {
    let mut text = format!("listen px\n    bind 127.0.0.1:{{port}}\n{lines}\n");
    for (index, origin) in origins.iter().enumerate() {
        text.push_str(&format!("    server s{} {}\n", index + 1, origin.address()));
    }
    text
}

fn trailers(trailers: &[(String, String)]) -> String {
    if trailers.is_empty() { String::new() } else { format!("\ntrailers:\n{}", sorted(trailers)) }
}

/// A body as it is, or its length and a sum that tells two apart.
fn short(bytes: &[u8]) -> String {
    if bytes.len() <= 200 {
        return latin_1(bytes);
    }
    let sum = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{} bytes, {sum:016x}", bytes.len())
}

/// Runs a scenario on HAProxy (once for all flavours) and on `flavour`, and fails at the first difference.
pub fn compare(flavour: Flavour, theirs: &OnceLock<Vec<String>>, scenario: fn(Flavour) -> Vec<String>) {
    let theirs = theirs.get_or_init(|| scenario(Flavour::HaProxy));
    assert!(!theirs.is_empty(), "a scenario that notes nothing shows nothing");
    if flavour == Flavour::HaProxy {
        return;
    }
    let ours = scenario(flavour);
    for (index, expected) in theirs.iter().enumerate() {
        let found = ours.get(index).map_or("nothing", String::as_str);
        assert!(is_same(expected, found), "difference {index}\n--- HAProxy:\n{expected}\n--- ours:\n{found}\n---");
    }
    assert_eq!(ours.len(), theirs.len(), "more than with HAProxy: {:#?}", &ours[theirs.len()..]);
}

/// For each scenario `fn(Flavour) -> Vec<String>`: what it notes on HAProxy is what it must note on Ringway.
macro_rules! same_as_haproxy {
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            use crate::support::Flavour;
            fn same(flavour: Flavour) {
                static THEIRS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
                crate::support::lab::compare(flavour, &THEIRS, super::$name);
            }
            mod on {
                on_each_proxy!(@one same, io_uring, IoUring, 120);
                on_each_proxy!(@one same, epoll, Epoll, 120);
                on_each_proxy!(@one same, haproxy, HaProxy, 120);
            }
        }
    )* };
}
