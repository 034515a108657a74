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

# Bodies of 1 GiB in every mode and direction
big-body:
    cargo xtask big-body

# A balancer with two toy servers on loopback
demo:
    cargo run --release -- demo

# The API of all crates
docs:
    cargo doc --workspace --no-deps
