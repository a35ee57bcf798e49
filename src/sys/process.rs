//! The process: daemons, users, groups, chroot, children.

use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::unistd::{ForkResult, Gid, Group, Pid, Uid, User};

use super::check;

/// What [`fork`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fork {
    Parent { child: i32 },
    Child,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
}

/// Forks. Refused (EDEADLK) once the process has other threads: in the child their locks would stay locked for ever.
pub fn fork() -> io::Result<Fork> {
    if thread_count() != 1 {
        return Err(io::Error::from_raw_os_error(libc::EDEADLK));
    }
    // SAFETY: there is one thread, this one, so the child has everything the parent had, locks included.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Fork::Parent { child: child.as_raw() }),
        ForkResult::Child => Ok(Fork::Child),
    }
}

/// Threads of this process, by the kernel's count.
pub fn thread_count() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, |tasks| tasks.count().max(1))
}

/// A session of our own, without a terminal.
pub fn new_session() -> io::Result<()> {
    nix::unistd::setsid()?;
    Ok(())
}

/// Points stdin, stdout and stderr to /dev/null (a daemon, or `-q`).
pub fn silence_standard_descriptors() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    for standard in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        // SAFETY: the call takes no pointer. The standard descriptors are nobody's `OwnedFd`.
        check(unsafe { libc::dup2(null.as_raw_fd(), standard) })?;
    }
    Ok(())
}

/// Opens /dev/null for each standard descriptor that we were started without, so that no socket gets its number and
/// then receives what somebody prints.
pub fn fill_standard_descriptors() -> io::Result<()> {
    for standard in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        if !super::files::is_open(standard) {
            let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
            if null.as_raw_fd() == standard {
                let _ = std::os::fd::IntoRawFd::into_raw_fd(null);
            } else {
                // SAFETY: as in `silence_standard_descriptors`.
                check(unsafe { libc::dup2(null.as_raw_fd(), standard) })?;
            }
        }
    }
    Ok(())
}

/// chroot and chdir to its root. EPERM without CAP_SYS_CHROOT.
pub fn change_root(path: &Path) -> io::Result<()> {
    nix::unistd::chroot(path)?;
    nix::unistd::chdir("/")?;
    Ok(())
}

pub fn change_directory(path: &Path) -> io::Result<()> {
    Ok(nix::unistd::chdir(path)?)
}

/// Sets the group first (supplementary groups dropped), then the user: after the user there is no right to the rest.
/// To be called while the process has one thread or through libc's all-threads setxid, which this is.
pub fn set_ids(uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    if is_root() && (uid.is_some() || gid.is_some()) {
        let keep: Vec<Gid> = gid.map(Gid::from_raw).into_iter().collect();
        nix::unistd::setgroups(&keep)?;
    }
    if let Some(gid) = gid {
        nix::unistd::setgid(Gid::from_raw(gid))?;
    }
    if let Some(uid) = uid {
        nix::unistd::setuid(Uid::from_raw(uid))?;
    }
    Ok(())
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

pub fn user_id() -> u32 {
    nix::unistd::geteuid().as_raw()
}

pub fn group_id() -> u32 {
    nix::unistd::getegid().as_raw()
}

/// The number of a user's name in the system's databases.
pub fn user_by_name(name: &str) -> Option<u32> {
    User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
}

pub fn group_by_name(name: &str) -> Option<u32> {
    Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw())
}

/// `set-dumpable`: after a change of user the kernel would no longer write a core.
pub fn set_dumpable(on: bool) -> io::Result<()> {
    // SAFETY: the option takes no pointer.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(on), 0, 0, 0) }).map(|_| ())
}

/// Has the kernel send us `signal` when the parent dies (a worker of a master).
pub fn follow_parent_death(signal: super::signals::Signal) -> io::Result<()> {
    // SAFETY: the option takes no pointer.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong, 0, 0, 0) }).map(|_| ())
}

/// Names the calling thread (at most 15 bytes are kept).
pub fn name_thread(name: &str) {
    let mut bytes = [0u8; 16];
    for (to, from) in bytes.iter_mut().take(15).zip(name.bytes()) {
        *to = from;
    }
    // SAFETY: sixteen bytes of our own, with a NUL at the end.
    unsafe { libc::prctl(libc::PR_SET_NAME, bytes.as_ptr(), 0, 0, 0) };
}

pub fn process_id() -> i32 {
    std::process::id() as i32
}

pub fn parent_id() -> i32 {
    nix::unistd::getppid().as_raw()
}

/// The machine's name, for logs and the stats page.
pub fn host_name() -> String {
    nix::unistd::gethostname().map_or_else(|_| "localhost".to_string(), |name| name.to_string_lossy().into_owned())
}

/// Sets the mask of file modes; the old one.
pub fn set_file_mode_mask(mask: u32) -> u32 {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mask)).bits()
}

/// A child that has ended, without waiting: `None` when all still run. ECHILD: there are none.
pub fn reap() -> io::Result<Option<(i32, Exit)>> {
    wait_status(Pid::from_raw(-1), true)
}

/// Waits until the child ends.
pub fn wait_for(child: i32) -> io::Result<Exit> {
    loop {
        match wait_status(Pid::from_raw(child), false) {
            Ok(Some((_, exit))) => return Ok(exit),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn wait_status(which: Pid, at_once: bool) -> io::Result<Option<(i32, Exit)>> {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    let flags = if at_once { Some(WaitPidFlag::WNOHANG) } else { None };
    Ok(match waitpid(which, flags)? {
        WaitStatus::Exited(pid, code) => Some((pid.as_raw(), Exit::Code(code))),
        WaitStatus::Signaled(pid, signal, _) => Some((pid.as_raw(), Exit::Signal(signal as i32))),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_of_users() {
        assert_eq!(user_by_name("root"), Some(0));
        assert_eq!(group_by_name("root"), Some(0));
        assert_eq!(user_by_name("no such user"), None);
        assert!(!host_name().is_empty());
        assert!(parent_id() > 0);
    }

    #[test]
    fn a_process_with_threads_does_not_fork() {
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || wait.recv());
        assert_eq!(fork().unwrap_err().raw_os_error(), Some(libc::EDEADLK));
        release.send(()).unwrap();
        other.join().unwrap().unwrap();
    }

    #[test]
    fn a_child_is_reaped_with_its_code() {
        let mut child = std::process::Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        assert_eq!(wait_for(child.id() as i32).unwrap(), Exit::Code(7));
        // It is gone: std finds nobody to wait for.
        assert!(child.wait().is_err());
    }
}
