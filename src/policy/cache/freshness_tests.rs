use super::*;
use crate::proto::http1::head::Version;
use proptest::prelude::*;

const NOW: i64 = 784_111_777; // Sun, 06 Nov 1994 08:49:37 GMT

fn response(headers: &[(&str, &str)]) -> Message {
    let mut message = Message::default();
    message.start_response(Version::Http11, 200, b"OK");
    for (name, value) in headers {
        message.add_header(name.as_bytes(), value.as_bytes());
    }
    message
}

fn seconds(headers: &[(&str, &str)]) -> Option<u32> {
    lifetime(&response(headers), false, NOW, 60).map(|lifetime| lifetime.seconds)
}

#[test]
fn how_long() {
    let control = |value| seconds(&[("Cache-Control", value)]);
    assert_eq!(control("max-age=30"), Some(30));
    assert_eq!(control("max-age=300"), Some(60), "the cache's own bound");
    assert_eq!(control("max-age=30, s-maxage=40"), Some(40));
    assert_eq!(control("max-age=1, s-maxage=\"40\""), Some(40));
    assert_eq!(control("max-age=0, s-maxage=40"), None, "as HAProxy");
    assert_eq!(control("public, MAX-AGE=10"), Some(10));
    for value in ["", "public", "max-age=0", "s-maxage=0, max-age=9", "max-age", "max-age=x", "max-age=-1"] {
        assert_eq!(control(value), None, "{value}");
    }
    for value in ["private", "no-store", "no-cache", "No-Cache=\"set-cookie\"", "private=\"x\""] {
        assert_eq!(seconds(&[("Cache-Control", "public, max-age=9"), ("Cache-Control", value)]), None, "{value}");
    }
    assert_eq!(seconds(&[("ETag", "\"a\"")]), Some(60));
    assert_eq!(seconds(&[("Last-Modified", "x")]), Some(60));
    assert_eq!(seconds(&[("ETag", "\"a\""), ("Pragma", "no-cache")]), None);
    assert_eq!(seconds(&[("Cache-Control", "max-age=9"), ("Pragma", "no-cache")]), None, "as HAProxy");
    assert_eq!(seconds(&[("Expires", "Sun, 06 Nov 1994 08:49:57 GMT")]), Some(20));
    assert_eq!(seconds(&[("Expires", "Sun, 06 Nov 1994 08:49:57 GMT"), ("Cache-Control", "max-age=5")]), Some(5));
    assert_eq!(seconds(&[("Expires", "0"), ("ETag", "\"a\"")]), None);
    assert_eq!(seconds(&[("Age", "10"), ("Cache-Control", "max-age=30")]), Some(20));
    assert_eq!(seconds(&[("Age", "31"), ("Cache-Control", "max-age=30")]), None);
    assert_eq!(seconds(&[("Age", "x"), ("Cache-Control", "max-age=30")]), None);
}

#[test]
fn what_requests_wish() {
    let of = |name: &str, value: &str| {
        let mut request = Message::default();
        request.start_request(b"GET", b"/", Version::Http11);
        request.add_header(name.as_bytes(), value.as_bytes());
        let wishes = wishes_of(&request);
        (wishes.is_delivery_unwanted, wishes.is_storing_unwanted)
    };
    assert_eq!(of("Accept", "*/*"), (false, false));
    assert_eq!(of("Cache-Control", "no-cache"), (true, false));
    assert_eq!(of("Cache-Control", "max-age=0"), (true, false));
    assert_eq!(of("Cache-Control", "no-store"), (false, true));
    assert_eq!(of("Pragma", "no-cache"), (true, false));
    assert_eq!(of("Authorization", "Basic eA=="), (true, true));
    let public = response(&[("Cache-Control", "public, max-age=9")]);
    assert!(lifetime(&public, true, NOW, 60).is_some());
    assert!(lifetime(&response(&[("Cache-Control", "max-age=9")]), true, NOW, 60).is_none());
}

fn directive() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "public",
        "private",
        "no-store",
        "no-cache",
        "max-age",
        "s-maxage",
        "max-age=\"3\"",
        "must-revalidate",
        "x=\"a,b\"",
    ]);
    prop_oneof![
        word.prop_map(str::to_owned),
        (0u64..1 << 40).prop_map(|n| format!("max-age={n}")),
        (0u64..1 << 40).prop_map(|n| format!("s-maxage={n}"))
    ]
}

proptest! {
    #[test]
    fn never_beyond_what_was_allowed(directives in prop::collection::vec(directive(), 0..6), age in 0u32..200,
                                     bound in 0u32..100, unwanted: bool) {
        let text = directives.join(", ");
        let message = response(&[("Cache-Control", &text), ("Age", &age.to_string()), ("ETag", "\"a\"")]);
        if let Some(found) = lifetime(&message, unwanted, NOW, bound) {
            prop_assert!(found.seconds > 0 && found.seconds <= bound);
            prop_assert!(!directives.iter().any(|word| ["private", "no-store", "no-cache"].contains(&word.as_str())));
            prop_assert!(!unwanted || directives.iter().any(|word| word == "public"));
            prop_assert_eq!(found.age_s, age);
        }
    }

    #[test]
    fn nothing_panics(name in prop::sample::select(vec!["Cache-Control", "Expires", "Age", "Pragma"]),
                      value in "[ -~]{0,40}", now: i64) {
        let _ = lifetime(&response(&[(name, &value)]), false, now, u32::MAX);
    }
}
