//! `compression …` (configuration.txt section 4.2) and the global limits on it (section 3.2).

use super::model::*;
use super::section_http::note_http;
use super::statement::{LineParser, Statement};
use super::values::parse_size;
use super::written::*;

pub const KEYWORDS: &[(&str, LineParser<WrittenProxy>)] = &[
    ("compression algo", algorithms),
    ("compression algo-res", algorithms),
    ("compression type", types),
    ("compression type-res", types),
    ("compression offload", offload),
    ("compression direction", direction),
    ("compression minsize-res", minimum),
];

fn algorithms(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if statement.required(0, "'gzip', 'deflate', 'raw-deflate' or 'identity'").is_none() {
        return;
    }
    note_http(statement, proxy);
    for index in 0..statement.arguments.len() {
        let algorithm = match statement.text(index) {
            "identity" => CompressionAlgorithm::Identity,
            "gzip" => CompressionAlgorithm::Gzip,
            "deflate" => CompressionAlgorithm::Deflate,
            "raw-deflate" => CompressionAlgorithm::RawDeflate,
            other => return statement.error(index, format!("'compression' : '{other}' is not a supported algorithm.")),
        };
        // Lines add up, as in HAProxy.
        let algorithms = &mut proxy.settings.compression.algorithms;
        if !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
}

fn types(statement: &mut Statement, proxy: &mut WrittenProxy) {
    if statement.required(0, "a type such as text/html").is_none() {
        return;
    }
    note_http(statement, proxy);
    let types = statement.arguments.iter().map(|word| word.as_str().to_ascii_lowercase());
    proxy.settings.compression.types.extend(types);
}

fn offload(statement: &mut Statement, proxy: &mut WrittenProxy) {
    statement.ignores_after(0);
    note_http(statement, proxy);
    if proxy.kind == SectionKind::Defaults {
        return statement.warning(usize::MAX, "'compression' : 'offload' ignored in 'defaults' section.");
    }
    proxy.settings.compression.is_offloaded = true;
}

/// HAProxy 2.8: only responses are compressed here.
fn direction(statement: &mut Statement, proxy: &mut WrittenProxy) {
    match statement.text(0) {
        "response" => {
            note_http(statement, proxy);
            statement.at_most(1);
        }
        "request" | "both" => {
            statement.error(0, "'compression direction' : requests are not compressed; write 'response'.");
        }
        _ => statement.error(0, "'compression direction' expects 'request', 'response' or 'both'."),
    }
}

/// HAProxy 3.2.
fn minimum(statement: &mut Statement, proxy: &mut WrittenProxy) {
    let Some(text) = statement.required(0, "a size in bytes") else { return };
    let size = parse_size(text, "compression minsize-res");
    if let Some(size) = statement.accept(0, size)
        && statement.at_most(1)
    {
        note_http(statement, proxy);
        proxy.settings.compression.response_bytes_min = size.into();
    }
}
