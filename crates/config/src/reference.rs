//! The reference page of the user guide, made from the table of keys.

use crate::include::{LARGEST_FILE, MOST_FILES, MOST_NESTING};
use crate::keys::{Default, Key, Kind, Section};
use crate::units::ShownSize;

/// The page as Markdown; `docs/guide/configuration.md` holds exactly this.
#[must_use]
pub fn markdown() -> String {
    let mut page = introduction();
    for section in Section::ALL {
        page.push_str(&chapter(section));
    }
    page
}

fn introduction() -> String {
    format!(
        "\
# Configuration

<!-- Generated from the table of keys in crates/config. Refresh with:
     EVENKEEL_REFRESH=1 cargo test -p evenkeel-config --test reference -->

The configuration is one [TOML](https://toml.io) file, usually `/etc/evenkeel/evenkeel.toml`, and what it includes.
`evenkeel check -c FILE` tells every error and warning with its place and what to do; `evenkeel diff -c FILE` tells what
a reload would change; `evenkeel explain KEY` prints what stands on this page; `evenkeel schema` prints a JSON Schema
with which editors complete and check the file. Nothing is started or changed while the file has an error.

```toml
[listener.website]
bind = \"0.0.0.0:80\"
pool = \"website\"

[pool.website.servers]
webserver01 = \"192.168.1.2:80\"
webserver02 = \"192.168.1.3:80\"
```

Further examples are in `examples/`.

## How values are written

**Names** of listeners, pools and servers are yours: 1 to 64 letters, digits, `.`, `_` and `-`, starting with a letter
or digit.

**Durations** are strings with a unit, `\"250ms\"`, `\"0.1s\"`, `\"2s\"`, `\"5m\"`, `\"1h\"`, `\"1d\"`, or several of them, larger
units first: `\"1m30s\"`.

**Sizes** are strings with a unit, `\"500B\"`, `\"16KiB\"`, `\"1MiB\"`, `\"1GiB\"`; 1 KiB is 1024 bytes.

**Addresses** are `\"192.0.2.1:80\"`, `\"[2001:db8::1]:80\"` or `\"unix:/run/app.sock\"`. Host names are not looked up.

**Lists** of one entry may be written without brackets: `bind = \"0.0.0.0:80\"` is `bind = [\"0.0.0.0:80\"]`.

**Variables**: in every string, `${{NAME}}` stands for the environment variable `NAME`, which must be set, and
`${{NAME:-text}}` for `text` when it is not set or empty. `$$` is a dollar sign. Variables are replaced after the file was
read: what they hold can never add a key or end a string. A number may be written as a string when it comes from a
variable: `threads = \"${{THREADS:-auto}}\"`.

**Bounds**: a file has at most {}, a configuration at most {MOST_FILES} files, nested at most {MOST_NESTING} deep.

",
        shown_size(LARGEST_FILE)
    )
}

fn shown_size(bytes: usize) -> String {
    u64::try_from(bytes).map_or_else(|_| bytes.to_string(), |bytes| ShownSize(bytes).to_string())
}

fn chapter(section: Section) -> String {
    let title = match section {
        Section::Top => "Before the first table".to_owned(),
        section => format!("`{}`", section.header()),
    };
    let mut text = format!("## {title}\n\n{}\n\n", section.description());
    let keys =
        || section.keys().filter(|key| !matches!(key.kind, Kind::Table(_) | Kind::Named(_) | Kind::List(_)));
    text.push_str("| key | default |\n|---|---|\n");
    for key in keys() {
        text.push_str(&format!("| [`{}`](#{}) | {} |\n", key.name, anchor(key), key.shown_default()));
    }
    text.push('\n');
    for key in keys() {
        text.push_str(&entry(key));
    }
    text
}

fn entry(key: &Key) -> String {
    let mut text = format!("<a id=\"{}\"></a>\n### `{}`\n\n{}\n\n", anchor(key), key.name, key.description);
    text.push_str(&format!("- takes {}\n", key.kind.expectation()));
    text.push_str(&match key.default {
        Default::Required => "- must be given\n".to_owned(),
        _ => format!("- default: {}\n", key.shown_default()),
    });
    if key.http_only {
        text.push_str("- only with `mode = \"http\"`\n");
    }
    if key.at_restart {
        text.push_str("- a change takes effect when the program is started again\n");
    }
    text.push_str(&format!("\n```toml\n{}\n```\n\n", key.example));
    text
}

fn anchor(key: &Key) -> String {
    key.path().replace('.', "-")
}
