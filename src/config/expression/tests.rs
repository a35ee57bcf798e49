use super::*;
use proptest::prelude::*;

fn refused(text: &str, place: Place) -> String {
    match parse(text, place) {
        Ok(_) => panic!("'{text}' is accepted"),
        Err(error) => error,
    }
}

#[test]
fn what_is_wrong_is_said() {
    let request = Place::http_request(true, false);
    for (text, expected) in [
        ("", "missing fetch method"),
        ("req.hrd(host)", "did you mean 'req.hdr'"),
        ("src,lowwer", "did you mean 'lower'"),
        ("str(a", "expected ')'"),
        ("str('a)", "expected the closing quote"),
        ("str(a)b", "set off by commas"),
        ("str(a,b)", "too many arguments"),
        ("str(a),lower(1)", "no argument supported"),
        ("int(x)", "expected an integer"),
        ("int()", "expected an integer"),
        ("int", "missing arguments"),
        ("bin(0)", "even number"),
        ("ipv4(1.2)", "no IPv4 address"),
        ("bool(maybe)", "neither 'true'"),
        ("var(foo.x)", "a name starts with its scope"),
        ("var(txn.a-b)", "characters of a-z"),
        ("ipv6(::1),neg", "cannot be applied to an address"),
        ("bin(00),neg", "cannot be applied to binary data"),
        ("str(a),regsub((,x)", "bad regular expression"),
        ("str(a),field(0,x)", "counts from 1"),
        ("str(a),digest(md4)", "algorithm 'md4'"),
        ("ssl_fc", "comes with TLS"),
        ("sc_conn_cnt(3)", "no counter"),
        ("sc0_get_gpc(100)", "no element"),
        ("src,table_gpt(-1,t)", "no element"),
        ("lua.x", "no Lua"),
        ("res.hdr(x)", "not available in a frontend http-request header rule"),
        ("status", "not available"),
        ("str(a),map(/no/such/file)", "failed to open"),
    ] {
        let error = refused(text, request);
        assert!(error.contains(expected), "'{text}': {error}");
    }
    assert!(refused("path", Place::TCP_REQUEST_CONNECTION).contains("tcp-request connection"));
}

#[test]
fn types_are_known_and_places_kept() {
    let output = |text: &str| parse(text, Place::ANY).map(|expression| expression.output);
    assert_eq!(output("src"), Ok(SampleType::Address));
    assert_eq!(output("req.hdr(x),length"), Ok(SampleType::Integer));
    assert_eq!(output("int(5),set-var(txn.a)"), Ok(SampleType::Integer));
    assert_eq!(output("var(txn.a),lower,"), Ok(SampleType::Text));
    let header = parse("res.hdr(x)", Place::ANY).expect("it stands alone");
    assert!(header.places.meets(Place::http_response(true, true)) && !header.places.meets(Place::USE_BACKEND));
}

/// `haproxy -dKsmp` and `-dKcnv`: nothing of 2.6 is unknown here, whatever is made of it.
#[test]
fn every_keyword_of_haproxy_has_an_answer() {
    let file = tempfile::Builder::new().suffix(".cfg").tempfile().expect("a file");
    std::fs::write(file.path(), "global\n").expect("written");
    let names = |class: &str| {
        let output = std::process::Command::new("haproxy").args([class, "-q", "-c", "-f"]).arg(file.path()).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let name = |line: &str| line.split_once("] ").map_or(line, |(_, name)| name).trim().to_owned();
        let names = lines.map(|line| name(line).split(['(', ':']).next().unwrap_or_default().to_owned());
        names.filter(|name| !name.is_empty()).collect::<Vec<_>>()
    };
    let (fetches, converters) = (names("-dKsmp"), names("-dKcnv"));
    if fetches.is_empty() {
        eprintln!("SKIPPED: HAProxy 2.6 is not installed; its keywords were not compared");
        return;
    }
    let unknown: Vec<_> = fetches.iter().filter(|name| !is_fetch(name)).collect();
    assert!(unknown.is_empty(), "fetches: {unknown:?}");
    let is_known = |name: &&String| converter_table::find(name).is_none() && refused::converter(name).is_none();
    let unknown: Vec<_> = converters.iter().filter(is_known).collect();
    assert!(unknown.is_empty(), "converters: {unknown:?}");
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(text in "\\PC{0,40}") {
        let _ = parse(&text, Place::ANY);
    }

    #[test]
    fn nothing_near_the_language_makes_it_panic(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("str"), Just("("), Just(")"), Just(","), Just("'"), Just("\""), Just("\\"), Just("req.hdr"), Just("word"),
                Just("1"), Just("-9223372036854775808"), Just("json_query"), Just("$.a["), Just("ipmask"), Just("33"),
                Just("payload_lv"), Just("+"), Just("regsub"), Just("var"), Just("txn.x"), Just("é"), Just("concat"),
            ],
            0..14,
        )
    ) {
        let _ = parse(&parts.concat(), Place::ANY);
    }
}
