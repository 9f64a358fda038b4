//! Renewed credentials in the store: what `http` asks for, kept beside everything else that survives a restart.

use crate::http::tokens::{Kept, OfflineMark, TokenRecord, TokenStore, TokenStoreError};
use crate::http::transport::BoxFuture;
use crate::store::{Space, Store, StoreError, Write};
use crate::value::id::ConnectionId;
use crate::value::secret::Secret;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::sync::Arc;

/// Version of what is written.
const FORMAT: u64 = 1;

/// Tokens behind a store.
pub(super) struct StoredTokens(pub(super) Arc<dyn Store>);

impl From<StoreError> for TokenStoreError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

impl TokenStore for StoredTokens {
    fn load<'a>(&'a self, connection: &'a ConnectionId) -> BoxFuture<'a, Result<Kept, TokenStoreError>> {
        let token = self.0.value(Space::Token, connection.as_str());
        let offline = self.0.value(Space::Offline, connection.as_str());
        Box::pin(async move {
            let damaged = || TokenStoreError(format!("what is kept of `{connection}` cannot be read"));
            let token = token.await?.map(|text| read_token(&text).ok_or_else(damaged)).transpose()?;
            // A mark is for people: one that cannot be read is none.
            Ok(Kept { token, offline: offline.await?.and_then(|text| read_mark(&text)) })
        })
    }

    fn save<'a>(
        &'a self,
        connection: &'a ConnectionId,
        record: TokenRecord,
    ) -> BoxFuture<'a, Result<(), TokenStoreError>> {
        let (key, value) = (connection.to_string(), write_token(&record));
        self.commit(Write::Put { space: Space::Token, key, value })
    }

    fn mark<'a>(
        &'a self,
        connection: &'a ConnectionId,
        mark: Option<OfflineMark>,
    ) -> BoxFuture<'a, Result<(), TokenStoreError>> {
        let (space, key) = (Space::Offline, connection.to_string());
        self.commit(match mark {
            Some(mark) => {
                let value = json!({ "since": time(mark.since), "reason": mark.reason, "login": mark.login });
                Write::Put { space, key, value: value.to_string() }
            }
            None => Write::Delete { space, key },
        })
    }
}

impl StoredTokens {
    fn commit(&self, write: Write) -> BoxFuture<'static, Result<(), TokenStoreError>> {
        let written = self.0.commit(vec![write]);
        Box::pin(async move { written.await.map(drop).map_err(TokenStoreError::from) })
    }
}

/// The one place where a renewed credential becomes text again: on its way to the store.
pub(super) fn write_token(record: &TokenRecord) -> String {
    json!({
        "format": FORMAT,
        "fingerprint": record.fingerprint,
        "generation": record.generation,
        "access_token": record.access_token.reveal(),
        "refresh_token": record.refresh_token.as_ref().map(Secret::reveal),
        "expires": record.expires.map(time),
    })
    .to_string()
}

pub(super) fn read_token(text: &str) -> Option<TokenRecord> {
    let value: Value = serde_json::from_str(text).ok()?;
    let member = |name: &str| value[name].as_str().map(str::to_owned);
    if value["format"].as_u64() != Some(FORMAT) {
        return None;
    }
    Some(TokenRecord {
        fingerprint: member("fingerprint")?,
        generation: value["generation"].as_u64()?,
        access_token: Secret::new(member("access_token")?),
        refresh_token: member("refresh_token").map(Secret::new),
        expires: member("expires").map(|text| instant(&text)).unwrap_or_default(),
    })
}

fn read_mark(text: &str) -> Option<OfflineMark> {
    let value: Value = serde_json::from_str(text).ok()?;
    Some(OfflineMark {
        since: instant(value["since"].as_str()?)?,
        reason: value["reason"].as_str()?.to_owned(),
        login: value["login"].as_bool()?,
    })
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn what_is_saved_is_loaded_and_a_mark_can_be_taken_back() {
        let (tokens, shop) = (StoredTokens(MemoryStore::new()), ConnectionId::parse("eu/shop").unwrap());
        assert_eq!(tokens.load(&shop).await, Ok(Kept::default()));
        let record = TokenRecord {
            fingerprint: "f".to_owned(),
            generation: 7,
            access_token: Secret::new("a \"quoted\" token"),
            refresh_token: Some(Secret::new("é")),
            expires: DateTime::from_timestamp_millis(1_800_000_000_123),
        };
        tokens.save(&shop, record.clone()).await.unwrap();
        let mark = OfflineMark { since: DateTime::UNIX_EPOCH, reason: "401: no".to_owned(), login: true };
        tokens.mark(&shop, Some(mark)).await.unwrap();
        let kept = tokens.load(&shop).await.unwrap();
        assert_eq!((kept.token, kept.offline.map(|mark| mark.login)), (Some(record), Some(true)));
        tokens.mark(&shop, None).await.unwrap();
        assert_eq!(tokens.load(&shop).await.unwrap().offline, None);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_an_error_not_a_new_beginning() {
        let (store, shop) = (MemoryStore::new(), ConnectionId::parse("shop").unwrap());
        for value in ["[]", "{}", "{\"format\":2}"] {
            let write = Write::Put { space: Space::Token, key: "shop".to_owned(), value: value.to_owned() };
            store.commit(vec![write]).await.unwrap();
            let error = StoredTokens(store.clone()).load(&shop).await.unwrap_err();
            assert!(error.to_string().contains("`shop`"), "{error}");
        }
    }
}
