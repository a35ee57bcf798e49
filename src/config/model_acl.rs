//! Compiled conditions: what follows `if` and `unless` (configuration.txt section 7.2).

/// `if …` or `unless …` with its ACLs resolved.
#[derive(Clone, Debug)]
pub struct Condition {
    /// As written, for messages.
    pub text: String,
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for Condition {}
