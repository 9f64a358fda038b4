//! A SOAP 1.1 service beside the other APIs: lists customers by page and takes them one by one. It wants the action
//! named in a header and, where the playground wants credentials, a WS-Security UsernameToken in the envelope.

use super::record::Customer;
use super::settings::{Auth, Settings};
use crate::value::json::{Json, JsonRef};
use crate::value::xml::Xml;
use crate::value::xml::record::{ArrayPaths, record};
use crate::value::xml::write::{Style, write};
use crate::value::xml::xpath::{Found, XPath};
use serde_json::{Value, json};

const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const SECURITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
/// The service's own namespace; an action is `<it>#<operation>`.
const SERVICE: &str = "urn:playground";
/// The most customers one answer carries.
const LARGEST_PAGE: u64 = 1_000;

/// What an envelope asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Asked {
    /// `ListCustomers`
    List { page: u64, size: u64 },
    /// `PutCustomer`: the customer as the destination reads it.
    Put(Vec<u8>),
}

/// An envelope that was understood.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) asked: Asked,
    /// User name and password of its UsernameToken, as a header would carry them.
    pub(super) auth: Option<Auth>,
}

/// Reads a request; the error is what is wrong with it.
pub(super) fn read(action: Option<&str>, body: &[u8]) -> Result<Envelope, String> {
    let xml = Xml::parse(body, None).map_err(|error| error.to_string())?;
    let text = |path: &str| found(&xml, path).and_then(|json| Some(json.as_ref().as_str()?.into_owned()));
    let token = |name: &str| text(&format!("/s:Envelope/s:Header/w:Security/w:UsernameToken/w:{name}"));
    let password = found(&xml, "/s:Envelope/s:Header/w:Security/w:UsernameToken/w:Password");
    let password = password.and_then(|json| {
        let json = json.as_ref();
        let text = json.get("#text").unwrap_or(json);
        Some(text.as_str()?.into_owned())
    });
    let auth = token("Username").zip(password).map(|(user, password)| Auth::basic(&user, &password));
    let operation = text("local-name(/s:Envelope/s:Body/*)").unwrap_or_default();
    if action != Some(&format!("\"{SERVICE}#{operation}\"")) {
        return Err(format!("the SOAPAction does not name the operation `{operation}`"));
    }
    let number =
        |name: &str| text(&format!("string(/s:Envelope/s:Body/*/p:{name})")).and_then(|text| text.parse().ok());
    let asked = match operation.as_str() {
        "ListCustomers" => {
            let (Some(page), Some(size)) = (number("Page"), number("Size")) else {
                return Err("ListCustomers needs Page and Size".to_owned());
            };
            Asked::List { page, size: std::cmp::Ord::clamp(size, 1, LARGEST_PAGE) }
        }
        "PutCustomer" => {
            let customer = found(&xml, "/s:Envelope/s:Body/p:PutCustomer/p:Customer");
            Asked::Put(typed(customer.ok_or("PutCustomer needs a Customer")?.as_ref()))
        }
        _ => return Err("there are ListCustomers and PutCustomer".to_owned()),
    };
    Ok(Envelope { asked, auth })
}

/// The first node of a path as JSON, or a text.
fn found(xml: &Xml, path: &str) -> Option<Json> {
    let namespaces = [("s", ENVELOPE), ("w", SECURITY), ("p", SERVICE)];
    let namespaces = namespaces.map(|(prefix, uri)| (prefix.to_owned(), uri.to_owned()));
    match XPath::compile(path, &namespaces).ok()?.select(xml).ok()? {
        Found::Nodes(nodes) => record(xml, *nodes.first()?, &ArrayPaths::default()).ok(),
        Found::Value(crate::value::xml::xpath::Value::Text(text)) => Some(Json::from_value(&Value::String(text))),
        Found::Value(_) | Found::Missing => None,
    }
}

/// XML has text only; the schema says what is more.
fn typed(customer: JsonRef<'_>) -> Vec<u8> {
    let mut fields = serde_json::Map::new();
    for (name, value) in customer.members() {
        let text = value.compare_text();
        let value = match &*name {
            "ext_id" => text.parse::<u64>().map_or(Value::Null, Value::from),
            "newsletter" => text.parse::<bool>().map_or(Value::Null, Value::from),
            _ => Value::from(text.into_owned()),
        };
        fields.insert(name.into_owned(), value);
    }
    Value::Object(fields).to_string().into_bytes()
}

/// The answer to `ListCustomers`, and whom it names.
pub(super) fn list(settings: &Settings, page: u64, size: u64) -> (Vec<u8>, Vec<u64>) {
    let from = page.saturating_sub(1).saturating_mul(size).min(settings.customers);
    let ids: Vec<u64> = (from + 1..=from.saturating_add(size).min(settings.customers)).collect();
    let customers = ids.iter().filter_map(|id| {
        let mut out = Vec::new();
        Customer::of(*id).write(&mut out);
        serde_json::from_slice::<Value>(&out).ok()
    });
    let customers: Vec<Value> = customers.collect();
    (answer("ListCustomers", &json!({"Customer": customers})), ids)
}

/// The answer to `PutCustomer`.
pub(super) fn taken(body: &[u8]) -> Vec<u8> {
    let id = serde_json::from_slice::<Value>(body).map(|answer| answer["id"].clone()).unwrap_or_default();
    answer("PutCustomer", &id)
}

fn answer(operation: &str, result: &Value) -> Vec<u8> {
    let mut response = json!({"@xmlns": SERVICE});
    response[format!("{operation}Result")] = result.clone();
    envelope(&format!("{operation}Response"), &response)
}

/// A fault that says this.
pub(super) fn fault(why: &str) -> Vec<u8> {
    envelope("s:Fault", &json!({"faultcode": "s:Client", "faultstring": why}))
}

fn envelope(name: &str, content: &Value) -> Vec<u8> {
    let whole = Json::from_value(&json!({"s:Envelope": {"s:Body": {name: content}}}));
    let namespaces = [("s".to_owned(), ENVELOPE.to_owned())];
    let text = write(whole.as_ref(), &Style { namespaces: &namespaces, root: None });
    text.unwrap_or_default().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(operation: &str, inside: &str) -> String {
        format!(
            "<e:Envelope xmlns:e='{ENVELOPE}' xmlns:x='{SECURITY}'><e:Header><x:Security><x:UsernameToken>\
             <x:Username>flow</x:Username><x:Password Type='text'>p&amp;w</x:Password></x:UsernameToken></x:Security>\
             </e:Header><e:Body><{operation} xmlns='{SERVICE}'>{inside}</{operation}></e:Body></e:Envelope>"
        )
    }

    #[test]
    fn operations_and_credentials_are_read() {
        let body = asks("ListCustomers", "<Page>2</Page><Size>10</Size>");
        let read_it = |action: &str| read(Some(action), body.as_bytes());
        let envelope = read_it("\"urn:playground#ListCustomers\"").unwrap();
        assert_eq!(envelope.asked, Asked::List { page: 2, size: 10 });
        assert!(envelope.auth == Some(Auth::basic("flow", "p&w")));
        assert!(read_it("\"urn:playground#PutCustomer\"").unwrap_err().contains("SOAPAction"));
        let body = asks("PutCustomer", "<Customer><ext_id>7</ext_id><name>A &lt; B</name></Customer>");
        let envelope = read(Some("\"urn:playground#PutCustomer\""), body.as_bytes()).unwrap();
        assert_eq!(envelope.asked, Asked::Put(br#"{"ext_id":7,"name":"A < B"}"#.to_vec()));
        assert!(read(None, b"<a/>").is_err() && read(None, b"<a").is_err());
    }

    #[test]
    fn answers_are_envelopes() {
        let settings = Settings { customers: 3, ..Settings::default() };
        let (body, ids) = list(&settings, 2, 2);
        assert_eq!(ids, [3]);
        let xml = Xml::parse(&body, None).unwrap();
        let path = "string(/s:Envelope/s:Body/p:ListCustomersResponse/p:ListCustomersResult/p:Customer/p:id)";
        assert_eq!(found(&xml, path).unwrap().text(), "\"3\"");
        assert!(list(&settings, 3, 2).1.is_empty());
        let refusal = String::from_utf8(fault("no <such> thing")).unwrap();
        assert!(refusal.contains("<faultstring>no &lt;such&gt; thing</faultstring>"), "{refusal}");
        assert!(String::from_utf8(taken(b"{\"id\":\"E-1\"}")).unwrap().contains("<PutCustomerResult>E-1</"));
    }
}
