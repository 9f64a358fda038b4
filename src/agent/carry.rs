//! Bytes both ways between a TCP connection and a stream of a tunnel. An end is carried on as an end, a break as a
//! break: half an answer must never look like a whole one.

use crate::value::time::SharedClock;
use bytes::{BufMut, Bytes, BytesMut};
use h2::{Reason, RecvStream, SendStream};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

/// Read at a time.
const CHUNK: usize = 16 * 1024;
/// Once one direction has ended, the other one has so long: nobody waits for what is left of a conversation that HTTP
/// has given up.
const FAREWELL: Duration = Duration::from_secs(10);

/// Carries until both directions have ended.
pub(super) async fn carry(mut socket: TcpStream, mut to: SendStream<Bytes>, from: RecvStream, clock: &SharedClock) {
    let (reading, writing) = socket.split();
    let whole = both(outward(reading, &mut to), inward(from, writing), clock).await;
    if whole.is_err() {
        to.send_reset(Reason::CANCEL);
        // Closed as broken, not as ended.
        let _ = socket.set_zero_linger();
    }
}

async fn both(
    one: impl Future<Output = io::Result<()>>,
    other: impl Future<Output = io::Result<()>>,
    clock: &SharedClock,
) -> io::Result<()> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let first_ended = tokio::select! {
        ended = &mut one => { ended?; true }
        ended = &mut other => { ended?; false }
    };
    let farewell = clock.sleep_until(clock.mono().plus(FAREWELL));
    tokio::select! {
        ended = &mut one, if !first_ended => ended,
        ended = &mut other, if first_ended => ended,
        () = farewell => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// From the socket into the tunnel, never more than the other end has room for.
async fn outward(mut from: ReadHalf<'_>, to: &mut SendStream<Bytes>) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        to.reserve_capacity(CHUNK);
        while to.capacity() == 0 {
            let room = poll_fn(|context| to.poll_capacity(context)).await;
            room.ok_or(io::ErrorKind::BrokenPipe)?.map_err(io::Error::other)?;
        }
        let room = to.capacity().min(CHUNK);
        buffer.reserve(room);
        let read = from.read_buf(&mut (&mut buffer).limit(room)).await?;
        let ended = read == 0;
        to.send_data(buffer.split().freeze(), ended).map_err(io::Error::other)?;
        if ended {
            return Ok(());
        }
    }
}

/// From the tunnel into the socket; what is not taken there makes no room here.
async fn inward(mut from: RecvStream, mut to: WriteHalf<'_>) -> io::Result<()> {
    while let Some(part) = from.data().await {
        let part = part.map_err(io::Error::other)?;
        to.write_all(&part).await?;
        from.flow_control().release_capacity(part.len()).map_err(io::Error::other)?;
    }
    to.shutdown().await
}
