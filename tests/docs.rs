//! What the documents point to is there.

use std::fs;
use std::path::{Path, PathBuf};

/// The targets of `[text](target)` that are files of this repository, without what is within them.
fn links(document: &str) -> impl Iterator<Item = &str> {
    let targets = document.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = targets.filter(|target| !target.contains("://"));
    local.filter_map(|target| target.split('#').next()).filter(|path| !path.is_empty())
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guides = fs::read_dir(root.join("docs")).expect("the documents").map(|entry| entry.expect("a file").path());
    let documents: Vec<PathBuf> = guides
        .chain(
            ["README.md", "load/README.md", "tests/js/README.md", "tests/browser/README.md"]
                .map(|name| root.join(name)),
        )
        .collect();
    let mut broken = Vec::new();
    for path in documents.iter().filter(|path| path.extension().is_some_and(|kind| kind == "md")) {
        let document = fs::read_to_string(path).expect("text");
        let folder = path.parent().expect("a file is in a folder");
        let missing = links(&document).filter(|link| !folder.join(link).exists());
        broken.extend(missing.map(|link| format!("{}: {link}", path.display())));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
