//! What the documents point to is there, and what they repeat is the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The targets of `[text](target)` that are files of this repository, without what is within them.
fn links(document: &str) -> impl Iterator<Item = &str> {
    let targets = document.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = targets.filter(|target| !target.contains("://"));
    local.filter_map(|target| target.split('#').next()).filter(|path| !path.is_empty())
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let guides = fs::read_dir(root().join("docs")).expect("the documents").map(|entry| entry.expect("a file").path());
    let documents: Vec<PathBuf> = guides
        .chain(
            ["README.md", "load/README.md", "tests/js/README.md", "tests/browser/README.md"]
                .map(|name| root().join(name)),
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

/// The names in capitals that stand in the first cells of a document's tables.
fn codes(document: &str) -> BTreeSet<&str> {
    let cells = document.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let names = cells.flat_map(|cell| cell.split(", ")).map(|name| name.trim_matches('`'));
    names.filter(|name| name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')).collect()
}

#[test]
fn the_guide_says_what_to_do_about_each_code_of_the_wire() {
    let (guide, wire) = (read("docs/guide.md"), read("docs/wire.md"));
    assert!(codes(&wire).contains("OVERLOADED"), "{:?}", codes(&wire));
    assert_eq!(codes(&guide), codes(&wire));
}
