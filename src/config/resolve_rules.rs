//! A proxy's HTTP rules with the sections and names in them resolved.

use super::diagnostics::{Diagnostics, Severity};
use super::model::*;
use super::pattern_files;
use super::rules::answers;
use super::section_cache;
use super::section_errors::{HttpErrorsSection, WrittenErrorPages};
use super::section_stats::DEFAULT_REALM;
use super::written::*;

/// Builds what [`Proxy::rules`] holds.
pub fn resolve(proxy: &WrittenProxy, written: &Written, diagnostics: &mut Diagnostics) -> HttpRules {
    let settings = &proxy.settings;
    let mut names = Names { proxy, written, diagnostics, unread_files: pattern_files::unread() };
    let written_rules = &settings.http_rules;
    let captures = &settings.captures;
    let mut request = names.rules(&written_rules.blocks, &captures.request);
    request.extend(names.rules(&written_rules.request, &captures.request));
    let rules = HttpRules {
        request,
        statistics: names.rules(&written_rules.statistics, &captures.request),
        redirects: names.rules(&written_rules.redirects, &captures.request),
        response: names.rules(&written_rules.response, &captures.response),
        after_response: names.rules(&written_rules.after_response, &captures.response),
        error_pages: names.error_pages(),
        monitor_uri: settings.monitor_uri.as_ref().map(|uri| uri.as_bytes().into()),
        monitor_fail: settings.monitor_fail.clone(),
    };
    names.check_sizes(&rules.error_pages);
    names.check_statistics(&rules.statistics);
    rules
}

struct Names<'a> {
    proxy: &'a WrittenProxy,
    written: &'a Written,
    diagnostics: &'a mut Diagnostics,
    unread_files: Vec<String>,
}

impl<'a> Names<'a> {
    /// `captures`: the slots that rules of this set may name.
    fn rules(&mut self, rules: &[HttpRule], captures: &[HeaderCapture]) -> Vec<HttpRule> {
        rules
            .iter()
            .map(|rule| {
                self.check_capture(rule, captures);
                self.rule(rule)
            })
            .collect()
    }

    /// Two ways to say who may see the page would leave it open which one decides.
    fn check_statistics(&mut self, rules: &[HttpRule]) {
        let Some(settings) = &self.proxy.settings.stats else { return };
        if let Some(rule) = rules.first()
            && (!settings.auth.is_empty() || settings.realm != DEFAULT_REALM)
        {
            let text = format!(
                "proxy '{}': stats 'auth'/'realm' and 'http-request' can't be used at the same time. Write the users \
                 into a 'userlist', and: stats http-request auth unless {{ http_auth(<userlist>) }}",
                self.proxy.name
            );
            self.diagnostics.about(Severity::Alert, &rule.location, text);
        }
    }

    /// A backend's rule means a slot of whichever frontend the request came through: nothing to check there.
    fn check_capture(&mut self, rule: &HttpRule, captures: &[HeaderCapture]) {
        if let HttpAction::Capture { slot, .. } = &rule.action
            && self.proxy.kind.accepts_connections()
            && *slot >= captures.len()
        {
            let text = format!(
                "proxy '{}': unable to find capture id '{slot}': 'declare capture' makes slots, counted from 0.",
                self.proxy.name
            );
            self.diagnostics.about(Severity::Alert, &rule.location, text);
        }
    }

    /// The rule with the page of a named section in its place.
    fn rule(&mut self, rule: &HttpRule) -> HttpRule {
        let mut rule = rule.clone();
        if let HttpAction::Auth { challenge } = &mut rule.action
            && challenge.is_empty()
        {
            *challenge = answers::challenge(&self.proxy.name);
        }
        if let HttpAction::CacheUse(cache) | HttpAction::CacheStore(cache) = &mut rule.action {
            match self.written.caches.iter().position(|written| *written.name == *cache.name) {
                Some(index) => cache.id = CacheId(index as u32),
                None => {
                    let text = section_cache::unknown(&self.proxy.name, &cache.name, "rule");
                    self.diagnostics.about(Severity::Alert, &rule.location, text);
                }
            }
        }
        if let HttpAction::ChangePatterns(change) = &rule.action
            && self.unread_files.contains(&change.file_name)
        {
            let text = format!(
                "no ACL and no map reads the file '{}': a change to it would be seen by nobody.",
                change.file_name
            );
            self.diagnostics.about(Severity::Alert, &rule.location, text);
        }
        if let HttpAction::Deny(source) | HttpAction::Tarpit(source) | HttpAction::Return(source) = &mut rule.action
            && let ReplySource::Section { status, .. } = source
        {
            let status = *status;
            *source = match self.error_page(source) {
                Some(ErrorPage::Page(page)) => ReplySource::Page(page),
                _ => ReplySource::ErrorPage(status),
            };
        }
        rule
    }

    /// Later lines replace earlier ones.
    fn error_pages(&mut self) -> ErrorPages {
        let mut pages = ErrorPages::default();
        for line in &self.proxy.settings.error_pages {
            match line {
                WrittenErrorPages::One { status, source } => {
                    let page = self.error_page(source);
                    pages.set(*status, page);
                }
                WrittenErrorPages::Section { name, statuses, location } => {
                    let Some(section) = self.section(name, location) else { continue };
                    let all: Vec<u16> = section.pages.iter().map(|(status, _)| *status).collect();
                    for status in if statuses.is_empty() { &all } else { statuses } {
                        match section.page(*status) {
                            Some(page) => pages.set(*status, Some(ErrorPage::Page(page.clone()))),
                            None => self.undeclared(*status, name, location),
                        }
                    }
                }
            }
        }
        pages
    }

    /// `None`: back to the page that would be there without the line.
    fn error_page(&mut self, source: &ReplySource) -> Option<ErrorPage> {
        match source {
            ReplySource::ErrorPage(_) => None,
            ReplySource::Page(page) => Some(ErrorPage::Page(page.clone())),
            ReplySource::Format(format) => Some(ErrorPage::Format(format.clone())),
            ReplySource::Section { name, status, location } => {
                let section = self.section(name, location)?;
                let page = section.page(*status);
                if page.is_none() {
                    self.undeclared(*status, name, location);
                }
                page.cloned().map(ErrorPage::Page)
            }
        }
    }

    fn section(&mut self, name: &str, location: &Location) -> Option<&'a HttpErrorsSection> {
        let found = self.written.http_errors.iter().find(|section| section.name == name);
        if found.is_none() {
            let text = format!("proxy '{}': unknown http-errors section '{name}'.", self.proxy.name);
            self.diagnostics.about(Severity::Alert, location, text);
        }
        found
    }

    fn undeclared(&mut self, status: u16, section: &str, location: &Location) {
        let proxy = &self.proxy.name;
        let text = format!("proxy '{proxy}' : status '{status}' not declared in http-errors section '{section}'.");
        self.diagnostics.about(Severity::Warning, location, text);
    }

    /// An answer is made in one buffer, with room for http-after-response rules.
    fn check_sizes(&mut self, pages: &ErrorPages) {
        let limit = self.written.global.model.bufsize_bytes as usize;
        for (status, page) in pages.iter() {
            let ErrorPage::Page(page) = page else { continue };
            let headers: usize = page.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
            if page.body.len() + headers > limit {
                let size = page.body.len() + headers;
                let text = format!(
                    "proxy '{}': the page for {status} has {size} bytes and does not fit into 'tune.bufsize' ({limit}).",
                    self.proxy.name
                );
                self.diagnostics.about(Severity::Alert, &self.proxy.location, text);
            }
        }
    }
}
