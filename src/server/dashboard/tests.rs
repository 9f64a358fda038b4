//! What the files of the page may not have in them, whatever is shown with them.

use super::*;
use std::collections::BTreeSet;
use std::path::Path;

/// Ways in which text becomes markup or code, or leaves this machine.
const BANNED: &[&str] = &[
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "DOMParser",
    "createContextualFragment",
    "srcdoc",
    "eval(",
    "new Function",
    "setTimeout(\"",
    "javascript:",
    "http://",
    "https://",
    "//cdn",
    "@import",
    "localStorage.setItem(\"token",
    "style=",
];

/// Names of things, not addresses that are asked.
const NAMES: &[&str] = &["http://www.w3.org/2000/svg"];

fn faults(text: &str) -> Vec<&'static str> {
    let text = NAMES.iter().fold(text.to_owned(), |text, name| text.replace(name, ""));
    BANNED.iter().copied().filter(|banned| text.contains(banned)).collect()
}

#[test]
fn no_file_of_the_page_makes_markup_of_text_or_asks_elsewhere() {
    for planted in ["a.innerHTML = b", "<a href=\"javascript:x\">", "url(https://fonts.example/x)", "<p style=\"x\">"] {
        assert!(!faults(planted).is_empty(), "{planted}");
    }
    for asset in ASSETS {
        assert_eq!(faults(asset.text), [""; 0], "{}", asset.path);
    }
}

#[test]
fn the_page_has_no_script_or_style_of_its_own() {
    let page = ASSETS[0].text;
    assert!(ASSETS[0].path == "/" && page.contains("<script type=\"module\" src=\"/ui/app.js\"></script>"));
    assert_eq!(page.matches("<script").count(), 1);
    assert!(!page.contains("<style") && !regex::Regex::new(r"\son[a-z]+=").unwrap().is_match(page), "{page}");
}

#[test]
fn every_file_is_served_and_every_module_that_is_named_is_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/dashboard");
    let on_disk: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_none_or(|end| end != "rs") && name != "index.html")
        .collect();
    let served: BTreeSet<String> =
        ASSETS.iter().filter_map(|one| Some(one.path.strip_prefix("/ui/")?.into())).collect();
    assert_eq!(on_disk, served);
    let import = regex::Regex::new(r#"from "\./([a-z]+\.js)""#).unwrap();
    let mut seen = 0;
    for asset in ASSETS.iter().filter(|asset| asset.media == SCRIPT) {
        for found in import.captures_iter(asset.text) {
            assert!(served.contains(&found[1]), "{}: {}", asset.path, &found[1]);
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn a_browser_that_has_the_file_is_told_so() {
    let first = answer(1, &HeaderMap::new());
    assert_eq!(first.status(), StatusCode::OK);
    let tag = first.headers()[header::ETAG].clone();
    let mut headers = HeaderMap::new();
    headers.insert(header::IF_NONE_MATCH, format!("\"other\", W/{}", tag.to_str().unwrap()).parse().unwrap());
    let second = answer(1, &headers);
    assert_eq!((second.status(), &second.headers()[header::ETAG]), (StatusCode::NOT_MODIFIED, &tag));
    headers.insert(header::IF_NONE_MATCH, "\"other\"".parse().unwrap());
    assert_eq!(answer(1, &headers).status(), StatusCode::OK);
    assert_ne!(answer(0, &headers).headers()[header::ETAG], tag);
}
