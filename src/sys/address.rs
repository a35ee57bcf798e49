//! Socket addresses, and their translation to and from the kernel's `sockaddr`.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SocketAddress {
    Ip(SocketAddr),
    Unix(PathBuf),
    /// Abstract name, without the leading NUL.
    Abstract(Vec<u8>),
    /// An unnamed unix peer, or unknown.
    Unnamed,
}

impl SocketAddress {
    /// AF_INET, AF_INET6 or AF_UNIX.
    pub fn family(&self) -> libc::c_int {
        match self {
            SocketAddress::Ip(SocketAddr::V4(_)) => libc::AF_INET,
            SocketAddress::Ip(SocketAddr::V6(_)) => libc::AF_INET6,
            _ => libc::AF_UNIX,
        }
    }
}

impl From<SocketAddr> for SocketAddress {
    fn from(address: SocketAddr) -> Self {
        SocketAddress::Ip(address)
    }
}

impl fmt::Display for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SocketAddress::Ip(address) => address.fmt(f),
            SocketAddress::Unix(path) => write!(f, "unix@{}", path.display()),
            SocketAddress::Abstract(name) => {
                // Zeros may fill the address behind the name.
                let length = name.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                write!(f, "abns@{}", String::from_utf8_lossy(&name[..length]))
            }
            SocketAddress::Unnamed => f.write_str("unix"),
        }
    }
}

/// An address in the kernel's form.
#[derive(Clone, Copy)]
pub struct KernelAddress {
    pub(super) storage: libc::sockaddr_storage,
    pub(super) length: libc::socklen_t,
}

impl KernelAddress {
    pub(super) fn empty() -> Self {
        // SAFETY: all-zero bytes are a valid `sockaddr_storage` (family AF_UNSPEC); it holds no pointer or reference.
        let storage = unsafe { std::mem::zeroed() };
        KernelAddress { storage, length: size_of::<libc::sockaddr_storage>() as libc::socklen_t }
    }

    pub(super) fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut libc::sockaddr {
        (&raw mut self.storage).cast()
    }

    /// EINVAL for [`SocketAddress::Unnamed`] and for a unix name that does not fit `sun_path`.
    pub fn new(address: &SocketAddress) -> io::Result<Self> {
        let mut kernel = Self::empty();
        match address {
            SocketAddress::Ip(SocketAddr::V4(v4)) => {
                let value = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                    sin_zero: [0; 8],
                };
                kernel.put(&value);
            }
            SocketAddress::Ip(SocketAddr::V6(v6)) => {
                let value = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: v6.flowinfo().to_be(),
                    sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                    sin6_scope_id: v6.scope_id(),
                };
                kernel.put(&value);
            }
            SocketAddress::Unix(path) => kernel.put_unix(path.as_os_str().as_bytes(), 0)?,
            SocketAddress::Abstract(name) => kernel.put_unix(name, 1)?,
            SocketAddress::Unnamed => return Err(io::Error::from_raw_os_error(libc::EINVAL)),
        }
        Ok(kernel)
    }

    fn put<T: Copy>(&mut self, value: &T) {
        debug_assert!(size_of::<T>() <= size_of::<libc::sockaddr_storage>());
        // SAFETY: `storage` is as large and as aligned as every sockaddr type, and `T` is a plain C structure.
        unsafe { (&raw mut self.storage).cast::<T>().write(*value) };
        self.length = size_of::<T>() as libc::socklen_t;
    }

    /// `name_at` 0: a path with its NUL behind it; 1: an abstract name behind a NUL.
    fn put_unix(&mut self, name: &[u8], name_at: usize) -> io::Result<()> {
        let mut value = libc::sockaddr_un { sun_family: libc::AF_UNIX as libc::sa_family_t, sun_path: [0; 108] };
        let fits = name.len() < value.sun_path.len() && !name.is_empty();
        if !fits || (name_at == 0 && name.contains(&0)) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        for (to, from) in value.sun_path.iter_mut().skip(name_at).zip(name) {
            *to = *from as libc::c_char;
        }
        self.put(&value);
        // A path counts its trailing NUL, an abstract name its leading one.
        self.length = (std::mem::offset_of!(libc::sockaddr_un, sun_path) + name.len() + 1) as libc::socklen_t;
        Ok(())
    }

    pub fn to_address(&self) -> SocketAddress {
        match libc::c_int::from(self.storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the family says which structure the storage holds; it is large and aligned enough for it.
                let v4: libc::sockaddr_in = unsafe { self.as_ptr().cast::<libc::sockaddr_in>().read() };
                let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
                SocketAddress::Ip(SocketAddr::new(IpAddr::V4(ip), u16::from_be(v4.sin_port)))
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let v6: libc::sockaddr_in6 = unsafe { self.as_ptr().cast::<libc::sockaddr_in6>().read() };
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                let port = u16::from_be(v6.sin6_port);
                let flow = u32::from_be(v6.sin6_flowinfo);
                SocketAddress::Ip(SocketAddr::V6(SocketAddrV6::new(ip, port, flow, v6.sin6_scope_id)))
            }
            libc::AF_UNIX => self.to_unix(),
            _ => SocketAddress::Unnamed,
        }
    }

    fn to_unix(self) -> SocketAddress {
        // SAFETY: as in `to_address`.
        let value: libc::sockaddr_un = unsafe { self.as_ptr().cast::<libc::sockaddr_un>().read() };
        let path_at = std::mem::offset_of!(libc::sockaddr_un, sun_path);
        let length = (self.length as usize).saturating_sub(path_at).min(value.sun_path.len());
        let bytes: Vec<u8> = value.sun_path.iter().take(length).map(|byte| *byte as u8).collect();
        match bytes.split_first() {
            None => SocketAddress::Unnamed,
            Some((0, [])) => SocketAddress::Unnamed,
            Some((0, name)) => SocketAddress::Abstract(name.to_vec()),
            Some(_) => {
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                SocketAddress::Unix(PathBuf::from(OsStr::from_bytes(&bytes[..end])))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(address: SocketAddress) {
        let kernel = KernelAddress::new(&address).unwrap();
        assert_eq!(kernel.to_address(), address);
    }

    #[test]
    fn addresses_survive_the_kernel_form() {
        round_trip(SocketAddress::Ip("127.0.0.1:8080".parse().unwrap()));
        round_trip(SocketAddress::Ip("[2001:db8::1]:443".parse().unwrap()));
        round_trip(SocketAddress::Unix(PathBuf::from("/run/ringway.sock")));
        round_trip(SocketAddress::Unix(PathBuf::from("/".to_string() + &"x".repeat(106))));
        round_trip(SocketAddress::Abstract(b"name\0inside".to_vec()));
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        assert!(KernelAddress::new(&SocketAddress::Unix(PathBuf::from("x".repeat(108)))).is_err());
        assert!(KernelAddress::new(&SocketAddress::Abstract(Vec::new())).is_err());
        assert!(KernelAddress::new(&SocketAddress::Unnamed).is_err());
    }
}
