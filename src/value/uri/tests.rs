//! Tests of `uri`: examples, properties and an independent judge where there is one.

use super::*;
use crate::value::context::{Root, Slot};
use crate::value::json::Json;
use crate::value::record::Record;
use proptest::prelude::*;

const BASE: &str = "https://api.example/v2/";

fn base() -> Url {
    Url::parse(BASE).unwrap()
}

fn render_at(base: &str, template: &str, value: &str, allowed: &[&str]) -> Result<String, EvalError> {
    let allowed: Vec<_> = allowed.iter().map(|text| OriginPattern::parse(text, false).unwrap()).collect();
    let record = Record::new(Json::from_value(&serde_json::json!({ "x": value })));
    let ctx = Context::new().with(Root::Record, Slot::Record(&record));
    let uri = UriTemplate::compile(template).unwrap_or_else(|issues| panic!("{template}: {issues:?}"));
    uri.render(&ctx, &Url::parse(base).unwrap(), &allowed).map(String::from)
}

fn render(template: &str, value: &str) -> Result<String, EvalError> {
    render_at(BASE, template, value, &["https://files.example", "https://*.cdn.example"])
}

fn refused(template: &str, value: &str) -> String {
    match render(template, value) {
        Err(EvalError::Refused(message)) => message,
        other => panic!("{template} with {value:?}: {other:?}"),
    }
}

fn link(text: &str) -> Result<String, EvalError> {
    let allowed = [OriginPattern::parse("https://files.example", false).unwrap()];
    let from = Url::parse("https://api.example/v2/orders?page=1").unwrap();
    resolve_link(text, &from, &base(), &allowed).map(String::from)
}

#[test]
fn base_and_relative_are_joined_with_exactly_one_slash() {
    for (base, relative, expected) in [
        ("https://api.example", "orders", "https://api.example/orders"),
        ("https://api.example/", "/orders", "https://api.example/orders"),
        ("https://api.example/v2", "orders", "https://api.example/v2/orders"),
        ("https://api.example/v2", "/orders", "https://api.example/v2/orders"),
        ("https://api.example/v2/", "orders/", "https://api.example/v2/orders/"),
        ("https://api.example/v2/", "//orders", "https://api.example/v2/orders"),
        ("https://api.example/v2", "", "https://api.example/v2"),
        ("https://api.example/v2", "?a=1", "https://api.example/v2?a=1"),
        ("https://api.example:8443/v2", "a?b=c&d=%20", "https://api.example:8443/v2/a?b=c&d=%20"),
        ("https://api.example/v2?key=1", "a?b=2", "https://api.example/v2/a?b=2&key=1"),
        ("https://api.example/v2?key=1", "a", "https://api.example/v2/a?key=1"),
        ("https://api.example", "a b", "https://api.example/a%20b"),
        ("https://api.example", "a:b/c@d", "https://api.example/a:b/c@d"),
    ] {
        assert_eq!(render_at(base, relative, "", &[]).unwrap(), expected, "{base} + {relative}");
    }
}

#[test]
fn hostile_values_stay_inside_their_component() {
    let cases = [
        ("../admin", "..%2Fadmin"),
        ("%2e%2e/", "%252e%252e%2F"),
        ("%252e", "%25252e"),
        ("\\\\", "%5C%5C"),
        ("\\..\\admin", "%5C..%5Cadmin"),
        ("?x=", "%3Fx%3D"),
        ("#", "%23"),
        ("@evil", "%40evil"),
        ("//evil", "%2F%2Fevil"),
        (":80@", "%3A80%40"),
        ("a\tb\rc\nd\0", "a%09b%0Dc%0Ad%00"),
        ("2130706433", "2130706433"),
        ("．．", "%EF%BC%8E%EF%BC%8E"),
        ("a&b=c", "a%26b%3Dc"),
        ("https://evil.example", "https%3A%2F%2Fevil.example"),
    ];
    for (value, encoded) in cases {
        assert_eq!(
            render("/o/{{record.x}}", value).unwrap(),
            format!("https://api.example/v2/o/{encoded}"),
            "{value:?}"
        );
        let query = render("/o?q={{record.x}}&z=1", value).unwrap();
        assert_eq!(query, format!("https://api.example/v2/o?q={encoded}&z=1"), "{value:?}");
        let front = render("{{record.x}}/o", value).unwrap();
        assert_eq!(front, format!("https://api.example/v2/{encoded}/o"), "{value:?}");
    }
}

#[test]
fn dot_segments_from_data_are_refused_everywhere_in_the_path() {
    for value in [".", ".."] {
        for template in ["/o/{{record.x}}", "/o/{{record.x}}/lines", "{{record.x}}/o", "/o/a/{{{record.x}}}"] {
            assert!(refused(template, value).contains("`..`"), "{template}");
        }
        assert!(render("/o?q={{record.x}}", value).is_ok());
        assert!(render("/o/{{record.x}}.json", value).is_ok());
    }
    for value in ["../admin", "a/../../..", "a/./b"] {
        assert!(refused("/o/{{{record.x}}}", value).contains("`..`"), "{value}");
    }
    for value in ["%2e%2e/admin", "%2E", ".%2e"] {
        let url = render("/o/{{{record.x}}}", value).unwrap();
        assert_eq!(url, format!("https://api.example/v2/o/{}", value.replace('%', "%25")));
    }
}

#[test]
fn reserved_characters_of_raw_values_are_kept_but_confined() {
    assert_eq!(render("/o/{{{record.x}}}", "a/b?c=d").unwrap(), "https://api.example/v2/o/a/b?c=d");
    assert!(refused("/o/{{{record.x}}}/lines", "a#").contains('#'));
    for value in ["https://evil.example", "//evil.example/x", "http://api.example"] {
        match render("{{{record.x}}}/y", value) {
            Ok(url) => assert!(url.starts_with("https://api.example/v2/"), "{url}"),
            Err(error) => assert!(error.to_string().contains("not an allowed origin"), "{error}"),
        }
    }
}

#[test]
fn a_placeholder_in_the_host_must_lead_to_an_allowed_origin() {
    assert_eq!(render("https://{{record.x}}.cdn.example/a", "eu").unwrap(), "https://eu.cdn.example/a");
    for value in
        ["evil.example/", "2130706433", "evil.example%2f", "a@evil", "．evil", "evil.example#", "169.254.169.254"]
    {
        assert!(render("https://{{record.x}}/a", value).is_err(), "{value}");
        assert!(render("https://{{{record.x}}}/a", value).is_err(), "{value}");
    }
    for value in ["80@evil.example", "443/../x", "8443"] {
        assert!(render("https://files.example:{{{record.x}}}/a", value).is_err(), "{value}");
    }
}

#[test]
fn a_lone_placeholder_is_the_uri() {
    for template in ["{{record.x}}", "{{{record.x}}}"] {
        for (value, expected) in [
            ("https://api.example/other?a=b&c=%20d", "https://api.example/other?a=b&c=%20d"),
            ("https://files.example/f/1", "https://files.example/f/1"),
            ("HTTPS://a.b.cdn.example/x#frag", "https://a.b.cdn.example/x"),
            ("/orders/7?x=1", "https://api.example/v2/orders/7?x=1"),
            ("orders/7", "https://api.example/v2/orders/7"),
            ("//evil.example/x", "https://api.example/v2/evil.example/x"),
        ] {
            assert_eq!(render(template, value).unwrap(), expected, "{value}");
        }
        for value in [
            "https://evil.example/",
            "http://api.example/",
            "https://api.example:8443/",
            "https://api.example@evil.example/",
            "https://user:pw@api.example/",
            "https://api.example.evil.example/",
            "https://cdn.example/",
            "https:\\\\evil.example",
            "https://api.example/\t..",
            "../admin",
            "https://api.example/%2e%2E/x",
        ] {
            refused(template, value);
        }
        assert!(render(template, "").unwrap_err().is_missing());
        assert!(matches!(render(template, &"a".repeat(MAX_LENGTH + 1)), Err(EvalError::Limit(_))));
    }
}

#[test]
fn a_literal_absolute_uri_must_be_on_an_allowed_origin() {
    assert_eq!(render("https://files.example/f/{{record.x}}", "a/b").unwrap(), "https://files.example/f/a%2Fb");
    assert!(refused("https://other.example/", "").contains("allowed_origins"));
    assert!(refused("http://api.example/", "").contains("`http://api.example` is not an allowed origin"));
}

#[test]
fn literals_that_cannot_be_requested_are_refused_at_load() {
    for text in ["a\\b", "a\tb", "a#b", "ftp://x/", "file:///etc/passwd", "../x", "a/./b", "a/%2e%2e/b"] {
        assert!(UriTemplate::compile(text).is_err(), "{text}");
    }
    for text in ["", "/redirect?to=ftp://x/", "/a/b..c", "/...", "?a=../b"] {
        assert!(UriTemplate::compile(text).is_ok(), "{text}");
    }
}

#[test]
fn links_are_resolved_against_where_they_came_from() {
    for (text, expected) in [
        ("https://api.example/v2/orders?page=2", "https://api.example/v2/orders?page=2"),
        ("?page=2", "https://api.example/v2/orders?page=2"),
        ("/v3/x", "https://api.example/v3/x"),
        ("items#top", "https://api.example/v2/items"),
        (" ../v3/items ", "https://api.example/v3/items"),
        ("//files.example/y", "https://files.example/y"),
        ("https://api.example:443/", "https://api.example/"),
    ] {
        assert_eq!(link(text).unwrap(), expected, "{text}");
    }
    assert!(link("  ").unwrap_err().is_missing());
}

#[test]
fn links_to_other_origins_are_refused() {
    for text in [
        "http://169.254.169.254/latest",
        "http://[::ffff:7f00:1]/",
        "//evil.example/x",
        "https://api.example@evil.example/",
        "https://u:p@api.example/",
        "http://api.example/v2",
        "https://api.example:444/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:text/plain,x",
        "\\\\evil.example\\x",
        "/\\evil.example",
        "https://evil.example\t",
        "http\n://evil.example",
        "https://",
        "https://api.example.:443x/",
    ] {
        let text = if text.ends_with('\t') { format!("{text}x") } else { text.to_owned() };
        assert!(matches!(link(&text), Err(EvalError::Refused(_))), "{text:?}");
    }
}

#[test]
fn an_error_shows_origins_only() {
    let error = link("https://evil.example/path?token=hunter2").unwrap_err().to_string();
    assert!(error.contains("https://evil.example") && !error.contains("hunter2") && !error.contains("path"), "{error}");
}

#[test]
fn origin_patterns_match_whole_names() {
    let matches =
        |pattern: &str, url: &str| OriginPattern::parse(pattern, false).unwrap().matches(&Url::parse(url).unwrap());
    for (pattern, url, expected) in [
        ("https://files.example", "https://files.example/x", true),
        ("https://FILES.example/", "https://files.EXAMPLE:443", true),
        ("https://files.example", "http://files.example", false),
        ("https://files.example", "https://files.example:8443", false),
        ("https://files.example:8443", "https://files.example:8443", true),
        ("https://files.example", "https://x.files.example", false),
        ("https://*.example.com", "https://a.example.com", true),
        ("https://*.example.com", "https://a.b.example.com", true),
        ("https://*.example.com", "https://example.com", false),
        ("https://*.example.com", "https://evilexample.com", false),
        ("https://*.example.com", "https://a.example.com.evil.example", false),
        ("https://*.example.com", "http://a.example.com", false),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000", true),
        ("http://127.0.0.1:9000", "http://2130706433:9000", true),
    ] {
        assert_eq!(matches(pattern, url), expected, "{pattern} {url}");
    }
    for text in [
        "",
        "files.example",
        "ftp://x.example",
        "https://",
        "https://*",
        "https://*.com",
        "https://*.*.com",
        "https://a*.example.com",
        "https://x.example/path",
        "https://x.example?q",
        "https://u@x.example",
        "https://x.example#",
        "https://*.127.0.0.1",
        "https://x.example\\y",
        "https://x. example",
        "https:// x.example",
    ] {
        assert!(OriginPattern::parse(text, false).is_err(), "{text}");
    }
}

#[test]
fn credentials_go_to_the_own_origin_and_where_it_is_said() {
    let allowed = [
        OriginPattern::parse("https://a.example", true).unwrap(),
        OriginPattern::parse("https://b.example", false).unwrap(),
    ];
    for (url, expected) in [
        ("https://api.example/x", true),
        ("https://a.example/", true),
        ("https://b.example/", false),
        ("http://api.example/", false),
    ] {
        assert_eq!(credentials_may_go(&Url::parse(url).unwrap(), &base(), &allowed), expected, "{url}");
    }
}

proptest! {
    #[test]
    fn no_value_leaves_the_origin_or_the_prefix(value in "\\PC{0,12}|[./\\\\%2eE@:?#a\t\r\n]{0,12}") {
        for template in ["/o/{{record.x}}", "/o/{{{record.x}}}", "/o/{{record.x}}/y?z={{{record.x}}}"] {
            if let Ok(url) = render(template, &value) {
                prop_assert!(url.starts_with("https://api.example/v2/o/"), "{:?} {}", value, url);
            }
        }
        for template in ["{{record.x}}", "{{{record.x}}}", "{{{record.x}}}/y"] {
            if let Ok(url) = render(template, &value) {
                prop_assert!(url.starts_with("https://api.example/"), "{:?} {}", value, url);
            }
        }
    }
}

#[test]
fn an_empty_value_never_makes_a_path_of_another_thing() {
    for template in [
        "/orders/{{record.x}}",
        "/orders/{{record.x}}/items",
        "/a/{{record.x}}?b={{record.x}}",
        "{{record.x}}/items/{{record.x}}",
    ] {
        let message = refused(template, "");
        assert!(message.contains("record.x") && message.contains("is empty"), "{message}");
        assert!(render(template, "7").is_ok());
    }
    for (template, expected) in [
        ("/orders?mail={{record.x}}", "https://api.example/v2/orders?mail="),
        ("/orders{{#if record.x}}/{{record.x}}{{/if}}", "https://api.example/v2/orders"),
        ("/orders/{{record.x}}-y", "https://api.example/v2/orders/-y"),
        ("/a//{{record.x}}b", "https://api.example/v2/a//b"),
        ("/a/{{#if record.x}}b{{/if}}", "https://api.example/v2/a/"),
    ] {
        assert_eq!(render(template, "").as_deref(), Ok(expected), "{template}");
    }
    assert_eq!(render("/files/{{{record.x}}}", "a//b/").as_deref(), Ok("https://api.example/v2/files/a//b/"));
}

#[test]
fn an_object_stands_nowhere_in_a_uri_and_a_list_in_its_query_only() {
    let record = Record::new(Json::parse(r#"{"o":{"a":1},"l":[1,2],"n":[],"id":7}"#).unwrap());
    let ctx = Context::new().with(Root::Record, Slot::Record(&record));
    let render = |template: &str| UriTemplate::compile(template).unwrap().render(&ctx, &base(), &[]).map(String::from);
    for (template, name, what) in [
        ("/in/{{record.o}}", "record.o", "an object"),
        ("/in/{{record.l}}", "record.l", "a list"),
        ("/in/{{record.n}}/x", "record.n", "a list"),
        ("/in/{{{record.l}}}/x?a={{record.id}}", "record.l", "a list"),
        ("/in/{{record.id}}/{{#if record.o}}{{record.o}}{{/if}}", "record.o", "an object"),
        ("/in?a={{record.o}}", "record.o", "an object"),
        ("{{record.o}}", "record.o", "an object"),
        ("{{record.l}}", "record.l", "a list"),
    ] {
        let error = render(template).expect_err(template);
        assert!(matches!(error, EvalError::Type(_)), "{template}: {error:?}");
        let told = error.to_string();
        assert!(told.contains(name) && told.contains(what), "{template}: {told}");
    }
    assert_eq!(render("/in/{{record.id}}?a={{record.l}}").as_deref(), Ok("https://api.example/v2/in/7?a=1%2C2"));
    assert_eq!(render("/in/{{join \";\" record.l}}").as_deref(), Ok("https://api.example/v2/in/1%3B2"));
    assert_eq!(render("/in/{{record.o.a}}").as_deref(), Ok("https://api.example/v2/in/1"));
}

#[test]
fn a_raw_value_that_is_empty_is_no_path_and_what_is_wrong_is_named() {
    for (template, value) in
        [("/orders/{{{record.x}}}", ""), ("/{{{record.x}}}/items", ""), ("/{{record.x}}/items", "")]
    {
        let said = refused(template, value);
        assert!(said.contains("record.x: a value in the path is empty"), "{template}: {said}");
    }
    assert!(render("/files/{{{record.x}}}", "a//b/").is_ok(), "a raw value is a path of its own");
    assert!(render("/orders?of={{{record.x}}}", "").is_ok(), "in a query it may be empty");
    let said = refused("/t/{{record.x}}/more", "..");
    assert!(said.contains("record.x: a path segment is `.` or `..`"), "{said}");
}

#[test]
fn a_uri_that_is_written_out_has_to_stay_where_requests_may_go() {
    let leads = |text: &str| {
        let allowed = [OriginPattern::parse("https://files.example", false).unwrap()];
        UriTemplate::compile(text).unwrap().leads_away(&base(), &allowed).is_some()
    };
    assert!(leads("https://other.example/x") && leads("http://api.example/x") && leads("https://me@api.example/x"));
    for fine in ["/x", "https://api.example/x", "https://files.example/x", "https://{{record.x}}.example/x"] {
        assert!(!leads(fine), "{fine}");
    }
}
