//! `evenkeel schema`

use crate::exit::Exit;

pub(super) fn perform() -> Exit {
    super::print_json(&evenkeel_config::schema::json_schema());
    Exit::Well
}
