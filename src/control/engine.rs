//! Which I/O engine the workers get: io_uring where the kernel lets us, epoll otherwise, or the one that
//! `RINGWAY_ENGINE` or the `engine` keyword forces.

use crate::config::model::EngineChoice;
use crate::io::epoll::EpollDriver;
use crate::io::uring::{self, UringDriver};
use crate::io::{DriverKind, DriverSettings};
use crate::worker::{self, Setup};
use std::ffi::OsStr;
use std::io;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    IoUring,
    Epoll,
}

impl Engine {
    pub fn name(self) -> &'static str {
        match self {
            Engine::IoUring => "io_uring",
            Engine::Epoll => "epoll",
        }
    }

    /// The number in `shared.process.engine`.
    pub fn number(self) -> u8 {
        match self {
            Engine::IoUring => 1,
            Engine::Epoll => 2,
        }
    }
}

/// The engine of this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    pub engine: Engine,
    /// Nothing forces it: a worker that cannot have it may take epoll.
    pub automatic: bool,
    /// Why it is not io_uring though nobody asked for epoll.
    pub fallback: Option<String>,
}

/// What `RINGWAY_ENGINE` asks for, before what the file says.
///
/// # Errors
/// A value that is neither an engine nor `auto`.
pub fn wanted(variable: Option<&OsStr>, configured: EngineChoice) -> Result<EngineChoice, String> {
    match variable.and_then(OsStr::to_str) {
        None if variable.is_none() => Ok(configured),
        Some("") => Ok(configured),
        Some("io_uring") => Ok(EngineChoice::IoUring),
        Some("epoll") => Ok(EngineChoice::Epoll),
        Some("auto" | "automatic") => Ok(EngineChoice::Automatic),
        _ => Err(format!(
            "RINGWAY_ENGINE={}: not an engine; use io_uring, epoll or auto",
            variable.unwrap_or_default().display()
        )),
    }
}

/// Settles on an engine that this process can have.
///
/// # Errors
/// The forced engine cannot be had.
pub fn choose(wanted: EngineChoice) -> Result<Chosen, String> {
    let automatic = wanted == EngineChoice::Automatic;
    if wanted == EngineChoice::Epoll {
        return Ok(Chosen { engine: Engine::Epoll, automatic, fallback: None });
    }
    match test(Engine::IoUring) {
        Ok(()) => Ok(Chosen { engine: Engine::IoUring, automatic, fallback: None }),
        Err(reason) if automatic => Ok(Chosen { engine: Engine::Epoll, automatic, fallback: Some(reason) }),
        Err(reason) => Err(format!("The engine io_uring is not available: {reason}.")),
    }
}

/// Whether a driver of this kind can be made here; the reason if not.
pub fn test(engine: Engine) -> Result<(), String> {
    match engine {
        Engine::IoUring => uring::is_available(),
        Engine::Epoll => EpollDriver::new(&DriverSettings::default()).map(drop).map_err(|error| error.to_string()),
    }
}

/// Name, preference and outcome of each engine, best first.
pub fn test_all() -> Vec<(&'static str, u32, Result<(), String>)> {
    [(Engine::IoUring, 400), (Engine::Epoll, 300)]
        .map(|(engine, preference)| (engine.name(), preference, test(engine)))
        .into()
}

/// A driver of one kind or the other.
#[expect(clippy::large_enum_variant, reason = "made once a thread and taken apart at once")]
pub enum Built {
    IoUring(UringDriver),
    Epoll(EpollDriver),
}

impl Built {
    pub fn engine(&self) -> Engine {
        match self {
            Built::IoUring(_) => Engine::IoUring,
            Built::Epoll(_) => Engine::Epoll,
        }
    }

    pub fn kind(&self) -> DriverKind {
        match self {
            Built::IoUring(_) => DriverKind::IoUring,
            Built::Epoll(_) => DriverKind::Epoll,
        }
    }

    /// Runs a worker on it until that has ended.
    pub fn run(self, setup: Setup) -> io::Result<()> {
        match self {
            Built::IoUring(driver) => worker::run(driver, setup),
            Built::Epoll(driver) => worker::run(driver, setup),
        }
    }
}

/// Makes a driver for the calling thread.
pub fn build(engine: Engine, may_fall_back: bool, settings: &DriverSettings) -> io::Result<Built> {
    match engine {
        Engine::IoUring => match UringDriver::new(settings) {
            Ok(driver) => Ok(Built::IoUring(driver)),
            Err(_) if may_fall_back => EpollDriver::new(settings).map(Built::Epoll),
            Err(error) => Err(error),
        },
        Engine::Epoll => EpollDriver::new(settings).map(Built::Epoll),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_wins_over_the_file() {
        let wanted = |variable: Option<&str>, configured| wanted(variable.map(OsStr::new), configured);
        assert_eq!(wanted(None, EngineChoice::Epoll), Ok(EngineChoice::Epoll));
        assert_eq!(wanted(Some(""), EngineChoice::Epoll), Ok(EngineChoice::Epoll));
        assert_eq!(wanted(Some("io_uring"), EngineChoice::Epoll), Ok(EngineChoice::IoUring));
        assert_eq!(wanted(Some("epoll"), EngineChoice::Automatic), Ok(EngineChoice::Epoll));
        assert_eq!(wanted(Some("auto"), EngineChoice::Epoll), Ok(EngineChoice::Automatic));
        assert!(wanted(Some("kqueue"), EngineChoice::Automatic).unwrap_err().contains("kqueue"));
    }

    #[test]
    fn epoll_is_always_there() {
        assert_eq!(test(Engine::Epoll), Ok(()));
        let chosen = choose(EngineChoice::Epoll).unwrap();
        assert_eq!((chosen.engine, chosen.automatic, chosen.fallback), (Engine::Epoll, false, None));
        // Whatever this kernel has, automatic finds one and says why when it is the lesser.
        let chosen = choose(EngineChoice::Automatic).unwrap();
        assert_eq!(chosen.engine == Engine::Epoll, chosen.fallback.is_some());
    }
}
