//! Comparing tokens without telling how much of a guess was right.

use crate::value::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use sha2::{Digest, Sha256};
use std::hint::black_box;

/// A token nobody can guess, from the system's own randomness.
pub fn fresh() -> Option<Secret> {
    let mut bytes = [0_u8; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

/// Whether the guess is the token.
pub fn same(guess: &str, token: &Secret) -> bool {
    same_bytes(guess.as_bytes(), token.reveal().as_bytes())
}

/// Whether the guess is the truth, in a time that depends on neither: both are hashed to one length, and every byte of the
/// hashes is looked at.
pub fn same_bytes(guess: &[u8], truth: &[u8]) -> bool {
    let (guess, truth) = (Sha256::digest(guess), Sha256::digest(truth));
    let difference = guess.iter().zip(truth.iter()).fold(0_u8, |sum, (a, b)| black_box(sum | (a ^ b)));
    black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = Secret::new("correct horse");
        assert!(same("correct horse", &token));
        for wrong in ["", "correct", "correct hors", "correct horse ", "Correct horse", "\0"] {
            assert!(!same(wrong, &token), "{wrong:?}");
        }
    }
}
