//! Where a thread's log lines go. One sink per thread: nothing is shared, nothing blocks.
//!
//! Lines are collected and go out with one kernel call per 64 and target at the end of a loop turn. A receiver that
//! cannot take more loses lines, which are counted (`DroppedLogs`); it never makes a connection wait.

use crate::config::model::{Config, LogAddress, LogTarget};
use crate::policy::log_date;
use crate::policy::syslog::{self, Origin};
use crate::shared::Shared;
use crate::sys::address::SocketAddress;
use crate::sys::datagram::{DatagramSocket, write_descriptor};
use crate::sys::{files, process};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Lines kept for one target before they are sent in the middle of a loop turn.
const PENDING_MAX: usize = 64;
/// A write to a pipe up to this size is whole or not at all (PIPE_BUF).
const CHUNK_BYTES_MAX: usize = 4096;
/// How long a syslog socket that could not be opened is left alone.
const REOPEN_AFTER_US: u64 = 1_000_000;

/// See the module's text.
pub struct LogSink {
    shared: Arc<Shared>,
    hostname: Option<String>,
    pid: u32,
    /// How many lines each target that takes a sample has been offered; equal targets share their count.
    samples: Vec<(LogTarget, u32)>,
    outlets: Vec<Outlet>,
    /// The date of the last line, for the pause between attempts to open a socket.
    wall_us: u64,
}

/// One address of the configuration.
struct Outlet {
    address: LogAddress,
    channel: Channel,
    pending: Vec<Vec<u8>>,
    /// Emptied line buffers, to be filled again.
    spare: Vec<Vec<u8>>,
}

enum Channel {
    Datagram(DatagramSocket),
    /// Not open; not tried again before that date.
    Closed {
        retry_wall_us: u64,
    },
    Stream(Stream),
}

/// stdout, stderr or `fd@N`.
struct Stream {
    number: RawFd,
    /// Its own open of a pipe or terminal, so that "non-blocking" is not forced on whoever else has it.
    own: Option<OwnedFd>,
    /// The rest of a line that a pipe took in part.
    rest: Vec<u8>,
}

impl LogSink {
    /// Opens the sockets of all log targets of the configuration: before chroot, where their paths are in reach.
    /// One that cannot be opened now is tried again when there is something to say.
    pub fn new(shared: &Arc<Shared>) -> LogSink {
        log_date::load_time_zone();
        let config: &Config = &shared.config;
        let hostname = config.global.log_send_hostname.as_ref().map(|written| match written.as_str() {
            "" => process::host_name(),
            name => name.to_string(),
        });
        let mut sink =
            LogSink { shared: shared.clone(), hostname, pid: 0, samples: Vec::new(), outlets: Vec::new(), wall_us: 0 };
        let proxies = config.proxies.iter().map(|proxy| &proxy.log);
        for target in std::iter::once(&config.global.log).chain(proxies).flat_map(|log| &log.targets) {
            sink.outlet(&target.address);
        }
        sink
    }

    /// Queues `message` for each of `targets` whose level lets it through. `tag` is the proxy's or the global log-tag,
    /// `level` 0 (emerg) to 7 (debug), `wall_us` the date.
    pub fn send(&mut self, targets: &[LogTarget], tag: &str, level: u8, message: &[u8], wall_us: u64) {
        self.send_structured(targets, tag, level, b"", message, wall_us);
    }

    /// The same with structured data (`log-format-sd`), which targets of format rfc5424 get before the message.
    pub fn send_structured(
        &mut self,
        targets: &[LogTarget],
        tag: &str,
        level: u8,
        structured: &[u8],
        message: &[u8],
        wall_us: u64,
    ) {
        self.wall_us = wall_us;
        if self.pid == 0 {
            // Not when it is made: the process may go to the background after that.
            self.pid = std::process::id();
        }
        for target in targets {
            let Some(level) = syslog::filter(target, level) else { continue };
            if !self.is_sampled(target) {
                continue;
            }
            let index = self.outlet(&target.address);
            let outlet = &mut self.outlets[index];
            let origin = Origin { tag, hostname: self.hostname.as_deref(), pid: self.pid, structured };
            let mut line = outlet.spare.pop().unwrap_or_default();
            syslog::frame(target, &origin, level, message, wall_us, &mut line);
            outlet.pending.push(line);
            if outlet.pending.len() >= PENDING_MAX {
                let dropped = outlet.flush(wall_us);
                self.count_dropped(dropped);
            }
        }
    }

    /// Counts a line for `target` and says whether it is one of those that it takes (`sample`).
    fn is_sampled(&mut self, target: &LogTarget) -> bool {
        let Some(sample) = &target.sample else { return true };
        let index = self.samples.iter().position(|(known, _)| known == target).unwrap_or_else(|| {
            self.samples.push((target.clone(), 0));
            self.samples.len() - 1
        });
        let (_, count) = &mut self.samples[index];
        let place = *count + 1;
        *count = if place >= sample.size { 0 } else { place };
        sample.ranges.iter().any(|(low, high)| (*low..=*high).contains(&place))
    }

    /// The standard descriptors are others now (a daemon's /dev/null): lets go of those that they were, or whoever reads
    /// a pipe that was stderr would wait for its end as long as the process lives.
    pub fn leave_standard_descriptors(&mut self) {
        for outlet in &mut self.outlets {
            if let LogAddress::Descriptor(number @ 0..=2) = outlet.address {
                outlet.channel = Channel::Stream(Stream::open(number));
            }
        }
    }

    /// Sends what was queued. Call it once per loop turn.
    pub fn flush(&mut self) {
        let wall_us = self.wall_us;
        let dropped = self.outlets.iter_mut().map(|outlet| outlet.flush(wall_us)).sum();
        self.count_dropped(dropped);
    }

    fn count_dropped(&self, lines: usize) {
        if lines > 0 {
            self.shared.process.dropped_logs.fetch_add(lines as u64, Ordering::Relaxed);
        }
    }

    fn outlet(&mut self, address: &LogAddress) -> usize {
        if let Some(index) = self.outlets.iter().position(|outlet| outlet.address == *address) {
            return index;
        }
        let channel = open(address).unwrap_or(Channel::Closed { retry_wall_us: 0 });
        self.outlets.push(Outlet { address: address.clone(), channel, pending: Vec::new(), spare: Vec::new() });
        self.outlets.len() - 1
    }
}

impl Drop for LogSink {
    fn drop(&mut self) {
        self.flush();
    }
}

fn open(address: &LogAddress) -> io::Result<Channel> {
    match address {
        LogAddress::Udp(to) => DatagramSocket::connect(&SocketAddress::Ip(*to)).map(Channel::Datagram),
        LogAddress::UnixDatagram(path) => {
            DatagramSocket::connect(&SocketAddress::Unix(path.clone())).map(Channel::Datagram)
        }
        LogAddress::Descriptor(number) => Ok(Channel::Stream(Stream::open(*number))),
    }
}

impl Outlet {
    /// How many lines were lost.
    fn flush(&mut self, wall_us: u64) -> usize {
        if self.pending.is_empty() {
            return 0;
        }
        if let Channel::Closed { retry_wall_us } = self.channel {
            // A date far ahead of the clock is one that was set back meanwhile.
            if wall_us >= retry_wall_us || retry_wall_us - wall_us > REOPEN_AFTER_US {
                self.reopen(wall_us);
            }
        }
        let sent = match &mut self.channel {
            Channel::Closed { .. } => 0,
            Channel::Stream(stream) => stream.write(&self.pending),
            Channel::Datagram(_) => self.send_datagrams(wall_us),
        };
        let dropped = self.pending.len().saturating_sub(sent);
        for mut line in self.pending.drain(..) {
            line.clear();
            if self.spare.len() < PENDING_MAX {
                self.spare.push(line);
            }
        }
        dropped
    }

    fn reopen(&mut self, wall_us: u64) {
        self.channel =
            open(&self.address).unwrap_or(Channel::Closed { retry_wall_us: wall_us.saturating_add(REOPEN_AFTER_US) });
    }

    /// How many went.
    fn send_datagrams(&mut self, wall_us: u64) -> usize {
        let (mut done, mut lost, mut was_reopened) = (0, 0, false);
        while done < self.pending.len() {
            let Channel::Datagram(socket) = &self.channel else { break };
            let error = match socket.send_batch(&self.pending[done..]) {
                Ok(0) => break,
                Ok(count) => {
                    done += count;
                    continue;
                }
                Err(error) => error,
            };
            match error.raw_os_error() {
                // One line is too long for the transport; the others are not.
                Some(libc::EMSGSIZE) => {
                    done += 1;
                    lost += 1;
                }
                // The receiver has no room now.
                Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => break,
                // syslogd was restarted: its socket has the same name, but is another one. For UDP the error is an
                // earlier datagram's, and a new attempt goes through.
                _ if !was_reopened => {
                    was_reopened = true;
                    if !matches!(self.address, LogAddress::Udp(_)) {
                        self.reopen(wall_us);
                    }
                }
                _ => break,
            }
        }
        done - lost
    }
}

impl Stream {
    fn open(number: RawFd) -> Stream {
        let path = format!("/proc/thread-self/fd/{number}");
        let kind = std::fs::metadata(&path).map(|metadata| metadata.file_type());
        let own = match kind {
            Ok(kind) if kind.is_fifo() || kind.is_char_device() => {
                OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(&path).ok()
            }
            _ => None,
        };
        // A file never makes anyone wait, and its position belongs to all who write to it.
        if own.is_none() && !kind.is_ok_and(|kind| kind.is_file()) {
            let _ = files::set_nonblocking(number);
        }
        Stream { number, own: own.map(OwnedFd::from), rest: Vec::new() }
    }

    /// How many of `lines` went, in order: whole, or in part with the rest kept for later.
    fn write(&mut self, lines: &[Vec<u8>]) -> usize {
        let number = self.own.as_ref().map_or(self.number, |own| own.as_raw_fd());
        while !self.rest.is_empty() {
            match write_descriptor(number, &self.rest) {
                Ok(count) if count > 0 => drop(self.rest.drain(..count.min(self.rest.len()))),
                _ => return 0,
            }
        }
        let mut written = 0;
        let mut chunk = Vec::with_capacity(CHUNK_BYTES_MAX);
        while written < lines.len() {
            let mut end = written;
            chunk.clear();
            while let Some(line) = lines.get(end)
                && (chunk.is_empty() || chunk.len() + line.len() <= CHUNK_BYTES_MAX)
            {
                chunk.extend_from_slice(line);
                end += 1;
            }
            match write_descriptor(number, &chunk) {
                Ok(count) if count >= chunk.len() => written = end,
                Ok(count) if count > 0 => {
                    self.rest = chunk.split_off(count);
                    return end;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::load_text;
    use std::io::Read;
    use std::net::UdpSocket;
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    const WALL_US: u64 = 1_795_456_098_000_000;

    fn sink(global: &str) -> (LogSink, Arc<Shared>) {
        let loaded = load_text("test.cfg", &format!("global\n{global}\n"));
        let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let shared = Arc::new(Shared::new(Arc::new(config), 1, 0, WALL_US));
        (LogSink::new(&shared), shared)
    }

    fn say(sink: &mut LogSink, level: u8, text: &str, wall_us: u64) {
        let targets = sink.shared.config.global.log.targets.clone();
        sink.send(&targets, "tag", level, text.as_bytes(), wall_us);
    }

    fn dropped(shared: &Shared) -> u64 {
        shared.process.dropped_logs.load(Ordering::Relaxed)
    }

    #[test]
    fn udp_in_order_by_level() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let address = receiver.local_addr().unwrap();
        let (mut sink, shared) = sink(&format!("log {address} format priority local0 notice"));
        for number in 0..100 {
            say(&mut sink, if number % 2 == 0 { 3 } else { 6 }, &format!("line {number}"), WALL_US);
        }
        sink.flush();
        let mut bytes = [0; 100];
        for number in (0..100).step_by(2) {
            let length = receiver.recv(&mut bytes).unwrap();
            assert_eq!(bytes[..length], *format!("<131>line {number}\n").as_bytes());
        }
        assert_eq!(dropped(&shared), 0);
    }

    #[test]
    fn a_restarted_syslogd_is_found_again() {
        let path = std::env::temp_dir().join(format!("ringway-log-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let (mut sink, shared) = sink(&format!("log {} format raw local0", path.display()));
        say(&mut sink, 6, "nobody there", WALL_US);
        sink.flush();
        assert_eq!(dropped(&shared), 1);
        let mut receiver = UnixDatagram::bind(&path).unwrap();
        let mut bytes = [0; 100];
        let mut expect = |receiver: &UnixDatagram, text: &str| {
            receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let length = receiver.recv(&mut bytes).unwrap();
            assert_eq!(bytes[..length], *text.as_bytes());
        };
        say(&mut sink, 6, "too soon to look again", WALL_US + 1);
        sink.flush();
        assert_eq!(dropped(&shared), 2);
        say(&mut sink, 6, "first", WALL_US + 2 * REOPEN_AFTER_US);
        sink.flush();
        expect(&receiver, "first\n");
        drop(receiver);
        std::fs::remove_file(&path).unwrap();
        receiver = UnixDatagram::bind(&path).unwrap();
        say(&mut sink, 6, "after the restart", WALL_US + 2 * REOPEN_AFTER_US);
        sink.flush();
        expect(&receiver, "after the restart\n");
        assert_eq!(dropped(&shared), 2);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_full_pipe_loses_lines_and_blocks_nobody() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (mut sink, shared) = sink(&format!("log fd@{} format raw local0", writer.as_raw_fd()));
        let text = "x".repeat(999);
        let total = 200;
        for number in 0..total {
            say(&mut sink, 6, &format!("{number:04}{text}"), WALL_US);
        }
        sink.flush();
        let lost = dropped(&shared);
        assert!(lost > 100 && lost < total, "a pipe holds 64 KiB, lost {lost} of {total}");
        let mut bytes = vec![0; 1 << 20];
        let length = reader.read(&mut bytes).unwrap();
        say(&mut sink, 6, "room again", WALL_US);
        sink.flush();
        drop((sink, writer));
        bytes.truncate(length);
        reader.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len() as u64, total - lost + 1);
        assert_eq!(lines.last(), Some(&"room again"));
        assert!(lines[..lines.len() - 1].iter().all(|line| line.len() == 1003), "no line is torn");
    }

    #[test]
    fn a_file_keeps_its_one_position() {
        use std::io::{Seek, Write};
        let path = std::env::temp_dir().join(format!("ringway-log-file-{}", std::process::id()));
        let mut file = std::fs::File::create_new(&path).unwrap();
        file.write_all(b"before\n").unwrap();
        let (mut sink, _) = sink(&format!("log fd@{} format short local0", file.as_raw_fd()));
        say(&mut sink, 5, "between", WALL_US);
        sink.flush();
        assert_eq!(file.stream_position().unwrap(), 18);
        file.write_all(b"after\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\n<5>between\nafter\n");
        std::fs::remove_file(&path).unwrap();
    }
}
