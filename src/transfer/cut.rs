//! Cuts a file into its JSON documents, whether they stand one a line, one behind the other in an array, or over many
//! lines each, as `mongoexport` writes them with and without `--jsonArray` and `--pretty`.
//!
//! A document that is broken costs itself only where each begins a line: the next one begins at the next `{` that stands
//! first in its line, which nested ones do not. In an array that is all one line it may cost those behind it.

use std::io::{self, BufRead};

/// Longest document in bytes: MongoDB's own limit, with what extended JSON adds.
const DOCUMENT_BYTES: usize = 32 * 1024 * 1024;

/// What is found next.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Cut {
    /// A whole document, in [`Documents::text`].
    Document,
    /// Something that is none, and why.
    Broken(&'static str),
}

/// The documents of a file, one after the other.
pub(super) struct Documents<R> {
    reader: R,
    text: Vec<u8>,
    /// In which line the reader is, and in which the document begins; the first is 1.
    reader_line: u64,
    line: u64,
    read: u64,
    is_line_start: bool,
}

/// Where in a document the reader is.
#[derive(Default)]
struct Place {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Place {
    fn pass(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => (),
            b'{' => self.depth += 1,
            b'}' => self.depth -= 1,
            _ => (),
        }
    }
}

impl<R: BufRead> Documents<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, text: Vec::new(), reader_line: 1, line: 1, read: 0, is_line_start: true }
    }

    /// The document that was found last.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// In which line it begins.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// How many bytes are behind us.
    pub(super) fn bytes_read(&self) -> u64 {
        self.read
    }

    /// The next document; `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn next(&mut self) -> io::Result<Option<Cut>> {
        self.text.clear();
        loop {
            let Some(byte) = self.peek()? else { return Ok(None) };
            match byte {
                b'{' => return self.document().map(Some),
                // Between documents; a byte order mark before them.
                b'[' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n' | 0xef | 0xbb | 0xbf => self.consume(byte),
                _ => {
                    self.line = self.reader_line;
                    self.skip_line(Some(b'{'))?;
                    return Ok(Some(Cut::Broken("not a JSON document")));
                }
            }
        }
    }

    /// Reads to the end of the document that begins here.
    fn document(&mut self) -> io::Result<Cut> {
        self.line = self.reader_line;
        let mut place = Place::default();
        loop {
            let Some(byte) = self.peek()? else { return Ok(Cut::Broken("the file ends in the middle of it")) };
            if byte == b'{' && self.is_line_start && place.depth > 0 {
                return Ok(Cut::Broken("not complete: another document begins"));
            }
            self.consume(byte);
            self.text.push(byte);
            place.pass(byte);
            if place.depth == 0 {
                return Ok(Cut::Document);
            }
            if byte == b'\n' && place.in_string {
                return Ok(Cut::Broken("a string has no end"));
            }
            if self.text.len() > DOCUMENT_BYTES {
                self.skip_line(None)?;
                return Ok(Cut::Broken("longer than any document may be"));
            }
        }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        self.reader.fill_buf().map(|buffer| buffer.first().copied())
    }

    fn consume(&mut self, byte: u8) {
        self.reader.consume(1);
        self.read += 1;
        self.is_line_start = byte == b'\n';
        self.reader_line += u64::from(byte == b'\n');
    }

    /// Behind the line's end, or before a byte that is not to be skipped.
    fn skip_line(&mut self, but: Option<u8>) -> io::Result<()> {
        while let Some(byte) = self.peek()?.filter(|byte| Some(*byte) != but) {
            self.consume(byte);
            if byte == b'\n' {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(file: &str) -> Vec<(u64, Result<String, &'static str>)> {
        // A small buffer, so that documents lie across its ends.
        let mut documents = Documents::new(io::BufReader::with_capacity(7, file.as_bytes()));
        let mut all = Vec::new();
        while let Some(cut) = documents.next().expect("memory can be read") {
            let found = match cut {
                Cut::Document => Ok(String::from_utf8(documents.text().to_vec()).expect("the test's own text")),
                Cut::Broken(why) => Err(why),
            };
            all.push((documents.line(), found));
        }
        assert_eq!(documents.bytes_read(), file.len() as u64);
        all
    }

    fn texts(file: &str) -> Vec<String> {
        cut(file).into_iter().map(|(_, found)| found.expect("a document")).collect()
    }

    #[test]
    fn lines_arrays_and_pretty_arrays_have_the_same_documents() {
        let (one, other) = (r#"{"a":{"b":"}{\"\\"}}"#, r#"{"a":[{"b":1}]}"#);
        let expected = vec![one.to_owned(), other.to_owned()];
        for file in [
            format!("{one}\n{other}\n"),
            format!("{one}\r\n\r\n{other}"),
            format!("[{one},{other}]"),
            format!("\u{feff}[\n{one},\n{other}\n]\n"),
        ] {
            assert_eq!(texts(&file), expected, "{file}");
        }
        let pretty = "[{\n\t\"a\": {\n\t\t\"b\": 1\n\t}\n},\n{\n\t\"a\": 2\n}]\n";
        assert_eq!(texts(pretty), ["{\n\t\"a\": {\n\t\t\"b\": 1\n\t}\n}", "{\n\t\"a\": 2\n}"]);
        assert_eq!(texts(""), Vec::<String>::new());
        assert_eq!(texts("[]\n"), Vec::<String>::new());
    }

    #[test]
    fn what_is_broken_costs_itself_only_and_has_its_line() {
        let file = "{\"a\":1}\n{\"a\":\n{\"b\":2}\nnonsense\n{\"c\":\"no end\n{\"d\":3}\n{\"e\":";
        let found = cut(file);
        let lines: Vec<u64> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 6, 7]);
        let sound: Vec<&str> = found.iter().filter_map(|(_, found)| found.as_deref().ok()).collect();
        assert_eq!(sound, [r#"{"a":1}"#, r#"{"b":2}"#, r#"{"d":3}"#]);
    }
}
