//! A backend's check method made ready to run: regular expressions compiled, request bytes built. One per backend,
//! shared by all its servers' probes.

use super::Target;
use super::http::Request;
use crate::config::model::{CheckMethod, Expect, ExpectPattern, HttpCheck, TcpCheckRule, TcpCheckStep};
use crate::policy::health::status::from_name;
use crate::shared::server::CheckStatus;
use regex::bytes::{Regex, RegexBuilder};

/// The steps of a check, the connection included.
#[derive(Debug)]
pub struct Script {
    pub(super) kind: Kind,
    pub(super) steps: Vec<Entry>,
    /// The first connect step was not written: HAProxy names it "initial connection step" and does not number it.
    pub(super) implicit_connect: bool,
    pub(super) disable_on_404: bool,
    sends_state: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No `option …chk`: a connection that is accepted.
    Plain,
    Tcp,
    Http,
    Smtp,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub step: Step,
    pub comment: Option<String>,
}

#[derive(Debug)]
pub(super) enum Step {
    Connect(Target),
    Send(Vec<u8>),
    Request(Request),
    Expect(Expectation),
}

#[derive(Debug)]
pub(super) struct Expectation {
    pub pattern: Pattern,
    pub negate: bool,
    pub min_receive_bytes: usize,
    pub ok_status: Option<CheckStatus>,
    pub error_status: Option<CheckStatus>,
    pub timeout_status: CheckStatus,
    pub on_success: Option<String>,
    pub on_error: Option<String>,
}

#[derive(Debug)]
pub(super) enum Pattern {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Regex(Regex),
    /// Inclusive ranges.
    Status(Vec<(u16, u16)>),
    StatusRegex(Regex),
    /// A whole reply that begins with 2.
    SmtpReply,
}

impl Pattern {
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        match self {
            Pattern::Text(needle) | Pattern::Binary(needle) => memchr::memmem::find(bytes, needle).is_some(),
            Pattern::Regex(regex) => regex.is_match(bytes),
            Pattern::Status(_) | Pattern::StatusRegex(_) | Pattern::SmtpReply => false,
        }
    }
    pub fn is_status(&self, status: u16) -> bool {
        match self {
            Pattern::Status(ranges) => ranges.iter().any(|(low, high)| (*low..=*high).contains(&status)),
            Pattern::StatusRegex(regex) => regex.is_match(status.to_string().as_bytes()),
            _ => false,
        }
    }
}

impl Script {
    /// The error is a sentence about the regular expression that does not compile.
    pub fn compile(method: &CheckMethod) -> Result<Script, String> {
        match method {
            CheckMethod::Connect => Ok(Script::connect_only(Kind::Plain)),
            CheckMethod::Tcp(rules) if rules.is_empty() => {
                // The option alone asks for no more than a connection, but its messages name the step.
                Ok(Script::connect_only(Kind::Tcp))
            }
            CheckMethod::Tcp(rules) => Script::tcp(rules),
            CheckMethod::Http(check) => Script::http(check),
            CheckMethod::Smtp(hello) => Ok(Script::smtp(hello)),
        }
    }

    /// Whether probes need [`super::Context::server_state`].
    pub fn sends_state(&self) -> bool {
        self.sends_state
    }

    fn connect_only(kind: Kind) -> Script {
        let connect = Entry { step: Step::Connect(Target::default()), comment: None };
        Script { kind, steps: vec![connect], implicit_connect: true, disable_on_404: false, sends_state: false }
    }

    fn tcp(rules: &[TcpCheckRule]) -> Result<Script, String> {
        let explicit = matches!(rules.first().map(|rule| &rule.step), Some(TcpCheckStep::Connect { .. }));
        let mut script = Script::connect_only(Kind::Tcp);
        script.implicit_connect = !explicit;
        if explicit {
            script.steps.clear();
        }
        for rule in rules {
            let step = match &rule.step {
                TcpCheckStep::Connect { port, address } => Step::Connect(Target { port: *port, address: *address }),
                TcpCheckStep::Send(bytes) => Step::Send(bytes.clone()),
                TcpCheckStep::Expect(expect) => Step::Expect(Expectation::compile(expect)?),
            };
            script.steps.push(Entry { step, comment: rule.comment.clone() });
        }
        Ok(script)
    }

    /// The server greets first, and is left in peace at the end.
    fn smtp(hello: &str) -> Script {
        let mut script = Script::connect_only(Kind::Smtp);
        let reply = || Step::Expect(Expectation::reply());
        let send = |command: &str| Step::Send(format!("{command}\r\n").into_bytes());
        let steps = [reply(), send(hello), reply(), send("QUIT"), reply()];
        script.steps.extend(steps.into_iter().map(|step| Entry { step, comment: None }));
        script
    }

    fn http(check: &HttpCheck) -> Result<Script, String> {
        let mut script = Script::connect_only(Kind::Http);
        script.disable_on_404 = check.disable_on_404;
        script.sends_state = check.send_state;
        script.steps.push(Entry { step: Step::Request(Request::new(check)), comment: None });
        let any_good = Expect {
            pattern: ExpectPattern::Status(vec![(200, 399)]),
            negate: false,
            min_receive_bytes: None,
            ok_status: None,
            error_status: None,
            timeout_status: None,
            on_success: None,
            on_error: None,
        };
        let expects = if check.expect.is_empty() { std::slice::from_ref(&any_good) } else { &check.expect };
        for expect in expects {
            script.steps.push(Entry { step: Step::Expect(Expectation::compile(expect)?), comment: None });
        }
        Ok(script)
    }
}

impl Expectation {
    fn reply() -> Expectation {
        Expectation {
            pattern: Pattern::SmtpReply,
            negate: false,
            min_receive_bytes: 0,
            ok_status: None,
            error_status: None,
            timeout_status: CheckStatus::Layer7Timeout,
            on_success: None,
            on_error: None,
        }
    }

    fn compile(expect: &Expect) -> Result<Expectation, String> {
        let pattern = match &expect.pattern {
            ExpectPattern::Text(bytes) => Pattern::Text(bytes.clone()),
            ExpectPattern::Binary(bytes) => Pattern::Binary(bytes.clone()),
            ExpectPattern::Regex(source) => Pattern::Regex(regex(source)?),
            ExpectPattern::Status(ranges) => Pattern::Status(ranges.clone()),
            ExpectPattern::StatusRegex(source) => Pattern::StatusRegex(regex(source)?),
        };
        let named = |word: &Option<String>| word.as_deref().and_then(from_name);
        Ok(Expectation {
            pattern,
            negate: expect.negate,
            min_receive_bytes: expect.min_receive_bytes.unwrap_or(0) as usize,
            ok_status: named(&expect.ok_status),
            error_status: named(&expect.error_status),
            timeout_status: named(&expect.timeout_status).unwrap_or(CheckStatus::Layer7Timeout),
            on_success: expect.on_success.clone(),
            on_error: expect.on_error.clone(),
        })
    }
}

/// Bytes, not characters: servers answer in any encoding, and HAProxy's matcher looks at bytes.
fn regex(source: &str) -> Result<Regex, String> {
    RegexBuilder::new(source)
        .unicode(false)
        .build()
        .map_err(|error| format!("the regular expression '{source}' of a health check does not compile: {error}"))
}
