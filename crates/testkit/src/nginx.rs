//! A real nginx, as the servers behind a balancer are.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::{BOUND, Program, Signal, temp_dir};

/// An nginx with one worker on a port of 127.0.0.1. Ask [`crate::needs`]`("nginx")` first.
///
/// `/` and every path below answers 200 with the server's name as body; `/files/NAME` serves [`Nginx::file`]s;
/// a request body of any size is read and thrown away.
pub struct Nginx {
    name: String,
    directives: String,
    /// Options of its socket.
    socket: &'static str,
    address: SocketAddr,
    directory: TempDir,
    program: Program,
}

impl Nginx {
    /// Starts it and waits until it accepts connections.
    #[must_use]
    pub fn start(name: &str, port: u16) -> Self {
        Self::start_with(name, port, "keepalive_timeout 60s; keepalive_requests 1000000;")
    }

    /// As [`Self::start`], with directives of the `http` block of the caller's choice in place of the generous
    /// keep-alive settings, such as `keepalive_requests 10;`.
    #[must_use]
    pub fn start_with(name: &str, port: u16, directives: &str) -> Self {
        Self::launched(name, port, directives, "")
    }

    /// As [`Self::start_with`], and the kernel holds at most 256 KiB for each of its connections, so that it does not use up the
    /// machine's memory for TCP when its clients take nothing.
    #[must_use]
    pub fn start_frugal(name: &str, port: u16, directives: &str) -> Self {
        Self::launched(name, port, directives, "sndbuf=256k")
    }

    fn launched(name: &str, port: u16, directives: &str, socket: &'static str) -> Self {
        let directory = temp_dir();
        std::fs::create_dir(directory.path().join("files")).expect("a directory for files");
        write((port, socket), directives, directory.path(), &usual(name));
        let program = launch(directory.path());
        let address = (Ipv4Addr::LOCALHOST, port).into();
        Self { name: name.to_owned(), directives: directives.to_owned(), socket, address, directory, program }
    }

    /// Its name, which is what it answers.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes `/files/NAME` a file of so many bytes; the byte at place n is (n / 251 + n) mod 251, so that a part that
    /// was lost, doubled or moved is noticed.
    pub fn file(&self, name: &str, length: u64) {
        let mut file =
            BufWriter::new(File::create(self.directory.path().join("files").join(name)).expect("a file"));
        let line: Vec<u8> = (0..=250).collect();
        let mut left = length;
        let mut turn = 0;
        while left > 0 {
            let mut part = line.clone();
            part.rotate_left(turn % 251);
            part.truncate(usize::try_from(left).unwrap_or(usize::MAX).min(251));
            file.write_all(&part).expect("room for the file");
            left -= part.len() as u64;
            turn += 1;
        }
        file.flush().expect("room for the file");
    }

    /// Ends it as a crash would: master and worker at once, connections reset or closed by the kernel.
    pub fn kill9(&self) {
        self.program.kill();
    }

    /// From now on everything below `/` is answered by these directives, such as `return 500;`; `None`: as at first.
    /// Waits until new connections meet it.
    pub fn behave(&self, location: Option<&str>) {
        let location = location.map_or_else(|| usual(&self.name), str::to_owned);
        write((self.address.port(), self.socket), &self.directives, self.directory.path(), &location);
        let seen = self.program.lines().len();
        self.program.signal(Signal::HUP);
        self.program.wait_for_line_after(seen, |line| line.contains("gracefully shutting down"), BOUND);
    }

    /// Stops master and worker where they are: the kernel goes on accepting for them.
    pub fn freeze(&self) {
        self.program.signal_group(Signal::STOP);
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        self.program.signal_group(Signal::CONT);
    }

    /// Starts it again on the same port, and waits until it accepts connections.
    pub fn restart(&mut self) {
        self.program.kill();
        self.program = launch(self.directory.path());
    }
}

fn launch(directory: &Path) -> Program {
    // Debian keeps it in /usr/sbin, which is not in everybody's PATH.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    let program = Program::start(Command::new("nginx").env("PATH", path).arg("-p").arg(directory).args([
        "-c",
        "nginx.conf",
        "-e",
        "stderr",
    ]));
    // Written after the sockets are open.
    program.wait_for_line(|line| line.contains("start worker process "), BOUND);
    program
}

fn usual(name: &str) -> String {
    format!("return 200 \"{name}\";")
}

fn write(listen: (u16, &str), directives: &str, directory: &Path, location: &str) {
    let text = configuration(listen, directives, directory, location);
    std::fs::write(directory.join("nginx.conf"), text).expect("a written nginx.conf");
}

fn configuration((port, socket): (u16, &str), directives: &str, directory: &Path, location: &str) -> String {
    let directory = directory.display();
    // As root, workers would become a user who may not read the directory.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    format!(
        "{user}
daemon off;
worker_processes 1;
error_log stderr notice;
pid {directory}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    default_type text/plain;
    client_max_body_size 0;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {directives}
    server {{
        listen 127.0.0.1:{port} backlog=4096 {socket};
        location / {{ {location} }}
        location /files/ {{ alias {directory}/files/; }}
    }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HttpClient, free_port, needs};

    #[test]
    fn nginx_answers_its_name_dies_and_comes_back() {
        if !needs("nginx") {
            return;
        }
        let mut nginx = Nginx::start("webserver01", free_port());
        let mut client = HttpClient::connect(nginx.address()).unwrap();
        assert_eq!(client.get("/any/path").unwrap().text(), nginx.name());
        nginx.kill9();
        assert!(client.closed_silently());
        assert!(HttpClient::connect(nginx.address()).is_err());
        nginx.restart();
        assert_eq!(HttpClient::connect(nginx.address()).unwrap().get("/").unwrap().text(), "webserver01");
    }

    #[test]
    fn nginx_serves_a_file_whose_every_part_differs() {
        if !needs("nginx") {
            return;
        }
        let nginx = Nginx::start("files", free_port());
        nginx.file("big", 1000);
        let body = HttpClient::connect(nginx.address()).unwrap().get("/files/big").unwrap().body;
        let expected: Vec<u8> = (0_usize..1000).map(|n| u8::try_from((n / 251 + n) % 251).unwrap()).collect();
        assert_eq!(body, expected);
    }
}
