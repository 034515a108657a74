//! Tells the service manager what this process is doing (sd_notify(3)).

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// A message to the service manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The start is complete.
    Ready,
    /// A reload has begun; [`State::Ready`] ends it.
    Reloading,
    /// The end has begun.
    Stopping,
    /// One line for `systemctl status`.
    Status(String),
    /// A sign of life.
    Watchdog,
}

/// The connection to the service manager, if there is one.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// From the variables NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID as `variable` finds them. Without the first,
    /// messages go nowhere.
    ///
    /// # Errors
    /// When NOTIFY_SOCKET is no usable address.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> io::Result<Self> {
        let Some(name) = variable("NOTIFY_SOCKET") else { return Ok(Self { socket: None, watchdog: None }) };
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        let for_us = variable("WATCHDOG_PID").is_none()
            || number("WATCHDOG_PID") == Some(u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|_| for_us).map(Duration::from_micros);
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not stop us.
        socket.set_nonblocking(true)?;
        Ok(Self { socket: Some((socket, address(&name)?)), watchdog })
    }

    /// How often a [`State::Watchdog`] is due: half the time after which the manager loses patience.
    #[must_use]
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog.map(|patience| patience / 2).filter(|interval| !interval.is_zero())
    }

    /// Sends `states` in one message.
    ///
    /// # Errors
    /// When the service manager cannot be reached.
    pub fn send(&self, states: &[State]) -> io::Result<()> {
        let Some((socket, address)) = &self.socket else { return Ok(()) };
        let text: Vec<String> = states.iter().map(line).collect();
        socket.send_to_addr(text.join("\n").as_bytes(), address)?;
        Ok(())
    }
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "NOTIFY_SOCKET starts with neither `/` nor `@`"))
        }
    }
}

fn line(state: &State) -> String {
    match state {
        State::Ready => "READY=1".into(),
        State::Reloading => {
            // The manager tells by this whether the reload began after it asked for one.
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            format!("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1_000_000 + now.tv_nsec / 1_000)
        }
        State::Stopping => "STOPPING=1".into(),
        State::Status(text) => format!("STATUS={}", text.replace('\n', " ")),
        State::Watchdog => "WATCHDOG=1".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 1024];
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    #[test]
    fn states_arrive_on_a_socket_with_a_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier =
            Notifier::from_variables(|name| (name == "NOTIFY_SOCKET").then(|| path.clone().into())).unwrap();
        notifier.send(&[State::Ready, State::Status("two\nlines".into())]).unwrap();
        assert_eq!(received(&manager), "READY=1\nSTATUS=two lines");
        notifier.send(&[State::Reloading]).unwrap();
        let text = received(&manager);
        let time = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(time.parse::<u64>().unwrap() > 0);
        assert_eq!(notifier.watchdog_interval(), None);
    }

    #[test]
    fn states_arrive_on_an_abstract_socket() {
        let name = format!("evenkeel-notify-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let notifier =
            Notifier::from_variables(|key| (key == "NOTIFY_SOCKET").then(|| format!("@{name}").into()))
                .unwrap();
        notifier.send(&[State::Stopping]).unwrap();
        assert_eq!(received(&manager), "STOPPING=1");
    }

    #[test]
    fn the_watchdog_is_fed_at_half_its_patience_and_only_by_whom_it_watches() {
        let with = |pid: String| {
            let variable = move |name: &str| match name {
                "NOTIFY_SOCKET" => Some("/nowhere".into()),
                "WATCHDOG_USEC" => Some("3000000".into()),
                "WATCHDOG_PID" => Some(pid.clone().into()),
                _ => None,
            };
            Notifier::from_variables(variable).unwrap().watchdog_interval()
        };
        assert_eq!(with(std::process::id().to_string()), Some(Duration::from_millis(1500)));
        assert_eq!(with("1".into()), None);
    }

    #[test]
    fn without_a_manager_nothing_is_sent_and_nothing_fails() {
        Notifier::from_variables(|_| None).unwrap().send(&[State::Ready]).unwrap();
    }
}
