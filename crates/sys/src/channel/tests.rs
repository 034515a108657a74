use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;

use super::*;

fn channels() -> (Channel, Channel) {
    let (left, right) = pair().unwrap();
    (Channel::from_fd(left).unwrap(), Channel::from_fd(right).unwrap())
}

/// A file that can be told from others by what is in it.
fn file(text: &str) -> std::fs::File {
    let mut file = std::fs::File::from(
        rustix::fs::memfd_create("channel-test", rustix::fs::MemfdFlags::CLOEXEC).unwrap(),
    );
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn content(descriptor: OwnedFd) -> String {
    let mut file = std::fs::File::from(descriptor);
    file.seek(SeekFrom::Start(0)).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn descriptors_arrive_with_their_message_in_order() {
    let (left, right) = channels();
    let (mut sender, _) = left.split();
    let (_, mut receiver) = right.split();
    let files = [file("a"), file("b"), file("c")];
    // All are sent before the first is read, so that the kernel may merge the bytes of several messages.
    sender.send(&"none", &[]).await.unwrap();
    sender.send(&"two", &[files[0].as_fd(), files[1].as_fd()]).await.unwrap();
    sender.send(&"none again", &[]).await.unwrap();
    sender.send(&"one", &[files[2].as_fd()]).await.unwrap();
    drop(sender);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let (text, descriptors) = receiver.receive::<String>().await.unwrap().unwrap();
        seen.push((text, descriptors.into_iter().map(content).collect::<Vec<_>>()));
    }
    let expected = [("none", vec![]), ("two", vec!["a", "b"]), ("none again", vec![]), ("one", vec!["c"])];
    let expected =
        expected.map(|(text, files)| (text.to_owned(), files.into_iter().map(String::from).collect()));
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn received_descriptors_are_closed_on_exec() {
    let (left, right) = channels();
    let (mut sender, _) = left.split();
    let (_, mut receiver) = right.split();
    sender.send(&(), &[file("x").as_fd()]).await.unwrap();
    let ((), descriptors) = receiver.receive().await.unwrap().unwrap();
    let flags = rustix::io::fcntl_getfd(&descriptors[0]).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
}

#[tokio::test]
async fn the_largest_number_of_descriptors_passes_and_one_more_is_refused() {
    let (left, right) = channels();
    let (mut sender, _) = left.split();
    let (_, mut receiver) = right.split();
    let file = file("x");
    let full = vec![file.as_fd(); 253];
    sender.send(&1, &full).await.unwrap();
    sender.send(&2, &full).await.unwrap();
    assert_eq!(receiver.receive::<u8>().await.unwrap().unwrap().1.len(), 253);
    let (number, descriptors) = receiver.receive::<u8>().await.unwrap().unwrap();
    assert_eq!((number, descriptors.len()), (2, 253));
    let error = sender.send(&3, &vec![file.as_fd(); 254]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_message_larger_than_the_socket_buffer_passes_while_it_is_read() {
    let (left, right) = channels();
    let (mut sender, _) = left.split();
    let (_, mut receiver) = right.split();
    let large = "x".repeat(5_000_000);
    let file = file("attached");
    let sending = async { sender.send(&large, &[file.as_fd()]).await };
    let (sent, received) = tokio::join!(sending, receiver.receive::<String>());
    sent.unwrap();
    let (text, descriptors) = received.unwrap().unwrap();
    assert!(text == large);
    assert_eq!(descriptors.into_iter().map(content).collect::<Vec<_>>(), ["attached"]);
}

#[tokio::test]
async fn many_messages_back_to_back_keep_their_order() {
    let (left, right) = channels();
    let (mut sender, _) = left.split();
    let (_, mut receiver) = right.split();
    let sending = async {
        for number in 0..10_000_u32 {
            sender.send(&number, &[]).await.unwrap();
        }
        drop(sender);
    };
    let receiving = async {
        for number in 0..10_000_u32 {
            assert_eq!(receiver.receive::<u32>().await.unwrap().unwrap().0, number);
        }
    };
    tokio::join!(sending, receiving);
}

#[tokio::test]
async fn a_frame_in_single_bytes_is_read_and_a_cancelled_receive_loses_nothing() {
    let (left, right) = pair().unwrap();
    let (_, mut receiver) = Channel::from_fd(right).unwrap().split();
    let mut left = std::os::unix::net::UnixStream::from(left);
    // Eight bytes of text: "abcdef" with its quotes.
    for byte in *b"\x00\x00\x00\x08\x00\x00\"abcdef" {
        left.write_all(&[byte]).unwrap();
        tokio::select! {
            biased;
            result = receiver.receive::<String>() => panic!("not complete yet: {result:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    left.write_all(b"\"").unwrap();
    assert_eq!(receiver.receive::<String>().await.unwrap().unwrap().0, "abcdef");
}

#[tokio::test]
async fn an_oversized_frame_is_refused_at_its_first_bytes() {
    let (left, right) = pair().unwrap();
    let (_, mut receiver) = Channel::from_fd(right).unwrap().split();
    let mut left = std::os::unix::net::UnixStream::from(left);
    left.write_all(b"\x04\x00\x00\x01\x00\x00").unwrap();
    let error = receiver.receive::<String>().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn descriptors_that_were_announced_and_did_not_come_are_an_error() {
    let (left, right) = pair().unwrap();
    let (_, mut receiver) = Channel::from_fd(right).unwrap().split();
    let mut left = std::os::unix::net::UnixStream::from(left);
    left.write_all(b"\x00\x00\x00\x01\x00\x011").unwrap();
    assert_eq!(receiver.receive::<u8>().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn descriptors_that_belong_to_no_message_do_not_pile_up() {
    let (left, right) = pair().unwrap();
    let (_, mut receiver) = Channel::from_fd(right).unwrap().split();
    let file = file("x");
    let many = vec![file.as_fd(); 253];
    for _ in 0..3 {
        // A frame that is never complete: its length is what comes first, one byte with each set of descriptors.
        write(left.as_fd(), b"\x00", &many).unwrap();
    }
    assert_eq!(receiver.receive::<u8>().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert!(receiver.inbox.descriptors.len() <= 3 * 253);
}

#[tokio::test]
async fn a_stream_that_ends_between_messages_ends_and_one_that_ends_inside_is_an_error() {
    let (left, right) = channels();
    drop(left);
    assert!(right.split().1.receive::<u8>().await.unwrap().is_none());

    let (left, right) = pair().unwrap();
    let (_, mut receiver) = Channel::from_fd(right).unwrap().split();
    let mut left = std::os::unix::net::UnixStream::from(left);
    left.write_all(b"\x00\x00\x00\x02\x00\x001").unwrap();
    drop(left);
    assert_eq!(receiver.receive::<u8>().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn text_that_is_no_such_message_is_an_error() {
    let (left, right) = channels();
    let (mut sender, _) = left.split();
    sender.send(&"text", &[]).await.unwrap();
    assert_eq!(right.split().1.receive::<u8>().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn a_sender_whose_message_was_cut_off_refuses_the_next() {
    let (left, _right) = channels();
    let (mut sender, _) = left.split();
    let large = "x".repeat(5_000_000);
    tokio::select! {
        biased;
        result = sender.send(&large, &[]) => panic!("nobody reads: {result:?}"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!(sender.send(&1, &[]).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn sending_to_nobody_is_an_error_and_no_signal() {
    let (left, right) = channels();
    drop(right);
    let (mut sender, _) = left.split();
    assert_eq!(sender.send(&1, &[]).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_channel_can_be_made_outside_of_the_runtime_that_uses_it() {
    let (left, right) = channels();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let thread = std::thread::spawn(move || {
        runtime().block_on(async { left.split().1.receive::<u8>().await.unwrap().unwrap().0 })
    });
    runtime().block_on(async { right.split().0.send(&7, &[]).await.unwrap() });
    assert_eq!(thread.join().unwrap(), 7);
}
