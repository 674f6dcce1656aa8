//! The script that installs what is missing, on a machine where the package manager is a stand-in.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Output};

/// A machine that has a shell, root's rights and a package manager, and nothing else.
struct Machine(PathBuf);

impl Machine {
    /// `apt_get` is what the package manager does, in shell.
    fn new(apt_get: &str) -> Self {
        let root = std::env::temp_dir().join(format!("ht-set-up-{}", actors::SessionId::new()));
        fs::create_dir(&root).expect("a directory for the test");
        for tool in ["bash", "env", "sh", "touch", "chmod"] {
            let tools = ["/bin", "/usr/bin"].map(|directory| PathBuf::from(directory).join(tool));
            symlink(tools.iter().find(|path| path.exists()).expect("every system has it"), root.join(tool))
                .expect("a link");
        }
        let machine = Self(root);
        machine.program("id", "echo 0");
        machine.program("apt-get", &format!("echo \"$@\" >>{}\n{apt_get}", machine.0.join("log").display()));
        machine
    }

    fn program(&self, name: &str, body: &str) {
        let path = self.0.join(name);
        fs::write(&path, format!("#!{}/bash\n{body}\n", self.0.display())).expect("a program");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a program");
    }

    fn ensure(&self, need: &str) -> Output {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/ensure.sh");
        let mut command = Command::new(self.0.join("bash"));
        command.arg(script).arg(need).env_clear().env("PATH", &self.0).env("CI", "true");
        command.output().expect("the shell runs")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.0.join("log")).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_missing_is_installed_and_said() {
    let machine = Machine::new("[[ $1 == update ]] || { touch ${0%/*}/cc; chmod 755 ${0%/*}/cc; }");
    let output = machine.ensure("cc");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("cc is missing: installing gcc libc6-dev with apt-get"), "{said}");
    assert!(machine.log().lines().any(|line| line.contains("install") && line.contains("gcc libc6-dev")));
    let again = machine.ensure("cc");
    assert!(again.status.success() && again.stdout.is_empty(), "it is there now: {again:?}");
}

#[test]
fn what_cannot_be_installed_is_named_with_what_to_type() {
    let machine = Machine::new("exit 1");
    let output = machine.ensure("cc");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("type, as root: apt-get install gcc libc6-dev"), "{said}");
}

#[test]
fn what_no_package_manager_has_is_named_with_its_remedy() {
    let machine = Machine::new("exit 1");
    let output = machine.ensure("rust");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("install Rust 1.95 or newer"), "{said}");
    assert_eq!(machine.log(), "", "nothing is installed for it");
}

#[test]
fn a_browser_that_is_named_comes_before_the_system_s() {
    let machine = Machine::new("exit 1");
    machine.program("browser", "");
    let browser = machine.0.join("browser");
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/chromium.sh"));
    let output =
        command.env_clear().env("PATH", &machine.0).env("CHROMIUM", &browser).output().expect("the shell runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), browser.to_string_lossy(), "{output:?}");
}
