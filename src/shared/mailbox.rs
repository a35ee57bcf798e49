//! Messages to a worker from other threads.

use crate::config::model::{ListenerId, ProxyId, ServerId};
use arc_swap::ArcSwapOption;
use crossbeam::queue::SegQueue;
use std::sync::Arc;

/// What a worker is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A server slot became free and is handed to the waiter (the served count is already the waiter's).
    /// A waiter that is gone must give it back.
    QueueGrant {
        waiter: Waiter,
        server: ServerId,
    },
    /// Tell the waiter to leave its queue and choose a server again.
    QueueRetry {
        waiter: Waiter,
    },
    /// Close all sessions to a server: it went down with `on-marked-down shutdown-sessions`, or an administrator said so.
    ShutdownServerSessions {
        server: ServerId,
        why: SessionKill,
    },
    /// Close the sessions to all backup servers of a backend (`on-marked-up shutdown-backup-sessions`).
    ShutdownBackupSessions {
        backend: ProxyId,
    },
    /// Close every session of a frontend (`shutdown frontend`).
    StopFrontend {
        frontend: ProxyId,
    },
    /// `disable frontend` / SIGTTOU, `enable frontend` / SIGTTIN.
    PauseListener {
        listener: ListenerId,
    },
    ResumeListener {
        listener: ListenerId,
    },
    /// For the control thread: `observe` saw too many errors, the server's next check is due after `fastinter`.
    CheckSoon {
        server: ServerId,
    },
    /// A connection waits in this worker's handover channel: another worker had no room for it.
    ConnectionHandedOver,
    /// Room again under a limit that made the worker stop accepting.
    LimitLifted,
    /// SIGUSR1: close listeners, serve what is there.
    SoftStop,
    /// SIGTERM, or `hard-stop-after` is over: close everything and return.
    HardStop,
}

/// Why sessions are shut down; becomes the first termination letter (D, K, U).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKill {
    Down,
    Killed,
    BackupReplaced,
}

/// A queued connection: its worker, its slot, and the slot's generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiter {
    pub worker: u16,
    pub slot: u32,
    pub generation: u32,
}

/// Lock-free, any number of senders, one reader.
#[derive(Default)]
pub struct Mailbox {
    queue: SegQueue<Message>,
    waker: ArcSwapOption<crate::io::Waker>,
}

impl Mailbox {
    /// Called by the owner when its driver exists; again by the one that takes the place of an owner that failed, whose
    /// waker wakes nobody any more.
    pub fn attach(&self, waker: crate::io::Waker) {
        self.waker.store(Some(Arc::new(waker)));
    }
    pub fn send(&self, message: Message) {
        self.queue.push(message);
        if let Some(waker) = self.waker.load().as_deref() {
            waker.wake();
        }
    }
    pub fn take(&self) -> Option<Message> {
        self.queue.pop()
    }
}
