//! What a dry run shows of a request it does not send: one JSON object, with every secret masked.

use crate::http::client::Client;
use crate::http::outward::Outward;
use crate::http::request::Prepared;
use crate::runtime::scope::Scope;
use crate::value::json::{Json, write_string};

/// `{"method", "url", "headers", "body"}` as they would leave. A body that is no JSON once its secrets are masked is shown as text.
///
/// Records may hold what came from any of the flow's connections: the secrets of all are masked.
pub(in crate::runtime) fn shown(request: &Prepared, by: &Client, scope: &Scope) -> String {
    let lanes = scope.flow.connections().filter_map(|id| scope.lane(id));
    let clients: Vec<&Client> = lanes.map(|lane| lane.client.as_ref()).collect();
    let masked = |text: &str| clients.iter().fold(text.to_owned(), |text, client| client.redact(&text).into_owned());
    let Outward { url, headers, body } = by.outward(request);
    let mut line = b"{\"method\":".to_vec();
    write_string(&mut line, request.method.name());
    line.extend_from_slice(b",\"url\":");
    write_string(&mut line, &masked(&url));
    line.extend_from_slice(b",\"headers\":{");
    for (at, (name, value)) in headers.iter().enumerate() {
        if at > 0 {
            line.push(b',');
        }
        write_string(&mut line, name);
        line.push(b':');
        write_string(&mut line, &masked(value));
    }
    line.push(b'}');
    if let Some(body) = body {
        line.extend_from_slice(b",\"body\":");
        let masked = masked(&body);
        match Json::parse(masked.clone()) {
            Ok(json) => line.extend_from_slice(json.text().as_bytes()),
            Err(_) => write_string(&mut line, &masked),
        }
    }
    line.push(b'}');
    String::from_utf8_lossy(&line).into_owned()
}
