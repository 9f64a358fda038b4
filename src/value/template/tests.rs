//! Tests of `template`: examples, properties and an independent judge where there is one.

use super::*;
use crate::value::context::Slot;
use crate::value::json::Json;
use crate::value::record::Record;

const RECORD: &str = r#"{"id":7,"name":"Ann & \"Bo\"","price":12.10,"big":9007199254740993,"none":null,"empty":"","zero":0,
    "list":[1,"two",{"k":"v"}],"items":[{"sku":"a","tags":["x","y"]},{"sku":"b","tags":[]}],"map":{"a b":1,"c":2},
    "path":"a/b ?c=1#é","line":"a\r\nX: 1","yes":true,"no":false,"text7":"7","obj":{"first":"f","name":"n"},"nothing":[]}"#;

fn with_context<T>(run: impl FnOnce(&Context<'_>) -> T) -> T {
    let record = Record::new(Json::parse(RECORD).unwrap());
    let batch = [record.clone(), record.clone()];
    let vars = [("host", Slot::Text("localhost:8080")), ("folder", Slot::Text("a b/c"))];
    let connection = [("vars", Slot::Map(&vars))];
    let ctx = Context::new()
        .with(Root::Record, Slot::Record(&record))
        .with(Root::Records, Slot::Records(&batch))
        .with(Root::Index, Slot::Number(3))
        .with(Root::Now, Slot::Text("2025-01-01T00:00:00Z"))
        .with(Root::Connection, Slot::Map(&connection));
    run(&ctx)
}

fn render(text: &str, place: Place) -> Result<String, EvalError> {
    let template = Template::compile(text, place).unwrap_or_else(|issues| panic!("{text}: {issues:?}"));
    with_context(|ctx| {
        let mut out = String::new();
        template.render(ctx, &mut out).map(|()| out)
    })
}

#[track_caller]
fn gives(text: &str, wanted: &str) {
    assert_eq!(render(text, Place::Plain).as_deref(), Ok(wanted), "{text}");
}

#[test]
fn placeholders_take_values_as_they_were_received() {
    gives("", "");
    gives("plain } text", "plain } text");
    gives("{{record.id}}-{{{record.price}}}-{{&record.big}}", "7-12.10-9007199254740993");
    gives("{{ record.name }}", "Ann & \"Bo\"");
    gives("[{{record.none}}|{{record.empty}}]", "[|]");
    gives("{{record.yes}} {{index}} {{now}}", "true 3 2025-01-01T00:00:00Z");
    gives("{{record.list}} {{record.map}}", "1,two,{\"k\":\"v\"} {\"a b\":1,\"c\":2}");
    gives("{{record.list.[0]}} {{record.list.1}} {{record.list[2].k}}", "1 two v");
    gives("{{record.map.[a b]}}", "1");
    gives("{{records.1.id}} {{records.length}}", "7 2");
    gives("{{record.list.length}} {{record.text7.length}}", "3 1");
    gives("{{@root.record.id}} {{this.record.id}}", "7 7");
}

#[test]
fn escaped_braces_comments_and_raw_blocks_are_text() {
    gives(r"\{{record.id}} {{record.id}}", "{{record.id}} 7");
    gives(r"a\\{{record.id}}", r"a\7");
    gives("a{{! not }}b{{!-- {{record.x}} --}}c", "abc");
    gives("{{{{raw}}}}{{record.id}}{{{{/raw}}}}!", "{{record.id}}!");
}

#[test]
fn blocks_branch_and_repeat() {
    gives("{{#if record.yes}}a{{else}}b{{/if}}", "a");
    gives("{{#if record.zero}}a{{else}}b{{/if}}{{#if record.zero includeZero=true}}c{{/if}}", "bc");
    gives("{{#if record.nothing}}a{{else if record.no}}b{{else if record.id}}c{{else}}d{{/if}}", "c");
    gives("{{^if record.no}}a{{/if}}{{#unless record.no}}b{{else}}c{{/unless}}", "ab");
    gives("{{#each record.items}}{{@index}}{{sku}}{{#unless @last}},{{/unless}}{{/each}}", "0a,1b");
    gives(
        "{{#each record.items as |i n|}}{{n}}{{i.sku}}{{#each i.tags}}{{this}}{{../sku}}{{@../index}}{{/each}};{{/each}}",
        "0axa0ya0;1b;",
    );
    gives("{{#each record.map}}{{@key}}={{this}};{{/each}}", "a b=1;c=2;");
    gives("{{#each record.nothing}}x{{else}}none{{/each}}{{#each record.absent}}x{{else}}none{{/each}}", "nonenone");
    gives("{{#each records}}{{id}}{{/each}}", "77");
    gives("{{#with record.obj}}{{name}}{{this.first}}{{@root.record.id}}{{../record.id}}{{/with}}", "nf77");
    gives("{{#with record.absent}}x{{else}}y{{/with}}", "y");
    gives("{{#with record.obj as |o|}}{{o.name}}{{/with}}", "n");
}

#[test]
fn helpers_take_the_documented_arguments() {
    gives("{{default record.absent \"x\"}}{{default record.none 'y'}}{{default record.id 1}}", "xy7");
    gives("{{default record.absent (default record.none 2)}}", "2");
    gives("{{json record.name}} {{json record.list}}", "\"Ann & \\\"Bo\\\"\" [1,\"two\",{\"k\":\"v\"}]");
    gives(
        "{{eq record.id \"7\"}}{{eq record.id 7.0}}{{eq record.name \"x\"}}{{eq record.yes \"true\"}}",
        "truetruefalsefalse",
    );
    gives("{{#if (eq record.absent \"x\")}}a{{else}}b{{/if}}", "b");
    gives("{{#if (eq (default record.absent 1) 1)}}a{{/if}}", "a");
}

/// What authors of the reference engine write and other ports trip over.
#[test]
fn idioms_of_the_reference_engine_hold() {
    gives("{{^record.no}}a{{/record.no}}{{^if record.yes}}b{{else}}c{{/if}}", "ac");
    gives("{{#each record.list}}{{^if @last}}{{@index}},{{/if}}{{/each}}", "0,1,");
    gives("{{#record.yes}}{{record.id}}{{/record.yes}}{{#record.no}}x{{^}}y{{/record.no}}", "7y");
    gives("{{#record.items}}{{sku}}{{@index}}{{#unless @last}};{{/unless}}{{/record.items}}", "a0;b1");
    gives(
        "{{#record.obj}}{{name}}{{../record.id}}{{/record.obj}}{{#record.absent}}x{{else}}y{{/record.absent}}",
        "n7y",
    );
    gives("{{#record.nothing}}x{{else}}none{{/record.nothing}}{{#record.id}}<{{this}}>{{/record.id}}", "none<7>");
    gives("{{#each record.items}}{{#tags}}{{this}}{{../sku}}{{@index}}{{@../index}}{{/tags}}{{/each}}", "xa00ya10");
    gives("{{#each record.items}}{{#with this.tags}}{{@index}}{{/with}}{{/each}}", "0");
    gives("{{#with record.obj}}{{\"name\"}}{{'first'}}{{/with}}", "nf");
    gives(r#"{{regexMatch record.name "\w+"}}{{regexMatch "a\nb" "\\n"}}"#, r"Ann\n");
    gives("{{record.text7.length}}{{record.list.length}}{{#if (compare record.list.length \">\" 2)}}!{{/if}}", "13!");
    gives("{{#compare record.id \">\" 9}}a{{else compare record.id \"==\" \"7\"}}b{{else}}c{{/compare}}", "b");
    gives("{{#and record.yes record.id}}a{{/and}}{{^contains record.list \"two\"}}b{{else}}c{{/contains}}", "ac");
    gives("{{join \"-\" record.list}} {{eq record.id \"7\"}}", "1-two-{\"k\":\"v\"} true");
}

#[test]
fn what_a_helper_has_escaped_is_not_escaped_again() {
    for (place, text, wanted) in [
        (
            Place::Uri,
            "/x?q={{encodeURI record.path}}&r={{uppercase record.path}}",
            "/x?q=a%2Fb%20%3Fc%3D1%23%C3%A9&r=A%2FB%20%3FC%3D1%23%C3%89",
        ),
        (
            Place::Json,
            "{\"a\":\"{{jsonEncode record.name}}\",\"b\":{{jsonSerialize record.map}}}",
            r#"{"a":"Ann & \"Bo\"","b":{"a b":1,"c":2}}"#,
        ),
        (
            Place::Json,
            "{\"a\":\"{{uppercase record.name}}\",\"l\":{{{record.list}}}}",
            r#"{"a":"ANN & \"BO\"","l":[1,"two",{"k":"v"}]}"#,
        ),
    ] {
        assert_eq!(render(text, place).as_deref(), Ok(wanted), "{text}");
    }
    assert!(render("{{replace record.path \"/\" record.line}}", Place::Header).is_err());
}

#[test]
fn missing_is_empty_where_a_flow_says_so() {
    let text = "[{{record.gone}}|{{uppercase record.gone}}|{{split record.gone \"-\" 3}}|{{join \"-\" record.gone}}|{{#each record.items}}{{gone.x}}{{/each}}]";
    let template = Template::compile(text, Place::Plain).unwrap();
    with_context(|ctx| {
        let mut out = String::new();
        template.render(&ctx.with_missing_as_empty(true), &mut out).unwrap();
        assert_eq!(out, "[||||]");
        assert!(template.render(ctx, &mut out).is_err());
    });
}

#[test]
fn white_space_is_controlled_as_in_handlebars() {
    gives("a {{~record.id~}} b", "a7b");
    gives("a\n  {{#if record.yes}}\n  x\n  {{/if}}\nb", "a\n  x\nb");
    gives("{{#if record.yes}}\nx\n{{else}}\ny\n{{/if}}\n", "x\n");
    gives("{{#each record.items}}\n- {{sku}}\n{{/each}}\n", "- a\n- b\n");
    gives("a\n{{! note }}\nb", "a\nb");
    gives("x {{#if record.yes}}y{{/if}} z", "x y z");
}

#[test]
fn a_missing_value_is_an_error_that_names_it() {
    for (text, named) in [
        ("{{record.absent}}", "`record.absent` is missing"),
        ("{{record.absent.deeper}}", "`record.absent` is missing"),
        ("{{record.id.x}}", "`record.id.x` is missing: `record.id` is a number"),
        ("{{json record.absent}}", "`record.absent` is missing"),
        ("{{default record.absent record.gone}}", "`record.gone` is missing"),
        ("{{page.token}}", "`page` is not available here"),
        (
            "{{#each record.items}}{{record.id}}{{/each}}",
            "`record.id` is missing in the item of its block; names from outside are written `@root.record.x` or `../x`",
        ),
    ] {
        assert_eq!(render(text, Place::Plain), Err(EvalError::Missing(named.to_owned())), "{text}");
    }
    assert!(matches!(render("{{nope.x}}", Place::Plain), Err(EvalError::Type(_))));
}

#[test]
fn escaping_follows_the_place() {
    for (place, text, wanted) in [
        (Place::Uri, "/x/{{record.path}}", "/x/a%2Fb%20%3Fc%3D1%23%C3%A9"),
        (Place::Uri, "/x/{{{record.path}}}", "/x/a/b%20?c=1#%C3%A9"),
        (Place::Uri, "{{record.path}}", "a/b ?c=1#é"),
        (Place::Uri, "http://{{connection.vars.host}}/{{connection.vars.folder}}", "http://localhost:8080/a%20b%2Fc"),
        (Place::Header, "n {{record.name}}", "n Ann & \"Bo\""),
        (Place::Json, "{\"n\":\"{{record.name}}\"}", "{\"n\":\"Ann & \\\"Bo\\\"\"}"),
        (Place::Json, "{{{record.list}}} {{json record.name}}", "[1,\"two\",{\"k\":\"v\"}] \"Ann & \\\"Bo\\\"\""),
        (Place::Form, "a={{record.name}}", "a=Ann+%26+%22Bo%22"),
        (Place::Form, "a={{{record.name}}}", "a=Ann & \"Bo\""),
        (Place::Xml, "<a>{{record.name}}</a>", "<a>Ann &amp; &quot;Bo&quot;</a>"),
        (Place::Xml, "{{{record.name}}}", "Ann & \"Bo\""),
        (Place::Xml, "<a b='{{record.line}}'/>", "<a b='a&#13;&#10;X: 1'/>"),
        (Place::Plain, "{{record.name}}<>", "Ann & \"Bo\"<>"),
    ] {
        assert_eq!(render(text, place).as_deref(), Ok(wanted), "{place:?} {text}");
    }
}

#[test]
fn no_header_carries_a_line_break() {
    for text in ["{{record.line}}", "{{{record.line}}}", "{{default record.line 1}}"] {
        assert!(matches!(render(text, Place::Header), Err(EvalError::Refused(_))), "{text}");
    }
    assert!(Template::compile("a\nb", Place::Header).is_err());
}

#[test]
fn an_error_leaves_the_output_as_it_was() {
    let template = Template::compile("a{{record.id}}{{record.absent}}", Place::Plain).unwrap();
    let mut out = "before".to_owned();
    with_context(|ctx| template.render(ctx, &mut out)).unwrap_err();
    assert_eq!(out, "before");
}

#[test]
fn constants_and_single_placeholders_are_told() {
    let of = |text: &str| {
        let template = Template::compile(text, Place::Uri).unwrap();
        (template.as_constant().map(str::to_owned), template.is_one_placeholder(), template.first_placeholder_at())
    };
    assert_eq!(of("a{{! c }}b"), (Some("ab".to_owned()), false, None));
    assert_eq!(of(""), (Some(String::new()), false, None));
    assert_eq!(of("{{record.url}}"), (None, true, Some(0)));
    assert_eq!(of("{{{record.url}}}"), (None, true, Some(0)));
    assert_eq!(of(r"/\{{x/{{record.url}}"), (None, false, Some(5)));
}

#[track_caller]
fn refused(text: &str, at: std::ops::Range<usize>, message: &str, help: Option<&str>) {
    let issues = Template::compile(text, Place::Plain).unwrap_err();
    assert_eq!((&issues[0].at, issues[0].message.as_str(), issues[0].help.as_deref()), (&at, message, help), "{text}");
}

#[test]
fn mistakes_have_a_place_and_a_remedy() {
    refused("a {{#if record.a}}", 2..18, "the block `if` is not closed", Some("add `{{/if}}`"));
    refused("{{#if record.a}}{{/each}}", 16..25, "this does not close the open block `if`", Some("write `{{/if}}`"));
    refused("{{/if}}", 0..7, "this closes a block that was not opened", None);
    refused("{{else}}", 0..8, "`else` stands outside a block", None);
    refused("{{record.a", 0..10, "the tag is not closed", Some("add `}}`"));
    refused("{{{record.a}}", 0..12, "the tag is not closed", Some("add `}}}`"));
    refused("{{aws4 record.a}}", 0..17, "helper `aws4` takes 5 arguments, not 1", None);
    refused("{{uppercas record.a}}", 2..10, "unknown helper `uppercas`", Some("did you mean `uppercase`?"));
    refused(
        "{{> part}}",
        0..3,
        "partials and decorators are not allowed in templates",
        Some("write the text out, or build the value in a transform step"),
    );
    refused(
        "{{record.a * 2}}",
        11..12,
        "`*` has no meaning here",
        Some("templates do not compute; use an expression, `= …`, instead"),
    );
    refused("{{default record.a}}", 0..20, "helper `default` takes 2 arguments, not 1", None);
    refused(
        "{{this}}",
        2..6,
        "`this` has a meaning inside `{{#each}}` and `{{#with}}` only",
        Some("name the value, such as `record`"),
    );
    refused(
        "{{../record.id}}",
        2..14,
        "`../` leads out of the template",
        Some("only `each` and `with` blocks open a level"),
    );
    let all = Template::compile("{{foo 1}}{{bar 2}}{{@nope}}", Place::Plain).unwrap_err();
    assert_eq!(all.len(), 3, "{all:?}");
}

#[test]
fn references_leave_out_items_and_parameters() {
    let template = Template::compile(
        "{{record.a.[b c].0}}{{#each flow.vars.list as |x|}}{{x.y}}{{this}}{{z}}{{@index}}{{../lookup.q}}{{/each}}\
         {{default nope.x record.d}}{{#if (eq item.e 1)}}{{/if}}",
        Place::Plain,
    )
    .unwrap();
    let seen: Vec<_> = template
        .references()
        .iter()
        .map(|r| (r.root.as_str(), r.members.join("/"), r.tolerant, &template.source()[r.at.clone()]))
        .collect();
    assert_eq!(
        seen,
        [
            ("record", "a/b c/0".to_owned(), false, "record.a.[b c].0"),
            ("flow", "vars/list".to_owned(), true, "flow.vars.list"),
            ("lookup", "q".to_owned(), false, "../lookup.q"),
            ("nope", "x".to_owned(), true, "nope.x"),
            ("record", "d".to_owned(), false, "record.d"),
            ("item", "e".to_owned(), true, "item.e"),
        ]
    );
}

#[test]
fn bombs_are_refused_at_load() {
    for text in [
        "{{#if record.a}}".repeat(5000) + &"{{/if}}".repeat(5000),
        "{{#if record.a}}".repeat(4000),
        format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if record.a}}".repeat(3000)),
        format!("{{{{default {}1{}}}}}", "(default ".repeat(4000), " 1)".repeat(4000)),
        format!("{{{{record{}}}}}", ".a".repeat(20_000)),
        format!("{{{{default {}}}}}", "1 ".repeat(20_000)),
        format!("{{{{json {}}}}}", "[".repeat(30_000)),
        "{{#*inline \"a\"}}{{> b}}{{/inline}}{{#*inline \"b\"}}{{> a}}{{/inline}}{{> a}}".to_owned(),
        "{{~> a}}".to_owned(),
        "{{#> layout}}{{/layout}}".to_owned(),
        "{{* decorator}}".to_owned(),
        "x".repeat(70_000),
    ] {
        assert!(Template::compile(&text, Place::Plain).is_err(), "{}", &text[..8]);
    }
}

#[test]
fn loops_and_output_are_bounded() {
    let list = format!("[{}0]", "0,".repeat(299));
    let long = "x".repeat(1 << 20);
    let record = Record::new(Json::parse(format!("{{\"l\":{list},\"long\":\"{long}\"}}")).unwrap());
    let ctx = Context::new().with(Root::Record, Slot::Record(&record));
    for text in [
        "{{#each record.l}}{{#each @root.record.l}}{{#each @root.record.l}}{{this}}{{/each}}{{/each}}{{/each}}",
        "{{#each record.l}}{{#each @root.record.l}}{{#each @root.record.l}}{{/each}}{{/each}}{{/each}}",
        "{{#each record.l}}{{@root.record.long}}{{/each}}",
    ] {
        let template = Template::compile(text, Place::Plain).unwrap();
        let mut out = String::new();
        assert!(matches!(template.render(&ctx, &mut out), Err(EvalError::Limit(_))), "{text}");
        assert!(out.is_empty());
    }
}

/// The crate agrees wherever both speak: same text, no escaping, values whose printed form is the same.
#[test]
fn the_handlebars_crate_renders_the_same() {
    let mut judge = handlebars::Handlebars::new();
    judge.register_escape_fn(handlebars::no_escape);
    judge.set_strict_mode(false);
    let data = serde_json::json!({ "record": serde_json::from_str::<serde_json::Value>(RECORD).unwrap() });
    // A comment before trailing blanks is left out: the crate keeps the blanks, the reference engine does not.
    let inner = ["{{record.id}}", "{{{record.name}}}", "text", " ", "\n", "{{! c }}.", "{{record.list.[1]}}", "\\{{x"];
    let outer = [
        "§",
        "{{#if record.yes}}§{{/if}}",
        "{{#if record.no}}§{{else}}z§{{/if}}",
        "{{#unless record.zero}}§{{/unless}}",
        "{{#if record.nothing}}1{{else if record.id}}§{{else}}3{{/if}}",
        "a\n{{#if record.yes}}\n§\n{{else}}\nno\n{{/if}}\nb",
        "  {{#if record.yes}}  \n§{{/if}}\n",
        "x {{~#if record.yes~}} § {{~/if~}} y",
        "{{#each record.items}}{{sku}}{{@index}}{{@first}}{{@last}},{{#each tags}}{{this}}{{../sku}}{{/each}}{{/each}}§",
        "{{#each record.map as |v k|}}{{k}}{{v}}{{@key}}{{/each}}§",
        "{{#each record.nothing}}x{{else}}§{{/each}}",
        "{{#with record.obj}}{{name}}{{/with}}§",
        "{{#with record.obj as |o|}}{{o.first}}{{/with}}§",
    ];
    let (mut seen, mut differ) = (0, Vec::new());
    for frame in outer {
        for a in inner {
            for b in inner {
                let text = frame.replacen('§', &format!("{a}{b}"), 1);
                let Ok(wanted) = judge.render_template(&text, &data) else { continue };
                let ours = render(&text, Place::Plain);
                if ours.as_deref() == Ok(wanted.as_str()) {
                    seen += 1;
                } else {
                    differ.push(format!("{text:?}: {ours:?} against {wanted:?}"));
                }
            }
        }
    }
    assert!(differ.is_empty(), "{seen} agree, {} differ: {differ:#?}", differ.len());
    assert!(seen > 600, "{seen}");
}

proptest::proptest! {
    #[test]
    fn no_text_panics_the_compiler(
        text in "\\PC{0,60}",
        noise in "[{}#/^~!@.a-c \\[\\]()'\"\\\\|=\n-]{0,60}",
        pieces in proptest::collection::vec(proptest::sample::select(vec![
            "{{", "}}", "{{{", "}}}", "{{#if ", "{{/if}}", "{{else}}", "{{#each ", "{{/each}}", "record.items", "this", "../", " as |x|", "~", "@index",
            "(eq ", ")", "{{!--", "--}}", "\\", "é", ".", "[0]", " ", "\n", "{{{{raw}}}}", "{{{{/raw}}}}",
        ]), 0..24),
    ) {
        for text in [text, noise.clone(), format!("{{{{{noise}}}}}"), pieces.concat()] {
            if let Ok(template) = Template::compile(&text, Place::Json) {
                let mut out = String::new();
                let _ = with_context(|ctx| template.render(ctx, &mut out));
            }
        }
    }
}
