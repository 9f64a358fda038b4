//! Real folders and real events; and a scripted disk under a paused clock for what must not happen.
//!
//! Waiting is always for a change to be handed over, bounded well below the half minute after which the watch would look
//! without an event.

use super::*;
use crate::value::time::SystemClock;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use tempfile::TempDir;

const BOUND: Duration = Duration::from_secs(15);

/// A watch that has looked once, so that only events can tell it more.
struct Project {
    dir: TempDir,
    watch: Watch,
    trigger: Trigger,
}

impl Project {
    async fn start(files: &[(&str, &str)]) -> Self {
        Self::start_with(files, &[]).await
    }

    async fn start_with(files: &[(&str, &str)], named: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            write(dir.path(), name, text);
        }
        Self::adopt(dir, ".", named).await
    }

    async fn adopt(dir: TempDir, root: &str, named: &[&str]) -> Self {
        let root = dir.path().join(root);
        let named: BTreeSet<PathBuf> = named.iter().map(PathBuf::from).collect();
        let tree = files::scan_with(&root, &named).unwrap();
        let (watch, trigger) = Watch::start(&root, &tree.hash, named, SystemClock::start());
        let mut project = Self { dir, watch, trigger };
        project.trigger.look_now();
        let first = project.next().await;
        assert!(first.requested, "nothing had changed yet");
        assert_eq!(first.tree.unwrap().hash, tree.hash);
        assert_eq!(*project.watch.watching(), Watching::Events);
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        write(self.dir.path(), name, text);
    }

    async fn next(&mut self) -> Change {
        tokio::time::timeout(BOUND, self.watch.next_change()).await.expect("a change within the bound")
    }

    /// Waits until a tree has this text under this name; none: the file is gone.
    async fn until(&mut self, name: &str, text: Option<&str>) -> Tree {
        loop {
            let tree = self.next().await.tree.unwrap();
            let found = tree.files.get(Path::new(name)).map(|file| file.as_ref().map(|source| &*source.text));
            if found == text.map(Ok) {
                return tree;
            }
        }
    }

    fn git(&self, arguments: &[&str]) {
        let output = Command::new("git")
            .current_dir(self.dir.path())
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .output()
            .expect("git is installed");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[tokio::test]
async fn an_edit_in_place_a_new_file_and_a_deleted_one_are_noticed() {
    let mut project = Project::start(&[("flows/a.toml", "1")]).await;
    project.write("flows/a.toml", "2");
    project.until("flows/a.toml", Some("2")).await;
    project.write("flows/b.toml", "b");
    project.until("flows/b.toml", Some("b")).await;
    fs::remove_file(project.path("flows/a.toml")).unwrap();
    let tree = project.until("flows/a.toml", None).await;
    assert_eq!(tree.files.len(), 1);
}

#[tokio::test]
async fn folders_made_later_are_watched() {
    let mut project = Project::start(&[]).await;
    project.write("connections/eu/shop.toml", "1");
    project.until("connections/eu/shop.toml", Some("1")).await;
    project.write("connections/eu/shop.toml", "2");
    project.until("connections/eu/shop.toml", Some("2")).await;
    project.write("flowgate.toml", "s");
    project.until("flowgate.toml", Some("s")).await;
}

#[tokio::test]
async fn a_folder_deleted_and_made_anew_is_watched_again() {
    let mut project = Project::start(&[("flows/sub/a.toml", "1")]).await;
    for round in ["2", "3", "4"] {
        fs::remove_dir_all(project.path("flows")).unwrap();
        project.write("flows/sub/a.toml", round);
        project.until("flows/sub/a.toml", Some(round)).await;
        let edited = format!("{round} edited");
        project.write("flows/sub/a.toml", &edited);
        project.until("flows/sub/a.toml", Some(&edited)).await;
    }
}

#[tokio::test]
async fn an_editors_rename_save_is_noticed_each_time() {
    let mut project = Project::start(&[("flows/a.toml", "0")]).await;
    for text in ["1", "2", "3"] {
        project.write("flows/.a.toml.swp", text);
        fs::rename(project.path("flows/a.toml"), project.path("flows/a.toml~")).unwrap();
        fs::rename(project.path("flows/.a.toml.swp"), project.path("flows/a.toml")).unwrap();
        let tree = project.until("flows/a.toml", Some(text)).await;
        assert_eq!(tree.files.len(), 1);
    }
}

#[tokio::test]
async fn a_git_checkout_is_noticed_whole() {
    let mut project = Project::start(&[("flows/a.toml", "one"), ("flows/gone.toml", "x")]).await;
    project.git(&["init", "-q", "-b", "first"]);
    project.git(&["add", "."]);
    project.git(&["commit", "-qm", "one"]);
    project.git(&["checkout", "-q", "-b", "second"]);
    project.write("flows/a.toml", "two");
    project.write("connections/new/b.toml", "two");
    project.git(&["rm", "-q", "flows/gone.toml"]);
    project.git(&["add", "."]);
    project.git(&["commit", "-qm", "two"]);
    project.until("connections/new/b.toml", Some("two")).await;

    project.git(&["checkout", "-q", "first"]);
    let first = project.until("flows/gone.toml", Some("x")).await;
    assert!(first.files.contains_key(Path::new("flows/a.toml")) && first.files.len() == 2);
    project.git(&["checkout", "-q", "second"]);
    let second = project.until("connections/new/b.toml", Some("two")).await;
    assert_eq!(second.files.len(), 2);
    assert_ne!(first.hash, second.hash);
}

#[tokio::test]
async fn the_swap_of_a_mounted_config_map_is_noticed_each_time() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "flows/..v0/a.toml", "v0");
    symlink("..v0", dir.path().join("flows/..data")).unwrap();
    symlink("..data/a.toml", dir.path().join("flows/a.toml")).unwrap();
    let mut project = Project::adopt(dir, ".", &[]).await;
    for (before, after) in [("v0", "v1"), ("v1", "v2"), ("v2", "v3")] {
        project.write(&format!("flows/..{after}/a.toml"), after);
        symlink(format!("..{after}"), project.path("flows/..data_tmp")).unwrap();
        fs::rename(project.path("flows/..data_tmp"), project.path("flows/..data")).unwrap();
        fs::remove_dir_all(project.path(&format!("flows/..{before}"))).unwrap();
        project.until("flows/a.toml", Some(after)).await;
    }
}

#[tokio::test]
async fn a_project_directory_that_is_a_swapped_link_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "rev1/flows/a.toml", "1");
    write(dir.path(), "rev2/flows/a.toml", "2");
    symlink("rev1", dir.path().join("current")).unwrap();
    let mut project = Project::adopt(dir, "current", &[]).await;
    symlink("rev2", project.path("next")).unwrap();
    fs::rename(project.path("next"), project.path("current")).unwrap();
    project.until("flows/a.toml", Some("2")).await;
}

#[tokio::test]
async fn a_truncated_file_that_is_filled_again_ends_as_the_filled_one() {
    let mut project = Project::start(&[("flows/a.toml", "whole")]).await;
    fs::File::create(project.path("flows/a.toml")).unwrap();
    project.until("flows/a.toml", Some("")).await;
    project.write("flows/a.toml", "refilled");
    project.until("flows/a.toml", Some("refilled")).await;
}

#[tokio::test]
async fn a_change_taken_back_after_it_was_handed_over_is_a_change() {
    let mut project = Project::start(&[("flows/a.toml", "good")]).await;
    let good = files::scan(project.dir.path()).unwrap().hash;
    project.write("flows/a.toml", "bad");
    project.until("flows/a.toml", Some("bad")).await;
    project.write("flows/a.toml", "good");
    assert_eq!(project.until("flows/a.toml", Some("good")).await.hash, good);
}

#[tokio::test]
async fn a_file_named_by_configuration_is_watched_where_it_stands() {
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "token", "one");
    let mut project = Project::start(&[("flows/a.toml", "1")]).await;
    let mut tree = files::scan(project.dir.path()).unwrap();
    let named = BTreeSet::from([outside.path().join("token")]);
    assert!(project.watch.name_files(&mut tree, named.clone()));
    assert!(!project.watch.name_files(&mut tree, named), "the same set is no news");
    project.trigger.look_now();
    let looked = project.next().await;
    assert!(looked.requested, "naming files alone hands nothing over");
    assert_eq!(looked.tree.unwrap().hash, tree.hash);
    write(outside.path(), "token", "two");
    let changed = project.next().await.tree.unwrap();
    assert_ne!(changed.hash, tree.hash);
}

#[tokio::test]
async fn a_lost_project_directory_is_reported_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "p/flows/a.toml", "1");
    let mut project = Project::adopt(dir, "p", &[]).await;
    fs::rename(project.path("p"), project.path("elsewhere")).unwrap();
    assert!(project.next().await.tree.is_err());
    fs::rename(project.path("elsewhere"), project.path("p")).unwrap();
    assert!(project.next().await.tree.is_ok());
}

/// Scans as scripted, the last one for ever.
struct Script(Mutex<Vec<&'static str>>);

impl Files for Script {
    fn survey(&self, _root: &Path, _named: &BTreeSet<PathBuf>) -> io::Result<Survey> {
        let mut script = self.0.lock().unwrap();
        let hash = if script.len() > 1 { script.remove(0) } else { script[0] };
        let tree = Tree { root: "/p".into(), files: std::collections::BTreeMap::new(), hash: hash.into() };
        let folders = BTreeSet::from([PathBuf::from("/p/flows")]);
        Ok(Survey { tree, folders, shared: std::collections::BTreeMap::new() })
    }
}

/// Watches nothing, or refuses to.
struct Fake(Result<(), String>);

impl Eyes for Fake {
    fn watch(&mut self, _folder: &Path) -> Result<(), String> {
        self.0.clone()
    }
    fn forget(&mut self, _folder: &Path) {}
}

fn scripted(scans: &[&'static str], eyes: Fake) -> (Watch, Trigger, SharedClock) {
    let clock = SystemClock::start();
    let files = Arc::new(Script(Mutex::new(scans.to_vec())));
    let wakes = (Arc::default(), Arc::default());
    let (watch, trigger) =
        Watch::assemble((Path::new("/p"), "old"), BTreeSet::new(), clock.clone(), files, Box::new(eyes), wakes);
    (watch, trigger, clock)
}

#[tokio::test(start_paused = true)]
async fn a_tree_that_still_moves_is_not_handed_over() {
    let (mut watch, _trigger, clock) = scripted(&["old", "half", "more", "new", "new"], Fake(Ok(())));
    let change = watch.next_change().await;
    assert_eq!(change.tree.unwrap().hash, "new");
    assert_eq!(clock.mono().0.as_millis() / 10, (4 * SETTLE).as_millis() / 10);
}

#[tokio::test(start_paused = true)]
async fn a_tree_that_never_holds_still_is_handed_over_in_the_end() {
    let scans: Vec<&'static str> = ["a", "b"].into_iter().cycle().take(1000).collect();
    let (mut watch, _trigger, clock) = scripted(&scans, Fake(Ok(())));
    watch.next_change().await.tree.unwrap();
    assert!(clock.mono().0 >= PATIENCE && clock.mono().0 < PATIENCE + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn without_any_event_the_folders_are_read_every_half_minute() {
    let (mut watch, _trigger, clock) = scripted(&["old", "old", "new"], Fake(Ok(())));
    assert_eq!(watch.next_change().await.tree.unwrap().hash, "new");
    assert!(clock.mono().0 >= SAFETY && clock.mono().0 < SAFETY + Duration::from_secs(1));
    assert_eq!(*watch.watching(), Watching::Events);
}

#[tokio::test(start_paused = true)]
async fn when_folders_cannot_be_watched_they_are_polled_and_the_reason_is_kept() {
    let (mut watch, _trigger, clock) = scripted(&["old", "old", "new"], Fake(Err("limit reached".into())));
    assert_eq!(watch.next_change().await.tree.unwrap().hash, "new");
    assert!(clock.mono().0 < SAFETY);
    assert_eq!(*watch.watching(), Watching::Polling { reason: "limit reached".into() });
}

#[tokio::test(start_paused = true)]
async fn a_request_is_answered_at_once_even_when_nothing_changed() {
    let (mut watch, trigger, clock) = scripted(&["old"], Fake(Ok(())));
    trigger.look_now();
    trigger.look_now();
    let change = watch.next_change().await;
    assert!(change.requested && change.tree.unwrap().hash == "old");
    assert!(clock.mono().0 < Duration::from_secs(1));
    let again = tokio::time::timeout(Duration::from_hours(1), watch.next_change()).await;
    assert!(again.is_err(), "two requests before the look are one");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_wait_loses_no_change() {
    let (mut watch, _trigger, _clock) = scripted(&["old", "new"], Fake(Ok(())));
    let cut_short = tokio::time::timeout(SETTLE / 2, watch.next_change()).await;
    assert!(cut_short.is_err());
    assert_eq!(watch.next_change().await.tree.unwrap().hash, "new");
}
