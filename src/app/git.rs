//! Which commit a project folder stands at, read from the files of its repository. Nothing is run: `git` may not be there,
//! and what a repository configures is nobody's business here.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Folders above the project that are looked at.
const MOST_PARENTS: usize = 64;
/// Largest `HEAD`, reference or `.git` file.
const MOST_SMALL: u64 = 4 << 10;
/// Largest list of packed references.
const MOST_PACKED: u64 = 32 << 20;
/// References that may lead to references.
const HOPS: usize = 5;

/// Where a work tree stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Revision {
    /// The commit, in hex; none on a branch without commits.
    pub(super) commit: Option<String>,
    /// The branch; none when none is checked out.
    pub(super) branch: Option<String>,
}

/// The revision of the work tree that holds this folder; none when none does, or what is there cannot be read.
pub(super) fn revision(folder: &Path) -> Option<Revision> {
    let folder = folder.canonicalize().ok()?;
    let git = folder.ancestors().take(MOST_PARENTS).find_map(git_dir)?;
    let shared = shared_dir(&git);
    let head = small(&git.join("HEAD"))?;
    let head = head.trim();
    let Some(mut name) = target(head) else {
        return is_hash(head).then(|| Revision { commit: Some(head.to_owned()), branch: None });
    };
    let branch = name.strip_prefix("refs/heads/").map(str::to_owned);
    for _ in 0..HOPS {
        let found = loose(&git, &name).or_else(|| loose(&shared, &name)).or_else(|| packed(&shared, &name));
        match found {
            Some(text) if is_hash(&text) => return Some(Revision { commit: Some(text), branch }),
            Some(text) => name = target(&text)?,
            None => return Some(Revision { commit: None, branch }),
        }
    }
    None
}

/// The repository's own folder: `.git`, or where the file `.git` of a further work tree points.
fn git_dir(folder: &Path) -> Option<PathBuf> {
    let git = folder.join(".git");
    let found = fs::metadata(&git).ok()?;
    if found.is_dir() {
        return git.join("HEAD").is_file().then_some(git);
    }
    let text = small(&git)?;
    let there = folder.join(text.trim().strip_prefix("gitdir:")?.trim());
    there.join("HEAD").is_file().then_some(there)
}

/// Where references are that all work trees share.
fn shared_dir(git: &Path) -> PathBuf {
    small(&git.join("commondir")).map_or_else(|| git.to_path_buf(), |text| git.join(text.trim()))
}

fn loose(git: &Path, name: &str) -> Option<String> {
    small(&git.join(name)).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn packed(git: &Path, name: &str) -> Option<String> {
    let text = read(&git.join("packed-refs"), MOST_PACKED)?;
    text.lines()
        .find_map(|line| line.split_once(' ').filter(|(_, known)| *known == name))
        .map(|(hash, _)| hash.to_owned())
}

/// The reference a text leads to: one below `refs/`, and nowhere else.
fn target(text: &str) -> Option<String> {
    let name = text.strip_prefix("ref:")?.trim();
    let plain =
        name.starts_with("refs/") && name.split('/').all(|part| !part.is_empty() && part != ".." && part != ".");
    plain.then(|| name.to_owned())
}

/// SHA-1 or SHA-256.
fn is_hash(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn small(path: &Path) -> Option<String> {
    read(path, MOST_SMALL)
}

/// Regular files only: nothing here waits for a pipe.
fn read(path: &Path, most: u64) -> Option<String> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    let read = File::open(path).ok()?.take(most + 1).read_to_string(&mut text).ok()?;
    (read as u64 <= most).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn at(commit: Option<&str>, branch: Option<&str>) -> Revision {
        Revision { commit: commit.map(str::to_owned), branch: branch.map(str::to_owned) }
    }

    #[test]
    fn a_branch_is_followed_to_its_commit_loose_or_packed() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("shop/flows");
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(revision(&folder), None, "no work tree");
        write(root.path(), ".git/HEAD", "ref: refs/heads/main\n");
        assert_eq!(revision(&folder), Some(at(None, Some("main"))), "no commit yet");
        write(
            root.path(),
            ".git/packed-refs",
            &format!("# pack-refs\n{ONE} refs/heads/main\n^{TWO}\n{TWO} refs/heads/mainly\n"),
        );
        assert_eq!(revision(&folder), Some(at(Some(ONE), Some("main"))));
        write(root.path(), ".git/refs/heads/main", &format!("{TWO}\n"));
        assert_eq!(revision(&folder), Some(at(Some(TWO), Some("main"))), "a loose one is newer");
        write(root.path(), ".git/HEAD", ONE);
        assert_eq!(revision(&folder), Some(at(Some(ONE), None)), "nothing is checked out by name");
    }

    #[test]
    fn a_further_work_tree_has_a_head_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "main/.git/HEAD", "ref: refs/heads/main");
        write(root.path(), "main/.git/refs/heads/main", ONE);
        write(root.path(), "main/.git/refs/heads/wip", TWO);
        write(root.path(), "main/.git/worktrees/other/HEAD", "ref: refs/heads/wip");
        write(root.path(), "main/.git/worktrees/other/commondir", "../..\n");
        write(root.path(), "other/.git", "gitdir: ../main/.git/worktrees/other\n");
        assert_eq!(revision(&root.path().join("other")), Some(at(Some(TWO), Some("wip"))));
    }

    #[test]
    fn what_leads_elsewhere_or_nowhere_is_no_revision() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "secret", ONE);
        for head in ["ref: ../secret", "ref: refs/../../secret", "ref: /etc/passwd", "nonsense", "", "ref: refs//x"] {
            write(root.path(), ".git/HEAD", head);
            assert_eq!(revision(root.path()), None, "{head}");
        }
        write(root.path(), ".git/HEAD", "ref: refs/heads/a");
        write(root.path(), ".git/refs/heads/a", "ref: refs/heads/b");
        write(root.path(), ".git/refs/heads/b", "ref: refs/heads/a");
        assert_eq!(revision(root.path()), None, "a ring");
        write(root.path(), ".git/HEAD", &"x".repeat(10_000));
        assert_eq!(revision(root.path()), None, "too large");
    }
}
