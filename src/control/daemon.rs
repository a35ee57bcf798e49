//! Going into the background (`daemon`, `-D`): the parent stays until the child has bound its listeners, so that its
//! exit code tells an init script whether the proxy runs.

use crate::sys::process::{self, Fork};
use std::io::{self, PipeReader, PipeWriter, Read, Write};

/// How the child tells its waiting parent that it serves. Dropping it unsaid tells the parent of a failure.
#[derive(Debug)]
pub struct Parent {
    pipe: PipeWriter,
}

impl Parent {
    /// Lets the parent exit with 0.
    pub fn release(mut self) {
        // A parent that was killed meanwhile has nobody to report to.
        let _ = self.pipe.write_all(&[1]);
    }
}

/// Forks. Returns in the child only; the parent waits for it and exits: 0 when the child serves, 1 when it gave up
/// (having said why on the stderr that both have).
///
/// # Errors
/// No pipe or no process could be made.
pub fn go_to_background() -> io::Result<Parent> {
    let (reader, writer) = io::pipe()?;
    match process::fork()? {
        Fork::Parent { .. } => {
            drop(writer);
            std::process::exit(wait_for_child(reader))
        }
        Fork::Child => {
            drop(reader);
            process::new_session()?;
            Ok(Parent { pipe: writer })
        }
    }
}

/// The parent's exit code: end of file without a byte means that the child is gone.
fn wait_for_child(mut reader: PipeReader) -> i32 {
    let mut byte = [0u8; 1];
    loop {
        match reader.read(&mut byte) {
            Ok(1..) => return 0,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_learns_of_both_ends() {
        let (reader, writer) = io::pipe().unwrap();
        Parent { pipe: writer }.release();
        assert_eq!(wait_for_child(reader), 0);
        let (reader, writer) = io::pipe().unwrap();
        drop(Parent { pipe: writer });
        assert_eq!(wait_for_child(reader), 1);
    }
}
