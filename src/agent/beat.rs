//! Heartbeats: a line that is open on one side only says nothing by itself.

use crate::value::time::SharedClock;
use h2::{Ping, PingPong};
use std::time::Duration;

/// Between two of them.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long an answer may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Asks again and again; returns when an answer stays away.
pub(super) async fn beat(mut pings: PingPong, clock: &SharedClock) -> String {
    loop {
        clock.sleep_until(clock.mono().plus(INTERVAL)).await;
        if !answered(&mut pings, clock).await {
            return format!("no heartbeat within {} s", PATIENCE.as_secs());
        }
    }
}

/// Asks once. A line that broke has its own account of it, which says more.
pub(super) async fn answered(pings: &mut PingPong, clock: &SharedClock) -> bool {
    let patience = clock.sleep_until(clock.mono().plus(PATIENCE));
    tokio::select! {
        pong = pings.ping(Ping::opaque()) => {
            if pong.is_err() {
                std::future::pending::<()>().await;
            }
            true
        }
        () = patience => false,
    }
}
