//! The paths of the hot loop that are measured alone: by the clock (`micro`, criterion) and in instructions
//! (`instructions`, callgrind). Each is one operation that can be repeated for ever.

mod balance;
mod config;
mod http;
mod rules;
mod world;

/// One operation, with what it needs prepared.
pub struct Path {
    /// `group/case`: stable, the limits are kept under it.
    pub name: &'static str,
    pub operation: Box<dyn FnMut()>,
    /// How often it runs where it is not timed: enough to drown the noise of the first time.
    pub repeats: u32,
}

impl Path {
    /// An operation of microseconds.
    fn new(name: &'static str, operation: impl FnMut() + 'static) -> Path {
        Path { name, operation: Box::new(operation), repeats: 200 }
    }

    /// An operation of milliseconds.
    fn long(name: &'static str, operation: impl FnMut() + 'static) -> Path {
        Path { repeats: 2, ..Path::new(name, operation) }
    }
}

/// What is measured, in the order in which a request meets it.
pub fn all() -> Vec<Path> {
    [http::paths(), rules::paths(), balance::paths(), config::paths()].into_iter().flatten().collect()
}
