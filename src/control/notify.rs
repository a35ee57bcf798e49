//! The service manager's notification socket (`-Ws`; sd_notify(3), operations.md section 4).
//!
//! Own code, because the socket has to be connected before chroot and the change of user, from where its path cannot be
//! reached any more; the `sd-notify` crate opens it anew for each message.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where to say that we are ready. Without a service manager all messages go nowhere.
#[derive(Debug, Default)]
pub struct ServiceManager {
    socket: Option<UnixDatagram>,
}

impl ServiceManager {
    /// Connects to `$NOTIFY_SOCKET`: a path, or an abstract name after `@`. No variable: no service manager.
    pub fn from_environment() -> io::Result<ServiceManager> {
        std::env::var_os("NOTIFY_SOCKET").map_or_else(|| Ok(ServiceManager::default()), |address| Self::at(&address))
    }

    fn at(address: &OsString) -> io::Result<ServiceManager> {
        let bytes = address.as_bytes();
        if bytes.is_empty() {
            return Ok(ServiceManager::default());
        }
        let address = match bytes.strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(address)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        // A service manager that does not read must not stop the control thread.
        socket.set_nonblocking(true)?;
        Ok(ServiceManager { socket: Some(socket) })
    }

    /// Listeners are bound and workers run.
    pub fn ready(&self) {
        self.send(&format!("READY=1\nMAINPID={}\nSTATUS=Ready.\n", std::process::id()));
    }

    /// The stop has begun.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, message: &str) {
        if let Some(socket) = &self.socket {
            // Nothing that could be done about a failure helps the proxied connections.
            let _ = socket.send(message.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(socket: &UnixDatagram) -> String {
        let mut bytes = [0u8; 256];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn says_ready_and_stopping_to_a_path_and_to_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("ringway-notify-{}", std::process::id());
        let sockets = [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (
                UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap(),
                OsString::from(format!("@{name}")),
            ),
        ];
        for (socket, address) in sockets {
            let manager = ServiceManager::at(&address).unwrap();
            manager.ready();
            manager.stopping();
            assert_eq!(receive(&socket), format!("READY=1\nMAINPID={}\nSTATUS=Ready.\n", std::process::id()));
            assert_eq!(receive(&socket), "STOPPING=1");
        }
    }

    #[test]
    fn without_a_service_manager_nothing_happens() {
        ServiceManager::at(&OsString::new()).unwrap().ready();
        assert!(ServiceManager::at(&OsString::from("/nonexistent/notify")).is_err());
    }
}
