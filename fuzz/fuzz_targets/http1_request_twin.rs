#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../tests/fuzz_smoke/http_twin.rs"]
mod bodies;

fuzz_target!(|bytes: &[u8]| bodies::http1_request_twin(bytes));
