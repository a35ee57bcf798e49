//! What the tests are written with: a proxy under test, origins, clients, brokers, a syslog catcher.

use std::panic;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

pub mod browser;
pub mod client;
pub mod http_client;
pub mod http_log;
pub mod http_origin;
pub mod http_wire;
#[macro_use]
pub mod lab;
pub mod mosquitto;
pub mod mqtt;
pub mod network;
pub mod origin;
pub mod ports;
pub mod proxy;
pub mod stats;
pub mod syslog;

pub use browser::{Browser, Element};
pub use client::*;
pub use http_client::{HttpClient, Response, ask, get};
pub use http_origin::{Exchange, HttpOrigin, Next, chunked, pattern};
pub use lab::Lab;
pub use mosquitto::Broker;
pub use network::Network;
pub use origin::Origin;
pub use proxy::{Flavour, Running, Setup};
pub use stats::Table;
pub use syslog::Syslog;

/// Runs a test's body and fails the test once it has taken longer than `seconds`, so that a hang in the proxy
/// costs one test and not the whole run.
pub fn within(seconds: u64, body: impl FnOnce() + Send + 'static) {
    let (finished, wait) = mpsc::channel();
    let test = thread::Builder::new().name(thread::current().name().unwrap_or("test").to_string());
    let handle = test
        .spawn(move || {
            let result = panic::catch_unwind(panic::AssertUnwindSafe(body));
            let _ = finished.send(());
            if let Err(cause) = result {
                panic::resume_unwind(cause);
            }
        })
        .expect("a thread for the test");
    match wait.recv_timeout(Duration::from_secs(seconds)) {
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => {
            if let Err(cause) = handle.join() {
                panic::resume_unwind(cause);
            }
        }
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test did not finish within {seconds} s"),
    }
}

/// Waits until `condition` holds, for at most `seconds`; panics with `what` and the last state otherwise.
pub fn eventually<T: std::fmt::Debug>(seconds: u64, what: &str, mut condition: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        match condition() {
            Ok(value) => return value,
            Err(state) if Instant::now() >= deadline => panic!("not within {seconds} s: {what}; last seen: {state}"),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// One test per engine and one on HAProxy for each named function `fn(Flavour)`; 60 s each unless said otherwise.
macro_rules! on_each_proxy {
    ($($name:ident $(within $seconds:literal)?),* $(,)?) => { $(
        mod $name {
            on_each_proxy!(@one $name, io_uring, IoUring $(, $seconds)?);
            on_each_proxy!(@one $name, epoll, Epoll $(, $seconds)?);
            on_each_proxy!(@one $name, haproxy, HaProxy $(, $seconds)?);
        }
    )* };
    (@one $name:ident, $test:ident, $flavour:ident) => { on_each_proxy!(@one $name, $test, $flavour, 60); };
    (@one $name:ident, $test:ident, $flavour:ident, $seconds:literal) => {
        #[test]
        fn $test() {
            if crate::support::Flavour::$flavour.is_wanted() {
                crate::support::within($seconds, || super::$name(crate::support::Flavour::$flavour));
            }
        }
    };
}

/// As `on_each_proxy`, for what HAProxy does not do or does otherwise.
macro_rules! on_each_engine {
    ($($name:ident $(within $seconds:literal)?),* $(,)?) => { $(
        mod $name {
            on_each_proxy!(@one $name, io_uring, IoUring $(, $seconds)?);
            on_each_proxy!(@one $name, epoll, Epoll $(, $seconds)?);
        }
    )* };
}
