//! Where spans are sent, by the variables OpenTelemetry names.

use super::{ENDPOINT, TRACES_ENDPOINT};
use crate::config::Env;
use crate::value::secret::Secret;
use std::time::Duration;
use url::Url;

/// Longest time an answer may take, where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most pairs in one variable.
const MOST_PAIRS: usize = 64;

/// What was asked for.
pub struct Settings {
    /// Where to, without credentials.
    pub endpoint: Url,
    /// Sent along.
    pub headers: Vec<(String, Secret)>,
    /// For one request.
    pub timeout: Duration,
    /// Who we say we are.
    pub resource: Vec<(String, String)>,
}

impl Settings {
    /// Reads them; the problem names the variable and never its value, which may be a secret.
    pub fn read(env: &dyn Env) -> Result<Self, String> {
        let var = |name: &str| env.var(name).filter(|value| !value.trim().is_empty());
        let of_traces = |name: &'static str, other: &'static str| {
            var(name).map(|value| (name, value)).or_else(|| var(other).map(|value| (other, value)))
        };
        let protocol = of_traces("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL");
        if let Some((name, _)) = protocol.filter(|(_, value)| value.trim() != "http/json") {
            return Err(format!("{name}: only `http/json` is spoken here, to the same port as `http/protobuf` (4318)"));
        }
        let headers = of_traces("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS");
        let headers = headers.map(|(name, value)| pairs(name, &value)).transpose()?.unwrap_or_default();
        let timeout = of_traces("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT");
        let timeout = timeout.map(|(name, value)| {
            let millis = value.trim().parse().map_err(|_| format!("{name} is no number of milliseconds"))?;
            Ok::<_, String>(Duration::from_millis(millis).clamp(Duration::from_millis(100), Duration::from_mins(2)))
        });
        let mut resource =
            vec![("service.name".to_owned(), var("OTEL_SERVICE_NAME").unwrap_or_else(|| "flowgate".to_owned()))];
        resource.push(("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
        let more = var("OTEL_RESOURCE_ATTRIBUTES").map(|value| pairs("OTEL_RESOURCE_ATTRIBUTES", &value));
        for (key, value) in more.transpose()?.unwrap_or_default() {
            if key == "service.name" && var("OTEL_SERVICE_NAME").is_some() {
                continue;
            }
            resource.retain(|(known, _)| *known != key);
            resource.push((key, value));
        }
        Ok(Self {
            endpoint: endpoint(var(TRACES_ENDPOINT), var(ENDPOINT))?,
            headers: headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
            timeout: timeout.transpose()?.unwrap_or(TIMEOUT),
            resource,
        })
    }
}

/// That of traces as it stands; below the other one, traces have a path of their own.
fn endpoint(of_traces: Option<String>, of_all: Option<String>) -> Result<Url, String> {
    let (name, text, below) = match (of_traces, of_all) {
        (Some(text), _) => (TRACES_ENDPOINT, text, None),
        (None, text) => (ENDPOINT, text.unwrap_or_default(), Some("v1/traces")),
    };
    let url = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let mut url = url.ok_or_else(|| format!("{name} is no URL like `http://collector:4318`"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{name}: credentials belong into OTEL_EXPORTER_OTLP_HEADERS"));
    }
    if let Some(below) = below {
        let path = format!("{}/{below}", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    Ok(url)
}

/// `key=value,key=value`, values percent-encoded.
fn pairs(name: &str, text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let wrong = || format!("{name} is no list like `key=value,key=value`");
        let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
        let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8().map_err(|_| wrong())?;
        if key.trim().is_empty() || pairs.len() == MOST_PAIRS {
            return Err(wrong());
        }
        pairs.push((key.trim().to_owned(), value.into_owned()));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Vars(Vec<(&'static str, &'static str)>);

    impl Env for Vars {
        fn var(&self, name: &str) -> Option<String> {
            self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        }
    }

    fn read(vars: &[(&'static str, &'static str)]) -> Result<Settings, String> {
        Settings::read(&Vars(vars.to_vec()))
    }

    #[test]
    fn the_usual_variables_say_where_and_who() {
        let settings = read(&[
            (ENDPOINT, "http://collector:4318/base/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%2Cb, authorization=Bearer%20t"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            ("OTEL_SERVICE_NAME", "sync"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,deployment.environment=test"),
        ])
        .unwrap();
        assert_eq!(settings.endpoint.as_str(), "http://collector:4318/base/v1/traces");
        let headers: Vec<_> = settings.headers.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect();
        assert_eq!(headers, [("x-key", "a,b"), ("authorization", "Bearer t")]);
        assert_eq!(settings.timeout, Duration::from_millis(2500));
        let resource = |key: &str| settings.resource.iter().find(|(known, _)| known == key).unwrap().1.clone();
        assert_eq!((resource("service.name").as_str(), resource("deployment.environment").as_str()), ("sync", "test"));
        let own = read(&[(TRACES_ENDPOINT, "https://t.example/in"), (ENDPOINT, "http://c:4318")]).unwrap();
        assert_eq!(own.endpoint.as_str(), "https://t.example/in");
    }

    #[test]
    fn what_cannot_be_is_named_without_its_value() {
        for (name, value) in [
            (ENDPOINT, "collector:4318"),
            (ENDPOINT, "ftp://hidden"),
            (ENDPOINT, "http://user:hidden@collector:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "hidden"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=%ff"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "hidden"),
        ] {
            let problem = read(&[(name, value), (ENDPOINT, "http://c:4318")]).err().unwrap();
            assert!(problem.contains(name) && !problem.contains("hidden"), "{problem}");
        }
    }
}
