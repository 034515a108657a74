//! `evenkeel explain`

use clap::Args;

use crate::exit::Exit;

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// A key, such as `max-connections` or `pool.retries`
    key: String,
}

impl Explain {
    pub(super) fn perform(self) -> Exit {
        match evenkeel_config::explain::explain(&self.key) {
            Ok(text) => {
                super::print(&text);
                Exit::Well
            }
            Err(near) => {
                let key = &self.key;
                if near.is_empty() {
                    eprintln!("error: there is no key `{key}`: `evenkeel schema` has all of them");
                } else {
                    eprintln!("error: there is no key `{key}`: did you mean {}?", near.join(" or "));
                }
                Exit::Usage
            }
        }
    }
}
