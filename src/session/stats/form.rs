//! The page's admin form: `s=<server>&s=…&action=<what>&b=<backend or #id>` (configuration.txt, `stats admin`).

use super::super::local_context::LocalContext;
use crate::config::model::{ProxyId, ServerId};
use crate::policy::health::{AdminChange, set_admin};
use crate::shared::mailbox::{Message, SessionKill};

/// Ends the sentence of a logged change.
const CHANGED_BY: &str = "changed from Web interface";

/// What the form brought about; the page that follows says so in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormResult {
    Done,
    /// Nothing was chosen.
    Nothing,
    /// Some servers were changed, others not.
    Partly,
    /// A field was missing, unknown or unreadable.
    Invalid,
    /// The form was too long to read.
    TooLong,
    /// Not allowed.
    Denied,
}

impl FormResult {
    /// The word after `;st=`.
    pub fn code(self) -> &'static str {
        match self {
            FormResult::Done => "DONE",
            FormResult::Nothing => "NONE",
            FormResult::Partly => "PART",
            FormResult::Invalid => "ERRP",
            FormResult::TooLong => "EXCD",
            FormResult::Denied => "DENY",
        }
    }
}

/// The actions a form may name, with the words of the page's menu. 1.8's `enable`, `disable`, `start` and `stop` are
/// still understood, but not offered. There are no agent checks yet, so agent actions change nothing.
pub const ACTIONS: &[(&str, &str)] = &[
    ("ready", "Set state to READY"),
    ("drain", "Set state to DRAIN"),
    ("maint", "Set state to MAINT"),
    ("dhlth", "Health: disable checks"),
    ("ehlth", "Health: enable checks"),
    ("hrunn", "Health: force UP"),
    ("hnolb", "Health: force NOLB"),
    ("hdown", "Health: force DOWN"),
    ("dagent", "Agent: disable checks"),
    ("eagent", "Agent: enable checks"),
    ("arunn", "Agent: force UP"),
    ("adown", "Agent: force DOWN"),
    ("shutdown", "Kill sessions"),
];

enum Action {
    Change(AdminChange),
    KillSessions,
    /// Servers have no agent.
    Agent,
}

fn action_named(name: &str) -> Option<Action> {
    Some(match name {
        "ready" | "enable" => Action::Change(AdminChange::Ready),
        "drain" | "stop" => Action::Change(AdminChange::Drain),
        "maint" | "disable" => Action::Change(AdminChange::Maint),
        "start" => Action::Change(AdminChange::Ready),
        "dhlth" => Action::Change(AdminChange::DisableChecks),
        "ehlth" => Action::Change(AdminChange::EnableChecks),
        "hrunn" => Action::Change(AdminChange::HealthUp),
        "hnolb" => Action::Change(AdminChange::HealthStopping),
        "hdown" => Action::Change(AdminChange::HealthDown),
        "dagent" | "eagent" | "arunn" | "adown" => Action::Agent,
        "shutdown" => Action::KillSessions,
        _ => return None,
    })
}

/// Does what the form says. `visible`: proxies within the page's scope; others cannot be changed from it.
pub fn apply(body: &[u8], visible: Option<&[ProxyId]>, context: &mut LocalContext) -> FormResult {
    let (mut servers, mut action, mut backend) = (Vec::new(), None, None);
    for (key, value) in form_urlencoded::parse(body) {
        match key.as_ref() {
            "s" => servers.push(value.into_owned()),
            "action" => match action_named(&value) {
                Some(known) => action = Some(known),
                None => return FormResult::Invalid,
            },
            "b" => {
                let found = find_backend(&value, context).filter(|id| visible.is_none_or(|ids| ids.contains(id)));
                match found {
                    Some(id) => backend = Some(id),
                    None => return FormResult::Invalid,
                }
            }
            _ => {}
        }
    }
    let (Some(action), Some(backend), false) = (action, backend, servers.is_empty()) else {
        return FormResult::Nothing;
    };
    let mut changed = 0;
    for name in &servers {
        let Some(server) = find_server(backend, name, context) else { continue };
        changed += usize::from(act(server, &action, context));
    }
    match changed {
        0 => FormResult::Invalid,
        all if all == servers.len() => FormResult::Done,
        _ => FormResult::Partly,
    }
}

fn act(server: ServerId, action: &Action, context: &mut LocalContext) -> bool {
    match action {
        Action::Change(change) => match set_admin(context.shared, server, change.clone(), context.now_us, CHANGED_BY) {
            Ok(logs) => {
                context.state_logs.extend(logs);
                true
            }
            Err(_) => false,
        },
        Action::KillSessions => {
            for worker in &context.shared.workers {
                worker.mailbox.send(Message::ShutdownServerSessions { server, why: SessionKill::Killed });
            }
            true
        }
        Action::Agent => false,
    }
}

/// By name, or `#` and the numeric id.
fn find_backend(name: &str, context: &LocalContext) -> Option<ProxyId> {
    let config = &context.shared.config;
    match name.strip_prefix('#') {
        Some(number) => {
            let number: u32 = number.parse().ok()?;
            config.proxy_ids().find(|id| config.proxy(*id).backend.is_some() && config.proxy(*id).iid == number)
        }
        None => config.backend_named(name),
    }
}

fn find_server(backend: ProxyId, name: &str, context: &LocalContext) -> Option<ServerId> {
    let config = &context.shared.config;
    let servers = &config.proxy(backend).backend.as_ref()?.servers;
    servers.iter().copied().find(|id| config.server(*id).name == name)
}
