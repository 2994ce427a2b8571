//! Listeners and speakers of a Mumble server, version 1.3's protocol: a TLS connection for control, encrypted UDP for voice.

use std::net::SocketAddr;
use std::sync::Arc;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::crowd::{Crowd, Id, Next};
use crate::plan::Plan;
use crate::run::{Failure, Transport};
use crate::tls;

pub mod client;
pub mod ocb;
pub mod wire;

use client::{Client, State};

/// Microseconds between keep-alives; the server gives up after 30 s.
const KEEP_ALIVE_US: u64 = 8_000_000;

struct Listener {
    client: Client,
    id: Id,
    joined: bool,
    kept_alive_us: u64,
}

/// See the module.
pub struct Listeners {
    server: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
    epoll: Epoll,
    listeners: Vec<Option<Listener>>,
    /// Whose turn to be kept alive it is.
    next: usize,
}

/// TLS as Mumble clients have it.
///
/// # Errors
/// The provider lacks something.
pub fn tls_config() -> Result<Arc<rustls::ClientConfig>, Failure> {
    Ok(Arc::new(tls::client(&[], &[&rustls::version::TLS13, &rustls::version::TLS12])?))
}

impl Listeners {
    /// Nobody is connected yet.
    ///
    /// # Errors
    /// TLS or epoll cannot be set up.
    pub fn new(plan: &Plan) -> Result<Self, Failure> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { server: plan.server, tls: tls_config()?, epoll, listeners: Vec::new(), next: 0 })
    }
}

impl Transport for Listeners {
    fn dial(&mut self, id: Id, _crowd: &mut Crowd) -> Result<(), Failure> {
        let client = Client::connect(self.server, &self.tls, &format!("listener{id}"))?;
        let key = self.listeners.len() as u64;
        self.epoll.add(client.control(), EpollEvent::new(EpollFlags::EPOLLIN, key))?;
        self.epoll.add(client.voice(), EpollEvent::new(EpollFlags::EPOLLIN, key))?;
        self.listeners.push(Some(Listener { client, id, joined: false, kept_alive_us: 0 }));
        Ok(())
    }

    fn step(&mut self, now_us: u64, crowd: &mut Crowd) -> Result<(), Failure> {
        let mut ready = [EpollEvent::empty(); 1_024];
        loop {
            let count = self.epoll.wait(&mut ready, EpollTimeout::ZERO)?;
            for event in ready.iter().take(count) {
                let Some(place) = self.listeners.get_mut(event.data() as usize) else { continue };
                let Some(listener) = place else { continue };
                if listener.turn(now_us, crowd) == Next::Leave {
                    *place = None;
                }
            }
            if count < ready.len() {
                break;
            }
        }
        // A few each turn, so that nobody waits for the pings of thousands.
        for _ in 0..4.min(self.listeners.len()) {
            self.next = (self.next + 1) % self.listeners.len();
            let Some(Some(listener)) = self.listeners.get_mut(self.next) else { continue };
            if listener.joined && now_us.saturating_sub(listener.kept_alive_us) > KEEP_ALIVE_US {
                listener.kept_alive_us = now_us;
                listener.client.ping();
            }
        }
        Ok(())
    }
}

impl Listener {
    fn turn(&mut self, now_us: u64, crowd: &mut Crowd) -> Next {
        let id = self.id;
        let mut next = Next::Stay;
        let state = self.client.turn(|opus| {
            if next == Next::Stay {
                next = crowd.frame(id, opus, None, now_us);
            }
        });
        match state {
            Ok(State::Joining) => {}
            Ok(State::In) if self.joined => {}
            Ok(State::In) => {
                self.joined = true;
                crowd.joined(id, now_us);
            }
            Err(error) => {
                crowd.failed(id, || error.to_string());
                return Next::Leave;
            }
        }
        next
    }
}
