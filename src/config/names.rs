//! Host names to addresses while a configuration loads.

use super::written_server::Family;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};

/// What turns a host name into an address.
pub trait ResolveNames {
    /// The first address of `host`, of `family` if one is asked for.
    /// # Errors
    /// Why there is none.
    fn resolve(&self, host: &str, family: Option<Family>) -> Result<IpAddr, String>;
}

type Answers = Result<Vec<IpAddr>, String>;

/// getaddrinfo(3), asked once per name and load: a dead name server then costs its time-out once, not once a server.
#[derive(Default)]
pub struct SystemNames {
    known: RefCell<HashMap<String, Answers>>,
}

impl ResolveNames for SystemNames {
    fn resolve(&self, host: &str, family: Option<Family>) -> Result<IpAddr, String> {
        let mut known = self.known.borrow_mut();
        let answers = known.entry(host.to_owned()).or_insert_with(|| ask_system(host));
        choose(answers, family)
    }
}

fn ask_system(host: &str) -> Answers {
    match (host, 0).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
        Err(error) => Err(error.to_string()),
    }
}

fn choose(answers: &Answers, family: Option<Family>) -> Result<IpAddr, String> {
    let fits = |address: &&IpAddr| match family {
        None => true,
        Some(Family::V4) => address.is_ipv4(),
        Some(Family::V6) => address.is_ipv6(),
    };
    answers
        .as_ref()
        .map_err(Clone::clone)?
        .iter()
        .find(fits)
        .copied()
        .ok_or_else(|| "it has no address of the wanted family".to_owned())
}

/// Knows no name: for callers that must not wait for a name server (fuzzing, property tests).
pub struct NoNames;

impl ResolveNames for NoNames {
    fn resolve(&self, host: &str, _family: Option<Family>) -> Result<IpAddr, String> {
        Err(format!("names such as '{host}' are not looked up here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_known_in_its_family() {
        let names = SystemNames::default();
        assert!(names.resolve("localhost", Some(Family::V4)).is_ok_and(|address| address.is_loopback()));
        assert_eq!(names.resolve("127.0.0.9", None), Ok("127.0.0.9".parse().unwrap()));
        assert!(names.resolve("127.0.0.9", Some(Family::V6)).is_err());
        assert_eq!(names.known.borrow().len(), 2);
    }
}
