//! A link between two processes that can be cut, one way or both, delayed or throttled while its connections stay open.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What a link does with bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Weather {
    /// They pass.
    Fair,
    /// None pass in either direction, as when a cable is pulled: they wait, and come through afterwards.
    Cut,
    /// None pass towards the target; answers to what came before do.
    CutUp,
    /// None pass back: the target hears what nobody hears the answers to.
    CutDown,
    /// They pass in small pieces, with a pause between two.
    Slow {
        /// Bytes at a time.
        bytes: usize,
        /// Pause after them.
        pause: Duration,
    },
    /// Connections are closed, and new ones too.
    Down,
}

/// How often a link in bad weather looks up.
const LOOK: Duration = Duration::from_millis(5);

/// A listener whose connections go on to a target.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    weather: Mutex<Weather>,
    target: Mutex<SocketAddr>,
}

impl State {
    fn weather(&self) -> Weather {
        *self.weather.lock().unwrap()
    }
}

impl Proxy {
    pub(crate) fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            weather: Mutex::new(Weather::Fair),
            target: Mutex::new(target),
        });
        let accepting = Arc::clone(&state);
        // Ends with the process of the test.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&accepting);
                thread::spawn(move || connect(client, &state));
            }
        });
        Self { address, state }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set(&self, weather: Weather) {
        *self.state.weather.lock().unwrap() = weather;
    }

    /// New connections go elsewhere.
    pub(crate) fn lead_to(&self, target: SocketAddr) {
        *self.state.target.lock().unwrap() = target;
    }
}

fn connect(client: TcpStream, state: &Arc<State>) {
    // A connection that is begun in a cut waits for the end of the cut.
    while matches!(
        state.weather(),
        Weather::Cut | Weather::CutUp | Weather::CutDown
    ) {
        thread::sleep(LOOK);
    }
    if state.weather() == Weather::Down {
        return;
    }
    let target = *state.target.lock().unwrap();
    let Ok(server) = TcpStream::connect(target) else {
        return;
    };
    let (back_from, back_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let back = Arc::clone(state);
    thread::spawn(move || carry(back_from, back_to, &back, Weather::CutDown));
    carry(client, server, state, Weather::CutUp);
}

/// Carries bytes one way until either end closes or the link goes down. `cut` is the weather that stops this direction alone.
fn carry(mut from: TcpStream, mut to: TcpStream, state: &State, cut: Weather) {
    let _ = from.set_nodelay(true);
    let _ = to.set_nodelay(true);
    let _ = from.set_read_timeout(Some(LOOK * 4));
    let mut buffer = [0; 16 << 10];
    loop {
        let weather = state.weather();
        if weather == Weather::Down {
            break;
        }
        if weather == Weather::Cut || weather == cut {
            thread::sleep(LOOK);
            continue;
        }
        let most = match weather {
            Weather::Slow { bytes, .. } => bytes.min(buffer.len()),
            _ => buffer.len(),
        };
        match from.read(&mut buffer[..most]) {
            Ok(0) => break,
            Ok(n) => {
                // What was read in the moment of a cut waits with the rest.
                while matches!(state.weather(), now if now == Weather::Cut || now == cut) {
                    thread::sleep(LOOK);
                }
                if to.write_all(&buffer[..n]).is_err() {
                    break;
                }
                if let Weather::Slow { pause, .. } = weather {
                    thread::sleep(pause);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
