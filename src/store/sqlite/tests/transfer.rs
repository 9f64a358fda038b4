//! Out and in again: everything arrives, or nothing.

use super::*;
use crate::store::conformance::at;
use crate::store::conformance::model::everything;
use crate::store::{RunFilter, StateDir, TransferError, export_state, import_state};

async fn exported(dir: &Path, tokens: bool) -> String {
    let store = open(dir, options());
    let token =
        Write::Put { space: Space::Token, key: "shop".to_owned(), value: "{\"refresh\":\"s3cret\"}".to_owned() };
    let mut batch = history();
    batch.push(token);
    store.commit(batch).await.unwrap();
    store.close().await.unwrap();
    let mut out = Vec::new();
    export_state(dir, tokens, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn fresh(home: &Path, name: &str) -> StateDir {
    StateDir::own(&home.join(name), at(0)).unwrap()
}

#[tokio::test]
async fn an_export_taken_in_gives_the_same_state() {
    let home = tempfile::tempdir().unwrap();
    let from = fresh(home.path(), "from");
    let text = exported(from.path(), true).await;
    let to = fresh(home.path(), "to");
    let count = import_state(&to, &mut text.as_bytes()).unwrap();
    assert_eq!(count + 2, text.lines().count() as u64);
    let (old, new) = (open(from.path(), options()), open(to.path(), options()));
    assert_eq!(new.damage(), []);
    assert_eq!(everything(&new).await, everything(&old).await);
    let id = |store: &Arc<dyn Store>| store.commit(vec![failed("r1", "a", "t9", 9)]);
    assert_eq!(id(&new).await.unwrap().errors, id(&old).await.unwrap().errors, "ids go on where they were");
    new.close().await.unwrap();
    assert!(matches!(import_state(&to, &mut text.as_bytes()), Err(TransferError::NotEmpty(_))));
}

#[tokio::test]
async fn credentials_go_out_only_when_asked() {
    let home = tempfile::tempdir().unwrap();
    let from = fresh(home.path(), "from");
    assert!(!exported(from.path(), false).await.contains("s3cret"));
    let mut out = Vec::new();
    export_state(from.path(), true, &mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().contains("s3cret"));
}

#[tokio::test]
async fn what_was_changed_or_cut_off_is_refused_whole() {
    let home = tempfile::tempdir().unwrap();
    let from = fresh(home.path(), "from");
    let text = exported(from.path(), true).await;
    let lines: Vec<&str> = text.lines().collect();
    let without_last = lines[..lines.len() - 1].join("\n");
    let without_one = [&lines[..3], &lines[4..]].concat().join("\n");
    let changed = text.replacen("\"failed\":1", "\"failed\":0", 1);
    assert_ne!(changed, text);
    for (bad, told) in [
        (without_last.as_str(), "before its last line"),
        (without_one.as_str(), "rows came"),
        (changed.as_str(), "checksum"),
        (&text.replacen("\"format\":1", "\"format\":9", 1), "format 9"),
        ("", "before its last line"),
        ("nonsense\n", "no export"),
        (&text.replacen("{\"kind\"", "nonsense", 1), "line 2"),
    ] {
        let to = fresh(home.path(), "to");
        let error = import_state(&to, &mut bad.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(told) && error.contains("nothing was imported"), "{error}");
        let store = open(to.path(), options());
        assert_eq!(store.runs(RunFilter::default()).await.unwrap(), []);
        assert_eq!(store.usage().await.unwrap().pages, 0);
        store.close().await.unwrap();
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 64, ..Default::default() })]
    #[test]
    fn no_text_makes_an_import_panic(text in "(\\{\"format\":1,\"what\":\"\",\"applied\":1,\"last_error\":1,\"tokens\":true\\}\n)?(\\{\"kind\":\"(run|page|value|x)\",\"sum\":[0-9]{1,3},\"row\":(\\{\\}|1|\"a\")\\}\n|.{0,30}\n){0,4}") {
        let home = tempfile::tempdir().unwrap();
        let to = fresh(home.path(), "to");
        assert!(import_state(&to, &mut text.as_bytes()).is_err());
    }
}
