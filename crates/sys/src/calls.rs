//! System calls that no safe library offers; all unsafe code of the program is here.

#![expect(
    unsafe_code,
    reason = "these calls take pointers or lengths that only the caller's types make right"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use socket2::{SockAddr, SockAddrStorage};

/// Sets an option that is a whole number.
pub(crate) fn set_option(socket: &impl AsFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(0);
    // SAFETY: the pointer is to an `i32` that lives until the call returns, and the length is its size.
    let result = unsafe {
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, (&raw const value).cast(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads an option that is a whole number.
pub(crate) fn option(socket: &impl AsFd, level: i32, name: i32) -> io::Result<i32> {
    let mut value = 0_i32;
    let mut length = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(0);
    // SAFETY: the pointers are to an `i32` and to its size, which live until the call returns; the kernel writes no more
    // than that many bytes.
    let result = unsafe {
        libc::getsockopt(socket.as_fd().as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut length)
    };
    if result == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// Bytes in the sending queue of a socket (tcp(7), unix(7), SIOCOUTQ).
pub(crate) fn queued(socket: BorrowedFd<'_>) -> io::Result<i32> {
    let mut count: libc::c_int = 0;
    // SAFETY: the request writes one `int` through the pointer, which is to one that lives until the call returns.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    if result == 0 { Ok(count) } else { Err(io::Error::last_os_error()) }
}

/// The address of an interface for a packet socket (packet(7)) that sends and receives nothing.
pub(crate) fn packet_address(index: u32) -> io::Result<SockAddr> {
    let index = i32::try_from(index).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: `SockAddrStorage` is as large and as aligned as any socket address, all its bytes are initialised, and
    // `sockaddr_ll` is made of whole numbers, for which every value is valid.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::sa_family_t::try_from(libc::AF_PACKET).unwrap_or_default();
    address.sll_ifindex = index;
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).unwrap_or_default();
    // SAFETY: the storage holds a `sockaddr_ll` of that length, as its family says.
    Ok(unsafe { SockAddr::new(storage, length) })
}

/// Gives the calling thread a place before all ordinary ones: SCHED_RR (sched(7)) with this priority, 1 to 99. Children
/// do not inherit it.
pub(crate) fn schedule_round_robin(priority: i32) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: priority };
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the pointer is to a `sched_param` that lives until the call returns; 0 is the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Moves the calling thread into a new network namespace (unshare(2), CLONE_NEWNET).
pub(crate) fn unshare_network() -> io::Result<()> {
    // SAFETY: the call takes no pointer; a network namespace is no memory and no file descriptor of the process.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads these pages of the program from disk now (madvise(2), MADV_POPULATE_READ).
pub(crate) fn populate(start: usize, length: usize) -> io::Result<()> {
    // SAFETY: populating reads pages in and changes no byte; for a range that is not mapped the kernel answers ENOMEM.
    let result =
        unsafe { libc::madvise(std::ptr::without_provenance_mut(start), length, libc::MADV_POPULATE_READ) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes a descriptor that came with the execution of this program (execve(2)).
pub(crate) fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the call takes no pointer.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    // 0 to 2 belong to the standard library. Whatever this program opens is closed on exec from the beginning, so what is
    // not was opened by the one before.
    if number <= 2 || flags & libc::FD_CLOEXEC != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it was opened by this program"));
    }
    // SAFETY: it is open, and nobody has it: this program has not opened it, and who takes it marks it as closed on exec.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
