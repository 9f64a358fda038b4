//! The manifests under `packaging/kubernetes` against the schemas that Kubernetes publishes, unknown fields refused.

use crate::peer;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether all resources of a file are valid, and what was said.
fn judged(judge: &Path, file: &Path) -> (bool, String) {
    let output = Command::new(judge).arg("--strict").arg(file).output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    (output.status.success(), said)
}

#[test]
fn the_manifests_keep_to_the_schemas_of_kubernetes() {
    let Some(judge) = peer::python_program("kubernetes-validate") else { return };
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("packaging/kubernetes");
    let mut passed = 0;
    for name in ["flowgate.yaml", "project.yaml", "secret.example.yaml"] {
        let (valid, said) = judged(&judge, &folder.join(name));
        assert!(valid && !said.contains("WARN"), "{said}");
        passed += said.matches(" passed for resource ").count();
    }
    assert_eq!(passed, 8, "every resource was looked at");
    // It would have seen a slip.
    let text = std::fs::read_to_string(folder.join("flowgate.yaml")).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    for (right, wrong) in [
        ("replicas: 1", "replicas: one"),
        ("readOnlyRootFilesystem", "readonlyRootFilesystem"),
        ("terminationGracePeriodSeconds: 60", "terminationGraceSeconds: 60"),
    ] {
        let file = scratch.path().join("wrong.yaml");
        std::fs::write(&file, text.replace(right, wrong)).unwrap();
        let (valid, said) = judged(&judge, &file);
        assert!(!valid, "{wrong}: {said}");
    }
}
