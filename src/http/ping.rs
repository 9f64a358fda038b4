//! One question to a connection: does it work? Sent through the queue like any request, with the connection's own
//! credential, which is fetched or renewed for it where need be.

use super::client::Client;
use super::exchange::{Course, Failure, FailureClass};
use super::request::{Prepared, RequestSpec};
use super::verdict::ResponseRules;
use crate::queue::Permit;
use crate::value::context::Context;
use crate::value::issue::EvalError;
use std::sync::Arc;
use std::time::Duration;

/// What came of it.
pub struct Pong {
    /// Method and URL.
    pub request: String,
    /// Status of the answer.
    pub status: Option<u16>,
    /// How long the answer took.
    pub took: Duration,
    /// Version of TLS, where there was one.
    pub tls: Option<&'static str>,
    /// Why it does not work.
    pub failure: Option<Failure>,
    /// What a reader should know beside it.
    pub note: Option<String>,
}

impl Client {
    /// Asks once.
    pub async fn ping(self: &Arc<Self>, permit: Permit) -> Pong {
        let usual = usual();
        let spec = self.settings.ping.as_ref().or(usual.as_ref());
        let prepared = spec.map(|spec| self.prepare_ping(spec)).transpose();
        let (Some(spec), Ok(Some(prepared))) = (spec, &prepared) else {
            let message = prepared.err().map_or_else(String::new, |error| self.clean(&error.to_string()));
            let failure = Failure { class: FailureClass::Rejected, message, ..Failure::cancelled() };
            return Pong {
                request: String::new(),
                status: None,
                took: Duration::ZERO,
                tls: None,
                failure: Some(failure),
                note: None,
            };
        };
        let rules = spec.response.clone().unwrap_or_default();
        let mut course = Course::new(self, prepared);
        course.once = true;
        let outcome = course.run(permit, &rules, false).await;
        let mut pong = Pong {
            request: self.describe(prepared.method, prepared.url()),
            status: outcome.as_ref().map_or_else(|failure| failure.status, |answer| Some(answer.status)),
            took: course.took,
            tls: self.transport.tls(),
            failure: outcome.err(),
            note: None,
        };
        // Nobody has said what a good answer is: that there is one, and that the credential was not refused, must do.
        if self.settings.ping.is_none()
            && let Some(status) = pong.status.filter(|status| (400..500).contains(status) && *status != 403)
            && pong.failure.as_ref().is_some_and(|failure| failure.class == FailureClass::Rejected)
        {
            pong.failure = None;
            pong.note = Some(format!("the base answers {status}; write `[ping]` to ask for something that is there"));
        }
        pong
    }
}

impl Client {
    /// What the connection says about the answers flows get is not said of a ping.
    pub(super) fn prepare_ping(&self, spec: &RequestSpec) -> Result<Prepared, EvalError> {
        let prepared = spec.prepare(&self.context(Context::new()), self)?;
        Ok(Prepared { alone: true, ..prepared })
    }
}

/// Without `[ping]` the base itself is asked.
fn usual() -> Option<RequestSpec> {
    Some(RequestSpec { response: Some(ResponseRules::default()), ..RequestSpec::of_base()? })
}
