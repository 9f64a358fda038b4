//! Scans of real directories: what counts, what is refused, what changes the hash.

use super::walk::{Caps, project_within};
use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use tempfile::TempDir;

fn project(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(dir.path(), name, text);
    }
    dir
}

fn write(root: &Path, name: &str, text: impl AsRef<[u8]>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn names(tree: &Tree) -> Vec<String> {
    tree.files.keys().map(|path| path.display().to_string()).collect()
}

fn refusal(tree: &Tree, name: &str) -> Unreadable {
    tree.files[Path::new(name)].clone().unwrap_err()
}

#[test]
fn a_project_is_its_settings_connections_and_flows() {
    let dir = project(&[
        ("flowgate.toml", "a"),
        ("connections/eu/shop.toml", "b"),
        ("flows/orders.toml", "c"),
        ("flows/README.md", "no"),
        ("flows/.hidden.toml", "no"),
        ("flows/orders.toml~", "no"),
        ("flows/#orders.toml#", "no"),
        ("flows/.git/config.toml", "no"),
        ("other/x.toml", "no"),
        ("extra.toml", "no"),
    ]);
    let tree = scan(dir.path()).unwrap();
    assert_eq!(names(&tree), ["connections/eu/shop.toml", "flowgate.toml", "flows/orders.toml"]);
    assert_eq!(&*tree.files[Path::new("flows/orders.toml")].clone().unwrap().text, "c");
}

#[test]
fn an_empty_directory_is_an_empty_project_and_a_missing_one_is_an_error() {
    let dir = project(&[]);
    assert!(scan(dir.path()).unwrap().files.is_empty());
    assert!(scan(&dir.path().join("missing")).is_err());
    write(dir.path(), "file", "");
    assert!(scan(&dir.path().join("file")).is_err());
}

#[test]
fn names_that_are_no_ids_are_refused_with_a_better_name() {
    let dir = project(&[
        ("flows/Orders.toml", ""),
        ("flows/a b.toml", ""),
        ("flows/x.TOML", ""),
        ("flows/EU/y.toml", ""),
        ("flows/z.toml/inside.toml", ""),
    ]);
    let tree = scan(dir.path()).unwrap();
    let help = |name: &str| {
        let refusal = refusal(&tree, name);
        assert_eq!(refusal.code, "file-name");
        refusal.help.unwrap()
    };
    assert_eq!(help("flows/Orders.toml"), "rename it to flows/orders.toml");
    assert_eq!(help("flows/a b.toml"), "rename it to flows/a-b.toml");
    assert_eq!(help("flows/x.TOML"), "rename it to flows/x.toml");
    assert_eq!(help("flows/EU/y.toml"), "rename it to flows/eu/y.toml");
    assert_eq!(refusal(&tree, "flows/z.toml").code, "not-a-file");
    assert_eq!(tree.files.len(), 5);
}

#[test]
fn a_name_that_is_not_unicode_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let dir = project(&[("flows/a.toml", "")]);
    let name = std::ffi::OsStr::from_bytes(b"b\xff.toml");
    fs::write(dir.path().join("flows").join(name), "").unwrap();
    let tree = scan(dir.path()).unwrap();
    let refusal = tree.files[&Path::new("flows").join(name)].clone().unwrap_err();
    assert_eq!(refusal.code, "file-name");
}

#[test]
fn a_pipe_a_socket_and_a_device_are_refused_without_waiting() {
    let dir = project(&[("flows/a.toml", "")]);
    let flows = dir.path().join("flows");
    rustix::fs::mkfifoat(rustix::fs::CWD, flows.join("pipe.toml"), rustix::fs::Mode::RWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(flows.join("socket.toml")).unwrap();
    symlink("/dev/zero", flows.join("zero.toml")).unwrap();
    let tree = scan(dir.path()).unwrap();
    assert!(refusal(&tree, "flows/pipe.toml").message.contains("a named pipe"));
    assert!(refusal(&tree, "flows/socket.toml").message.contains("a socket"));
    assert_eq!(refusal(&tree, "flows/zero.toml").code, "link-outside");
    assert!(read_named(dir.path(), Path::new("/dev/zero")).unwrap_err().message.contains("a device"));
}

#[test]
fn a_huge_file_is_refused_unread() {
    let dir = project(&[("flows/a.toml", "")]);
    let huge = fs::File::create(dir.path().join("flows/huge.toml")).unwrap();
    huge.set_len(1024 * 1024 * 1024).unwrap();
    let tree = scan(dir.path()).unwrap();
    let refusal = refusal(&tree, "flows/huge.toml");
    assert_eq!(refusal.code, "too-large");
    assert!(refusal.message.contains("1073741824"));
}

#[test]
fn text_that_is_not_utf8_is_refused_with_its_offset() {
    let dir = project(&[]);
    write(dir.path(), "flows/a.toml", b"a = 1\nb = \"\xff\"\n");
    let refusal = refusal(&scan(dir.path()).unwrap(), "flows/a.toml");
    assert_eq!(refusal.message, "not valid UTF-8: byte 0xff at offset 11, line 2");
}

#[test]
fn a_byte_order_mark_is_tolerated() {
    let dir = project(&[("flows/a.toml", "\u{feff}a = 1")]);
    let tree = scan(dir.path()).unwrap();
    assert_eq!(&*tree.files[Path::new("flows/a.toml")].clone().unwrap().text, "a = 1");
}

#[test]
fn a_file_without_permission_is_named() {
    let dir = project(&[("flows/a.toml", ""), ("flows/b/c.toml", "")]);
    let path = dir.path().join("flows/a.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
    if fs::read(&path).is_ok() {
        return; // root reads everything
    }
    let tree = scan(dir.path()).unwrap();
    assert_eq!(refusal(&tree, "flows/a.toml").code, "permission");
    assert!(tree.files[Path::new("flows/b/c.toml")].is_ok());
}

#[test]
fn what_the_system_refuses_is_explained() {
    let of = |errno: rustix::io::Errno| read::explain(&errno.into()).code;
    assert_eq!(of(rustix::io::Errno::ACCESS), "permission");
    assert_eq!(of(rustix::io::Errno::NOENT), "not-found");
    assert_eq!(of(rustix::io::Errno::LOOP), "link-loop");
    assert_eq!(of(rustix::io::Errno::IO), "unreadable");
}

#[test]
fn a_mounted_config_map_is_read_once_under_its_public_names() {
    let dir = project(&[("flows/..2026_01/a.toml", "one"), ("flows/..2026_02/a.toml", "two")]);
    let flows = dir.path().join("flows");
    symlink("..2026_01", flows.join("..data")).unwrap();
    symlink("..data/a.toml", flows.join("a.toml")).unwrap();
    let before = scan(dir.path()).unwrap();
    assert_eq!(names(&before), ["flows/a.toml"]);
    symlink("..2026_02", flows.join("..data_tmp")).unwrap();
    fs::rename(flows.join("..data_tmp"), flows.join("..data")).unwrap();
    let after = scan(dir.path()).unwrap();
    assert_eq!(&*after.files[Path::new("flows/a.toml")].clone().unwrap().text, "two");
    assert_ne!(before.hash, after.hash);
}

#[test]
fn a_whole_folder_may_be_a_link_but_a_file_may_not_leave_the_project() {
    let outside = project(&[("shared/a.toml", "shared"), ("secret.toml", "s"), ("more/x.toml", "x")]);
    let dir = project(&[("connections/c.toml", ""), ("connections/sub/d.toml", "")]);
    symlink(outside.path().join("shared"), dir.path().join("flows")).unwrap();
    symlink(outside.path().join("secret.toml"), dir.path().join("connections/s.toml")).unwrap();
    symlink(outside.path().join("more"), dir.path().join("connections/more")).unwrap();
    symlink("sub/d.toml", dir.path().join("connections/e.toml")).unwrap();
    symlink("sub", dir.path().join("connections/again")).unwrap();
    let tree = scan(dir.path()).unwrap();
    assert!(tree.files[Path::new("flows/a.toml")].is_ok());
    assert!(tree.files[Path::new("connections/e.toml")].is_ok());
    assert!(tree.files[Path::new("connections/again/d.toml")].is_ok());
    assert_eq!(refusal(&tree, "connections/s.toml").code, "link-outside");
    assert_eq!(refusal(&tree, "connections/more").code, "link-outside");
    assert!(!names(&tree).contains(&"connections/more/x.toml".to_owned()));
}

#[test]
fn loops_of_links_and_dangling_links_are_refused() {
    let dir = project(&[("flows/a/b.toml", "")]);
    let flows = dir.path().join("flows");
    symlink("..", flows.join("a/up")).unwrap();
    symlink("self.toml", flows.join("self.toml")).unwrap();
    symlink("nowhere.toml", flows.join("gone.toml")).unwrap();
    let tree = scan(dir.path()).unwrap();
    assert_eq!(refusal(&tree, "flows/a/up").code, "link-loop");
    assert_eq!(refusal(&tree, "flows/self.toml").code, "link-loop");
    assert_eq!(refusal(&tree, "flows/gone.toml").code, "not-found");
    assert!(tree.files[Path::new("flows/a/b.toml")].is_ok());
}

#[test]
fn depth_count_and_total_size_are_capped() {
    let deep = format!("flows/{}x.toml", "d/".repeat(20));
    let dir = project(&[(&deep, ""), ("flows/a.toml", "0123456789"), ("flows/b.toml", "0123456789")]);
    let tree = scan(dir.path()).unwrap();
    assert!(tree.files.values().any(|file| file.as_ref().is_err_and(|e| e.code == "too-deep")));
    let codes = |caps| {
        let (files, _) = project_within(&dir.path().canonicalize().unwrap(), caps);
        files
            .into_values()
            .filter_map(Result::err)
            .map(|e| e.code)
            .filter(|code| *code != "too-deep")
            .collect::<Vec<_>>()
    };
    let caps = Caps { files: 100, entries: 100, total: 100 };
    assert!(codes(caps).is_empty());
    assert_eq!(codes(Caps { files: 1, ..caps }), ["too-many-files"]);
    assert_eq!(codes(Caps { entries: 1, ..caps }), ["too-many-files"]);
    assert_eq!(codes(Caps { total: 15, ..caps }), ["too-large"]);
}

#[test]
fn the_hash_follows_names_and_contents_and_nothing_else() {
    let dir = project(&[("flows/a.toml", "x"), ("flows/b.toml", "y")]);
    let hash = || scan(dir.path()).unwrap().hash;
    let first = hash();
    write(dir.path(), "flows/notes.txt", "ignored");
    write(dir.path(), "flows/a.toml", "x");
    assert_eq!(hash(), first);
    write(dir.path(), "flows/a.toml", "xy");
    let second = hash();
    assert_ne!(second, first);
    write(dir.path(), "flows/a.toml", "x");
    fs::rename(dir.path().join("flows/b.toml"), dir.path().join("flows/c.toml")).unwrap();
    assert_ne!(hash(), first);
    assert_eq!(first.len(), 16);
}

#[test]
fn files_named_by_configuration_count_too() {
    let dir = project(&[("flows/a.toml", "x"), ("secrets/token", "one")]);
    let named = BTreeSet::from([PathBuf::from("secrets/token"), dir.path().join("missing")]);
    let hash = || scan_with(dir.path(), &named).unwrap().hash;
    let first = hash();
    assert_ne!(first, scan(dir.path()).unwrap().hash);
    assert_eq!(first, hash());
    write(dir.path(), "secrets/token", "two");
    let second = hash();
    assert_ne!(first, second);
    write(dir.path(), "missing", "here now");
    assert_ne!(hash(), second);
    assert_eq!(read_named(dir.path(), Path::new("secrets/token")).unwrap(), b"two");
    assert_eq!(read_named(dir.path(), Path::new("nowhere")).unwrap_err().code, "not-found");
}
