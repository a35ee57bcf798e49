//! Signals as data: blocked in every thread, read from a descriptor by one.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

pub use nix::sys::signal::Signal;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, pthread_sigmask, sigaction};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// A signal that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    pub signal: Signal,
    /// Who sent it; 0 when the kernel did.
    pub pid: i32,
}

fn set_of(signals: &[Signal]) -> SigSet {
    signals.iter().copied().collect()
}

/// Blocks the signals in the calling thread; threads started from it inherit that. To be called before any other
/// thread starts.
pub fn block(signals: &[Signal]) -> io::Result<()> {
    Ok(pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&set_of(signals)), None)?)
}

pub fn unblock_all() -> io::Result<()> {
    Ok(pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?)
}

/// SIG_IGN, for SIGPIPE above all.
pub fn ignore(signal: Signal) -> io::Result<()> {
    set_handler(signal, SigHandler::SigIgn)
}

/// SIG_DFL, for what a child is to be born with.
pub fn restore_default(signal: Signal) -> io::Result<()> {
    set_handler(signal, SigHandler::SigDfl)
}

fn set_handler(signal: Signal, handler: SigHandler) -> io::Result<()> {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: neither SIG_IGN nor SIG_DFL runs code of ours in signal context.
    unsafe { sigaction(signal, &action) }?;
    Ok(())
}

/// Sends a signal. ESRCH: no such process; EPERM: not ours.
pub fn send(pid: i32, signal: Signal) -> io::Result<()> {
    Ok(nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal)?)
}

/// Whether a process with that number exists.
pub fn is_alive(pid: i32) -> bool {
    !matches!(nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None), Err(nix::errno::Errno::ESRCH))
}

/// Dies by `signal` as if it had not been caught, so that the parent sees 128 + its number.
pub fn die_by(signal: Signal) -> ! {
    let _ = restore_default(signal);
    let _ = pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&set_of(&[signal])), None);
    let _ = nix::sys::signal::raise(signal);
    std::process::exit(128 + signal as i32)
}

/// Where blocked signals are read; poll it for POLLIN.
#[derive(Debug)]
pub struct SignalSource(SignalFd);

impl SignalSource {
    /// The signals must be blocked in every thread ([`block`]).
    pub fn new(signals: &[Signal]) -> io::Result<Self> {
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(SignalSource(SignalFd::with_flags(&set_of(signals), flags)?))
    }

    /// The next one waiting, `None` where there is none.
    #[allow(clippy::should_implement_trait)] // it waits for nothing and may go on after a None
    pub fn next(&mut self) -> io::Result<Option<Received>> {
        loop {
            let Some(info) = self.0.read_signal()? else { return Ok(None) };
            if let Ok(signal) = Signal::try_from(info.ssi_signo as i32) {
                return Ok(Some(Received { signal, pid: info.ssi_pid as i32 }));
            }
        }
    }
}

impl AsFd for SignalSource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for SignalSource {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_signal_is_read_with_its_sender() {
        // In a thread of its own, and sent to that thread: the other tests' threads do not block it.
        std::thread::spawn(|| {
            block(&[Signal::SIGWINCH]).unwrap();
            let mut source = SignalSource::new(&[Signal::SIGWINCH]).unwrap();
            assert_eq!(source.next().unwrap(), None);
            nix::sys::signal::raise(Signal::SIGWINCH).unwrap();
            let received = source.next().unwrap().unwrap();
            assert_eq!(received, Received { signal: Signal::SIGWINCH, pid: std::process::id() as i32 });
            assert_eq!(source.next().unwrap(), None);
        })
        .join()
        .unwrap();
        assert!(is_alive(std::process::id() as i32));
        assert!(!is_alive(i32::MAX - 1));
        assert!(send(i32::MAX - 1, Signal::SIGTERM).is_err());
    }
}
