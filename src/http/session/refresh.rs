//! The request of `refresh`: with the refresh token that is kept, or with an assertion signed here (RFC 7523).

use super::answer::Granted;
use super::renew::{Failed, unusable};
use crate::http::auth::{Moment, Refresh};
use crate::http::client::Client;
use crate::value::context::{Root, Slot};
use crate::value::secret::Secret;

/// What trading an assertion is called on the wire.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

impl Client {
    /// Asks for a newer token. Where no body is written, the RFCs' own is sent.
    pub(super) async fn ask_again(&self, refresh: &Refresh, sent: &mut bool) -> Result<Granted, Failed> {
        let tokens = self.session.lock().tokens.clone();
        let base = &self.settings.base_uri;
        let wire = self.with_auth(&tokens, |ctx| {
            let moment = Moment { utc: self.clock.utc(), rng: self.rng.as_ref() };
            let assertion = self.settings.auth.assertion(ctx, &moment)?;
            let pairs = match (&assertion, tokens.refresh_token.get()) {
                (Some(assertion), _) => Some([("grant_type", JWT_BEARER), ("assertion", assertion)]),
                (None, Some(token)) => Some([("grant_type", "refresh_token"), ("refresh_token", token.reveal())]),
                (None, None) => None,
            };
            let owned = |pairs: [(&str, &str); 2]| pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let usual = pairs.map(|pairs| refresh.errand.media.pairs(&owned(pairs)));
            let slots = assertion.as_deref().map(|text| self.auth_slots(&tokens, text));
            self.session.hide(assertion.as_deref().map(Secret::new));
            match &slots {
                Some(slots) => refresh.errand.render(&ctx.with(Root::Auth, Slot::Map(slots)), base, usual),
                None => refresh.errand.render(ctx, base, usual),
            }
        });
        let wire = wire.map_err(|error| unusable(&error))?;
        let answered = self.errand(wire, refresh.errand.timeout, sent).await?;
        self.read(&answered, &refresh.errand, &refresh.answer)
    }
}
