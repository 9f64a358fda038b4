//! Pages of `flowgate man`, set by groff as `man` does it.

use crate::peer;
use std::process::Command;

#[test]
fn groff_sets_every_page_without_a_complaint() {
    let Some(groff) = peer::program("groff") else { return };
    let folder = tempfile::tempdir().unwrap();
    let written = Command::new(env!("CARGO_BIN_EXE_flowgate")).arg("man").arg(folder.path()).status().unwrap();
    assert!(written.success());
    let pages: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|page| page.unwrap().path()).collect();
    assert!(pages.len() > 30, "{pages:?}");
    for page in pages {
        let set =
            Command::new(&groff).args(["-man", "-Tutf8", "-Kutf8", "-ww", "-P-cbou"]).arg(&page).output().unwrap();
        let (text, said) = (String::from_utf8_lossy(&set.stdout), String::from_utf8_lossy(&set.stderr));
        assert!(set.status.success() && said.is_empty(), "{}: {said}", page.display());
        let name = page.file_stem().unwrap().to_string_lossy();
        assert!(text.contains(&*name) && text.contains("--json"), "{}:\n{text}", page.display());
    }
}
