//! `POST /hooks/<path>`: a body comes in, within bounds of size, time and memory; whether it is taken is the supervisor's
//! to say.

use super::{App, refuse};
use crate::runtime::supervisor::{Hook, Supervisor};
use crate::runtime::webhook::verify::Call;
use crate::runtime::webhook::{Answer, Refusal};
use crate::value::time::SharedClock;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Below this there are webhooks.
pub(super) const ROOT: &str = "/hooks/";
/// Time for a whole body.
const BODY_PATIENCE: Duration = Duration::from_secs(30);
/// Time between two pieces of one.
const PIECE_PATIENCE: Duration = Duration::from_secs(10);
/// What callers are told to wait before the next try.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("15");
/// Memory for bodies on their way in, in KiB, over all calls.
const ROOM: usize = 128 << 10;

pub(super) fn room() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(ROOM))
}

pub(super) async fn call(State(app): State<App>, request: Request) -> Response {
    let Some(supervisor) = app.source.supervisor() else { return nobody() };
    let path = request.uri().path().strip_prefix(ROOT).unwrap_or_default();
    let Some(hook) = supervisor.hook(path) else { return nobody() };
    match take(&app, &supervisor, &hook, request).await {
        Ok(answer) => accepted(answer),
        Err(refusal) => {
            supervisor.refused_call(&hook, &refusal);
            refused(&refusal)
        }
    }
}

async fn take(app: &App, supervisor: &Supervisor, hook: &Hook, request: Request) -> Result<Answer, Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::Method);
    }
    supervisor.takes_calls(hook)?;
    let (head, body) = request.into_parts();
    let _room = reserve(&app.room, hook.max_body(), &head.headers)?;
    let body = read(body, hook.max_body(), &app.clock).await?;
    let call = Call { headers: &head.headers, query: head.uri.query(), body: &body, now: app.clock.utc() };
    supervisor.take_call(hook, call).await
}

/// Room for the body as it is announced, or for the largest there can be.
fn reserve(room: &Arc<Semaphore>, max: usize, headers: &header::HeaderMap) -> Result<OwnedSemaphorePermit, Refusal> {
    let told = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let length: usize = told.unwrap_or(max);
    if length > max {
        return Err(Refusal::TooLarge);
    }
    let size = u32::try_from(length.div_ceil(1024)).unwrap_or(u32::MAX);
    let none = |_| Refusal::Unavailable("too many bodies are on their way in".to_owned());
    room.clone().try_acquire_many_owned(size).map_err(none)
}

pub(super) async fn read(mut body: Body, max: usize, clock: &SharedClock) -> Result<Vec<u8>, Refusal> {
    let deadline = clock.mono().plus(BODY_PATIENCE);
    let mut bytes = Vec::new();
    loop {
        let piece = clock.mono().plus(PIECE_PATIENCE);
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = clock.sleep_until(piece.min(deadline)) => return Err(Refusal::TooSlow),
        };
        match frame {
            None => return Ok(bytes),
            Some(Err(_)) => return Err(Refusal::CutOff),
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                if bytes.len() + data.len() > max {
                    return Err(Refusal::TooLarge);
                }
                bytes.extend_from_slice(&data);
            }
        }
    }
}

fn nobody() -> Response {
    refuse(StatusCode::NOT_FOUND, "there is no webhook here")
}

fn accepted(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::ACCEPTED);
    match answer.body {
        _ if status == StatusCode::NO_CONTENT => status.into_response(),
        Some((content_type, text)) => (status, [(header::CONTENT_TYPE, content_type)], text).into_response(),
        None => (status, axum::Json(json!({ "status": "accepted" }))).into_response(),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = refuse(status, &refusal.told());
    let headers = response.headers_mut();
    match refusal {
        Refusal::Method => {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        // The rest of the body is nobody's: the connection ends here.
        Refusal::TooLarge | Refusal::TooSlow | Refusal::CutOff => {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Refusal::Full | Refusal::NoSecret(_) | Refusal::Unavailable(_) => {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        Refusal::Unverified(_) | Refusal::MediaType(_) | Refusal::Unreadable(_) => {}
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::time::SystemClock;
    use axum::body::Bytes;
    use futures_util::{StreamExt, stream};

    fn clock() -> SharedClock {
        SystemClock::start()
    }

    type Piece = Result<Bytes, std::io::Error>;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_or_never_ends_is_cut_off_in_time() {
        let clock = clock();
        let begun = clock.mono();
        let stops = stream::iter([Piece::Ok(Bytes::from_static(b"{"))]).chain(stream::pending());
        let stopped = read(Body::from_stream(stops), 1 << 20, &clock).await;
        assert_eq!((stopped, clock.mono().since(begun)), (Err(Refusal::TooSlow), PIECE_PATIENCE));
        let begun = clock.mono();
        let drips = stream::unfold(clock.clone(), |clock| async move {
            clock.sleep_until(clock.mono().plus(Duration::from_secs(9))).await;
            Some((Piece::Ok(Bytes::from_static(b" ")), clock))
        });
        let dripped = read(Body::from_stream(Box::pin(drips)), 1 << 20, &clock).await;
        assert_eq!((dripped, clock.mono().since(begun)), (Err(Refusal::TooSlow), BODY_PATIENCE));
    }

    #[tokio::test]
    async fn bodies_on_their_way_in_have_room_for_so_much_and_no_more() {
        let room = room();
        let headers = header::HeaderMap::new();
        let held: Vec<_> = (0..8).map(|_| reserve(&room, 16 << 20, &headers).unwrap()).collect();
        assert!(matches!(reserve(&room, 16 << 20, &headers), Err(Refusal::Unavailable(_))));
        drop(held);
        assert!(reserve(&room, 16 << 20, &headers).is_ok());
        let mut told = header::HeaderMap::new();
        told.insert(header::CONTENT_LENGTH, HeaderValue::from_static("1025"));
        assert_eq!(reserve(&room, 1024, &told).err(), Some(Refusal::TooLarge));
    }
}
