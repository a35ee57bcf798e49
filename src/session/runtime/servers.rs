//! Commands that change or read one server.

use super::{Answer, RuntimeSession, names};
use crate::config::model::ServerId;
use crate::policy::assign::serve_queues;
use crate::policy::health::{AdminChange, set_admin};
use crate::session::local_context::LocalContext;
use crate::shared::mailbox::{Message, SessionKill};
use std::sync::atomic::Ordering::Relaxed;

/// Ends the sentence of a logged change.
const CHANGED_BY: &str = "changed from CLI";
const SET_SERVER_USAGE: &str = "usage: set server <backend>/<server> health | state | weight";

fn change(server: ServerId, change: AdminChange, context: &mut LocalContext) -> Answer {
    match set_admin(context.shared, server, change, context.now_us, CHANGED_BY) {
        Ok(logs) => {
            context.state_logs.extend(logs);
            Answer::Nothing
        }
        Err(text) => Answer::error(text),
    }
}

fn change_named(words: &[&str], asked: AdminChange, context: &mut LocalContext) -> Answer {
    match names::server(&context.shared.config, words.first()) {
        Ok(server) => change(server, asked, context),
        Err(answer) => answer,
    }
}

pub fn disable(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    change_named(words, AdminChange::Maint, context)
}

pub fn enable(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    change_named(words, AdminChange::Ready, context)
}

pub fn disable_health(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    change_named(words, AdminChange::DisableChecks, context)
}

pub fn enable_health(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    change_named(words, AdminChange::EnableChecks, context)
}

/// `set server b/s state|health|weight …`
pub fn set(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    let server = match names::server(&context.shared.config, words.first()) {
        Ok(server) => server,
        Err(answer) => return answer,
    };
    let asked = match words.get(1..).unwrap_or_default() {
        ["state", "ready", ..] => AdminChange::Ready,
        ["state", "drain", ..] => AdminChange::Drain,
        ["state", "maint", ..] => AdminChange::Maint,
        ["state", ..] => return Answer::error("'set server <srv> state' expects 'ready', 'drain' and 'maint'."),
        ["health", "up", ..] => AdminChange::HealthUp,
        ["health", "stopping", ..] => AdminChange::HealthStopping,
        ["health", "down", ..] => AdminChange::HealthDown,
        ["health", ..] => return Answer::error("'set server <srv> health' expects 'up', 'stopping', or 'down'."),
        ["weight"] => return Answer::error("Require <weight> or <weight%>."),
        ["weight", weight, ..] => AdminChange::Weight(weight.to_string()),
        ["agent", ..] => return Answer::error("agent checks are not enabled on this server."),
        ["addr" | "agent-addr" | "agent-port" | "agent-send" | "check-addr" | "check-port" | "fqdn" | "ssl", ..] => {
            let what = words.get(1).copied().unwrap_or_default();
            return Answer::error(format!("'set server <srv> {what}' is not supported by this version."));
        }
        _ => return Answer::error(SET_SERVER_USAGE),
    };
    change(server, asked, context)
}

pub fn set_weight(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    match (names::server(&context.shared.config, words.first()), words.get(1)) {
        (Err(answer), _) => answer,
        (Ok(_), None) => Answer::error("Require <weight> or <weight%>."),
        (Ok(server), Some(weight)) => change(server, AdminChange::Weight(weight.to_string()), context),
    }
}

pub fn get_weight(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    match names::server(&context.shared.config, words.first()) {
        Ok(server) => {
            let initial = context.shared.config.server(server).weight;
            let now = context.shared.server(server).user_weight.load(Relaxed);
            Answer::Dump(format!("{now} (initial {initial})\n"))
        }
        Err(answer) => answer,
    }
}

/// `set maxconn server b/s <n>`; 0 is no limit. A raised limit lets queued connections through at once.
pub fn set_maxconn(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    let server = match names::server(&context.shared.config, words.first()) {
        Ok(server) => server,
        Err(answer) => return answer,
    };
    let Some(limit) = words.get(1) else { return Answer::error("Require <maxconn>.") };
    let Ok(limit) = limit.parse::<u32>() else {
        return Answer::error("maxconn string empty or preceded by garbage");
    };
    context.shared.server(server).maxconn.store(limit, Relaxed);
    serve_queues(context.shared, server);
    Answer::Nothing
}

pub fn shutdown_sessions(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    match names::server(&context.shared.config, words.first()) {
        Ok(server) => {
            for worker in &context.shared.workers {
                worker.mailbox.send(Message::ShutdownServerSessions { server, why: SessionKill::Killed });
            }
            Answer::Nothing
        }
        Err(answer) => answer,
    }
}
