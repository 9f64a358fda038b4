//! Who may look: modes whatever the umask says, no links, nothing that is another's.

use super::*;
use crate::store::OpenError;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        }
        found.push(path);
    }
    found
}

#[tokio::test]
async fn every_file_is_private() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path(), options());
    store.commit(history()).await.unwrap();
    let found = files(home.path());
    assert!(found.len() >= 6, "{found:?}");
    for path in found {
        let found = std::fs::metadata(&path).unwrap();
        let expected = if found.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(found.permissions().mode() & 0o777, expected, "{}", path.display());
    }
}

#[test]
fn loose_files_links_and_other_things_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("state.db");
    let try_open = || open_with(home.path(), SystemClock::start(), options()).err().unwrap();
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    let text = try_open().to_string();
    assert!(text.contains("mode 0666") && text.contains("chmod 600"), "{text}");
    std::fs::remove_file(&path).unwrap();

    let victim = home.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    std::fs::set_permissions(&victim, PermissionsExt::from_mode(0o600)).unwrap();
    for name in ["state.db", "state.db-wal"] {
        symlink(&victim, home.path().join(name)).unwrap();
        assert!(matches!(try_open(), OpenError::Wrong { .. }), "{name}");
        std::fs::remove_file(home.path().join(name)).unwrap();
    }
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(try_open(), OpenError::Wrong { .. }));
    std::fs::remove_dir(&path).unwrap();

    symlink(&victim, home.path().join("pages")).unwrap();
    assert!(matches!(try_open(), OpenError::System { .. }));
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
}

#[tokio::test]
async fn a_link_in_the_place_of_the_witness_is_not_followed() {
    let home = tempfile::tempdir().unwrap();
    let victim = home.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    symlink(&victim, home.path().join("state.seq")).unwrap();
    let store = open(home.path(), options());
    store.commit(history()).await.unwrap();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
}
