//! `/api/v1/events`: what happens, told as it happens. A reader who is slow misses some and is told how many; one who reads
//! nothing for long is let go. Streams are few, so that they never take the door's seats.

use crate::observe::task;
use crate::server::{App, Feed, refuse};
use crate::value::time::SharedClock;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Streams at once.
const MOST: usize = 16;
/// Events on their way to one reader.
const ROOM: usize = 64;
/// A sign of life, so that a broken line is noticed.
const BEAT: Duration = Duration::from_secs(15);
/// How long a reader may read nothing.
const PATIENCE: Duration = Duration::from_mins(1);

/// Places for readers.
pub(in crate::server) fn seats() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MOST))
}

pub(super) async fn open(State(app): State<App>) -> Response {
    let Some(feed) = app.source.feed() else { return refuse(StatusCode::NOT_FOUND, "nothing is told here") };
    let Ok(seat) = app.seats.clone().try_acquire_owned() else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "too many follow events already");
    };
    let (sender, receiver) = mpsc::channel(ROOM);
    let teller = Teller { sender, missed: 0, clock: app.clock.clone() };
    task::spawn("events", teller.tell(feed, seat));
    let events = stream::unfold(receiver, |mut receiver| async move {
        let bytes = receiver.recv().await?;
        Some((Ok::<Bytes, Infallible>(bytes), receiver))
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(events)).into_response()
}

struct Teller {
    sender: mpsc::Sender<Bytes>,
    /// Events there was no room for.
    missed: u64,
    clock: SharedClock,
}

impl Teller {
    /// Until the reader goes, or reads nothing for too long.
    async fn tell(mut self, mut feed: Feed, seat: OwnedSemaphorePermit) {
        self.offer(&line("hello", "{\"format\":1}"));
        let mut last = self.clock.mono();
        loop {
            let now = self.clock.mono();
            // Room is there again when the reader has read something.
            if self.sender.capacity() > 0 {
                last = now;
            }
            if now.since(last) >= PATIENCE {
                break;
            }
            let event = tokio::select! {
                () = self.sender.closed() => break,
                event = feed.recv() => event,
                () = self.clock.sleep_until(now.plus(BEAT)) => {
                    self.offer(": still here\n\n");
                    continue;
                }
            };
            match event {
                Ok(event) => self.offer(&line(event.kind, &event.data)),
                Err(RecvError::Lagged(count)) => self.missed += count,
                Err(RecvError::Closed) => break,
            }
        }
        drop(seat);
    }

    /// Tells first what was missed. Without room it is missed as well.
    fn offer(&mut self, text: &str) {
        if self.missed > 0 {
            let gap = line("gap", &format!("{{\"missed\":{}}}", self.missed));
            if self.sender.try_send(gap.into()).is_err() {
                self.missed += 1;
                return;
            }
            self.missed = 0;
        }
        if let Err(TrySendError::Full(_)) = self.sender.try_send(text.to_owned().into()) {
            self.missed += 1;
        }
    }
}

/// One event. Its data is JSON on one line.
fn line(kind: &str, data: &str) -> String {
    format!("event: {kind}\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::LiveEvent;
    use crate::value::time::SystemClock;
    use tokio::sync::broadcast;

    fn event(number: usize) -> LiveEvent {
        LiveEvent { kind: "queue", data: number.to_string().into() }
    }

    async fn until_full(sender: &broadcast::Sender<LiveEvent>, receiver: &mpsc::Receiver<Bytes>) {
        for number in 0..200 {
            let _ = sender.send(event(number));
            tokio::task::yield_now().await;
        }
        assert_eq!(receiver.len(), ROOM);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_told_what_it_missed_and_one_that_reads_nothing_is_let_go() {
        let clock: SharedClock = SystemClock::start();
        let (sender, feed) = broadcast::channel(512);
        let (room, mut reader) = mpsc::channel(ROOM);
        let seat = seats().try_acquire_owned().unwrap();
        let teller = Teller { sender: room, missed: 0, clock: clock.clone() };
        let told = task::spawn("events", teller.tell(feed, seat));
        until_full(&sender, &reader).await;
        let mut texts = Vec::new();
        while let Ok(bytes) = reader.try_recv() {
            texts.push(String::from_utf8(bytes.to_vec()).unwrap());
        }
        assert!(texts[0].starts_with("event: hello") && texts[1] == "event: queue\ndata: 0\n\n", "{texts:?}");
        sender.send(event(200)).unwrap();
        let gap = reader.recv().await.unwrap();
        assert_eq!(gap, format!("event: gap\ndata: {{\"missed\":{}}}\n\n", 200 - (ROOM - 1)).as_bytes());
        assert_eq!(reader.recv().await.unwrap(), "event: queue\ndata: 200\n\n".as_bytes());
        until_full(&sender, &reader).await;
        let begun = clock.mono();
        told.await.unwrap();
        assert!(clock.mono().since(begun) >= PATIENCE && clock.mono().since(begun) <= PATIENCE + BEAT * 2);
    }

    #[tokio::test]
    async fn a_reader_who_leaves_frees_its_seat() {
        let clock: SharedClock = SystemClock::start();
        let (_sender, feed) = broadcast::channel::<LiveEvent>(8);
        let (room, reader) = mpsc::channel(ROOM);
        let seats = seats();
        let seat = seats.clone().try_acquire_owned().unwrap();
        assert_eq!(seats.available_permits(), MOST - 1);
        drop(reader);
        Teller { sender: room, missed: 0, clock }.tell(feed, seat).await;
        assert_eq!(seats.available_permits(), MOST);
    }
}
