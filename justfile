# Short verbs for people; the logic is in ./test and in `cargo xtask`.

# Compile and lint
check:
    cargo clippy --workspace --all-targets -- -D warnings
    cargo xtask tidy

# Everything that must hold
test:
    ./test

# Every fuzz target for a while
fuzz seconds="60":
    cargo xtask fuzz --seconds {{seconds}}

# Many simulated elections
sim runs="10000":
    cargo xtask sim --runs {{runs}}

# The API against its own document (schemathesis, installed below target/; as root with a virtual router)
api-fuzz:
    cargo xtask api-fuzz

# Reloads, servers that come and go, drains and sudden ends under load; writes docs/guide/live-measured.md
live-lab:
    cargo xtask live-lab

# Bodies of 1 GiB in every mode and direction
big-body:
    cargo xtask big-body

# A balancer with two toy servers on loopback
demo:
    cargo run --release -- demo

# The API of all crates
docs:
    cargo doc --workspace --no-deps
