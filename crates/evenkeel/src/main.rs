//! Evenkeel: load balancing and high availability in one program.
//!
//! The wiring: the command line, the supervisor and the start of the roles. Nothing here decides where traffic goes
//! or touches it.

mod certificates;
mod cli;
mod demo;
mod exit;
mod files;
mod log;
mod role;
mod supervisor;

/// Workers allocate and free on different threads (pooled connections move between them), which this allocator does
/// without a lock.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main().into()
}
