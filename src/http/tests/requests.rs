//! Rendering: URL, query, headers, body, and what data can never do to them.

use crate::http::client::ClientSettings;
use crate::http::media::MediaTypes;
use crate::http::on::OnRules;
use crate::http::request::{BodySpec, Field, Method, Prepared, RequestSpec};
use crate::http::testing::{Bench, answer, settings};
use crate::value::context::{Context, Root, Slot};
use crate::value::issue::EvalError;
use crate::value::json::Json;
use crate::value::record::Record;
use crate::value::secret::{MASK, Secret};
use crate::value::template::{Place, Template};
use crate::value::tree::{Pick, Tree};
use crate::value::uri::UriTemplate;

const BASE: &str = "https://api.example/v1/";

fn field(name: &str, value: &str) -> Field {
    Field { name: name.to_owned(), value: Tree::leaf(value).unwrap(), join: None }
}

fn spec(uri: &str) -> RequestSpec {
    RequestSpec {
        method: Method::Get,
        uri: UriTemplate::compile(uri).unwrap(),
        headers: Vec::new(),
        query: Vec::new(),
        body: None,
        timeout: None,
        response: None,
        on: OnRules::default(),
        types: MediaTypes::default(),
        decode: None,
    }
}

fn render(settings: ClientSettings, spec: &RequestSpec, record: &str) -> Result<Prepared, EvalError> {
    let bench = Bench::new(settings, [answer(200, "")]);
    let record = Record::new(Json::parse(record.to_owned()).unwrap());
    let ctx = bench.client.context(Context::new()).with(Root::Record, Slot::Record(&record));
    spec.prepare(&ctx, &bench.client)
}

#[tokio::test(start_paused = true)]
async fn the_query_grows_behind_what_the_uri_says() {
    let mut settings = settings(BASE);
    settings.query = vec![field("api_version", "2024-10"), field("page", "1"), field("status", "all")];
    let mut spec = spec("/orders?status=open&since=a%2Fb");
    spec.query = vec![field("page", "$.page"), field("tag", "$.tags"), field("q", "{{record.q}}")];
    let prepared = render(settings, &spec, r#"{"page":3,"tags":["a","b c"],"q":"x&y=1"}"#).unwrap();
    let expected =
        "https://api.example/v1/orders?status=open&since=a%2Fb&api_version=2024-10&page=3&tag=a&tag=b%20c&q=x%26y%3D1";
    assert_eq!(prepared.url().as_str(), expected);
}

#[tokio::test(start_paused = true)]
async fn lists_repeat_the_name_or_are_joined_and_optional_leaves_are_left_out() {
    let mut spec = spec("/orders");
    spec.query = vec![Field { join: Some(",".to_owned()), ..field("ids", "$.ids") }];
    let pick = Pick {
        pick: Tree::leaf("$.gone").unwrap(),
        default: None,
        optional: true,
        table: None,
        convert: None,
        date: None,
        when: None,
    };
    spec.query.push(Field { name: "gone".to_owned(), value: Tree::Pick(Box::new(pick)), join: None });
    spec.headers = vec![field("X-Tag", "$.ids")];
    let prepared = render(settings(BASE), &spec, r#"{"ids":[1,2],"gone":null}"#).unwrap();
    assert_eq!(prepared.url().query(), Some("ids=1%2C2"));
    let tags: Vec<_> = prepared.header_pairs().into_iter().filter(|(name, _)| name == "x-tag").collect();
    assert_eq!(tags, [("x-tag".into(), "1".into()), ("x-tag".into(), "2".into())]);
}

#[tokio::test(start_paused = true)]
async fn null_and_objects_are_no_query_values() {
    let mut spec = spec("/orders");
    spec.query = vec![field("id", "$.id")];
    for record in [r#"{"id":null}"#, r#"{"id":{"a":1}}"#, r#"{"id":[[1]]}"#, "{}"] {
        let error = render(settings(BASE), &spec, record).err().unwrap();
        assert!(error.to_string().contains("`id`"), "{record}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn headers_of_the_step_win_and_data_cannot_smuggle_lines() {
    let mut settings = settings(BASE);
    settings.headers = vec![field("Accept-Language", "en"), field("X-Flow", "{{flow.id}}"), field("accept", "text/x")];
    let mut spec = spec("/orders");
    spec.headers = vec![field("accept-language", "{{record.lang}}")];
    let bench = Bench::new(settings.clone(), [answer(200, "")]);
    let flow = Json::parse(r#"{"id":"sync"}"#.to_owned()).unwrap();
    let record = Record::new(Json::parse(r#"{"lang":"de"}"#.to_owned()).unwrap());
    let ctx = bench.client.context(Context::new()).with(Root::Record, Slot::Record(&record));
    let prepared = spec.prepare(&ctx.with(Root::Flow, Slot::Json(flow.as_ref())), &bench.client).unwrap();
    let mut pairs = prepared.header_pairs();
    pairs.sort();
    let expected = [("accept", "text/x"), ("accept-language", "de"), ("x-flow", "sync")];
    assert_eq!(pairs, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));

    settings.headers.clear();
    for evil in [r#"{"lang":"a\r\nX-Evil: 1"}"#, r#"{"lang":"a\nb"}"#, r#"{"lang":"a\u0000"}"#] {
        let error = render(settings.clone(), &spec, evil).err().unwrap();
        assert!(matches!(error, EvalError::Refused(_)), "{error}");
        assert!(!error.to_string().contains("Evil"), "{error}");
    }
    for name in ["Host", "Content-Length", "Transfer-Encoding", "Connection"] {
        spec.headers = vec![field(name, "x")];
        assert!(render(settings.clone(), &spec, "{}").is_err(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn secrets_in_headers_and_queries_are_never_shown() {
    let mut settings = settings(BASE);
    settings.secrets = vec![("key".to_owned(), Ok(Secret::new("hunter2!")))];
    settings.query = vec![field("conn_key", "{{connection.secrets.key}}")];
    let mut spec = spec("/orders");
    spec.query = vec![field("step_key", "{{connection.secrets.key}}")];
    spec.headers = vec![field("X-Key", "{{connection.secrets.key}}")];
    let bench = Bench::new(settings, [answer(200, "")]);
    let prepared = spec.prepare(&bench.client.context(Context::new()), &bench.client).unwrap();
    assert_eq!(prepared.url().as_str(), "https://api.example/v1/orders");
    assert!(prepared.header_pairs().contains(&("x-key".to_owned(), MASK.to_owned())));
    bench.client.exchange(bench.permit().await, &prepared, None, false).await.unwrap();
    let query = bench.script.see(0, |seen| seen.url.query().unwrap_or_default().to_owned());
    assert_eq!(query, "step_key=hunter2%21&conn_key=hunter2%21");
}

#[tokio::test(start_paused = true)]
async fn bodies_are_trees_or_text_that_parses() {
    let mut spec = spec("/orders");
    spec.method = Method::Post;
    spec.body = Some(BodySpec::Tree(Tree::Object(vec![("id".to_owned(), Tree::leaf("$.id").unwrap())])));
    let body = |spec: &RequestSpec, record: &str| {
        render(settings(BASE), spec, record).map(|p| String::from_utf8(p.body.unwrap().to_vec()).unwrap())
    };
    assert_eq!(body(&spec, r#"{"id":9007199254740993}"#).unwrap(), r#"{"id":9007199254740993}"#);
    assert!(body(&spec, "{}").unwrap_err().is_missing());
    let text = |text: &str| Some(BodySpec::Text(Template::compile(text, Place::Json).unwrap()));
    spec.body = text(r#"{"note":"{{record.note}}"}"#);
    assert_eq!(body(&spec, r#"{"note":"a\"b\\\r\n"}"#).unwrap(), r#"{"note":"a\"b\\\r\n"}"#);
    spec.body = text(r#"{"note":{{{record.note}}}}"#);
    let error = body(&spec, r#"{"note":"oops\""}"#).unwrap_err();
    assert!(matches!(error, EvalError::Refused(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn paging_sets_query_header_and_body_fields() {
    let mut prepared = render(settings(BASE), &spec("/orders?page=1&x=y"), "{}").unwrap();
    prepared.set_query("page", "2");
    assert_eq!(prepared.url().query(), Some("x=y&page=2"));
    prepared.set_header("X-Cursor", "abc").unwrap();
    assert!(prepared.set_header("X-Cursor", "a\r\nb").is_err());
    prepared.set_body_field("paging.page.number", "2").unwrap();
    prepared.set_body_field("paging.cursor", "07-abc").unwrap();
    assert_eq!(&prepared.body.clone().unwrap()[..], br#"{"paging":{"page":{"number":2},"cursor":"07-abc"}}"#);
    prepared.set_body_field("paging.cursor", "007").unwrap();
    prepared.set_body_value("size", "10").unwrap();
    assert_eq!(&prepared.body.clone().unwrap()[..], br#"{"paging":{"page":{"number":2},"cursor":"007"},"size":10}"#);
    assert!(prepared.set_body_field("size.x", "1").is_err());
    assert!(prepared.set_body_field("a..b", "1").is_err());
}

#[tokio::test(start_paused = true)]
async fn an_unresolved_secret_does_not_stop_rendering() {
    let mut settings = settings(BASE);
    settings.secrets = vec![("key".to_owned(), Err("no such file".to_owned()))];
    let mut spec = spec("/orders");
    spec.headers = vec![field("X-Key", "{{connection.secrets.key}}")];
    assert!(render(settings, &spec, "{}").is_ok(), "the exchange says what is wrong, with the reason");
}
