//! Files of the service before, as `mongoexport` writes them, and the calls that read and write such files.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
    sync::Arc,
};

use serde_json::{Value, json};

use super::people::{Person, new_id, token};
use super::server::{DataDir, command, output};

/// The exit code of an import that refused some documents.
pub(crate) const REFUSED: i32 = 3;

/// A directory for files, beside a data directory and gone with it.
pub(crate) struct Files {
    directory: Arc<DataDir>,
    pub(crate) path: PathBuf,
}

impl Files {
    pub(crate) fn beside(directory: &Arc<DataDir>, name: &str) -> Self {
        let path = directory.path().with_file_name(name);
        fs::create_dir_all(&path).expect("a directory for files");
        Self { directory: directory.clone(), path }
    }

    pub(crate) fn write(&self, name: &str, documents: &[Value]) {
        let lines: Vec<String> = documents.iter().map(Value::to_string).collect();
        self.write_text(name, &lines.join("\n"));
    }

    pub(crate) fn write_text(&self, name: &str, text: &str) {
        fs::write(self.path.join(name), text).expect("a file");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path.join(name)).expect(name);
        text.lines().map(|line| serde_json::from_str(line).expect("a document a line")).collect()
    }

    /// Runs a call about these files; what it printed, or why it failed. That some were refused is no failure.
    pub(crate) fn run(&self, call: &str, option: &str) -> Result<String, String> {
        self.run_with(call, option, &[])
    }

    pub(crate) fn import_with(&self, more: &[&str]) -> Result<String, String> {
        self.run_with("import", "--from", more)
    }

    fn run_with(&self, call: &str, option: &str, more: &[&str]) -> Result<String, String> {
        self.make_database();
        let mut command = command(&[call, option]);
        command.arg(&self.path).arg("--data-dir").arg(self.directory.path()).current_dir(&self.path);
        let output = output(command.args(more));
        let [out, error] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        let done = output.status.success() || output.status.code() == Some(REFUSED);
        if done { Ok(error + &out) } else { Err(error) }
    }

    /// As before the day: an import itself makes none.
    fn make_database(&self) {
        if !self.directory.path().join("postgres").exists() {
            let made = output(command(&["migrate", "--data-dir"]).arg(self.directory.path()));
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
    }

    /// An import that its caller looks after.
    pub(crate) fn begin_import(&self) -> Child {
        self.make_database();
        let mut import = command(&["import", "--from"]);
        import.arg(&self.path).arg("--data-dir").arg(self.directory.path()).current_dir(&self.path);
        import.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs")
    }

    pub(crate) fn import(&self) -> String {
        self.run("import", "--from").unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn export(&self) -> Result<String, String> {
        self.run("export", "--to")
    }

    /// Document number and reason of all that was refused, by file.
    pub(crate) fn refused(&self, file: &str) -> Vec<(i64, String)> {
        let entries = self.read("import-refused.jsonl");
        let entries = entries.iter().filter(|entry| entry["file"] == file && entry.get("reason").is_some());
        let shown = |entry: &Value| {
            let reason = entry["reason"].as_str().expect("a reason").to_owned();
            (entry["document"].as_i64().expect("a number"), reason)
        };
        let mut refused: Vec<_> = entries.map(shown).collect();
        refused.sort();
        refused
    }
}

pub(crate) fn oid(id: &str) -> Value {
    json!({ "$oid": id })
}

/// So many seconds after a moment of 2024, relaxed.
pub(crate) fn date(seconds: i64) -> Value {
    json!({ "$date": format!("2024-03-15T10:{:02}:{:02}.000Z", seconds / 60, seconds % 60) })
}

pub(crate) fn user(id: &str, name: &str) -> Value {
    json!({ "_id": oid(id), "full_name": name, "email": "not@taken.example", "__v": 0 })
}

pub(crate) fn conversation(id: &str, creator: &str, recipient: &str) -> Value {
    json!({
        "_id": oid(id), "participants": [oid(creator), oid(recipient)], "horse_id": null,
        "created_at": date(0), "updated_at": date(0),
    })
}

pub(crate) fn message(id: &str, conversation: &str, sender: &str, text: &str, seconds: i64) -> Value {
    json!({
        "_id": oid(id), "conversation_id": oid(conversation), "sender_id": oid(sender), "text": text,
        "is_read": false, "read_at": null, "sent_at": date(seconds),
    })
}

pub(crate) fn with(mut document: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().expect("fields") {
        document[name] = value.clone();
    }
    document
}

pub(crate) fn ids<const N: usize>() -> [String; N] {
    std::array::from_fn(|_| new_id())
}

pub(crate) fn person(id: &str) -> Person {
    Person { id: id.to_owned(), token: token(id, "seller") }
}
