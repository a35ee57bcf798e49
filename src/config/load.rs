//! The way of a configuration from files to a [`Config`].

use super::diagnostics::Diagnostics;
use super::environment::Environment;
use super::expression::references;
use super::keywords::{self, Admitted, Modifier, Section};
use super::lex::Line;
use super::model::{Config, Location};
use super::names::{ResolveNames, SystemNames};
use super::options::parser_of;
use super::preprocess::Reading;
use super::section_cache::{self, WrittenCache};
use super::section_errors::HttpErrorsSection;
use super::section_header::{self, DefaultsSections};
use super::section_userlist::WrittenUserlist;
use super::source::{Source, read_sources};
use super::statement::{LineParser, Statement};
use super::written::*;
use super::{
    pattern_files, preprocess, resolve, section_acl, section_balance, section_bind, section_checks,
    section_compression, section_cookie, section_errors, section_forwarding, section_global, section_http,
    section_http_rules, section_log, section_old_rules, section_options, section_proxy, section_server, section_stats,
    section_stick_table, section_switching, section_tcp_rules, section_timeouts, section_userlist,
};
use std::collections::HashMap;
use std::path::PathBuf;

/// What to load, and what the command line says about it.
#[derive(Clone, Debug, Default)]
pub struct LoadRequest {
    /// The arguments of `-f`, in order: files, or directories whose `*.cfg` are loaded.
    pub sources: Vec<PathBuf>,
    pub overrides: Overrides,
    /// What `${NAME}` expands to; see [`Environment::of_process`].
    pub environment: Environment,
}

/// Command line options that change what a configuration means.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `-n`: the global maxconn, whatever the file says.
    pub maxconn: Option<u32>,
    /// `-N`: the maxconn of frontends that have none.
    pub proxy_maxconn: Option<u32>,
    /// `-dr`: a server whose name does not resolve starts without an address.
    pub ignore_unresolved: bool,
}

/// The result of a load.
#[derive(Debug)]
pub struct Loaded {
    /// `None` if there were errors.
    pub config: Option<Config>,
    pub diagnostics: Diagnostics,
}

/// Loads the files of `request`. Every problem of every file is in the result's diagnostics.
pub fn load(request: &LoadRequest) -> Loaded {
    let mut diagnostics = Diagnostics::default();
    let sources = read_sources(&request.sources, &mut diagnostics);
    let names = SystemNames::default();
    load_sources(&sources, request.environment.clone(), &request.overrides, &names, diagnostics)
}

/// Loads one text as if it were a file called `name`, with HAProxy's own variables as environment.
pub fn load_text(name: &str, text: &str) -> Loaded {
    load_text_with(name, text, &SystemNames::default())
}

/// As [`load_text`], with `names` in place of the system's resolver.
pub fn load_text_with(name: &str, text: &str, names: &dyn ResolveNames) -> Loaded {
    let mut environment = Environment::empty();
    environment.offer_standard("localhost", &[name.to_owned()]);
    let source = Source::from_text(name, text);
    load_sources(&[source], environment, &Overrides::default(), names, Diagnostics::default())
}

fn load_sources(
    sources: &[Source],
    environment: Environment,
    overrides: &Overrides,
    names: &dyn ResolveNames,
    diagnostics: Diagnostics,
) -> Loaded {
    let read = || read_and_resolve(sources, environment, overrides, names, diagnostics);
    let (mut loaded, pattern_files) = pattern_files::collect(read);
    if let Some(config) = &mut loaded.config {
        config.pattern_files = pattern_files;
    }
    loaded
}

fn read_and_resolve(
    sources: &[Source],
    mut environment: Environment,
    overrides: &Overrides,
    names: &dyn ResolveNames,
    mut diagnostics: Diagnostics,
) -> Loaded {
    references::begin();
    let mut reader = Reader {
        written: Written { global: section_global::defaults(), ..Written::default() },
        defaults: DefaultsSections::default(),
        current: Current::Nothing,
        names,
    };
    for source in sources {
        let mut handle = |line: &Line, environment: &mut Environment, diagnostics: &mut Diagnostics| {
            reader.line(line, environment, diagnostics);
        };
        if preprocess::each_line(source, &mut environment, &mut diagnostics, &mut handle) == Reading::Stopped {
            // `.alert` says that the rest is not to be looked at: its errors would only hide the message.
            diagnostics.conclude();
            return Loaded { config: None, diagnostics };
        }
        // A section does not reach into the next file.
        reader.close();
    }
    let written = reader.written;
    let userlists: Vec<&str> = written.userlists.iter().map(|list| list.name.as_str()).collect();
    references::check(&written.proxies, &userlists, &mut diagnostics);
    let config = resolve::resolve(written, overrides, names, &mut diagnostics);
    show_lines(sources, &mut diagnostics);
    let config = (!diagnostics.has_errors()).then_some(Config { environment, ..config });
    diagnostics.conclude();
    Loaded { config, diagnostics }
}

/// Gives messages that were found after parsing the line they are about, with the caret under its first word.
fn show_lines(sources: &[Source], diagnostics: &mut Diagnostics) {
    // Split once: a file can have a warning for each of its many lines.
    let mut files: HashMap<String, Vec<&[u8]>> = HashMap::new();
    for message in diagnostics.messages.iter_mut().filter(|message| message.excerpt.is_none()) {
        let Some(location) = message.location.as_ref().filter(|location| location.line > 0) else { continue };
        let Some(source) = sources.iter().find(|source| *source.name == *location.file) else { continue };
        let lines =
            files.entry(location.file.clone()).or_insert_with(|| source.bytes.split(|byte| *byte == b'\n').collect());
        let raw = lines.get(location.line as usize - 1).copied().unwrap_or_default();
        let raw = String::from_utf8_lossy(raw).trim_end().to_owned();
        let column = raw.chars().take_while(|character| character.is_whitespace()).count() as u32 + 1;
        message.excerpt = Some((raw, column));
    }
}

/// The section that lines go to.
enum Current {
    /// Before the first section of a file.
    Nothing,
    Global,
    Proxy(Box<WrittenProxy>),
    Userlist(Box<WrittenUserlist>),
    HttpErrors(Box<HttpErrorsSection>),
    Cache(Box<WrittenCache>),
    /// A section that was refused: its lines would only repeat that.
    Skipped,
}

struct Reader<'n> {
    written: Written,
    defaults: DefaultsSections,
    current: Current,
    names: &'n dyn ResolveNames,
}

/// The words that open the sections which are read.
pub const SECTION_KEYWORDS: [&str; 8] =
    ["global", "defaults", "listen", "frontend", "backend", "userlist", "http-errors", "cache"];

/// The keyword table's name for the section.
fn table_section(kind: SectionKind) -> Section {
    match kind {
        SectionKind::Defaults => Section::Defaults,
        SectionKind::Listen => Section::Listen,
        SectionKind::Frontend => Section::Frontend,
        SectionKind::Backend => Section::Backend,
    }
}

/// Every parser of a proxy's line.
pub fn proxy_parsers() -> impl Iterator<Item = &'static (&'static str, LineParser<WrittenProxy>)> {
    [
        section_proxy::KEYWORDS,
        section_acl::KEYWORDS,
        section_stick_table::KEYWORDS,
        section_switching::KEYWORDS,
        section_tcp_rules::KEYWORDS,
        section_options::KEYWORDS,
        section_timeouts::KEYWORDS,
        section_balance::KEYWORDS,
        section_http::KEYWORDS,
        section_compression::KEYWORDS,
        section_cache::PROXY_KEYWORDS,
        section_cookie::KEYWORDS,
        section_forwarding::KEYWORDS,
        section_log::KEYWORDS,
        section_old_rules::KEYWORDS,
        section_stats::KEYWORDS,
        section_checks::KEYWORDS,
        section_bind::KEYWORDS,
        section_server::KEYWORDS,
        section_errors::KEYWORDS,
        section_http_rules::KEYWORDS,
    ]
    .into_iter()
    .flatten()
}

/// A keyword of the other half in a `frontend` or `backend` is only worth a warning, as in HAProxy: files that grew
/// have them. True if the line is done with.
fn ignored_here(proxy: &WrittenProxy, section: Section, line: &Line, diagnostics: &mut Diagnostics) -> bool {
    let missing = match section {
        Section::Frontend => "backend",
        Section::Backend => "frontend",
        _ => return false,
    };
    let words: Vec<&str> = line.words.iter().map(|word| word.as_str()).collect();
    let keywords::Lookup::Misplaced { row, .. } = keywords::lookup(section, &words) else { return false };
    // A server that is ignored would be missed; HAProxy refuses it, too.
    let hurts = ["server", "server-template"].contains(&row.keyword());
    let supported = matches!(row.status, keywords::Status::Supported | keywords::Status::OldSpelling { .. });
    if hurts || !supported || !row.sections.contains(Section::Listen) {
        return false;
    }
    let mut text = format!("'{}' ignored because {} has no {missing} capability.", row.keyword(), proxy.title());
    if row.keyword() == "maxconn" {
        text.push_str(" Maybe you want 'fullconn' instead ?");
    }
    diagnostics.warning(line, line.words.first(), text);
    true
}

impl Reader<'_> {
    /// Files the open section.
    fn close(&mut self) {
        match std::mem::replace(&mut self.current, Current::Nothing) {
            Current::Proxy(proxy) if proxy.kind == SectionKind::Defaults => self.defaults.add(*proxy),
            Current::Proxy(proxy) => self.written.proxies.push(*proxy),
            Current::Userlist(list) => self.written.userlists.push(*list),
            Current::HttpErrors(section) => self.written.http_errors.push(*section),
            Current::Cache(cache) => self.written.caches.push(*cache),
            Current::Nothing | Current::Global | Current::Skipped => {}
        }
    }

    fn line(&mut self, line: &Line, environment: &mut Environment, diagnostics: &mut Diagnostics) {
        let Some(first) = line.words.first() else { return };

        if keywords::opens_section(first.as_str()) {
            self.close();
            self.open(line, diagnostics);
            return;
        }
        let section = match &self.current {
            Current::Skipped => return,
            Current::Nothing => {
                let word = first.as_str();
                diagnostics.error(line, Some(first), format!("unknown keyword '{word}' out of section."));
                return;
            }
            Current::Global => Section::Global,
            Current::Proxy(proxy) => table_section(proxy.kind),
            Current::Userlist(_) => Section::Userlist,
            Current::HttpErrors(_) => Section::HttpErrors,
            Current::Cache(_) => Section::Cache,
        };
        references::at(line.location(), self.proxy_location());
        if let Current::Proxy(proxy) = &self.current
            && ignored_here(proxy, section, line, diagnostics)
        {
            return;
        }
        let Admitted::Parse { row, words, modifier } = keywords::admit(section, line, 0, diagnostics) else {
            return;
        };
        let mut statement = self.statement(line, row.keyword(), words, modifier, diagnostics);
        if !self.dispatch(&mut statement, environment) {
            let text = format!("'{}' cannot be used in section '{}'.", statement.keyword, section.name());
            statement.error(usize::MAX, text);
        }
    }

    /// Where the open section begins, unless it is one of defaults.
    fn proxy_location(&self) -> Option<Location> {
        match &self.current {
            Current::Proxy(proxy) if proxy.kind != SectionKind::Defaults => Some(proxy.location.clone()),
            _ => None,
        }
    }

    /// Hands the statement to its keyword's parser; false if there is none.
    fn dispatch(&mut self, statement: &mut Statement, environment: &mut Environment) -> bool {
        let keyword = statement.keyword;
        match &mut self.current {
            Current::Global => {
                if let Some(parser) = parser_of(section_global::KEYWORDS, keyword) {
                    parser(statement, &mut self.written.global);
                } else if let Some(parser) = parser_of(section_global::ENVIRONMENT_KEYWORDS, keyword) {
                    parser(statement, environment);
                } else {
                    return false;
                }
            }
            Current::Proxy(proxy) => match proxy_parsers().find(|(name, _)| *name == keyword) {
                Some((_, parser)) => parser(statement, proxy),
                None => return false,
            },
            Current::Userlist(list) => match parser_of(section_userlist::KEYWORDS, keyword) {
                Some(parser) => parser(statement, list),
                None => return false,
            },
            Current::HttpErrors(section) => match parser_of(section_errors::SECTION_KEYWORDS, keyword) {
                Some(parser) => parser(statement, section),
                None => return false,
            },
            Current::Cache(cache) => match parser_of(section_cache::KEYWORDS, keyword) {
                Some(parser) => parser(statement, cache),
                None => return false,
            },
            Current::Nothing | Current::Skipped => return false,
        }
        true
    }

    fn statement<'a>(
        &self,
        line: &'a Line,
        keyword: &'a str,
        words: usize,
        modifier: Modifier,
        diagnostics: &'a mut Diagnostics,
    ) -> Statement<'a>
    where
        Self: 'a,
    {
        Statement {
            line,
            keyword,
            modifier,
            arguments: line.words.get(words..).unwrap_or(&[]),
            label: "",
            diagnostics,
            names: self.names,
        }
    }

    fn open(&mut self, line: &Line, diagnostics: &mut Diagnostics) {
        let Admitted::Parse { row, words, modifier } = keywords::admit(Section::Header, line, 0, diagnostics) else {
            self.current = Current::Skipped;
            return;
        };
        let names = self.names;
        let mut statement = Statement {
            line,
            keyword: row.keyword(),
            modifier,
            arguments: line.words.get(words..).unwrap_or(&[]),
            label: "",
            diagnostics,
            names,
        };
        let kind = match row.keyword() {
            "global" => {
                statement.at_most(0);
                self.current = Current::Global;
                return;
            }
            "userlist" => {
                let list = section_userlist::open(&mut statement, &self.written.userlists);
                self.current = Current::Userlist(Box::new(list));
                return;
            }
            "http-errors" => {
                let section = section_errors::open(&mut statement, &self.written.http_errors);
                self.current = Current::HttpErrors(Box::new(section));
                return;
            }
            "cache" => {
                let cache = section_cache::open(&mut statement, &self.written.caches);
                self.current = Current::Cache(Box::new(cache));
                return;
            }
            "defaults" => SectionKind::Defaults,
            "listen" => SectionKind::Listen,
            "frontend" => SectionKind::Frontend,
            "backend" => SectionKind::Backend,
            _ => {
                self.current = Current::Skipped;
                return;
            }
        };
        let proxy = section_header::open(&mut statement, kind, &self.defaults, &self.written.proxies);
        self.current = Current::Proxy(Box::new(proxy));
    }
}
