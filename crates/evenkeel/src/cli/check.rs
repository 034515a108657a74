//! `evenkeel check`

use clap::Args;
use evenkeel_config::plan::Plan;
use evenkeel_config::{Loaded, Report, Severity};
use evenkeel_sys::process::rights;
use serde_json::json;

use super::ConfigFile;
use crate::certificates;
use crate::exit::Exit;
use crate::files::Machine;

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    file: ConfigFile,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn perform(self) -> Exit {
        let path = &self.file.config;
        let (report, plan) = match evenkeel_config::load(path, &Machine) {
            Ok(loaded) => with_files(loaded),
            Err(report) => (report, None),
        };
        if self.json {
            super::print_json(&json!({
                "file": path,
                "good": plan.is_some(),
                "errors": report.count(),
                "warnings": report.warnings(),
                "report": report,
            }));
        } else {
            eprint!("{}", report.render(crate::log::colors(&std::io::stderr())));
            if plan.as_ref().is_some_and(|plan| !plan.virtual_routers.is_empty()) && !rights::has_network() {
                eprintln!(
                    "note: {}, which this user does not have: {}",
                    rights::NETWORK_MISSING,
                    rights::NETWORK_CURE
                );
            }
            match &plan {
                Some(plan) => super::print(&format!(
                    "{} is good: {}, {}, {}{}{}{}\n",
                    path.display(),
                    number(plan.listeners.len(), "listener"),
                    number(plan.pools.len(), "pool"),
                    number(plan.pools.iter().map(|pool| pool.servers.len()).sum(), "server"),
                    match plan.pools.iter().map(|pool| pool.sources.len()).sum() {
                        0 => String::new(),
                        sources => format!(", {}", number(sources, "source")),
                    },
                    match plan.virtual_routers.len() {
                        0 => String::new(),
                        routers => format!(", {}", number(routers, "virtual router")),
                    },
                    match report.warnings() {
                        0 => String::new(),
                        warnings => format!("; {}", number(warnings, "warning")),
                    }
                )),
                None => eprintln!("{}: {}", path.display(), count(&report)),
            }
        }
        if plan.is_some() { Exit::Well } else { Exit::Configuration }
    }
}

/// Looks into the files of TLS as well: the plan has only their names.
fn with_files(Loaded { plan, mut warnings, .. }: Loaded) -> (Report, Option<Plan>) {
    let (errors, doubts) = certificates::check(&plan);
    for trouble in &errors {
        warnings.add_file(Severity::Error, &trouble.file, trouble.why.clone());
    }
    for trouble in &doubts {
        warnings.add_file(Severity::Warning, &trouble.file, trouble.why.clone());
    }
    (warnings, errors.is_empty().then_some(plan))
}

/// How many errors and warnings there are.
pub(crate) fn count(report: &Report) -> String {
    match report.warnings() {
        0 => number(report.count(), "error"),
        warnings => format!("{}, {}", number(report.count(), "error"), number(warnings, "warning")),
    }
}

/// `1 server`, `2 servers`.
pub(super) fn number(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
