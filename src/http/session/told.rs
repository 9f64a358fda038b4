//! The rules of a request that fetches a credential: `response` and `on`, its own only.

use super::answer::{Answered, Denied};
use super::renew::Failed;
use crate::http::auth::Errand;
use crate::http::client::Client;
use crate::http::on::Act;
use crate::http::retry_after;
use crate::http::verdict::{self, AuthFailure, Law, RateLimit, Received, Verdict};
use crate::value::context::Context;

impl Client {
    /// What its rules say of an answer.
    pub(super) fn errand_verdict(&self, errand: &Errand, received: &mut Received) -> Verdict {
        let rate_limit = RateLimit { rule: None, retry_after_header: None, ..self.settings.rate_limit.clone() };
        let law = Law {
            on: [&errand.on, &[]],
            response: &errand.response,
            rate_limit: &rate_limit,
            auth_failure: &AuthFailure { rule: None, count_401: false },
            context: self.context(Context::new()),
            want_document: false,
            lens: self.lens_of(errand.types),
        };
        verdict::judge(received, &law)
    }

    /// Whether rules say that an answer is good, whatever its status; or why they say that it is not. Of an answer that
    /// may hold tokens nothing is repeated but what the rules ask for.
    pub(super) fn told(&self, errand: &Errand, answered: &Answered) -> Result<bool, Failed> {
        let mut received = Received::new(answered.status, answered.headers.clone(), answered.body.clone());
        let verdict = self.errand_verdict(errand, &mut received);
        let rule = if let Verdict::Ruled(at) = verdict { errand.on.get(at) } else { None };
        let good = matches!(answered.status, 200..=299);
        let refused = match (&verdict, rule) {
            (_, Some(rule)) if rule.act == Act::Success => return Ok(true),
            (_, Some(rule)) => !rule.act.repeats(),
            (Verdict::Refused, _) => true,
            (Verdict::BadStatus, _) if good && errand.response.success.is_some() => true,
            _ => return Ok(false),
        };
        let lens = self.lens_of(errand.types);
        let said = rule.and_then(|rule| verdict::says(&mut received, rule, &self.context(Context::new()), &lens));
        let said = said.or_else(|| verdict::error_text(&mut received, &errand.response, &lens));
        let said = said
            .unwrap_or_else(|| if good { "the answer says no".to_owned() } else { verdict::raw_excerpt(&received) });
        let now = self.clock.utc();
        let wait = rule.and_then(|rule| rule.wait(&answered.headers, now));
        let asked = wait.or_else(|| retry_after::asked(&answered.headers, &self.settings.rate_limit, now));
        let message = format!("{}: {said}", answered.status);
        Err(Failed { denied: Denied { message, refused, login: false }, asked })
    }
}
