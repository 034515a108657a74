//! The packages of the workspace and what each depends on, from `cargo metadata`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// One package of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Package {
    pub name: String,
    pub dependencies: Vec<Dependency>,
}

/// One of its dependencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    pub name: String,
    /// For tests only; else it is shipped (normal) or runs while building.
    pub dev: bool,
    /// It lies in this tree.
    pub ours: bool,
}

impl Package {
    /// The name without `evenkeel-`: that of the room in the picture.
    pub(super) fn room(&self) -> &str {
        room(&self.name)
    }
}

pub(super) fn room(name: &str) -> &str {
    name.strip_prefix("evenkeel-").unwrap_or(name)
}

pub(super) fn read(root: &Path) -> Result<Vec<Package>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cannot run cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    understand(&output.stdout).ok_or_else(|| "cargo metadata wrote something unexpected".to_owned())
}

fn understand(json: &[u8]) -> Option<Vec<Package>> {
    let metadata: Value = serde_json::from_slice(json).ok()?;
    let packages = metadata["packages"].as_array()?;
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array()?;
            Some(Package {
                name: package["name"].as_str()?.to_owned(),
                dependencies: dependencies.iter().map(dependency).collect::<Option<_>>()?,
            })
        })
        .collect()
}

fn dependency(value: &Value) -> Option<Dependency> {
    Some(Dependency {
        name: value["name"].as_str()?.to_owned(),
        dev: value["kind"].as_str() == Some("dev"),
        ours: value["path"].is_string(),
    })
}

/// A package that a test makes up: `(name, dependencies)`, where `dev:` marks those of tests and `evenkeel` ours.
#[cfg(test)]
pub(super) fn package(name: &str, dependencies: &[&str]) -> Package {
    let dependency = |text: &&str| {
        let name = text.trim_start_matches("dev:");
        Dependency { name: name.to_owned(), dev: name != *text, ours: name.starts_with("evenkeel") }
    };
    Package { name: name.to_owned(), dependencies: dependencies.iter().map(dependency).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_understood() {
        let json = br#"{"packages": [{"name": "evenkeel-http", "dependencies": [
            {"name": "memchr", "kind": null, "path": null},
            {"name": "evenkeel-testkit", "kind": "dev", "path": "/x/crates/testkit"}]}]}"#;
        let expected = package("evenkeel-http", &["memchr", "dev:evenkeel-testkit"]);
        assert_eq!(understand(json), Some(vec![expected]));
        assert_eq!(understand(b"[]"), None);
    }
}
