//! One client per connection: its base, headers, credentials, rules and transport. What is the same for every
//! request is rendered once, here.

// size: settings, what is rendered of them once, and the client over both stand together: a key shows where it goes

use super::auth::{Auth, First, Renewal};
use super::budget::Budget;
use super::excerpt;
use super::media::{Lens, MediaSettings, MediaTypes};
use super::on::OnRules;
use super::pauses::Pauses;
use super::query;
use super::redirect::place;
use super::request::{Field, Method, Prepared, RequestSpec};
use super::retry::Retry;
use super::session::{Bearing, Session};
use super::tokens::{TokenRecord, TokenStoreError, Tokens};
use super::transport::{ReqwestTransport, Transport, Wiring};
use super::verdict::{AuthFailure, RateLimit, ResponseRules};
use crate::agent::Route;
use crate::observe::meters::ConnectionMeters;
use crate::value::context::{Context, Root, Slot};
use crate::value::id::ConnectionId;
use crate::value::issue::EvalError;
use crate::value::json::{Json, write_string};
use crate::value::secret::{Redactor, Secret};
use crate::value::time::{SharedClock, SharedRng};
use crate::value::uri::{OriginPattern, credentials_may_go, same_origin};
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

pub use super::session::{OfflineView, grant_of};
pub use super::transport::{Exempt, Proxy, ProxyServer, Tls};

/// Everything about a connection that shapes its requests.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// `base_uri`, rendered.
    pub base_uri: Url,
    /// `headers`
    pub headers: Vec<Field>,
    /// `query`
    pub query: Vec<Field>,
    /// `timeout`
    pub timeout: Duration,
    /// `connect_timeout`
    pub connect_timeout: Duration,
    /// `max_response`, decoded bytes.
    pub max_response: u64,
    /// `redirects = "same-origin"`
    pub follow_redirects: bool,
    /// `allowed_origins`
    pub allowed_origins: Vec<OriginPattern>,
    /// `proxy`
    pub proxy: Proxy,
    /// `[tls]`
    pub tls: Tls,
    /// `[auth]`
    pub auth: Auth,
    /// `[response]`
    pub response: ResponseRules,
    /// `[rate_limit]`
    pub rate_limit: RateLimit,
    /// `[auth_failure]`
    pub auth_failure: AuthFailure,
    /// Media types and how they are written.
    pub media: MediaSettings,
    /// `[retry]`
    pub retry: Retry,
    /// `[[on]]`, tried after a request's own.
    pub on: OnRules,
    /// `[ping]`
    pub ping: Option<RequestSpec>,
    /// Highest level of the pool, for idle connections kept.
    pub level: u32,
    /// `connection.vars` as one JSON object.
    pub vars: Json,
    /// Other sources without a value (key path and reason): nothing is sent while there are any.
    pub unresolved: Vec<String>,
    /// `connection.secrets`, by name; an unresolved one carries the reason.
    pub secrets: Vec<(String, Result<Secret, String>)>,
}

impl ClientSettings {
    /// Whether a rule about answers reads this root.
    fn rules_read(&self, root: Root) -> bool {
        let own = [&self.rate_limit.rule, &self.auth_failure.rule];
        self.on.iter().any(|rule| rule.reads(root))
            || self.response.reads(root)
            || own.into_iter().flatten().any(|rule| rule.reads(root))
    }
}

/// `flow` where there is none.
const NO_FLOW: &[(&str, Slot<'static>)] = &[("id", Slot::Text(""))];

/// A connection ready to send. Shared by all flows of a snapshot.
pub struct Client {
    pub(super) id: ConnectionId,
    pub(super) settings: Arc<ClientSettings>,
    /// What `connection` means in templates: `{"vars": …, "secrets": …}`.
    root: Json,
    /// Headers that are the same for every request.
    fixed_headers: HeaderMap,
    /// Query parameters that are the same for every request and no secret.
    fixed_query: Vec<(String, String)>,
    /// Query parameters made of secrets: they join a URL as it leaves.
    pub(super) secret_query: Vec<(String, String)>,
    pub(super) session: Arc<Session>,
    pub(super) tokens: Arc<Tokens>,
    /// Connections that have one renewed credential with it: it is kept under the name of each.
    pub(super) sharing: Vec<ConnectionId>,
    pub(super) former: Vec<ConnectionId>,
    /// Whether the request that renews the credential goes to the connection's own origin, and so needs a permit.
    pub(super) renews_at_home: bool,
    /// Whether rules about its answers ask for which flow they are.
    judges_by_flow: bool,
    /// Why nothing can be sent: secrets without a value.
    offline: Option<String>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) budget: Budget,
    pub(super) pauses: Pauses,
    pub(super) meters: Arc<ConnectionMeters>,
    pub(super) clock: SharedClock,
    pub(super) rng: SharedRng,
}

/// What a client shares with all others.
#[derive(Clone)]
pub struct Means {
    /// Time.
    pub clock: SharedClock,
    /// Chance.
    pub rng: SharedRng,
    /// Renewed credentials.
    pub tokens: Arc<Tokens>,
    /// Other connections that have one renewed credential with it.
    pub sharing: Vec<ConnectionId>,
    /// Former names of the connection, under which something may be kept.
    pub former: Vec<ConnectionId>,
    /// The agent that carries its requests, where they do not leave from here.
    pub route: Option<Route>,
}

impl Client {
    /// Builds the client; a header, query or credential that cannot be rendered takes it offline, with a reason that
    /// names the key. Nothing is opened before the first request.
    pub fn new(
        id: &ConnectionId,
        settings: Arc<ClientSettings>,
        meters: Arc<ConnectionMeters>,
        means: Means,
    ) -> Result<Self, String> {
        let transport = ReqwestTransport::new(Wiring::of(&settings)).through(means.route.clone());
        Self::with_transport(id, settings, meters, means, Arc::new(transport))
    }

    /// As `new`, over another wire.
    pub fn with_transport(
        id: &ConnectionId,
        settings: Arc<ClientSettings>,
        meters: Arc<ConnectionMeters>,
        means: Means,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, String> {
        let root = root(&settings);
        let mut offline = unresolved(&settings);
        let ctx = Context::new().with(Root::Connection, Slot::Json(root.as_ref()));
        let mut secrets: Vec<Secret> = settings.secrets.iter().filter_map(|(_, s)| s.clone().ok()).collect();
        let mut begun = Begun::default();
        let mut fixed = Fixed::default();
        if offline.is_none() {
            // One bad value stops its own connection and no other.
            let rendered = Begun::render(&settings, &ctx, &mut secrets).and_then(|rendered| {
                begun = rendered;
                Fixed::render(&settings, &ctx, &mut secrets)
            });
            match rendered {
                Ok(rendered) => fixed = rendered,
                Err(error) => offline = Some(error.to_string()),
            }
        }
        let Begun { first, bearing, at_home } = begun;
        let fingerprint = first.fingerprint(settings.auth.method());
        let session = Session::new(settings.auth.renewal().is_some(), first, fingerprint, bearing, secrets);
        let offline = offline.map(|reason| excerpt::fit(&session.redactor().redact(&reason)));
        let Means { clock, rng, tokens, sharing, former, route: _ } = means;
        Ok(Self {
            id: id.clone(),
            root,
            fixed_headers: fixed.headers,
            fixed_query: fixed.query,
            secret_query: fixed.secret_query,
            session: Arc::new(session),
            tokens,
            sharing,
            former,
            renews_at_home: at_home,
            judges_by_flow: settings.rules_read(Root::Flow),
            offline,
            transport,
            budget: Budget::default(),
            pauses: Pauses::default(),
            meters,
            clock,
            rng,
            settings,
        })
    }

    /// Which connection.
    pub fn id(&self) -> &ConnectionId {
        &self.id
    }

    /// Its settings.
    pub fn settings(&self) -> &Arc<ClientSettings> {
        &self.settings
    }

    /// Offers this connection's `connection.vars` and `connection.secrets` to templates. What is asked on behalf of no
    /// flow (a ping, a notice) has a `flow.id` that is empty.
    pub fn context<'a>(&'a self, ctx: Context<'a>) -> Context<'a> {
        let flow = match ctx.get(Root::Flow) {
            Slot::None => Slot::Map(NO_FLOW),
            flow => flow,
        };
        ctx.with(Root::Connection, Slot::Json(self.root.as_ref())).with(Root::Flow, flow)
    }

    /// Whether rules about its answers ask for which flow they are.
    pub(super) fn judges_by_flow(&self) -> bool {
        self.judges_by_flow
    }

    /// Why this connection cannot send anything: each secret without a value, with the reason.
    pub fn offline(&self) -> Option<&str> {
        self.offline.as_deref()
    }

    /// Why requests of this connection wait, if they do.
    pub fn waits(&self) -> Option<OfflineView> {
        self.session.offline(self.clock.mono()).or_else(|| self.waits_for_agent())
    }

    /// Shows how many retries may go out at once.
    pub fn show_budget(&self) {
        self.meters.retry_budget(self.budget.left(self.clock.mono()));
    }

    /// The renewable credential in use: its generation, and until when it is not renewed. None before it is fetched, and
    /// where nothing is renewed.
    pub fn credential(&self) -> Option<(u64, Option<Duration>)> {
        self.settings.auth.renewal().and_then(|_| self.session.held(self.clock.mono()))
    }

    /// Other connections that have one renewed credential with it.
    pub fn sharing(&self) -> &[ConnectionId] {
        &self.sharing
    }

    /// Keeps a renewed credential for all that have it.
    pub async fn keep(&self, record: &TokenRecord) -> Result<(), TokenStoreError> {
        for name in std::iter::once(&self.id).chain(&self.sharing) {
            self.tokens.store.save(name, record.clone()).await?;
        }
        Ok(())
    }

    /// The connection's file has changed and another client is in its place: requests that wait for these credentials
    /// wait in vain.
    pub fn retire(&self) {
        self.session.retire();
    }

    /// A text of any origin made fit to be shown: secrets masked, then cut, control characters escaped.
    pub fn clean(&self, text: &str) -> String {
        excerpt::fit(&self.session.redactor().redact(text))
    }

    /// As `clean`, with further secrets: they are looked for together, so that one that is a part of another leaves
    /// nothing of it.
    pub(super) fn clean_of(&self, made: &[Secret], text: &str) -> String {
        excerpt::fit(&self.redactor_with(made).redact(text))
    }

    /// What masks this connection's secrets, and these.
    pub(super) fn redactor_with(&self, made: &[Secret]) -> Redactor {
        self.session.redactor().with(&Redactor::new(made.iter().map(Secret::reveal)))
    }

    /// A text with its secrets masked and nothing else changed.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.session.redactor().redact(text)
    }

    /// `POST https://host/path`: never the query, never a secret.
    pub fn describe(&self, method: Method, url: &Url) -> String {
        self.clean(&format!("{} {}", method.name(), place(url)))
    }

    /// Whether credentials may travel to a URL: on the base's origin, or where the configuration says so.
    pub(super) fn may_have_credentials(&self, url: &Url) -> bool {
        credentials_may_go(url, &self.settings.base_uri, &self.settings.allowed_origins)
    }

    /// How the answer to a request reads.
    pub(super) fn lens<'a>(&'a self, request: &'a Prepared) -> Lens<'a> {
        Lens { decode: request.decode.as_deref(), ..self.lens_of(request.types) }
    }

    /// How answers read of which this is said.
    pub(super) fn lens_of(&self, types: MediaTypes) -> Lens<'_> {
        Lens { types, decode: None, settings: &self.settings.media, max: self.settings.max_response }
    }

    /// Whether the configuration says what is accepted.
    pub(super) fn accepts(&self) -> bool {
        self.settings.headers.iter().any(|field| field.name.eq_ignore_ascii_case("accept"))
    }

    /// The connection's headers for one request.
    pub(super) fn headers(&self, ctx: &Context<'_>) -> Result<HeaderMap, EvalError> {
        let mut headers = self.fixed_headers.clone();
        for field in self.settings.headers.iter().filter(|field| !field.is_fixed() && !field.signs()) {
            field.write_header(ctx, &mut headers)?;
        }
        Ok(headers)
    }

    /// Adds the connection's query parameters that neither the URL nor the step gives itself. They are made for the
    /// connection's own API: a link to another origin (signed, perhaps) is left alone.
    pub(super) fn add_query(
        &self,
        url: &mut Url,
        secret: &mut Vec<(String, String)>,
        step: &[Field],
        ctx: &Context<'_>,
    ) -> Result<(), EvalError> {
        if self.settings.query.is_empty() || !self.may_have_credentials(url) {
            return Ok(());
        }
        let given: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
        let free = |name: &str| !given.iter().any(|g| g == name) && !step.iter().any(|field| field.name == name);
        query::extend(url, self.fixed_query.iter().map(|(n, v)| (n.as_str(), v.as_str())).filter(|(n, _)| free(n)));
        for field in self.settings.query.iter().filter(|field| !field.is_fixed() && !field.signs() && free(&field.name))
        {
            field.write_query(ctx, url, secret)?;
        }
        Ok(())
    }
}

/// What the credential begins with.
#[derive(Default)]
struct Begun {
    first: First,
    /// None where it has to be fetched first.
    bearing: Option<Arc<Bearing>>,
    at_home: bool,
}

impl Begun {
    fn render(settings: &ClientSettings, ctx: &Context<'_>, secrets: &mut Vec<Secret>) -> Result<Self, EvalError> {
        let first = settings.auth.first(ctx)?;
        let Some(renewal) = settings.auth.renewal() else {
            let proof = settings.auth.prove(ctx)?;
            secrets.extend(proof.secrets);
            return Ok(Self { first, bearing: Some(Bearing::new(1, proof.credential, None)), at_home: false });
        };
        let errand = match renewal {
            Renewal::Refresh(refresh) => &refresh.errand,
            Renewal::OAuth2(oauth2) => &oauth2.errand,
            Renewal::Login(login) => &login.errand,
        };
        // Data cannot move it to another origin, so any tokens will do to see where it goes.
        let auth = ["token", "refresh_token", "client_id", "assertion"].map(|name| (name, Slot::Text("")));
        let url = errand.uri.render_configured(&ctx.with(Root::Auth, Slot::Map(&auth)), &settings.base_uri)?;
        Ok(Self { first, bearing: None, at_home: same_origin(&url, &settings.base_uri) })
    }
}

/// What is rendered once per client.
#[derive(Default)]
struct Fixed {
    headers: HeaderMap,
    query: Vec<(String, String)>,
    secret_query: Vec<(String, String)>,
}

impl Fixed {
    fn render(settings: &ClientSettings, ctx: &Context<'_>, secrets: &mut Vec<Secret>) -> Result<Self, EvalError> {
        let mut fixed = Self::default();
        for field in settings.headers.iter().chain(&settings.query).filter(|field| field.is_fixed()) {
            secrets.extend(field.derived(ctx));
        }
        fixed.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        for field in settings.headers.iter().filter(|field| field.is_fixed()) {
            field.write_header(ctx, &mut fixed.headers)?;
        }
        for field in settings.query.iter().filter(|field| field.is_fixed()) {
            let values = field.texts(ctx).map_err(|error| error.at(&format!("query `{}`", field.name)))?;
            let to = if field.is_secret() { &mut fixed.secret_query } else { &mut fixed.query };
            to.extend(values.into_iter().map(|value| (field.name.clone(), value)));
        }
        Ok(fixed)
    }
}

/// Unresolved secrets are empty here, so that requests can be rendered; none of them is ever sent.
pub(super) fn root(settings: &ClientSettings) -> Json {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(b"{\"vars\":");
    out.extend_from_slice(settings.vars.text().as_bytes());
    out.extend_from_slice(b",\"secrets\":{");
    for (n, (name, secret)) in settings.secrets.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        write_string(&mut out, name);
        out.push(b':');
        write_string(&mut out, secret.as_ref().map_or("", Secret::reveal));
    }
    out.extend_from_slice(b"}}");
    Json::trusted(out)
}

pub(super) fn unresolved(settings: &ClientSettings) -> Option<String> {
    let reasons: Vec<String> = settings
        .secrets
        .iter()
        .filter_map(|(name, secret)| Some(format!("secret `{name}` has no value: {}", secret.as_ref().err()?)))
        .chain(settings.unresolved.iter().map(|reason| format!("`{reason}`")))
        .collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}
