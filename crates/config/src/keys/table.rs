//! The records themselves.

mod discovery;
mod pair;
mod protocol;
mod rates;
mod send_proxy;
mod server_tls;
mod sticky;
mod telling;
mod tls;
mod track;
mod virtual_router;

use std::time::Duration;

use evenkeel_http::limits::MOST_HEADERS;
use evenkeel_traffic::duty::Duty;
use evenkeel_traffic::health::LONGEST_ROW;
use evenkeel_traffic::pick::Weight;
use evenkeel_traffic::queue::LONGEST_QUEUE;

use super::{Default, Key, Kind, Section};
use crate::plan::MOST_WORKERS;

/// The shortest timeout: finer ones are below what a busy machine keeps.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);
/// The longest timeout of a single step.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest time that a connection may be silent.
const LONGEST_SILENCE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The most client connections at once that may be asked for.
const MOST_CONNECTIONS: u64 = 10_000_000;
/// The most unused connections to one server that a worker may be asked to keep.
const MOST_IDLE: u64 = 65_536;
/// The shortest pause between two checks of one server.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const PAUSE: Kind = Kind::Time { least: SHORTEST_PAUSE, most: LONGEST_TIMEOUT };
const ROW: Kind = Kind::Count { least: 1, most: LONGEST_ROW as u64, auto: false };
const TIMEOUT: Kind = Kind::Time { least: SHORTEST_TIMEOUT, most: LONGEST_TIMEOUT };
const SILENCE: Kind = Kind::Time { least: SHORTEST_TIMEOUT, most: LONGEST_SILENCE };
const TIMEOUT_OR_NONE: Kind = Kind::Time { least: Duration::ZERO, most: LONGEST_TIMEOUT };
const HEAD: Kind = Kind::Size { least: 1024, most: 64 * 1024 };

/// A record with what most keys have.
const fn key(section: Section, name: &'static str, kind: Kind, default: Default) -> Key {
    Key { section, name, kind, default, http_only: false, at_restart: false, description: "", example: "" }
}

impl Key {
    const fn http_only(mut self) -> Self {
        self.http_only = true;
        self
    }

    const fn at_restart(mut self) -> Self {
        self.at_restart = true;
        self
    }

    const fn says(mut self, description: &'static str, example: &'static str) -> Self {
        self.description = description;
        self.example = example;
        self
    }
}

/// Every key there is: those of a file of their own come last.
pub static KEYS: &[Key] = &JOINED;

const APART: [&[Key]; 11] = [
    discovery::KEYS,
    protocol::KEYS,
    rates::KEYS,
    send_proxy::KEYS,
    server_tls::KEYS,
    sticky::KEYS,
    tls::KEYS,
    virtual_router::KEYS,
    track::KEYS,
    telling::KEYS,
    pair::KEYS,
];

const COUNT: usize = {
    let (mut count, mut part) = (REST.len(), 0);
    while part < APART.len() {
        count += APART[part].len();
        part += 1;
    }
    count
};

static JOINED: [Key; COUNT] = {
    let mut joined = [REST[0]; COUNT];
    let (mut place, mut part, mut within) = (0, 0, 0);
    while place < joined.len() {
        if place < REST.len() {
            joined[place] = REST[place];
        } else {
            if within == APART[part].len() {
                (part, within) = (part + 1, 0);
            }
            joined[place] = APART[part][within];
            within += 1;
        }
        place += 1;
    }
    joined
};

/// All but those that have a file of their own.
const REST: &[Key] = &[
    key(Section::Top, "include", Kind::Globs, Default::Nothing("nothing is included")).says(
        "Further files, read as if they stood in this one. Each entry is a file name or a pattern with `*`, `?`, `[…]`, \
         relative to the file it stands in; what matches is read in the order of the names. A pattern that matches \
         nothing gives a warning, a file name without a pattern must exist. Files may include files, at most 8 deep. \
         A listener or pool may stand in one file only, and so may each key of `[global]` and `[admin]`.",
        "include = [\"conf.d/*.toml\"]",
    ),
    key(Section::Top, "global", Kind::Table(Section::Global), Default::Nothing("all defaults")).says(
        "What concerns the whole program.",
        "[global]",
    ),
    key(Section::Top, "admin", Kind::Table(Section::Admin), Default::Nothing("only the control socket")).says(
        "The API beyond the control socket.",
        "[admin]",
    ),
    key(Section::Top, "listener", Kind::Named(Section::Listener), Default::Nothing("no client is served")).says(
        "Where clients arrive; one table a listener, the name is yours.",
        "[listener.website]",
    ),
    key(Section::Top, "pool", Kind::Named(Section::Pool), Default::Nothing("no pool")).says(
        "Servers among which traffic is spread; one table a pool, the name is yours.",
        "[pool.website]",
    ),
    key(
        Section::Top,
        "virtual-router",
        Kind::Named(Section::VirtualRouter),
        Default::Nothing("no address moves"),
    )
    .says(
        "Addresses that move between machines; one table a virtual router, the name is yours.",
        "[virtual-router.public]",
    ),
    key(
        Section::Global,
        "threads",
        Kind::Count { least: 1, most: MOST_WORKERS as u64, auto: true },
        Default::Value("auto"),
    )
    .at_restart()
    .says(
        "Workers that move traffic. `\"auto\"` starts one for each CPU that the program may use.",
        "threads = 4",
    ),
    key(
        Section::Global,
        "max-connections",
        Kind::Count { least: 1, most: MOST_CONNECTIONS, auto: true },
        Default::Value("auto"),
    )
    .at_restart()
    .says(
        "Client connections at once, all listeners together. Beyond it new ones wait in the kernel until one ends. \
         `\"auto\"` is what the limit of open files (`ulimit -n`) allows.",
        "max-connections = 20000",
    ),
    key(
        Section::Global,
        "user",
        Kind::User,
        Default::Nothing("`evenkeel` if there is such a user, else `nobody`"),
    )
    .at_restart()
    .says(
        "Whom the parts that touch traffic run as when the program is started by root. Has no effect otherwise.",
        "user = \"www-data\"",
    ),
    key(Section::Global, "graceful-timeout", TIMEOUT_OR_NONE, Default::Value("30s")).says(
        "How long connections may take to end when the program stops; what is left then is cut. `\"0s\"` cuts at once.",
        "graceful-timeout = \"5m\"",
    ),
    key(Section::Global, "control-socket", Kind::Path, Default::Value("/run/evenkeel/control.sock"))
        .at_restart()
        .says(
            "The unix socket over which the command line reaches the running program. Only its owner and group may use \
             it. The path is at most 107 bytes long.",
            "control-socket = \"/run/evenkeel/control.sock\"",
        ),
    key(
        Section::Global,
        "state-dir",
        Kind::File,
        Default::Nothing("`$STATE_DIRECTORY` of the service manager, else `/var/lib/evenkeel` when root starts it, else none"),
    )
    .at_restart()
    .says(
        "The directory in which runtime changes are kept, so that they outlive a restart. It is made when it is missing. \
         Without one they end with the program, and `evenkeel status` says so.",
        "state-dir = \"/var/lib/evenkeel\"",
    ),
    key(Section::Admin, "bind", Kind::Address, Default::Value("127.0.0.1:8404")).at_restart().says(
        "Where the API listens: a loopback address or a unix socket, or with `token-file` any address. Over TCP it only \
         shows, unless the request brings the token; a unix socket is open to its owner and group and may also steer.",
        "bind = \"127.0.0.1:8404\"",
    ),
    key(
        Section::Admin,
        "token-file",
        Kind::File,
        Default::Nothing("over TCP nobody steers"),
    )
    .at_restart()
    .says(
        "A file with the token that steers over TCP, at least 32 bytes in one line, such as `openssl rand -base64 32` \
         writes: `Authorization: Bearer TOKEN`. When `bind` is not loopback it is needed, for reading as well. Nobody but \
         its owner may change it, and nobody but its owner and group read it. It is read at the start and at each reload, \
         as the user who starts the program. It goes over the network as it is: use it behind TLS or in a network that \
         you trust.",
        "token-file = \"/etc/evenkeel/token\"",
    ),
    key(Section::Listener, "bind", Kind::Addresses, Default::Required).says(
        "Where clients arrive: an address or a list. `0.0.0.0` is every IPv4 address of the machine, `[::]` every IPv6 \
         address and no IPv4 one. No two listeners may share an address. When one listens on `0.0.0.0:80` and another \
         on `192.0.2.1:80`, clients of 192.0.2.1 arrive at the second; a warning says so.",
        "bind = [\"0.0.0.0:80\", \"[::]:80\"]",
    ),
    key(Section::Listener, "mode", Kind::Word(&["http", "tcp"]), Default::Value("http")).says(
        "What is spoken. With `\"http\"` each request is routed by itself; with `\"tcp\"` each connection is, and its \
         bytes are passed on as they are.",
        "mode = \"tcp\"",
    ),
    key(
        Section::Listener,
        "pool",
        Kind::Pool,
        Default::Nothing("what no route takes is answered 404 (HTTP) or closed (TCP)"),
    )
    .says("The pool to which everything goes that no route takes.", "pool = \"website\""),
    key(Section::Listener, "max-head-size", HEAD, Default::Value("16KiB")).http_only().says(
        "The largest head of a request: its first line and its header fields together. A larger one is answered 431. A \
         server's response head has the same bound and is answered 502.",
        "max-head-size = \"32KiB\"",
    ),
    key(
        Section::Listener,
        "max-target-size",
        Kind::Size { least: 64, most: 64 * 1024 },
        Default::Value("8KiB"),
    )
    .http_only()
    .says(
        "The longest request target (path and query). A longer one is answered 414. May not be larger than \
         `max-head-size`.",
        "max-target-size = \"4KiB\"",
    ),
    key(
        Section::Listener,
        "max-headers",
        Kind::Count { least: 1, most: MOST_HEADERS as u64, auto: false },
        Default::Value("128"),
    )
    .http_only()
    .says("The most header fields of a request. More are answered 431.", "max-headers = 64"),
    key(Section::Listener, "header-timeout", TIMEOUT, Default::Value("10s")).http_only().says(
        "How long a client may take for the head of a request, from its first byte (or from the start of the \
         connection). Then it is answered 408.",
        "header-timeout = \"5s\"",
    ),
    key(Section::Listener, "idle-timeout", SILENCE, Default::ByMode { http: "60s", tcp: "10m" }).says(
        "With `mode = \"http\"`: how long a connection may wait for its next request, and how long a client may neither \
         take nor give a byte. With `mode = \"tcp\"`: how long neither side may send a byte. Then the connection is \
         closed.",
        "idle-timeout = \"2m\"",
    ),
    key(Section::Listener, "tunnel-timeout", SILENCE, Default::Value("1h")).http_only().says(
        "How long neither side of an upgraded connection (WebSocket) may send a byte. Then it is closed.",
        "tunnel-timeout = \"12h\"",
    ),
    key(
        Section::Listener,
        "trusted-proxies",
        Kind::Networks { may_be_empty: true },
        Default::Nothing("nobody is trusted"),
    )
    .http_only()
    .says(
        "Networks or addresses whose forwarding headers are believed: the CDN or load balancer in front of this one. \
         What anyone else sends is removed before the program adds its own.",
        "trusted-proxies = [\"192.0.2.0/24\", \"2001:db8::1\"]",
    ),
    key(
        Section::Listener,
        "forwarding-headers",
        Kind::Words(&["x-forwarded", "forwarded"]),
        Default::Value("x-forwarded"),
    )
    .http_only()
    .says(
        "Which headers tell a server about the client: `\"x-forwarded\"` is `X-Forwarded-For`, `X-Forwarded-Proto` and \
         `X-Forwarded-Host`, `\"forwarded\"` is `Forwarded` (RFC 7239). An empty list tells nothing.",
        "forwarding-headers = [\"x-forwarded\", \"forwarded\"]",
    ),
    key(
        Section::Listener,
        "underscore-headers",
        Kind::Word(&["drop", "keep", "refuse"]),
        Default::Value("drop"),
    )
    .http_only()
    .says(
        "What happens to header fields with `_` in their name. Servers that map `-` to `_` (CGI, WSGI) cannot tell \
         `X_User` from `X-User`, so a client could pass one off as the other. `\"refuse\"` answers the request 400.",
        "underscore-headers = \"keep\"",
    ),
    key(Section::Listener, "tls", Kind::Table(Section::Tls), Default::Nothing("plain text")).says(
        "TLS to the clients of this listener.",
        "tls = { certificates = \"/etc/evenkeel/certificates\" }",
    ),
    key(Section::Listener, "redirect-to-https", Kind::Flag, Default::Value("false")).http_only().says(
        "Requests that no route takes are answered 308 with the same address under `https`. Routes go on to work: those for \
         `/.well-known/acme-challenge/`, for example. Such a listener has neither `pool` nor `tls`.",
        "redirect-to-https = true",
    ),
    key(Section::Listener, "hsts", Kind::Table(Section::Hsts), Default::Nothing("browsers are told nothing"))
        .http_only()
        .says("Browsers are told to come over TLS only.", "hsts = { max-age = \"365d\" }"),
    key(
        Section::Listener,
        "access-log",
        Kind::Table(Section::AccessLog),
        Default::Nothing("no access log"),
    )
    .says("One line for each request or connection.", "access-log = { to = \"/var/log/evenkeel/access.log\" }"),
    key(Section::AccessLog, "to", Kind::LogTarget, Default::Required).says(
        "Where the lines go: the program's standard output, the machine's system log, or the end of a file, which is \
         created if need be and opened again at each reload. A place that does not keep up loses lines, which are \
         counted; traffic never waits for it.",
        "to = \"/var/log/evenkeel/access.log\"",
    ),
    key(
        Section::AccessLog,
        "format",
        Kind::Word(&["json", "common", "combined"]),
        Default::Value("json"),
    )
    .says(
        "What a line looks like: `\"json\"` is one JSON object with all that is known, `\"common\"` the Common Log \
         Format, `\"combined\"` the same with referer and user agent.",
        "format = \"combined\"",
    ),
    key(Section::Listener, "route", Kind::List(Section::Route), Default::Nothing("no rules")).says(
        "Rules, tried in file order.",
        "[[listener.website.route]]",
    ),
    key(Section::Route, "host", Kind::Hosts, Default::Nothing("any host")).http_only().says(
        "The host that the client asks for, without port: a name, or `*.example.com` for every name below \
         `example.com` (but not `example.com` itself). Upper and lower case are the same.",
        "host = [\"static.example.com\", \"*.cdn.example.com\"]",
    ),
    key(Section::Route, "path", Kind::Paths, Default::Nothing("any path")).http_only().says(
        "The exact path of the request, without its query, as the client sent it. Together with `path-prefix`, any of \
         the two suffices.",
        "path = \"/robots.txt\"",
    ),
    key(Section::Route, "path-prefix", Kind::Paths, Default::Nothing("any path")).http_only().says(
        "How the path begins, in whole segments: `/a` takes `/a` and `/a/b`, not `/ab`.",
        "path-prefix = \"/assets/\"",
    ),
    key(Section::Route, "method", Kind::Methods, Default::Nothing("any method")).http_only().says(
        "The method of the request. Upper and lower case differ (RFC 9110 §9.1).",
        "method = [\"GET\", \"HEAD\"]",
    ),
    key(Section::Route, "header", Kind::Headers, Default::Nothing("any header fields")).http_only().says(
        "Header fields that must all be as asked: a text asks for exactly this value, `true` for the field with any \
         value, `false` for its absence.",
        "header = { x-version = \"2\", authorization = true }",
    ),
    key(Section::Route, "source", Kind::Networks { may_be_empty: false }, Default::Nothing("any client")).says(
        "Networks or addresses that the client's address must be in.",
        "source = [\"192.0.2.0/24\", \"2001:db8::/32\"]",
    ),
    key(Section::Route, "pool", Kind::Pool, Default::Required).says(
        "Where requests go for which all conditions hold.",
        "pool = \"static\"",
    ),
    key(Section::Pool, "balance", Kind::Balance, Default::Value("round-robin")).says(
        "How servers are chosen. `\"round-robin\"`: in turn, smoothly interleaved by weight. `\"least-connections\"`: the \
         fewest running requests or connections relative to weight. `{ hash = KEY }`: a key always reaches the same \
         server; KEY is `\"source\"`, `\"path\"`, `\"uri\"`, `{ header = \"NAME\" }`, `{ cookie = \"NAME\" }`, \
         `{ query = \"NAME\" }`, or with `mode = \"tcp\"` `\"sni\"`, the name that a TLS client asks for. Beside it, `bounded-load = 1.25` caps a server at that many times its share of what \
         runs (1.01 to 10), and with `\"source\"` `ipv6-prefix = 64` takes clients of one IPv6 network for one. \
         `\"source\"`: short for `{ hash = \"source\" }`. `\"random-two\"`: two at random by weight, the one with fewer \
         running relative to weight. `\"peak-ewma\"`: two at random by weight, the one that is expected to answer sooner. \
         `\"first\"`: in file order, each filled up to its `max-connections`.",
        "balance = \"least-connections\"",
    ),
    key(Section::Pool, "retries", Kind::Count { least: 0, most: 255, auto: false }, Default::Value("3")).says(
        "How many further servers are tried when one refuses the connection, or fails where HTTP allows to ask again.",
        "retries = 1",
    ),
    key(
        Section::Pool,
        "retry-budget",
        Kind::Count { least: 0, most: 100, auto: false },
        Default::Value("20"),
    )
    .says(
        "How many of a hundred requests may be sent a second time because the first server failed under them, counted \
         over the last ten seconds. Three in ten seconds are always allowed. A server that refuses the connection costs \
         nothing of it.",
        "retry-budget = 10",
    ),
    key(Section::Pool, "connect-timeout", TIMEOUT, Default::Value("3s")).says(
        "How long a server may take to accept a connection. Then the next one is tried.",
        "connect-timeout = \"500ms\"",
    ),
    key(Section::Pool, "response-timeout", TIMEOUT, Default::Value("60s")).says(
        "How long a server may take from the last byte of a request to the first of its response, and between two \
         bytes of the response. Then the client is answered 504, or its connection is cut.",
        "response-timeout = \"10s\"",
    ),
    key(Section::Pool, "keep-alive", TIMEOUT_OR_NONE, Default::Value("4s")).says(
        "How long an unused connection to a server is kept for the next request. Stay below the server's own keep-alive \
         time (often 5 s). `\"0s\"` keeps none.",
        "keep-alive = \"30s\"",
    ),
    key(
        Section::Pool,
        "max-idle-connections",
        Kind::Count { least: 0, most: MOST_IDLE, auto: false },
        Default::Value("1024"),
    )
    .says(
        "The most unused connections that each worker keeps to each server. Fewer than clients are busy at once means \
         that connections are closed only to be opened again.",
        "max-idle-connections = 32",
    ),
    key(
        Section::Pool,
        "health",
        Kind::WordOrTable(&["tcp"], Section::Health),
        Default::Nothing("servers are not checked"),
    )
    .says(
        "How servers are checked. `\"tcp\"` is a check that only opens a connection, with all its defaults.",
        "health = { http = \"/healthz\", interval = \"2s\", rise = 2, fall = 3 }",
    ),
    key(Section::Pool, "agent", Kind::Table(Section::Agent), Default::Nothing("no agent is asked")).says(
        "An agent on each server that says how much traffic it wants.",
        "agent = { port = 9000, interval = \"2s\" }",
    ),
    key(
        Section::Pool,
        "passive",
        Kind::WordOrTable(&["on", "off"], Section::Passive),
        Default::Value("on"),
    )
    .says(
        "Whether and how live traffic judges servers. `\"on\"` is with all its defaults.",
        "passive = { failures = 3, eject = \"10s\" }",
    ),
    key(Section::Pool, "slow-start", TIMEOUT_OR_NONE, Default::Value("0s")).says(
        "How long a server that comes back takes to get its whole share of the traffic; it begins with a tenth. `\"0s\"` \
         gives it at once. It means nothing when the program starts.",
        "slow-start = \"30s\"",
    ),
    key(Section::Pool, "when-all-down", Kind::Word(&["refuse", "try-all"]), Default::Value("refuse")).says(
        "What happens while the checks of all servers fail. `\"refuse\"`: clients are answered 503 with the reason \
         `no-healthy-server`, or their connection is closed. `\"try-all\"`: traffic is spread as if all were up; better \
         when checks can fail for reasons that traffic does not meet.",
        "when-all-down = \"try-all\"",
    ),
    key(Section::Pool, "sticky", Kind::Table(Section::Sticky), Default::Nothing("clients belong to no server"))
        .says("Whether clients come back to the server that answered them before.", "sticky = { cookie = \"EVENKEEL\" }"),
    key(Section::Health, "http", Kind::Target, Default::Nothing("no request is sent")).says(
        "Ask for this path; the check passes when the answer is as `status` and `body` want it.",
        "http = \"/healthz\"",
    ),
    key(Section::Health, "method", Kind::Word(&["GET", "HEAD", "OPTIONS"]), Default::Value("GET")).says(
        "The method of the request. Only with `http`.",
        "method = \"HEAD\"",
    ),
    key(Section::Health, "host", Kind::Host, Default::Nothing("the server's address")).says(
        "What the request gives as `Host`. Only with `http` or `grpc`.",
        "host = \"www.example.com\"",
    ),
    key(Section::Health, "headers", Kind::Fields, Default::Nothing("none")).says(
        "Further header fields of the request. Only with `http`.",
        "headers = { x-check = \"evenkeel\" }",
    ),
    key(Section::Health, "status", Kind::Statuses, Default::Value("200-399")).says(
        "Status codes of an answer that is good. Only with `http`.",
        "status = \"200-299,304\"",
    ),
    key(Section::Health, "body", Kind::Text, Default::Nothing("any body")).says(
        "A text that must be in the first 64 KiB of the answer's body, compared byte by byte. Only with `http`.",
        "body = \"ready\"",
    ),
    key(Section::Health, "exec", Kind::Command, Default::Nothing("no program is run")).says(
        "Run this program; the check passes when its exit code is 0. It runs as the user of the proxy role, with an empty \
         environment but for `PATH`, `EVENKEEL_POOL`, `EVENKEEL_SERVER`, `EVENKEEL_ADDRESS` and `EVENKEEL_PORT`, and is \
         killed with all that it started when `timeout` is over. Nobody but root and the user that starts Evenkeel may be \
         able to change it or any element of its path. Not with `http`, `send` or `expect`.",
        "exec = [\"/usr/bin/test\", \"-e\", \"/run/ready\"]",
    ),
    key(Section::Health, "send", Kind::Text, Default::Nothing("nothing is said")).says(
        "What is sent over the connection once it is open. Not with `http`.",
        "send = \"PING\\r\\n\"",
    ),
    key(Section::Health, "expect", Kind::Text, Default::Nothing("nothing is asked for")).says(
        "A text that must then be in the first 64 KiB that the server sends, compared byte by byte. Not with `http`.",
        "expect = \"+PONG\"",
    ),
    key(
        Section::Health,
        "port",
        Kind::Count { least: 1, most: 65_535, auto: false },
        Default::Nothing("the server's own port"),
    )
    .says(
        "The port to which the check connects, on the server's address. A server's `check-address` outweighs it.",
        "port = 8081",
    ),
    key(Section::Health, "interval", PAUSE, Default::Value("2s")).says(
        "From the start of a check to the start of the next. The checks of different servers are spread over it.",
        "interval = \"5s\"",
    ),
    key(Section::Health, "fast-interval", PAUSE, Default::Nothing("half of `interval`")).says(
        "The same while results have begun that may change what is thought of the server, and before the first result. \
         May not be longer than `interval`.",
        "fast-interval = \"500ms\"",
    ),
    key(Section::Health, "down-interval", PAUSE, Default::Nothing("as `interval`")).says(
        "The same while the server is down.",
        "down-interval = \"10s\"",
    ),
    key(Section::Health, "timeout", TIMEOUT, Default::Value("2s")).says(
        "How long one check may take, from the start of the connection to the last byte that is asked for.",
        "timeout = \"500ms\"",
    ),
    key(Section::Health, "rise", ROW, Default::Value("2")).says(
        "Checks in a row that must pass before a server that is down is up.",
        "rise = 1",
    ),
    key(Section::Health, "fall", ROW, Default::Value("3")).says(
        "Checks in a row that must fail before a server that is up is down.",
        "fall = 2",
    ),
    key(
        Section::Health,
        "initial-state",
        Kind::Word(&["up", "down", "checking"]),
        Default::Value("up"),
    )
    .says(
        "What is thought of a server before its first check has ended. `\"up\"`: it takes traffic, and the first check \
         decides alone. `\"checking\"`: it takes none, and the first check decides alone. `\"down\"`: it takes none until \
         `rise` checks have passed.",
        "initial-state = \"checking\"",
    ),
    key(
        Section::Agent,
        "port",
        Kind::Count { least: 1, most: 65_535, auto: false },
        Default::Required,
    )
    .says("The port of the agent, on the server's own address.", "port = 9000"),
    key(Section::Agent, "send", Kind::Text, Default::Nothing("nothing is said")).says(
        "What is sent to the agent once the connection is open.",
        "send = \"state\\n\"",
    ),
    key(Section::Agent, "interval", PAUSE, Default::Value("2s")).says(
        "From the start of a question to the start of the next.",
        "interval = \"5s\"",
    ),
    key(Section::Agent, "timeout", TIMEOUT, Default::Value("2s")).says(
        "How long one question may take. An agent that gives no answer in time changes nothing.",
        "timeout = \"500ms\"",
    ),
    key(Section::Passive, "failures", ROW, Default::Value("5")).says(
        "Failures in a row that eject a server: connections that cannot be opened, requests without an answer or with one \
         that cannot be understood.",
        "failures = 3",
    ),
    key(Section::Passive, "server-errors", Kind::Word(&["ignore", "count"]), Default::Value("ignore")).says(
        "Whether answers 500, 502, 503 and 504 of a server are failures as well.",
        "server-errors = \"count\"",
    ),
    key(Section::Passive, "eject", PAUSE, Default::Value("5s")).says(
        "How long the first ejection lasts; the second twice as long, the third three times. A server that is good for as \
         long counts one ejection less.",
        "eject = \"30s\"",
    ),
    key(Section::Passive, "max-eject", PAUSE, Default::Value("60s")).says(
        "How long an ejection lasts at most. May not be shorter than `eject`.",
        "max-eject = \"5m\"",
    ),
    key(
        Section::Passive,
        "max-share",
        Kind::Count { least: 0, most: 100, auto: false },
        Default::Value("50"),
    )
    .says(
        "How many servers of the pool may be ejected at once, in percent, rounded down. The last one that takes traffic is \
         never ejected.",
        "max-share = 30",
    ),
    key(Section::Pool, "queue", Kind::Table(Section::Queue), Default::Nothing("a queue with its defaults")).says(
        "How many may wait, and for how long, while every server that may take traffic runs its `max-connections`.",
        "queue = { size = 100, timeout = \"2s\" }",
    ),
    key(
        Section::Queue,
        "size",
        Kind::Count { least: 0, most: LONGEST_QUEUE as u64, auto: false },
        Default::Value("1000"),
    )
    .says(
        "How many may wait at once, all workers together. Who comes when as many wait is answered 503 at once, with the \
         reason `queue-full`, or its connection is closed. `0` lets nobody wait.",
        "size = 100",
    ),
    key(Section::Queue, "timeout", TIMEOUT, Default::Value("5s")).says(
        "How long a request or connection may wait. Then it is answered 503 with the reason `queue-timeout`, or closed.",
        "timeout = \"2s\"",
    ),
    key(Section::Pool, "servers", Kind::Named(Section::Server), Default::Nothing("those of `servers-from`")).says(
        "The servers by name, in the order in which they take turns.",
        "servers = { webserver01 = \"192.168.1.2:80\" }",
    ),
    key(Section::Server, "address", Kind::ServerAddress, Default::Required).says(
        "Where the server answers: an IP address and a port, or the absolute path of a unix socket after `unix:`. A host name \
         with a port stands for all its addresses, a name with SRV records such as `_http._tcp.app.internal` for all its \
         targets; both are looked up again and again, see the page on discovery.",
        "address = \"192.168.1.2:80\"",
    ),
    key(Section::Server, "check-address", Kind::Address, Default::Nothing("`address`, with the `port` of the check"))
        .says(
            "Where the health check of this server asks, when that is not where its traffic goes: another port, another \
             network, a unix socket.",
            "check-address = \"10.0.0.2:8081\"",
        ),
    key(
        Section::Server,
        "weight",
        Kind::Count { least: 0, most: Weight::MOST as u64, auto: false },
        Default::Value("1"),
    )
    .says(
        "Its share of the traffic relative to the others of its pool. 0 gives it nothing but the clients that `sticky` binds \
         to it.",
        "weight = 2",
    ),
    key(
        Section::Server,
        "max-connections",
        Kind::Count { least: 1, most: MOST_CONNECTIONS, auto: false },
        Default::Nothing("no bound"),
    )
    .says(
        "How many requests (HTTP) or connections (TCP) run on it at once, all workers together. What is more goes to \
         other servers, and waits in the `queue` of the pool when they are full as well.",
        "max-connections = 200",
    ),
    key(Section::Server, "backup", Kind::Flag, Default::Value("false")).says(
        "It takes traffic only when no server without `backup` can. Short for `priority = 0`.",
        "backup = true",
    ),
    key(Section::Server, "priority", Kind::Count { least: 0, most: 255, auto: false }, Default::Value("100")).says(
        "Its rank: traffic goes to servers of the highest rank of which one is usable and below its `max-connections`.",
        "priority = 50",
    ),
    key(Section::Server, "state", Kind::Word(&Duty::WORDS), Default::Value("ready")).says(
        "What you want of it. `\"drain\"`: it gets nothing new but the requests of clients that `sticky` binds to it, and \
         finishes what it has. `\"maintenance\"`: it gets nothing at all and is not checked. `evenkeel server` changes it \
         while the program runs.",
        "state = \"drain\"",
    ),
];
