//! Output compared with committed files (`tests/golden`); `FLOWGATE_BLESS=1` writes them anew.

use std::path::Path;

/// Compares; panics where they differ.
#[track_caller]
pub fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    #[expect(clippy::disallowed_methods, reason = "a switch for people who change output on purpose")]
    let bless = std::env::var("FLOWGATE_BLESS").is_ok();
    if bless {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let on_disk = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(on_disk, text, "tests/golden/{name} is stale: read the difference, FLOWGATE_BLESS=1 writes it anew");
}
