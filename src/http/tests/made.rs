//! Headers and query parameters made of the request itself: over exactly what leaves, anew for each attempt, never to
//! strangers, never shown.

use crate::http::auth::{Auth, Custom};
use crate::http::client::ClientSettings;
use crate::http::exchange::FailureClass;
use crate::http::media::MediaTypes;
use crate::http::on::OnRules;
use crate::http::request::{BodySpec, Field, Method, RequestSpec};
use crate::http::testing::{Bench, Play, answer, settings};
use crate::value::context::{Context, Root, Slot};
use crate::value::json::Json;
use crate::value::record::Record;
use crate::value::secret::{MASK, Secret};
use crate::value::template::Place;
use crate::value::tree::Tree;
use crate::value::uri::{OriginPattern, UriTemplate};

const BASE: &str = "https://www.celigo-test.com";
const KEY: &str = "k3y-Canary";

fn field(name: &str, text: &str) -> Field {
    Field { name: name.to_owned(), value: Tree::leaf_at(text, Place::Plain).unwrap(), join: None }
}

fn shop() -> ClientSettings {
    ClientSettings { secrets: vec![("key".to_owned(), Ok(Secret::new(KEY)))], ..settings(BASE) }
}

fn spec(method: Method, headers: Vec<Field>, query: Vec<Field>, body: Option<&str>) -> RequestSpec {
    let body = body.map(|text| BodySpec::Tree(Tree::Constant(Json::parse(text.to_owned()).unwrap())));
    RequestSpec {
        method,
        uri: UriTemplate::compile("/this/is/a/test?username=Integrator&domain=IO").unwrap(),
        headers,
        query,
        body,
        timeout: None,
        response: None,
        on: OnRules::default(),
        types: MediaTypes::default(),
        decode: None,
    }
}

/// The bench after one request for this record, and how it ended.
async fn send(
    settings: ClientSettings,
    spec: &RequestSpec,
    record: &str,
    plays: impl IntoIterator<Item = Play>,
) -> (Bench, Result<(), crate::http::exchange::Failure>) {
    let bench = Bench::new(settings, plays);
    let record = Record::new(Json::parse(record.to_owned()).unwrap());
    let ctx = bench.client.context(Context::new()).with(Root::Record, Slot::Record(&record));
    let prepared = spec.prepare(&ctx, &bench.client).unwrap();
    let sent = bench.client.exchange(bench.permit().await, &prepared, None, false).await.map(|_| ());
    (bench, sent)
}

fn header(bench: &Bench, n: usize, name: &str) -> Option<String> {
    bench.script.see(n, |seen| Some(seen.headers.get(name)?.to_str().unwrap().to_owned()))
}

fn hmac(text: &str) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, KEY.as_bytes());
    let signed = ring::hmac::sign(&key, text.as_bytes());
    signed.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[tokio::test(start_paused = true)]
async fn every_member_holds_what_is_sent() {
    for (name, value) in [
        ("headers.x-note", "hi"),
        ("headers.X-Note", "hi"),
        ("body", "{\"a\":1,\"b\":[\"c\"]}"),
        ("bodyParametersMap.b.[0]", "c"),
        ("method", "POST"),
        ("http.encrypted.key", KEY),
        ("baseURI", "www.celigo-test.com"),
        ("relativeURI", "/this/is/a/test"),
        ("urlParameters", "username=Integrator&domain=IO"),
        ("urlParametersMap.username", "Integrator"),
        ("URI", "https://www.celigo-test.com/this/is/a/test?username=Integrator&domain=IO"),
    ] {
        for root in ["hmacOptions", "hashOptions"] {
            let fields = vec![field("X-Seen", &format!("{{{{{root}.{name}}}}}")), field("X-Note", "hi")];
            let spec = spec(Method::Post, fields, Vec::new(), Some("{\"a\":1,\"b\":[\"c\"]}"));
            let (bench, sent) = send(shop(), &spec, "{}", [answer(200, "{}")]).await;
            sent.unwrap();
            assert_eq!(header(&bench, 0, "x-seen").as_deref(), Some(value), "{root}.{name}");
        }
    }
    let ordered = field("sign", "{{hmacOptions.orderedQueryParams}}");
    let query = vec![field("access_token", "t"), field("a", "x y"), ordered];
    let (bench, sent) = send(shop(), &spec(Method::Get, Vec::new(), query, None), "{}", [answer(200, "{}")]).await;
    sent.unwrap();
    let sign = bench.script.see(0, |seen| seen.url.query_pairs().last().unwrap().1.into_owned());
    assert_eq!(sign, "a=x%20y&domain=IO&username=Integrator");
}

#[tokio::test(start_paused = true)]
async fn a_signature_sees_the_record_and_is_masked_everywhere() {
    let signed =
        field("X-Sign", "{{hmac \"sha256\" connection.secrets.key \"hex\" (join \"|\" record.id hmacOptions.body)}}");
    let spec = spec(Method::Post, vec![signed], Vec::new(), Some("{\"a\":1}"));
    let bench = Bench::new(shop(), [answer(200, "{}")]);
    let record = Record::new(Json::parse("{\"id\":7}".to_owned()).unwrap());
    let other = Record::new(Json::parse("{\"id\":8}".to_owned()).unwrap());
    let ctx = bench.client.context(Context::new());
    let prepared = spec.prepare(&ctx.with(Root::Record, Slot::Record(&record)), &bench.client).unwrap();
    let unlike = spec.prepare(&ctx.with(Root::Record, Slot::Record(&other)), &bench.client).unwrap();
    assert_ne!(prepared.fingerprint(), unlike.fingerprint(), "another signature is another request");
    assert!(prepared.header_pairs().contains(&("x-sign".to_owned(), MASK.to_owned())));
    bench.client.exchange(bench.permit().await, &prepared, None, false).await.unwrap();
    let made = hmac("7|{\"a\":1}");
    assert_eq!(header(&bench, 0, "x-sign").as_deref(), Some(made.as_str()));
    bench.script.see(0, |seen| assert!(seen.headers["x-sign"].is_sensitive()));
    // A server that repeats it does not get it printed.
    let echo: &'static str = Box::leak(format!("wrong signature {made}").into_boxed_str());
    let (_, sent) = send(shop(), &spec, "{\"id\":7}", [answer(400, echo)]).await;
    let failure = sent.unwrap_err();
    assert!(failure.message.contains("wrong signature") && !failure.message.contains(&made), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_signed_anew_and_a_connection_s_field_gives_way_to_the_step_s() {
    let mut settings = shop();
    settings.headers = vec![
        field("X-At", "{{join \"|\" \"connection\" hmacOptions.method}}"),
        field("X-By", "{{hmacOptions.method}}"),
    ];
    let spec =
        spec(Method::Get, vec![field("x-at", "{{join \"|\" (random \"uuid\") hmacOptions.method}}")], Vec::new(), None);
    let (bench, sent) = send(settings, &spec, "{}", [answer(503, ""), answer(200, "{}")]).await;
    sent.unwrap();
    let (first, second) = (header(&bench, 0, "x-at").unwrap(), header(&bench, 1, "x-at").unwrap());
    assert!(first.ends_with("|GET") && first != second, "{first} {second}");
    assert_eq!(header(&bench, 1, "x-by").as_deref(), Some("GET"));
}

#[tokio::test(start_paused = true)]
async fn strangers_get_no_signature_and_one_that_cannot_be_made_fails_its_request_alone() {
    let mut settings = shop();
    settings.allowed_origins = vec![OriginPattern::parse("https://files.example", false).unwrap()];
    let signed = vec![field("X-Sign", "{{hmac \"sha256\" \"k\" \"hex\" hmacOptions.URI}}")];
    let query = vec![field("sign", "{{hmacOptions.method}}")];
    let elsewhere = RequestSpec {
        uri: UriTemplate::compile("https://files.example/x").unwrap(),
        ..spec(Method::Get, signed, query, None)
    };
    let (bench, sent) = send(settings, &elsewhere, "{}", [answer(200, "{}")]).await;
    sent.unwrap();
    assert_eq!(header(&bench, 0, "x-sign"), None);
    assert_eq!(bench.script.see(0, |seen| seen.url.as_str().to_owned()), "https://files.example/x");
    let lacking = spec(Method::Get, vec![field("X-Sign", "{{record.gone}}{{hmacOptions.method}}")], Vec::new(), None);
    let (bench, sent) = send(shop(), &lacking, "{}", [answer(200, "{}")]).await;
    let failure = sent.unwrap_err();
    assert_eq!((failure.class, bench.script.count()), (FailureClass::Rejected, 0));
    assert!(failure.message.contains("header `X-Sign`") && failure.message.contains("record.gone"), "{failure}");
    assert!(bench.client.offline().is_none() && bench.client.waits().is_none());
    let broken = spec(Method::Get, vec![field("X-Sign", "{{record.text}}{{hmacOptions.method}}")], Vec::new(), None);
    let (bench, sent) = send(shop(), &broken, "{\"text\":\"a\\r\\nX-Evil: 1\"}", [answer(200, "{}")]).await;
    assert_eq!((sent.unwrap_err().class, bench.script.count()), (FailureClass::Rejected, 0));
}

#[tokio::test(start_paused = true)]
async fn custom_authentication_signs_what_it_added_itself() {
    let auth = Auth::Custom(Box::new(Custom {
        headers: vec![
            field("X-Sign", "{{hmac \"sha256\" connection.secrets.key \"hex\" hmacOptions.URI}}"),
            field("X-App", "a"),
        ],
        query: vec![field("nonce", "{{hmacOptions.headers.x-app}}"), field("app", "7")],
        body: Vec::new(),
        refresh: None,
    }));
    let settings = ClientSettings { auth, ..shop() };
    let (bench, sent) =
        send(settings, &spec(Method::Get, Vec::new(), Vec::new(), None), "{}", [answer(200, "{}")]).await;
    sent.unwrap();
    let url = bench.script.see(0, |seen| seen.url.to_string());
    assert!(url.ends_with("&app=7&nonce=a"), "{url}");
    assert_eq!(header(&bench, 0, "x-sign"), Some(hmac(&url)));
}

#[tokio::test(start_paused = true)]
async fn a_signature_that_reads_no_record_leaves_requests_alike() {
    let mut settings = shop();
    settings.headers = vec![field("X-Sign", "{{hmac \"sha256\" connection.secrets.key \"hex\" hmacOptions.URI}}")];
    let bench = Bench::new(settings, [answer(200, "{}")]);
    let prepared = |record: &str, spec: &RequestSpec| {
        let record = Record::new(Json::parse(record.to_owned()).unwrap());
        let ctx = bench.client.context(Context::new()).with(Root::Record, Slot::Record(&record));
        spec.prepare(&ctx, &bench.client).unwrap().fingerprint()
    };
    let plain = spec(Method::Get, Vec::new(), Vec::new(), None);
    assert_eq!(prepared("{\"id\":1}", &plain), prepared("{\"id\":2}", &plain), "one lookup serves both");
    let other = spec(Method::Get, vec![field("X-Of", "{{record.id}}{{hmacOptions.method}}")], Vec::new(), None);
    assert_ne!(prepared("{\"id\":1}", &other), prepared("{\"id\":2}", &other));
}

#[tokio::test(start_paused = true)]
async fn what_is_computed_from_a_secret_is_masked_wherever_it_travels() {
    let secrets = vec![
        ("key".to_owned(), Ok(Secret::new("Sekret-Canary-1234567890"))),
        ("flag".to_owned(), Ok(Secret::new("set"))),
    ];
    let cut = "{{substring connection.secrets.key 7 19}}";
    let listed = "= [connection.secrets.key | upper, connection.secrets.key | lower]";
    let flag = field("X-Set", "{{#if connection.secrets.flag}}true{{/if}}");
    for (place, cut) in [("constant", cut.to_owned()), ("of the record", format!("{cut}{{{{record.id}}}}"))] {
        for of_step in [false, true] {
            let headers = vec![field("X-Cut", &cut), flag.clone(), field("X-List", listed)];
            let query = vec![field("cut", &cut)];
            let (own, settings) = if of_step {
                ((headers, query), ClientSettings { secrets: secrets.clone(), ..settings(BASE) })
            } else {
                let settings = ClientSettings { secrets: secrets.clone(), headers, query, ..settings(BASE) };
                ((Vec::new(), Vec::new()), settings)
            };
            let echo = "who is Canary-12345? it is true: SEKRET-CANARY-1234567890";
            let request = spec(Method::Get, own.0, own.1, None);
            let (bench, sent) = send(settings, &request, "{\"id\":7}", [answer(400, echo)]).await;
            let left = header(&bench, 0, "x-cut").unwrap();
            assert!(left.starts_with("Canary-12345"), "{left}");
            let failure = sent.unwrap_err();
            assert_eq!(failure.message, "who is [secret]? it is true: [secret]", "{place}, of the step: {of_step}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_path_and_custom_authentication_hide_what_they_compute() {
    let hashed = "{{base64Encode (join ':' 'svc' connection.secrets.key)}}";
    let auth = Auth::Custom(Box::new(Custom {
        headers: vec![field("X-Auth", &format!("Basic {hashed}"))],
        query: Vec::new(),
        body: vec![("up".to_owned(), Tree::leaf_at("{{uppercase connection.secrets.key}}", Place::Plain).unwrap())],
        refresh: None,
    }));
    let settings = ClientSettings { auth, ..shop() };
    let bench = Bench::new(settings, [answer(400, "c3ZjOmszeS1DYW5hcnk= K3Y-CANARY YRANAC-Y3K 796b")]);
    let reversed = RequestSpec {
        uri: UriTemplate::compile("/of/{{reverse (uppercase connection.secrets.key)}}").unwrap(),
        ..spec(Method::Get, Vec::new(), Vec::new(), None)
    };
    let prepared = reversed.prepare(&bench.client.context(Context::new()), &bench.client).unwrap();
    assert_eq!(bench.client.outward(&prepared).url, "https://www.celigo-test.com/of/[secret]");
    let failure = bench.client.exchange(bench.permit().await, &prepared, None, false).await.err().unwrap();
    assert_eq!(failure.message, "[secret] [secret] [secret] 796b");
}
