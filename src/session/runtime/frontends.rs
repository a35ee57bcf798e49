//! Commands on frontends and on the process's limit.

use super::{Answer, RuntimeSession, names};
use crate::config::model::ProxyId;
use crate::session::local_context::LocalContext;
use crate::shared::FrontendStatus;
use crate::shared::mailbox::Message;
use std::sync::atomic::Ordering::Relaxed;

fn status(id: ProxyId, context: &LocalContext) -> u8 {
    context.shared.proxy(id).frontend_status.load(Relaxed)
}

fn tell_all(context: &LocalContext, message: &Message) {
    for worker in &context.shared.workers {
        worker.mailbox.send(message.clone());
    }
}

/// Stores the state and tells every worker about every listener.
fn change_listeners(id: ProxyId, to: FrontendStatus, context: &LocalContext) -> Answer {
    context.shared.proxy(id).frontend_status.store(to as u8, Relaxed);
    for listener in context.shared.config.proxy(id).frontend.iter().flat_map(|frontend| &frontend.listeners) {
        let listener = *listener;
        tell_all(
            context,
            &match to {
                FrontendStatus::Open => Message::ResumeListener { listener },
                FrontendStatus::Paused | FrontendStatus::Stopped => Message::PauseListener { listener },
            },
        );
    }
    Answer::Nothing
}

pub fn disable(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    match names::frontend(&context.shared.config, words.first()) {
        Err(answer) => answer,
        Ok(id) if status(id, context) == FrontendStatus::Stopped as u8 => {
            Answer::error("Frontend was previously shut down, cannot disable.")
        }
        Ok(id) if status(id, context) == FrontendStatus::Paused as u8 => {
            Answer::error("All sockets are already disabled.")
        }
        Ok(id) => change_listeners(id, FrontendStatus::Paused, context),
    }
}

pub fn enable(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    match names::frontend(&context.shared.config, words.first()) {
        Err(answer) => answer,
        Ok(id) if status(id, context) == FrontendStatus::Stopped as u8 => {
            Answer::error("Frontend was previously shut down, cannot enable.")
        }
        Ok(id) if status(id, context) == FrontendStatus::Open as u8 => {
            Answer::error("All sockets are already enabled.")
        }
        Ok(id) => change_listeners(id, FrontendStatus::Open, context),
    }
}

pub fn shutdown(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    match names::frontend(&context.shared.config, words.first()) {
        Err(answer) => answer,
        Ok(id) if status(id, context) == FrontendStatus::Stopped as u8 => {
            Answer::error("Frontend was already shut down.")
        }
        Ok(id) => {
            context.shared.proxy(id).frontend_status.store(FrontendStatus::Stopped as u8, Relaxed);
            tell_all(context, &Message::StopFrontend { frontend: id });
            Answer::Nothing
        }
    }
}

/// `set maxconn frontend <f> <n>`; 0 takes the limit away.
pub fn set_maxconn(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    let id = match names::frontend(&context.shared.config, words.first()) {
        Ok(id) => id,
        Err(answer) => return answer,
    };
    let Some(limit) = words.get(1).and_then(|word| word.parse::<u32>().ok()) else {
        return Answer::error("Integer value expected.");
    };
    context.shared.proxy(id).frontend_maxconn.store(limit, Relaxed);
    tell_all(context, &Message::LimitLifted);
    Answer::Nothing
}

/// `set maxconn global <n>`; 0 brings back the limit of the start.
pub fn set_global_maxconn(_: &mut RuntimeSession, words: &[&str], context: &mut LocalContext) -> Answer {
    let Some(limit) = words.first().and_then(|word| word.parse::<u32>().ok()) else {
        return Answer::error("Expects an integer value.");
    };
    let hard = context.shared.process.maxconn_hard.load(Relaxed);
    if limit > hard {
        return Answer::error("Value out of range.");
    }
    context.shared.process.maxconn.store(if limit == 0 { hard } else { limit }, Relaxed);
    tell_all(context, &Message::LimitLifted);
    Answer::Nothing
}
