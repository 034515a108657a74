//! Every example loads without a warning and says what it seems to say.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test ends where it fails, and reads the files it compares with"
)]

#[path = "support/directory.rs"]
mod directory;

use std::path::{Path, PathBuf};
use std::time::Duration;

use directory::Directory;
use evenkeel_config::plan::{Mode, Plan};
use evenkeel_config::{Loaded, Source, load};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn example(name: &str, variables: &[(&'static str, &'static str)]) -> Loaded {
    let source =
        Directory { root: repository().join("examples"), variables: variables.iter().copied().collect() };
    load(Path::new(name), &source).unwrap_or_else(|report| panic!("{report}"))
}

fn plan(name: &str) -> Plan {
    example(name, &[]).plan
}

fn all() -> Vec<String> {
    let mut names = vec!["include/evenkeel.toml".to_owned()];
    for directory in ["", "interop/"] {
        for entry in std::fs::read_dir(repository().join("examples").join(directory)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".toml") {
                names.push(format!("{directory}{name}"));
            }
        }
    }
    names
}

#[test]
fn every_example_loads_without_a_warning() {
    for name in all() {
        let loaded = example(&name, &[]);
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    }
    assert!(all().len() >= 15);
}

#[test]
fn the_website_takes_its_addresses_from_the_environment() {
    let variables =
        [("BIND", "127.0.0.1:8080"), ("WEBSERVER01", "127.0.0.1:8081"), ("CONTROL", "/tmp/control.sock")];
    let plan = example("website.toml", &variables).plan;
    assert_eq!(plan.listeners[0].binds[0].to_string(), "127.0.0.1:8080");
    let addresses: Vec<_> = plan.pools[0].servers.iter().map(|server| server.address.to_string()).collect();
    assert_eq!(addresses, ["127.0.0.1:8081", "192.168.1.3:80"]);
    assert_eq!(plan.global.control_socket, Path::new("/tmp/control.sock"));
    assert_eq!(plan.pools[0].connect_timeout, Duration::from_secs(1));
}

#[test]
fn routes_keep_their_order() {
    let plan = plan("routes.toml");
    let pools: Vec<_> = plan.listeners[0].rules.iter().map(|rule| rule.pool.as_str()).collect();
    assert_eq!(pools, ["static", "static", "api", "preview"]);
    assert_eq!(plan.pools[0].servers[1].weight.value(), 2);
}

#[test]
fn full_servers_have_a_queue() {
    let pool = plan("full-servers.toml").pools.remove(0);
    assert_eq!((pool.queue.size, pool.queue.timeout), (500, Duration::from_secs(3)));
    assert!(pool.servers.iter().all(|server| server.max_connections.is_some()));
}

#[test]
fn a_listener_for_bytes_has_the_mode_of_one() {
    let plan = plan("tcp.toml");
    let Mode::Tcp(mode) = &plan.listeners[0].mode else { panic!("{plan:?}") };
    assert_eq!(mode.idle_timeout, Duration::from_secs(3600));
}

#[test]
fn included_files_follow_in_the_order_of_their_names() {
    let loaded = example("include/evenkeel.toml", &[]);
    let files: Vec<_> = loaded.files.iter().map(|file| file.to_str().unwrap()).collect();
    assert_eq!(files, ["include/evenkeel.toml", "include/conf.d/blog.toml", "include/conf.d/shop.toml"]);
    let names: Vec<_> = loaded.plan.listeners.iter().map(|listener| listener.name.as_str()).collect();
    assert_eq!(names, ["blog", "shop"]);
}

/// The examples, read on the host of this name.
struct On(&'static str, Directory);

impl Source for On {
    fn read(&self, path: &Path) -> Result<String, String> {
        self.1.read(path)
    }

    fn glob(&self, pattern: &str, relative_to: &Path) -> Result<Vec<PathBuf>, String> {
        self.1.glob(pattern, relative_to)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.1.variable(name)
    }

    fn host_name(&self) -> Option<String> {
        Some(self.0.into())
    }
}

#[test]
fn both_nodes_share_a_file_and_each_has_its_priority() {
    let priority = |host| {
        let root = repository().join("examples");
        let source = On(host, Directory { root, variables: std::collections::BTreeMap::default() });
        let plan = load(Path::new("virtual-address.toml"), &source).unwrap().plan;
        plan.virtual_routers[0].params.settings().priority.number()
    };
    assert_eq!(priority("balancer01.example.com"), 150);
    assert_eq!(priority("balancer02.example.com"), 100);
}
