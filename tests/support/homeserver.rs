//! The reference homeserver with faults, for tests that look at it through a proxy.
use homespec::reference::{self, Running, Settings};
use std::net::SocketAddr;
use tokio::runtime::Runtime;

/// It runs as long as this is kept.
pub struct Homeserver {
    pub running: Running,
    _runtime: Runtime,
}

impl Homeserver {
    pub fn with(faults: &[&str]) -> Homeserver {
        let faults = faults.iter().map(|fault| (*fault).to_owned()).collect();
        Homeserver::of(Settings { faults, ..Settings::default() })
    }

    pub fn of(settings: Settings) -> Homeserver {
        let runtime = Runtime::new().unwrap();
        let running = runtime.block_on(reference::start(settings)).unwrap();
        Homeserver { running, _runtime: runtime }
    }

    pub fn address(&self) -> SocketAddr {
        let url = self.running.url();
        url.trim_end_matches('/').trim_start_matches("http://").parse().unwrap()
    }
}
