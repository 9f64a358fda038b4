//! A login whose answer sets cookies: what `renew` does for `[auth.cookie]`.

use super::answer::Denied;
use super::renew::{Failed, unusable};
use super::{Bearing, HeldTokens};
use crate::http::auth::{Credential, Jar, Login};
use crate::http::client::Client;
use crate::http::retry::is_transient;
use crate::http::retry_after;
use crate::http::verdict::{self, Received, Verdict};
use crate::observe::event;
use std::sync::Arc;

impl Client {
    pub(super) async fn log_in(&self, login: &Login, sent: &mut bool) -> Result<(), Failed> {
        let base = &self.settings.base_uri;
        let tokens = HeldTokens::default();
        let wire = self.with_auth(&tokens, |ctx| login.errand.render(ctx, base, None));
        let wire = wire.map_err(|error| unusable(&error))?;
        let url = wire.url.clone();
        let answered = self.errand(wire, login.errand.timeout, sent).await?;
        let status = answered.status;
        let jar = Jar::default();
        jar.take_in(&answered.headers, &url, self.clock.utc());
        self.session.hide(jar.secrets());
        let asked = retry_after::asked(&answered.headers, &self.settings.rate_limit, self.clock.utc());
        let failed = |message: String, refused| Failed { denied: Denied { message, refused, login: false }, asked };
        // Its `on` goes before everything; `response` has its say below.
        let ruled = !login.errand.on.is_empty() && self.told(&login.errand, &answered)?;
        if !ruled && (is_transient(status) || status == 429) {
            return Err(failed(format!("{status}"), false));
        }
        let redirect = answered.redirect();
        let mut received = Received::new(status, answered.headers, answered.body);
        if !ruled && (!login.accepts(status) || !self.is_good_login(login, &mut received)) {
            let told = redirect.map_or_else(
                || {
                    format!(
                        "{status}: {}",
                        verdict::complaint(&mut received, &login.errand.response, &self.lens_of(login.errand.types))
                    )
                },
                |denied| denied.message,
            );
            return Err(failed(told, true));
        }
        if jar.is_empty() {
            return Err(failed(format!("{status}: the answer sets no cookie"), true));
        }
        let generation = self.session.generation() + 1;
        let secrets = jar.secrets();
        let bearing = Bearing::new(generation, Credential::Cookies(Arc::new(jar)), None);
        self.session.lock().adopt(bearing, HeldTokens::default(), secrets);
        event::credential_renewed(&self.meters, &self.id, generation, None);
        Ok(())
    }

    /// Whether the login's own rules agree.
    fn is_good_login(&self, login: &Login, received: &mut Received) -> bool {
        let verdict = self.errand_verdict(&login.errand, received);
        let ruled = login.errand.response.success.is_some();
        // Without a rule of its own the status has already said that it went well, be it a redirect.
        verdict == Verdict::Success || (!ruled && verdict == Verdict::BadStatus)
    }
}
