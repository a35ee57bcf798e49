//! A proxy's HTTP rules with the sections and names in them resolved.

use super::diagnostics::{Diagnostics, Severity};
use super::model::*;
use super::rules::answers;
use super::section_errors::{HttpErrorsSection, WrittenErrorPages};
use super::written::*;

/// Builds what [`Proxy::rules`] holds.
pub fn resolve(proxy: &WrittenProxy, written: &Written, diagnostics: &mut Diagnostics) -> HttpRules {
    let settings = &proxy.settings;
    let mut names = Names { proxy, written, diagnostics };
    let written_rules = &settings.http_rules;
    let blocks_and_request: Vec<HttpRule> =
        written_rules.blocks.iter().chain(&written_rules.request).map(|rule| names.rule(rule)).collect();
    let rules = HttpRules {
        request: blocks_and_request,
        redirects: names.rules(&written_rules.redirects),
        response: names.rules(&written_rules.response),
        after_response: names.rules(&written_rules.after_response),
        error_pages: names.error_pages(),
        monitor_uri: settings.monitor_uri.as_ref().map(|uri| uri.as_bytes().into()),
        monitor_fail: settings.monitor_fail.clone(),
    };
    names.check_sizes(&rules.error_pages);
    rules
}

struct Names<'a> {
    proxy: &'a WrittenProxy,
    written: &'a Written,
    diagnostics: &'a mut Diagnostics,
}

impl<'a> Names<'a> {
    fn rules(&mut self, rules: &[HttpRule]) -> Vec<HttpRule> {
        rules.iter().map(|rule| self.rule(rule)).collect()
    }

    /// The rule with the page of a named section in its place.
    fn rule(&mut self, rule: &HttpRule) -> HttpRule {
        let mut rule = rule.clone();
        if let HttpAction::Auth { challenge } = &mut rule.action
            && challenge.is_empty()
        {
            *challenge = answers::challenge(&self.proxy.name);
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
