//! Which connections have one credential: those that would ask for it in the very same way. Of such a credential one
//! client renews at a time, and all others take what it got: many servers revoke a grant that is used twice.

use crate::http::auth::{Asking, Grant, OAuth2, Renewal};
use crate::http::client::{ClientSettings, root, unresolved};
use crate::http::transport::WireRequest;
use crate::value::context::{Context, Root, Slot};
use crate::value::issue::EvalError;
use crate::value::secret::Secret;
use sha2::{Digest, Sha256};

/// Tells one credential from another: how it is asked for, and with what. None where nothing is renewed, where nothing
/// can be asked yet, and where the credential is a session of the connection's own.
pub fn grant_of(settings: &ClientSettings) -> Option<[u8; 32]> {
    let renewal = settings.auth.renewal()?;
    if unresolved(settings).is_some() {
        return None;
    }
    let root = root(settings);
    let ctx = Context::new().with(Root::Connection, Slot::Json(root.as_ref()));
    let first = settings.auth.first(&ctx).ok()?;
    // What differs from one renewal to the next is left out.
    let auth = [("token", ""), ("refresh_token", ""), ("client_id", &*first.client_id), ("assertion", "")];
    let auth = auth.map(|(name, text)| (name, Slot::Text(text)));
    let ctx = ctx.with(Root::Auth, Slot::Map(&auth));
    let base = &settings.base_uri;
    let wire = match renewal {
        Renewal::OAuth2(oauth2) => asking(oauth2, &ctx, settings),
        Renewal::Refresh(refresh) => refresh.errand.render(&ctx, base, None),
        Renewal::Login(_) => return None,
    };
    let WireRequest { method, url, headers, body } = wire.ok()?;
    let mut digest = Sha256::new();
    let mut part = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    part(first.fingerprint(settings.auth.method()).as_bytes());
    part(method.name().as_bytes());
    part(url.as_str().as_bytes());
    for (name, value) in &headers {
        part(name.as_str().as_bytes());
        part(value.as_bytes());
    }
    part(b"body");
    part(body.as_deref().unwrap_or_default());
    Some(digest.finalize().into())
}

fn asking(oauth2: &OAuth2, ctx: &Context<'_>, settings: &ClientSettings) -> Result<WireRequest, EvalError> {
    match oauth2.grant {
        Grant::ClientCredentials | Grant::Password => oauth2.request(ctx, &settings.base_uri, Asking::Own),
        Grant::RefreshToken | Grant::AuthorizationCode => {
            oauth2.request(ctx, &settings.base_uri, Asking::With(&Secret::new("")))
        }
    }
}
