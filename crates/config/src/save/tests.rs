use evenkeel_traffic::name::Name;

use super::*;
use crate::overlay::NewServer;

const FILE: &str = r#"# The site.
[listener.website]   # clients
bind = "0.0.0.0:80"
pool = "website"

[pool.website]
balance   =  "least-connections" # spaces stay

# The first rack:

# an old one
[pool.website.servers]
web1 = "${WEB1:-192.0.2.1:80}" # by variable
# About racks in general.

# the second one
web2 = { address = "192.0.2.2:80",  weight = 2 } # heavy
web3 = "192.0.2.3:80"

# Static files.
[pool.static.servers.cache]
address = "192.0.2.9:80" # cache
weight = 5
"#;

fn entry(pool: &str, server: &str, change: Change) -> Entry {
    let name = |text: &str| -> Name { text.parse().unwrap() };
    Entry { pool: name(pool), server: name(server), at: 0, by: String::new(), change, leaving: false }
}

fn server(name: &str, json: &str) -> Change {
    let new: NewServer = serde_json::from_str(json).unwrap();
    Change::Set(new.named(name.parse().unwrap()))
}

fn adjusted(json: &str) -> Change {
    Change::Adjusted(serde_json::from_str(json).unwrap())
}

fn written(entries: &[Entry]) -> String {
    let (text, count) = write(FILE, entries).unwrap();
    assert_eq!(count, entries.len());
    text
}

#[test]
fn nothing_to_write_changes_no_byte() {
    assert_eq!(write(FILE, &[]).unwrap(), (FILE.to_owned(), 0));
    let elsewhere = entry("other", "web1", Change::Removed);
    assert_eq!(write(FILE, &[elsewhere]).unwrap(), (FILE.to_owned(), 0));
}

#[test]
fn an_added_server_is_a_line_at_the_end_of_its_pool() {
    let text = written(&[
        entry("website", "web4", server("web4", r#"{"address":"192.0.2.4:80"}"#)),
        entry("website", "web5", server("web5", r#"{"address":"192.0.2.5:80","weight":3,"state":"drain"}"#)),
    ]);
    let lines = "web3 = \"192.0.2.3:80\"\nweb4 = \"192.0.2.4:80\"\n\
                 web5 = { address = \"192.0.2.5:80\", weight = 3, state = \"drain\" }\n\n# Static files.";
    assert_eq!(text, FILE.replace("web3 = \"192.0.2.3:80\"\n\n# Static files.", lines));
}

#[test]
fn an_adjusted_server_keeps_its_variable_its_comment_and_its_place() {
    let text = written(&[
        entry("website", "web1", adjusted(r#"{"weight":3}"#)),
        entry("website", "web2", adjusted(r#"{"weight":7,"state":"maintenance"}"#)),
        entry("static", "cache", adjusted(r#"{"weight":6}"#)),
    ]);
    let expected = FILE
        .replace(
            "web1 = \"${WEB1:-192.0.2.1:80}\" # by variable",
            "web1 = { address = \"${WEB1:-192.0.2.1:80}\", weight = 3 } # by variable",
        )
        .replace("weight = 2 } # heavy", "weight = 7 , state = \"maintenance\" } # heavy")
        .replace("weight = 5", "weight = 6");
    let tidy = |text: &str| text.replace(" ,", ",").replace("  ", " ");
    assert_eq!(tidy(&text), tidy(&expected));
}

#[test]
fn a_removed_server_takes_the_comment_right_above_it_along_and_no_other() {
    let text = written(&[entry("website", "web2", Change::Removed)]);
    let expected = FILE.replace(
        "# About racks in general.\n\n# the second one\nweb2 = { address = \"192.0.2.2:80\",  weight = 2 } # heavy\n",
        "# About racks in general.\n\n",
    );
    assert_eq!(text, expected);
    let last = written(&[entry("website", "web3", Change::Removed)]);
    assert_eq!(last, FILE.replace("web3 = \"192.0.2.3:80\"\n", ""));
}

#[test]
fn a_replaced_server_stands_where_it_stood() {
    let text = written(&[
        entry("website", "web2", server("web2", r#"{"address":"192.0.2.22:80"}"#)),
        entry("static", "cache", server("cache", r#"{"address":"192.0.2.10:80","priority":0}"#)),
    ]);
    assert!(text.contains("# the second one\nweb2 = \"192.0.2.22:80\" # heavy\nweb3"), "{text}");
    assert!(
        text.contains("[pool.static.servers.cache]\naddress = \"192.0.2.10:80\"\npriority = 0\n"),
        "{text}"
    );
}

#[test]
fn what_is_no_toml_or_no_table_is_refused() {
    assert!(write("[pool", &[]).unwrap_err().to_string().starts_with("it is no TOML"));
    let odd = write("[pool.website]\nservers = 3\n", &[entry("website", "a", Change::Removed)]);
    assert_eq!(odd.unwrap_err().to_string(), "the servers of pool website are no table in it");
}
