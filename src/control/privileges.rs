//! Giving up what a proxy does not need once its sockets are bound: the file system and the super-user
//! (configuration.txt section 3.1: `chroot`, `user`, `group`, `uid`, `gid`).

use crate::config::model::{Global, UserOrGroup};
use crate::sys::process;
use std::path::PathBuf;

/// What to become, looked up while `/etc/passwd` can still be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Privileges {
    pub chroot: Option<PathBuf>,
    pub user: Option<u32>,
    pub group: Option<u32>,
}

impl Privileges {
    /// # Errors
    /// A user or group that does not exist, one message each.
    pub fn look_up(global: &Global) -> Result<Privileges, Vec<String>> {
        let mut errors = Vec::new();
        let user = global.user.as_ref().and_then(|user| keep(user_id(user), &mut errors));
        let group = global.group.as_ref().and_then(|group| keep(group_id(group), &mut errors));
        if errors.is_empty() { Ok(Privileges { chroot: global.chroot.clone(), user, group }) } else { Err(errors) }
    }

    /// Changes root directory, groups and user, in this order, for all threads of the process.
    ///
    /// # Errors
    /// What could not be done, in HAProxy's words. Going on with more rights than the file allows is no choice.
    pub fn drop_for_good(&self) -> Result<(), String> {
        if let Some(directory) = &self.chroot {
            process::change_root(directory)
                .map_err(|error| format!("Cannot chroot({}): {error}.", directory.display()))?;
        }
        // Becoming whom we are already needs no rights, and an unprivileged process has none to use.
        let user = self.user.filter(|user| *user != process::user_id());
        let group = self.group.filter(|group| *group != process::group_id());
        process::set_ids(user, group).map_err(|error| {
            let wanted = |id: Option<u32>| id.map_or_else(|| "unchanged".to_owned(), |id| id.to_string());
            format!("Cannot set uid {} and gid {}: {error}.", wanted(user), wanted(group))
        })
    }
}

fn keep<T>(outcome: Result<T, String>, errors: &mut Vec<String>) -> Option<T> {
    outcome.map_err(|error| errors.push(error)).ok()
}

/// The number of a `user` or `uid`.
pub fn user_id(user: &UserOrGroup) -> Result<u32, String> {
    match user {
        UserOrGroup::Id(number) => Ok(*number),
        UserOrGroup::Name(name) => {
            look_up(name, process::user_by_name).ok_or_else(|| format!("cannot find user id for '{name}'"))
        }
    }
}

/// The number of a `group` or `gid`.
pub fn group_id(group: &UserOrGroup) -> Result<u32, String> {
    match group {
        UserOrGroup::Id(number) => Ok(*number),
        UserOrGroup::Name(name) => {
            look_up(name, process::group_by_name).ok_or_else(|| format!("cannot find group id for '{name}'"))
        }
    }
}

/// The C library's look-ups take strings without NUL.
fn look_up(name: &str, database: fn(&str) -> Option<u32>) -> Option<u32> {
    if name.contains('\0') { None } else { database(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let global = Global {
            user: Some(UserOrGroup::Name("root".into())),
            group: Some(UserOrGroup::Id(65534)),
            ..Global::default()
        };
        let found = Privileges::look_up(&global).unwrap();
        assert_eq!((found.user, found.group), (Some(0), Some(65534)));
    }

    #[test]
    fn all_unknown_names_are_reported_at_once() {
        let global = Global {
            user: Some(UserOrGroup::Name("no-such-user".into())),
            group: Some(UserOrGroup::Name("nul\0inside".into())),
            ..Global::default()
        };
        let errors = Privileges::look_up(&global).unwrap_err();
        assert_eq!(errors.len(), 2);
        assert!(errors[0].contains("cannot find user id for 'no-such-user'"));
    }

    #[test]
    fn nothing_to_drop_is_no_error() {
        Privileges::default().drop_for_good().unwrap();
        let same = Privileges { chroot: None, user: Some(process::user_id()), group: Some(process::group_id()) };
        same.drop_for_good().unwrap();
        let missing = Privileges { chroot: Some("/nonexistent/jail".into()), ..Privileges::default() };
        assert!(missing.drop_for_good().unwrap_err().starts_with("Cannot chroot(/nonexistent/jail)"));
    }
}
