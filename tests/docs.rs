//! What the documents point to is there, and what they repeat of the code is what the code says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use clap::{Arg, Args, Command};
use horsetrust_chat::config::{Overrides, Settings};

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

fn settings() -> Vec<Arg> {
    Overrides::augment_args(Command::new("horsetrust-chat")).get_arguments().cloned().collect()
}

/// What a setting means, and its default if it has one.
fn told(setting: &Arg) -> (String, Option<String>) {
    let help = setting.get_help().expect("a setting has a help").to_string();
    match help.strip_suffix(']').and_then(|help| help.split_once(" [default: ")) {
        Some((meaning, default)) => (meaning.to_owned(), Some(default.to_owned())),
        None => (help, None),
    }
}

const INTRODUCTION: &str = "\
# Settings

Flags override environment variables, which override the file: `horsetrust-chat.toml` if it exists, or what `CONFIG_FILE` names.
A variable that is set to nothing counts as not set. `horsetrust-chat serve --check-config` prints what holds, secrets masked, or
says why the server would refuse it.

| flag | environment | file | default | |
| --- | --- | --- | --- | --- |
";

fn document() -> String {
    let keys = serde_json::to_value(Overrides::default()).expect("strings and numbers always serialize");
    let mut document = INTRODUCTION.to_owned();
    for setting in settings() {
        let flag = setting.get_long().expect("a setting has a flag");
        let variable = setting.get_env().and_then(|name| name.to_str()).expect("a setting has a variable");
        let key = setting.get_id().as_str();
        let key = if keys.get(key).is_some() { format!("`{key}`") } else { String::new() };
        let (meaning, default) = told(&setting);
        let default = default.unwrap_or_default();
        document += &format!("| `--{flag}` | `{variable}` | {key} | {default} | {meaning} |\n");
    }
    document + "\nMade from [config.rs](../src/config.rs) by `UPDATE_DOCS=1 cargo test --test docs`.\n"
}

#[test]
fn the_table_of_settings_is_what_the_code_says() {
    let path = root().join("docs/settings.md");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, document()).expect("a file that can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let remedy = "docs/settings.md is not what the code says: UPDATE_DOCS=1 cargo test --test docs";
    assert!(written == document(), "{remedy}");
}

#[test]
fn the_defaults_that_are_told_are_those_that_hold() {
    let effective = Settings::read("", &Overrides::default()).expect("the defaults are sound").to_toml();
    for setting in settings() {
        let key = setting.get_id().as_str();
        let holds = effective.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        match told(&setting).1.as_deref().and_then(|default| default.split(';').next()) {
            // Depends on the machine.
            Some(default) if default.contains(' ') => (),
            Some(default) => assert_eq!(holds.map(|value| value.trim_matches('"')), Some(default), "{key}"),
            None => assert!(matches!(holds, None | Some("\"\"")), "{key} is {holds:?}, and nobody is told so"),
        }
    }
}
