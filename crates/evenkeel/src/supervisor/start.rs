//! From the command line to the first role: whatever can fail does so here, before anything is started.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use evenkeel_admin::message::EventKind;
use evenkeel_config::plan::Plan;
use evenkeel_sys::process::notify::Notifier;
use evenkeel_sys::process::{limit, rights, successor};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::availability::Availability;
use super::capacity::{Capacity, Machine, capacity};
use super::discovery::Discovery;
use super::events::{Happened, History};
use super::keeper::Keeper;
use super::leaving::Leaving;
use super::live::Edits;
use super::logs::LogFiles;
use super::past::Past;
use super::process::{Launch, MOST_REPORTS};
use super::reload::{Reloads, keep_what_was_fixed};
use super::sockets::{Doors, Sockets};
use super::status::Queries;
use super::steering::Steering;
use super::store::{self, Store};
use super::telling::Telling;
use super::tracking::Tracking;
use super::upgrade::{Inherited, Upgrades, inherited};
use super::{Supervisor, certificates, keys, pair};
use crate::exit::Exit;
use crate::files;
use crate::role::Role;

/// The signals that the supervisor listens to.
pub(super) struct Signals {
    pub(super) terminate: Signal,
    pub(super) interrupt: Signal,
    pub(super) hangup: Signal,
    pub(super) user2: Signal,
}

/// Runs the program with the configuration at `config`, until it is told to stop.
pub(crate) fn run(config: &Path, log_level: &str) -> Exit {
    run_with(config, log_level, false, None)
}

/// The same, and another program may take the place of this process ([`super::upgrade`]), or this one takes the place of
/// another.
pub(crate) fn run_for_ever(config: &Path, log_level: &str) -> Exit {
    match inherited() {
        Ok(inherited) => run_with(config, log_level, true, inherited),
        Err(why) => {
            tracing::error!("this program cannot take over: {why}");
            Exit::CannotStart
        }
    }
}

fn run_with(config: &Path, log_level: &str, renewable: bool, inherited: Option<Inherited>) -> Exit {
    let loaded = match evenkeel_config::load(config, &files::Machine) {
        Ok(loaded) => loaded,
        Err(report) => {
            eprint!("{}", report.render(crate::log::colors(&std::io::stderr())));
            eprintln!("nothing was started: {}", crate::cli::check::count(&report));
            return Exit::Configuration;
        }
    };
    eprint!("{}", loaded.warnings.render(crate::log::colors(&std::io::stderr())));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            return Exit::CannotStart;
        }
    };
    runtime.block_on(async {
        match prepare(config, loaded.plan, (log_level, renewable), inherited) {
            Ok(Prepared { supervisor, reports, signals }) => supervisor.live(reports, signals).await,
            Err(failures) => {
                for failure in failures {
                    tracing::error!("{failure}");
                }
                tracing::error!("nothing was started");
                Exit::CannotStart
            }
        }
    })
}

/// What the supervisor hears from its roles and tasks.
pub(super) struct Reports {
    pub(super) proxy: mpsc::Receiver<super::Report<super::Event>>,
    pub(super) admin: mpsc::Receiver<super::Report<super::Word>>,
    pub(super) ha: mpsc::Receiver<super::Report<super::ha::Event>>,
    pub(super) pair: mpsc::Receiver<super::Report<super::link::Word>>,
    pub(super) observations: mpsc::Receiver<super::ha::Finding>,
    pub(super) tellings: mpsc::Receiver<super::telling::News>,
}

/// A supervisor and what it will listen to.
struct Prepared {
    supervisor: Supervisor,
    reports: Reports,
    signals: Signals,
}

/// Looks everything up and opens all sockets, or says all that is in the way.
fn prepare(
    config: &Path,
    plan: Plan,
    (log_level, renewable): (&str, bool),
    mut inherited: Option<Inherited>,
) -> Result<Prepared, Vec<String>> {
    let alone = |text: String| vec![text];
    // From here on a signal is an event, so that none of them ends the program half-way.
    let signals = listen().map_err(|error| alone(format!("cannot listen to signals: {error}")))?;
    if inherited.is_some() {
        // Those that came while nobody could listen.
        successor::release_signals().map_err(|error| alone(format!("signals are held back: {error}")))?;
    }
    let plan = match &inherited {
        Some(Inherited { handover, .. }) => {
            keep_what_was_fixed(plan, &handover.global, handover.admin.as_ref())
        }
        None => plan,
    };
    let notifier = Notifier::from_variables(|name| std::env::var_os(name))
        .map_err(|error| alone(format!("the service manager cannot be reached: {error}")))?;
    let open_files = limit::raise_open_files()
        .map_err(|error| alone(format!("the limit of open files cannot be read: {error}")))?;
    let machine = Machine { open_files, cpus: limit::usable_cpus(), memory: limit::usable_memory() };
    let capacity = inherited.as_ref().map_or_else(|| capacity(&plan, machine), Inherited::capacity);

    let mut failures = Vec::new();
    let user = match run_as(&plan) {
        Ok(user) => user,
        Err(error) => {
            failures.push(error);
            None
        }
    };
    failures.extend(super::availability::rights_missing(&plan));
    let mut sockets = match &mut inherited {
        Some(inherited) => Sockets::take(capacity.workers, std::mem::take(&mut inherited.listening)),
        None => Sockets::new(capacity.workers),
    };
    // The control socket comes first: when the same file runs already, that is the clearest thing to say.
    let doors = match &mut inherited {
        Some(inherited) => Ok(Doors::take(std::mem::take(&mut inherited.doors))),
        None => Doors::open(&plan.global.control_socket, plan.admin.as_ref()),
    };
    let opened = sockets.open_missing(&plan);
    let mut log_files = LogFiles::default();
    failures.extend(log_files.open_missing(&plan).err().into_iter().flatten());
    let token = match keys::token(&plan) {
        Ok(token) => token,
        Err(error) => {
            failures.push(error);
            None
        }
    };
    let given = std::env::var("STATE_DIRECTORY").ok();
    let said = plan.global.state_dir.as_deref();
    let open = || Store::open(store::directory(said, given.as_deref(), config), said.is_some());
    let found = match inherited.as_mut().map_or_else(open, |inherited| Ok(inherited.found())) {
        Ok(found) => Some(found),
        Err(error) => {
            failures.push(error);
            None
        }
    };
    let handed = inherited.as_ref().map(|inherited| &inherited.handover);
    let keys = match keys::begin(&plan, handed.map(|handover| &handover.random)) {
        Ok(keys) => Some(keys),
        Err(errors) => {
            failures.extend(errors);
            None
        }
    };
    let read = match certificates::begin(&plan, handed.map(|handover| handover.tickets.clone())) {
        Ok(read) => Some(read),
        Err(errors) => {
            failures.extend(errors);
            None
        }
    };
    let terms = match pair::Terms::read(&plan, &sockets.tcp_addresses(), None) {
        Ok(terms) => terms,
        Err(error) => {
            failures.push(error);
            None
        }
    };
    let (doors, keys, found, read) = match (doors, opened, keys, found, read) {
        (Ok(doors), Ok(_), Some(keys), Some(found), Some(read)) if failures.is_empty() => {
            (doors, keys, found, read)
        }
        (doors, opened, ..) => {
            match doors {
                Ok(doors) => doors.close(),
                Err(errors) => failures.extend(errors),
            }
            failures.extend(opened.err().into_iter().flatten().map(|error| error.to_string()));
            sockets.close_all();
            return Err(failures);
        }
    };
    tell(config, &plan, &capacity, user.as_deref());

    let launch = Launch { user, log_level: log_level.into() };
    let (to_supervisor, proxy_reports) = mpsc::channel(MOST_REPORTS);
    let proxy = Keeper::new(Role::Proxy, launch.clone(), to_supervisor);
    let (to_supervisor, admin_reports) = mpsc::channel(MOST_REPORTS);
    let admin = Keeper::new(Role::Admin, launch.clone(), to_supervisor);
    let (to_supervisor, ha_reports) = mpsc::channel(MOST_REPORTS);
    let ha = Availability::new(Keeper::new(Role::Ha, launch.clone(), to_supervisor));
    let (to_supervisor, pair_reports) = mpsc::channel(MOST_REPORTS);
    let pair = pair::Link::new(Keeper::new(Role::Pair, launch, to_supervisor), terms);
    let now = Instant::now();
    let (tracking, observations) = Tracking::new(now);
    let (telling, tellings) = Telling::new();
    let file = Arc::new(plan);
    // Whoever was being removed has no clients left after a restart.
    let discovery = Discovery::begin(&found.servers, &file);
    let base = discovery.over(&file);
    let overlay = found.overlay.settle(&base);
    let overlay = if inherited.is_some() { overlay } else { overlay.without_leaving(&base) };
    let mut supervisor = Supervisor {
        config: config.into(),
        started: now,
        since: SystemTime::now(),
        earlier: Duration::ZERO,
        capacity,
        watchdog_at: notifier.watchdog_interval().map(|interval| now + interval),
        notifier,
        plan: Arc::new(overlay.over(&base)),
        file,
        overlay,
        store: found.store,
        token,
        edits: Edits::default(),
        leaving: Leaving::default(),
        discovery,
        history: History::new(),
        alarms: Vec::new(),
        revision: 1,
        last_revision: 1,
        sockets,
        log_files,
        keys,
        read,
        watch: certificates::Watch::begin(now),
        doors: Some(doors),
        proxy,
        admin,
        ha,
        pair,
        complete: false,
        reloads: Reloads::default(),
        last_reload: None,
        trial: None,
        counting: super::consequences::Counting::default(),
        queries: Queries::default(),
        ending: None,
        tracking,
        telling,
        steering: Steering::default(),
        upgrades: Upgrades::new(renewable, log_level, 1),
        past: Past::default(),
    };
    match inherited {
        Some(inherited) => supervisor.go_on_with(inherited, now),
        None => supervisor.begin(found.alarms),
    }
    let reports = Reports {
        proxy: proxy_reports,
        admin: admin_reports,
        ha: ha_reports,
        pair: pair_reports,
        observations,
        tellings,
    };
    Ok(Prepared { supervisor, reports, signals })
}

impl Supervisor {
    /// What is to be told at the start.
    fn begin(&mut self, alarms: Vec<String>) {
        self.happened(Happened::new(
            EventKind::Started,
            concat!("Evenkeel ", env!("CARGO_PKG_VERSION"), " started"),
        ));
        let changes = self.runtime_changes();
        if let Some(directory) = self.store.directory() {
            tracing::info!("runtime changes: {} from {}", changes.len(), directory.display());
        }
        for change in &changes {
            tracing::info!("runtime change: server {}/{}: {}", change.pool, change.server, change.what);
        }
        for alarm in alarms {
            self.alarms.push(alarm.clone());
            self.alarm(alarm);
        }
    }
}

fn listen() -> std::io::Result<Signals> {
    Ok(Signals {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
        hangup: signal(SignalKind::hangup())?,
        user2: signal(SignalKind::user_defined2())?,
    })
}

/// The user that roles become, when there is a choice.
pub(super) fn run_as(plan: &Plan) -> Result<Option<String>, String> {
    if !rights::is_root() {
        // An ordinary user cannot become another one, and roles have no more rights than he has.
        return Ok(None);
    }
    let account = rights::account(plan.global.user.as_deref())?;
    Ok(Some(account.name().to_owned()))
}

/// Prints what was found out, one line a fact.
fn tell(config: &Path, plan: &Plan, capacity: &Capacity, user: Option<&str>) {
    tracing::info!("Evenkeel {} starts with {}", env!("CARGO_PKG_VERSION"), config.display());
    for listener in &plan.listeners {
        for bind in &listener.binds {
            tracing::info!("listener {}: {bind}", listener.name);
        }
    }
    for router in &plan.virtual_routers {
        let settings = router.params.settings();
        tracing::info!(
            "virtual router {}: number {} on {}, priority {}",
            router.name,
            settings.vrid.number(),
            router.interface,
            settings.priority
        );
    }
    tracing::info!("control socket: {}", plan.global.control_socket.display());
    if let Some(admin) = &plan.admin {
        tracing::info!("admin: {}", admin.bind);
    }
    tracing::info!("workers: {} ({})", capacity.workers, capacity.workers_from);
    tracing::info!(
        "client connections: at most {} ({})",
        capacity.max_connections,
        capacity.max_connections_from
    );
    if let Some(warning) = &capacity.warning {
        tracing::warn!("{warning}");
    }
    match user {
        Some(user) if plan.virtual_routers.is_empty() => {
            tracing::info!("roles run as {user}, without capabilities");
        }
        Some(user) => tracing::info!(
            "roles run as {user}, without capabilities but for CAP_NET_ADMIN and CAP_NET_RAW of the ha role"
        ),
        None => {
            tracing::info!("roles run as the user who started Evenkeel, without capabilities");
            if let Some(user) = &plan.global.user {
                tracing::warn!(
                    "global.user = \"{user}\" has no effect: only root can start roles as another user"
                );
            }
        }
    }
}
