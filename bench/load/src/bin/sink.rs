//! `sink COUNT`: binds COUNT sockets, prints their addresses in one line, and drains them until standard input ends: the
//! other end of `limit`, as busy per packet as a receiver can be without looking into it.

use std::net::UdpSocket;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use spaces_bench_load::batch::{BATCH, Inbox, enlarge};
use spaces_bench_load::console::{Command, commands};
use spaces_bench_load::run::Failure;

fn main() -> Result<(), Failure> {
    let count: usize = std::env::args().nth(1).ok_or("usage: sink COUNT")?.parse()?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let mut sockets = Vec::new();
    let mut addresses = Vec::new();
    for index in 0..count {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        enlarge(&socket)?;
        epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))?;
        addresses.push(socket.local_addr()?.to_string());
        sockets.push(socket);
    }
    println!("{}", addresses.join(" "));
    let console = commands();
    let mut inbox = Inbox::default();
    let mut ready = [EpollEvent::empty(); 256];
    while console.try_recv() != Ok(Command::Hangup) {
        let found = epoll.wait(&mut ready, EpollTimeout::ZERO)?;
        for event in ready.iter().take(found) {
            let Some(socket) = sockets.get(event.data() as usize) else { continue };
            while inbox.receive(socket)? == BATCH {}
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
