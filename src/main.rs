//! The binary: everything is in the library.

fn main() -> std::process::ExitCode {
    horsetrust_chat::cli::main()
}
