//! `evenkeel demo`: two toy servers and a balancer on loopback, to see the main job done.
//!
//! The balancer is the real program with a real file, which may be edited and reloaded; the toy servers are processes
//! of their own, which may be killed. Nothing outlives the demo: toy servers end when their input does, roles when
//! their channel does.

pub(crate) mod ha;
pub(crate) mod toy;

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::exit::Exit;

/// The names of the toy servers.
const SERVERS: [&str; 2] = ["alpha", "beta"];
/// The port that is tried first, because it is easy to remember.
const FAVOURITE_PORT: u16 = 8080;
/// How long a toy server that was killed stays away.
const ABSENCE: Duration = Duration::from_secs(10);
/// How long the balancer may take to answer first.
const START: Duration = Duration::from_secs(10);
/// How often the demo looks at its balancer while it starts, and at its servers.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the demo until Ctrl-C.
pub(crate) fn run(log_level: &str) -> Exit {
    match Stage::set() {
        Ok(stage) => stage.play(log_level),
        Err(error) => {
            eprintln!("error: the demo cannot start: {error}");
            Exit::CannotStart
        }
    }
}

/// Everything the demo has made.
struct Stage {
    directory: PathBuf,
    config: PathBuf,
    address: SocketAddr,
    servers: Vec<(&'static str, SocketAddr)>,
}

impl Stage {
    fn set() -> io::Result<Self> {
        let directory = std::env::temp_dir().join(format!("evenkeel-demo-{}", std::process::id()));
        std::fs::create_dir(&directory)?;
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755))?;
        let address = free_address(FAVOURITE_PORT)?;
        let servers =
            SERVERS.iter().map(|name| Ok((*name, free_address(0)?))).collect::<io::Result<Vec<_>>>()?;
        let config = directory.join("evenkeel.toml");
        std::fs::write(&config, configuration(&directory, address, &servers))?;
        Ok(Self { directory, config, address, servers })
    }

    /// Runs the balancer in this process until it is told to stop.
    fn play(self, log_level: &str) -> Exit {
        let over = Arc::new(AtomicBool::new(false));
        let watchers: Vec<_> = self
            .servers
            .iter()
            .map(|&(name, address)| {
                let over = over.clone();
                std::thread::spawn(move || keep(name, address, &over))
            })
            .collect();
        let (address, config) = (self.address, self.config.clone());
        let opener = std::thread::spawn({
            let over = over.clone();
            move || open(address, &config, &over)
        });
        let exit = crate::supervisor::run(&self.config, log_level);
        over.store(true, Ordering::SeqCst);
        for thread in watchers.into_iter().chain([opener]) {
            let _panicked = thread.join();
        }
        if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            eprintln!("warning: {} cannot be removed: {error}", self.directory.display());
        }
        if exit == Exit::Well {
            say("\nThe demo is over; nothing is left behind.");
        }
        exit
    }
}

/// A loopback address that nobody listens on: `port` if it is free, else any.
fn free_address(port: u16) -> io::Result<SocketAddr> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    socket.local_addr()
}

fn configuration(directory: &Path, address: SocketAddr, servers: &[(&str, SocketAddr)]) -> String {
    let lines: String = servers.iter().map(|(name, address)| format!("{name} = \"{address}\"\n")).collect();
    format!(
        "[global]\ncontrol-socket = \"{}/control.sock\"\ngraceful-timeout = \"2s\"\n\n\
         [listener.website]\nbind = \"{address}\"\npool = \"website\"\n\n\
         [pool.website]\nbalance = \"round-robin\"\n\n[pool.website.servers]\n{lines}",
        directory.display()
    )
}

/// Tells what to try once the balancer answers.
fn open(address: SocketAddr, config: &Path, over: &AtomicBool) {
    let deadline = Instant::now() + START;
    while !over.load(Ordering::SeqCst) {
        if TcpStream::connect_timeout(&address, LOOK).is_ok() {
            let config = config.display();
            say(&format!(
                "\nEvenkeel balances http://{address}/ over two toy servers.\n\n\
                 Try, in another terminal:\n\
                 \x20 for i in 1 2 3 4; do curl -s http://{address}/; done     the servers take turns\n\
                 \x20 evenkeel status -c {config}\n\n\
                 See it survive:\n\
                 \x20 kill a toy server (its pid is above) and curl again: the other one answers, no request fails;\n\
                 \x20 it comes back after {} seconds\n\n\
                 Change it while it runs:\n\
                 \x20 edit {config} (say, alpha = {{ address = …, weight = 3 }})\n\
                 \x20 evenkeel diff -c {config}\n\
                 \x20 evenkeel reload -c {config}\n\n\
                 (`evenkeel` stands for the program you have just started: target/release/evenkeel)\n\
                 Ctrl-C ends the demo.\n",
                ABSENCE.as_secs()
            ));
            return;
        }
        if Instant::now() > deadline {
            say(&format!("The balancer does not answer on {address}: see its log above."));
            return;
        }
        std::thread::sleep(LOOK);
    }
}

/// Keeps a toy server alive: one that was killed is started again after a while.
fn keep(name: &'static str, address: SocketAddr, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        let (mut server, input) = match start(name, address) {
            Ok(started) => started,
            Err(error) => return say(&format!("toy server {name} cannot be started: {error}")),
        };
        say(&format!("toy server {name} answers on {address}, pid {}", server.id()));
        if let Some(output) = server.stdout.take() {
            std::thread::spawn(move || {
                BufReader::new(output).lines().map_while(Result::ok).for_each(|l| say(&l));
            });
        }
        let ended = wait(&mut server, over);
        // Its input ends here, and so does a server that still runs.
        drop(input);
        let _reaped = server.wait();
        if ended {
            say(&format!("toy server {name} is gone; it comes back in {} seconds", ABSENCE.as_secs()));
            let back = Instant::now() + ABSENCE;
            while Instant::now() < back && !over.load(Ordering::SeqCst) {
                std::thread::sleep(LOOK);
            }
        }
    }
}

/// Waits until the server has ended (true) or the demo is over.
fn wait(server: &mut Child, over: &AtomicBool) -> bool {
    while !over.load(Ordering::SeqCst) {
        match server.try_wait() {
            Ok(None) => std::thread::sleep(LOOK),
            Ok(Some(_)) | Err(_) => return true,
        }
    }
    false
}

fn start(name: &str, address: SocketAddr) -> io::Result<(Child, Option<ChildStdin>)> {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new("/proc/self/exe");
    command.arg0(format!("evenkeel toy server {name}")).args(["toy-server", name, &address.to_string()]);
    // A group of its own: Ctrl-C is for the demo, which then ends the servers.
    let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).spawn()?;
    let input = server.stdin.take();
    Ok((server, input))
}

/// Prints a line; a reader that is gone is no failure.
fn say(text: &str) {
    let _closed = writeln!(io::stdout(), "{text}");
}
