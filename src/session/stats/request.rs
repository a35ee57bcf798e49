//! What a request for the page asks: `/stats;csv;norefresh`, `/stats;up`, `/stats;st=DONE`.

use super::selection::Selection;

/// What comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PageFormat {
    #[default]
    Html,
    Csv,
    Json,
}

/// The words after the page's address, each after a semicolon. Unknown ones mean nothing, as in HAProxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageOptions {
    pub format: PageFormat,
    pub no_refresh: bool,
    pub up_only: bool,
    pub no_maintenance: bool,
    /// The code after `st=`: how the form before this page went.
    pub form_result: Option<String>,
}

impl PageOptions {
    /// Reads what follows the `stats uri` prefix.
    pub fn parse(rest: &str) -> PageOptions {
        let mut options = PageOptions::default();
        for word in rest.split(';').skip(1) {
            match word.split(['?', '&']).next().unwrap_or_default() {
                "csv" => options.format = PageFormat::Csv,
                "json" => options.format = PageFormat::Json,
                "norefresh" => options.no_refresh = true,
                "up" => options.up_only = true,
                "no-maint" => options.no_maintenance = true,
                word => {
                    if let Some(code) = word.strip_prefix("st=") {
                        options.form_result = Some(code.to_string());
                    }
                }
            }
        }
        options
    }

    /// The options that a link on the page keeps: all but the format and the form's result.
    pub fn kept(&self) -> String {
        let words = [(self.up_only, ";up"), (self.no_maintenance, ";no-maint"), (self.no_refresh, ";norefresh")];
        words.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect()
    }

    pub fn narrow(&self, selection: &mut Selection) {
        selection.up_only = self.up_only;
        selection.no_maintenance = self.no_maintenance;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_after_the_prefix() {
        let csv = PageOptions { format: PageFormat::Csv, ..Default::default() };
        for rest in [";csv", "/;csv", "?stats;csv", "X;csv", ";csv?x=1", ";foo;csv"] {
            assert_eq!(PageOptions::parse(rest), csv, "{rest}");
        }
        let all = PageOptions::parse(";up;no-maint;norefresh;st=DONE;json");
        assert_eq!((all.format, all.form_result.as_deref()), (PageFormat::Json, Some("DONE")));
        assert_eq!(all.kept(), ";up;no-maint;norefresh");
        assert_eq!(PageOptions::parse("csv"), PageOptions::default());
    }
}
