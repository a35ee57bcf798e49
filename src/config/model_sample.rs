//! Compiled sample expressions: a fetch, its arguments, and converters (configuration.txt section 7.3).

/// One compiled expression.
#[derive(Clone, Debug)]
pub struct Expression {
    /// As written, for messages.
    pub text: String,
}

/// Two expressions are the same when they are written the same.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for Expression {}
