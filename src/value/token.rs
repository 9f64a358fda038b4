//! Comparing tokens without telling how much of a guess was right.

use crate::value::secret::Secret;
use sha2::{Digest, Sha256};
use std::hint::black_box;

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
