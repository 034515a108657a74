//! Every committed input goes through its target's body, with no nightly compiler and no fuzzer.

use std::path::Path;

fn corpus() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[test]
fn every_committed_input_is_survived() {
    for (name, body) in evenkeel_fuzz::TARGETS {
        let directory = corpus().join(name);
        let mut count = 0;
        for entry in std::fs::read_dir(&directory).expect("a corpus for every target") {
            let path = entry.expect("a readable corpus").path();
            // Shown only when the body panics.
            println!("{}", path.display());
            body(&std::fs::read(path).expect("a readable input"));
            count += 1;
        }
        assert!(count > 0, "{} is empty", directory.display());
    }
}

#[test]
fn every_target_and_every_corpus_has_a_body() {
    for (directory, suffix) in [("fuzz_targets", ".rs"), ("corpus", "")] {
        let entries =
            std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).expect("a directory");
        for entry in entries {
            let name = entry.expect("a readable directory").file_name().into_string().expect("a plain name");
            let target = name.trim_end_matches(suffix);
            assert!(
                evenkeel_fuzz::TARGETS.iter().any(|(name, _)| *name == target),
                "{directory}/{name} belongs to no body in TARGETS"
            );
        }
    }
}
