//! The binary: everything is in the library, but for the allocator, which is a program's own choice.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    horsetrust_chat::cli::main()
}
