//! Where ACLs meet sample expressions.

use super::model::{Expression, Place};

pub use super::model::SampleType;

pub fn parse(text: &str) -> Result<Expression, String> {
    super::expression::parse(text, Place::ANY)
}
pub fn output(expression: &Expression) -> SampleType {
    expression.output
}
pub fn places(expression: &Expression) -> Place {
    expression.places
}
