//! The one reader of response bodies: counts decoded bytes and stops at the cap. Deadlines are the caller's.

use super::transport::{WireAnswer, WireError};
use futures_util::StreamExt;

/// Reserved at most on the word of a `Content-Length`.
const MOST_RESERVED: usize = 1024 * 1024;

/// Why a body could not be read whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    /// More decoded bytes than `max_response`.
    #[error("the answer is larger than max_response ({0} bytes, decoded)")]
    TooLarge(u64),
    /// The wire broke.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// The whole body, at most `max` decoded bytes.
pub(super) async fn read_all(answer: &mut WireAnswer, max: u64) -> Result<Vec<u8>, BodyError> {
    if answer.length.is_some_and(|length| length > max) {
        return Err(BodyError::TooLarge(max));
    }
    let mut body = Vec::new();
    let mut total = 0_u64;
    while let Some(part) = answer.body.next().await {
        let part = part?;
        total = total.saturating_add(part.len() as u64);
        if total > max {
            return Err(BodyError::TooLarge(max));
        }
        if body.is_empty() && answer.length == Some(total) {
            // All of it in one part: take the part's own buffer.
            body = part.into();
            continue;
        }
        if body.is_empty() {
            // A promise is only a hint: it may be a lie told to make us reserve memory.
            body.reserve(usize::try_from(answer.length.unwrap_or(0)).unwrap_or(0).min(MOST_RESERVED));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// The beginning of an error's body: capped, and what arrived before the wire broke. Never fails, because the
/// status has already said what matters.
pub(super) async fn read_excerpt(answer: &mut WireAnswer, max: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    while kept.len() < max {
        let Some(Ok(part)) = answer.body.next().await else { break };
        let room = max - kept.len();
        kept.extend_from_slice(&part[..part.len().min(room)]);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::super::transport::Phase;
    use super::*;
    use bytes::Bytes;
    use futures_util::stream;

    fn answer(parts: Vec<Result<&'static [u8], WireError>>, length: Option<u64>) -> WireAnswer {
        WireAnswer {
            status: 200,
            headers: reqwest::header::HeaderMap::new(),
            length,
            body: stream::iter(parts.into_iter().map(|p| p.map(Bytes::from_static))).boxed(),
        }
    }

    #[tokio::test]
    async fn a_body_of_one_part_keeps_its_buffer() {
        let part = Bytes::from(vec![b'x'; 1000]);
        let buffer = part.as_ptr();
        let mut answer = answer(vec![], Some(1000));
        answer.body = stream::iter([Ok(part)]).boxed();
        let body = read_all(&mut answer, 1000).await.unwrap();
        assert_eq!(body.as_ptr(), buffer);
    }

    #[tokio::test]
    async fn parts_are_joined_in_order() {
        let body = read_all(&mut answer(vec![Ok(b"a"), Ok(b""), Ok(b"bc"), Ok(b"d")], Some(4)), 4).await.unwrap();
        assert_eq!(&body[..], b"abcd");
        assert!(read_all(&mut answer(vec![], None), 0).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_cap_counts_decoded_bytes_and_stops_at_once() {
        let bomb = std::iter::repeat_with(|| Ok(&b"0123456789"[..])).take(1000).collect();
        let mut answer = answer(bomb, None);
        assert_eq!(read_all(&mut answer, 95).await, Err(BodyError::TooLarge(95)));
        assert_eq!(answer.body.count().await, 990);
    }

    #[tokio::test]
    async fn a_promised_length_above_the_cap_is_refused_unread() {
        let mut answer = answer(vec![Ok(b"x")], Some(1 << 40));
        assert_eq!(read_all(&mut answer, 10).await, Err(BodyError::TooLarge(10)));
        assert_eq!(answer.body.count().await, 1);
    }

    #[tokio::test]
    async fn a_break_is_an_error_and_an_excerpt_keeps_what_came() {
        let cut = || vec![Ok(&b"par"[..]), Err(WireError::new(Phase::Body, "cut")), Ok(&b"never"[..])];
        assert!(matches!(read_all(&mut answer(cut(), None), 100).await, Err(BodyError::Wire(_))));
        assert_eq!(&read_excerpt(&mut answer(cut(), None), 100).await[..], b"par");
        assert_eq!(&read_excerpt(&mut answer(cut(), None), 2).await[..], b"pa");
    }
}
