//! The one reader of response bodies: counts decoded bytes and stops at the cap.
