//! `/api/…`: what `status` and the commands ask over the socket, asked over HTTP.
//!
//! `routes` is the table of everything there is, `guard` who may ask what, `openapi` the same table as a document,
//! `stream` live events. No route takes configuration: files are its only author.

mod guard;
mod openapi;
mod routes;
mod stream;

pub(super) use guard::{Key, key_of, refuse_foreign};

use super::hooks;
use super::{App, refuse};
use crate::runtime::webhook::Refusal;
use crate::store::socket::{Denial, Denied};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use routes::{Kind, ROUTES, Route};
use serde_json::Value;
use std::time::Duration;

/// Below this everything is the API's.
pub(super) const ROOT: &str = "/api/";
/// Largest body of a change.
const MOST_BODY: usize = 64 << 10;
/// Time for an answer: longer than a ping may stand in line.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) use stream::seats;

pub(super) fn router() -> Router<App> {
    let mut router = Router::new();
    for route in ROUTES {
        // The last part of a path takes slashes: `eu/orders` is one id.
        let path = route.path.replace('{', "{*");
        router = router.route(&path, method(route));
    }
    router
}

fn method(route: &'static Route) -> MethodRouter<App> {
    match route.kind {
        Kind::Document => get(|| async { json(StatusCode::OK, openapi::text().to_owned()) }),
        Kind::Events => get(stream::open),
        Kind::Read(..) => get(move |app, request| read(app, route, request)),
        Kind::Change(..) => post(move |app, request| change(app, route, request)),
    }
}

async fn read(State(app): State<App>, route: &'static Route, request: Request) -> Response {
    let Kind::Read(ask) = route.kind else { return refuse(StatusCode::NOT_FOUND, "not a read") };
    match route.named(request.uri()).and_then(|asked| ask(&asked)) {
        Ok(ask) => answer(&app, ask).await,
        Err(denied) => deny(&denied),
    }
}

async fn change(State(app): State<App>, route: &'static Route, request: Request) -> Response {
    let Kind::Change(ask) = route.kind else { return refuse(StatusCode::NOT_FOUND, "not a change") };
    let body = match hooks::read(request.into_body(), MOST_BODY, &app.clock).await {
        Ok(body) => body,
        Err(refusal) => return cut_off(&refusal),
    };
    match ask(&body) {
        Ok(ask) => answer(&app, ask).await,
        Err(denied) => deny(&denied),
    }
}

async fn answer(app: &App, ask: crate::store::socket::Ask) -> Response {
    let Some(answers) = app.source.answers() else {
        return deny(&Denied::unavailable("this process answers no questions"));
    };
    let answer = tokio::select! {
        answer = answers.answer(ask) => answer,
        () = app.clock.sleep_until(app.clock.mono().plus(PATIENCE)) => {
            Err(Denied::unavailable("it takes too long: look again later"))
        }
    };
    match answer {
        Ok(document) => json(StatusCode::OK, versioned(document).to_string()),
        Err(denied) => deny(&denied),
    }
}

/// The version of the documents first, where they do not say it.
fn versioned(document: Value) -> Value {
    if document.get("format").is_some() {
        return document;
    }
    let mut out = serde_json::Map::new();
    out.insert("format".to_owned(), crate::store::socket::FORMAT.into());
    match document {
        Value::Object(fields) => out.extend(fields),
        list => drop(out.insert("runs".to_owned(), list)),
    }
    Value::Object(out)
}

fn json(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

fn deny(denied: &Denied) -> Response {
    let status = match denied.kind {
        Denial::Invalid => StatusCode::BAD_REQUEST,
        Denial::Unknown => StatusCode::NOT_FOUND,
        Denial::Conflict => StatusCode::CONFLICT,
        Denial::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    refuse(status, &denied.text)
}

/// The rest of the body is nobody's: the connection ends here.
fn cut_off(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = refuse(status, "the body is too large, too slow, or was cut off");
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Whether a method changes nothing.
fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
