//! Settings of the kernel's network (sysctl(8)): one file of `/proc/sys/net` each.
//!
//! Writing needs CAP_NET_ADMIN in the network namespace, and no other user.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;

/// A setting of one interface, or of `all` or `default`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    family: Family,
    interface: String,
    key: &'static str,
}

/// Whose setting it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// `net.ipv4`.
    V4,
    /// `net.ipv6`.
    V6,
}

impl Setting {
    /// `net.FAMILY.conf.INTERFACE.KEY`.
    ///
    /// # Errors
    /// When `interface` is no name that an interface can have.
    pub fn new(family: Family, interface: &str, key: &'static str) -> io::Result<Self> {
        if interface.is_empty() || interface.starts_with('.') || interface.contains('/') {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{interface}` is no interface"),
            ));
        }
        Ok(Self { family, interface: interface.into(), key })
    }

    /// Its value now.
    ///
    /// # Errors
    /// When the interface is gone or the kernel has no such setting.
    pub fn read(&self) -> io::Result<String> {
        Ok(fs::read_to_string(self.path())?.trim_end().to_owned())
    }

    /// Gives it a value.
    ///
    /// # Errors
    /// When the interface is gone, the kernel has no such setting, or the process no right.
    pub fn write(&self, value: &str) -> io::Result<()> {
        fs::write(self.path(), value)
    }

    fn path(&self) -> PathBuf {
        let family = match self.family {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        };
        PathBuf::from(format!("/proc/sys/net/{family}/conf/{}/{}", self.interface, self.key))
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        };
        write!(f, "net.{family}.conf.{}.{}", self.interface, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_a_file() {
        let setting = Setting::new(Family::V4, "lo", "arp_ignore").unwrap();
        assert_eq!(setting.to_string(), "net.ipv4.conf.lo.arp_ignore");
        assert!(setting.read().unwrap().parse::<u8>().is_ok());
        for name in ["", "..", "a/b"] {
            assert!(Setting::new(Family::V4, name, "arp_ignore").is_err());
        }
    }
}
