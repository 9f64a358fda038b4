//! Both ends against each other, without HTTP around them: real sockets for targets and clients, a pipe as the line.

use super::door::Door;
use super::hub::{Hub, NotOpened, Route};
use super::tend::{Over, tend};
use super::tunnel::Stream;
use super::{MOST_STREAMS, STREAM_WINDOW};
use crate::value::target::Target;
use crate::value::time::{SeededRng, SharedClock, SystemClock};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const NAME: &str = "warehouse";
const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    hub: Arc<Hub>,
    clock: SharedClock,
}

struct Agent {
    stop: CancellationToken,
    over: JoinHandle<Over>,
}

fn from() -> SocketAddr {
    "192.0.2.1:9".parse().unwrap()
}

impl Bench {
    fn new() -> Self {
        let clock = SystemClock::start();
        Self { hub: Hub::open([NAME.to_owned()], &clock, &SeededRng::seeded(1)), clock }
    }

    fn route(&self) -> Route {
        self.hub.route(NAME)
    }

    fn connected(&self) -> usize {
        self.hub.presence().next().unwrap().1.connected
    }

    /// One end of a line that has come in.
    fn line(&self) -> (DuplexStream, JoinHandle<()>) {
        let (ours, theirs) = duplex(64 * 1024);
        let hub = self.hub.clone();
        let place = hub.place(NAME).unwrap();
        (theirs, crate::observe::task::spawn("test", async move { hub.attach(NAME, ours, from(), place).await }))
    }

    /// An agent that is up.
    async fn agent(&self, allow: &[SocketAddr]) -> Agent {
        let before = self.connected();
        let (line, _) = self.line();
        let allow: Arc<[Target]> = allow.iter().map(|at| Target::parse(&at.to_string()).unwrap()).collect();
        let (stop, clock) = (CancellationToken::new(), self.clock.clone());
        let stopped = stop.clone();
        let over = crate::observe::task::spawn("test", async move {
            tend(line, &allow, &clock, &stopped, Duration::from_secs(30)).await
        });
        until(|| self.connected() == before + 1).await;
        Agent { stop, over }
    }

    async fn connect(&self, to: SocketAddr) -> Result<Stream, NotOpened> {
        self.hub.connect(NAME, &Target::parse(&to.to_string()).unwrap()).await
    }

    /// A client's connection through the door, as the HTTP client makes it.
    async fn client(&self, to: SocketAddr) -> TcpStream {
        let way = self.route().proxy().unwrap();
        let (_, rest) = way.split_once("//").unwrap();
        let (who, door) = rest.split_once('@').unwrap();
        let (name, password) = who.split_once(':').unwrap();
        let mut socket = TcpStream::connect(door).await.unwrap();
        let mut said = b"\x05\x01\x02\x01".to_vec();
        for text in [name, password] {
            said.push(u8::try_from(text.len()).unwrap());
            said.extend_from_slice(text.as_bytes());
        }
        said.extend_from_slice(b"\x05\x01\x00\x01");
        let SocketAddr::V4(to) = to else { panic!("{to}") };
        said.extend_from_slice(&to.ip().octets());
        said.extend_from_slice(&to.port().to_be_bytes());
        socket.write_all(&said).await.unwrap();
        let mut answers = [0; 14];
        socket.read_exact(&mut answers).await.unwrap();
        assert_eq!(answers[..6], [5, 2, 1, 0, 5, 0], "{answers:?}");
        socket
    }
}

/// Lets others go on until it is so.
async fn until(is_so: impl Fn() -> bool) {
    let clock = SystemClock::start();
    let patience = clock.mono().plus(20 * SECOND);
    while !is_so() {
        assert!(clock.mono() < patience, "it never came to that");
        clock.sleep_until(clock.mono().plus(Duration::from_millis(2))).await;
    }
}

/// A target that does this with each connection.
async fn target<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    crate::observe::task::spawn("test", async move {
        while let Ok((socket, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            crate::observe::task::spawn("test", serve(socket));
        }
    });
    (at, count)
}

async fn echo(socket: TcpStream) {
    let (mut from, mut to) = socket.into_split();
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

#[tokio::test]
async fn bytes_and_ends_are_carried_both_ways() {
    let (bench, (at, _)) = (Bench::new(), target(echo).await);
    let _agent = bench.agent(&[at]).await;
    let mut client = bench.client(at).await;
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    let (mut from, mut to) = client.split();
    let mut back = Vec::new();
    let (wrote, read) = tokio::join!(
        async {
            to.write_all(&sent).await?;
            to.shutdown().await
        },
        from.read_to_end(&mut back)
    );
    wrote.unwrap();
    read.unwrap();
    assert!(back == sent, "{} of {} bytes", back.len(), sent.len());
}

#[tokio::test]
async fn a_break_is_no_end() {
    let breaks = |mut socket: TcpStream| async move {
        let _ = socket.read_u8().await;
        let _ = socket.write_all(b"half").await;
        let _ = socket.set_zero_linger();
    };
    let (bench, (at, _)) = (Bench::new(), target(breaks).await);
    let _agent = bench.agent(&[at]).await;
    let mut client = bench.client(at).await;
    client.write_all(b"?").await.unwrap();
    let mut got = Vec::new();
    assert!(client.read_to_end(&mut got).await.is_err(), "an end after {got:?}");
}

#[tokio::test]
async fn a_line_that_breaks_breaks_its_streams() {
    let (bench, (at, _)) = (Bench::new(), target(echo).await);
    let agent = bench.agent(&[at]).await;
    let mut client = bench.client(at).await;
    client.write_all(b"x").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'x');
    agent.over.abort();
    assert!(client.read_u8().await.is_err_and(|error| error.kind() != std::io::ErrorKind::UnexpectedEof));
    until(|| bench.connected() == 0).await;
    let why = bench.connect(at).await.err().unwrap();
    assert_eq!((why.lasting, why.text.as_str()), (false, "no agent `warehouse` is connected"));
    assert_eq!(bench.route().absence().unwrap().reason, "no agent `warehouse` is connected");
}

#[tokio::test]
async fn agents_of_one_name_share_the_streams() {
    let (bench, (at, _)) = (Bench::new(), target(echo).await);
    let _agents = [bench.agent(&[at]).await, bench.agent(&[at]).await];
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(bench.connect(at).await.unwrap());
    }
    assert_eq!(bench.hub.loads(NAME), [5, 5]);
    streams.clear();
    assert_eq!(bench.hub.loads(NAME), [0, 0]);
}

#[tokio::test]
async fn what_no_list_names_is_refused_for_good_and_what_one_names_is_found() {
    let (bench, (at, count)) = (Bench::new(), target(echo).await);
    let other = "127.0.0.1:9".parse().unwrap();
    let _agent = bench.agent(&[other]).await;
    let why = bench.connect(at).await.err().unwrap();
    assert!(why.lasting && why.text.contains(&format!("`warehouse` does not allow {at}")), "{}", why.text);
    assert!(why.text.contains("`allow`"), "{}", why.text);
    assert_eq!(bench.route().why("127.0.0.1", at.port()), Some(why));
    assert_eq!(count.load(Ordering::Relaxed), 0);
    let _second = bench.agent(&[at]).await;
    assert!(bench.connect(at).await.is_ok());
    assert_eq!(bench.route().why("127.0.0.1", at.port()), None);
}

#[tokio::test]
async fn a_target_that_is_not_there_is_said_to_be_not_reached() {
    let bench = Bench::new();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let _agent = bench.agent(&[gone]).await;
    let why = bench.connect(gone).await.err().unwrap();
    assert!(!why.lasting && why.text.contains("cannot reach") && why.text.contains("refused"), "{}", why.text);
}

#[tokio::test]
async fn a_reader_that_stalls_holds_little_and_stops_nobody_else() {
    let pours = |mut socket: TcpStream| async move {
        let _ = socket.read_u8().await;
        while socket.write_all(&vec![7; 65_536]).await.is_ok() {}
    };
    let (bench, (at, _), (echoing, _)) = (Bench::new(), target(pours).await, target(echo).await);
    let _agent = bench.agent(&[at, echoing]).await;
    let mut stalled = bench.connect(at).await.unwrap();
    stalled.send.reserve_capacity(1);
    stalled.send.send_data(bytes::Bytes::from_static(b"?"), false).unwrap();
    // Taken from the tunnel, but never released: as a client does that does not read on.
    let mut held = 0;
    while held < STREAM_WINDOW as usize {
        held += stalled.receive.data().await.unwrap().unwrap().len();
    }
    let more = bench.clock.sleep_until(bench.clock.mono().plus(SECOND / 5));
    tokio::select! {
        more = stalled.receive.data() => panic!("{more:?} beyond the window"),
        () = more => {}
    }
    assert_eq!(held, STREAM_WINDOW as usize);
    let mut client = bench.client(echoing).await;
    client.write_all(b"x").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'x');
}

#[tokio::test]
async fn streams_of_a_tunnel_are_capped() {
    let (bench, (at, _)) = (Bench::new(), target(echo).await);
    let _agent = bench.agent(&[at]).await;
    let mut streams = Vec::new();
    for _ in 0..MOST_STREAMS {
        streams.push(bench.connect(at).await.unwrap());
    }
    let why = bench.connect(at).await.err().unwrap();
    assert!(!why.lasting && why.text.contains("as many streams as it may"), "{}", why.text);
    streams.pop();
    assert!(bench.connect(at).await.is_ok());
}

#[tokio::test]
async fn an_agent_that_leaves_finishes_what_it_has_and_is_asked_for_nothing_more() {
    let (bench, (at, _)) = (Bench::new(), target(echo).await);
    let agent = bench.agent(&[at]).await;
    let epoch = bench.route().epoch();
    let mut client = bench.client(at).await;
    client.write_all(b"x").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'x');
    agent.stop.cancel();
    until(|| bench.connected() == 0).await;
    assert!(bench.route().epoch() > epoch && !agent.over.is_finished());
    client.write_all(b"y").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'y');
    drop(client);
    assert_eq!(agent.over.await.unwrap(), Over::Drained);
}

/// What somebody with a good token may say instead of HTTP/2.
fn bombs() -> Vec<Vec<u8>> {
    let frame = |length: u32, kind: u8, flags: u8, stream: u32| {
        let mut frame = length.to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame
    };
    let settings = frame(0, 4, 0, 0);
    let mut pong = frame(8, 6, 1, 0);
    pong.extend_from_slice(&[0; 8]);
    vec![
        [settings.clone(), frame(0xff_ffff, 0, 0, 1), vec![0; 100_000]].concat(),
        [settings.clone(), frame(16_385, 0, 0, 1), vec![0; 16_385]].concat(),
        [settings.clone(), frame(0xff_ffff, 1, 4, 2)].concat(),
        // Headers without end.
        [settings.clone(), frame(16_384, 1, 0, 1), vec![0x40; 16_384], frame(16_384, 9, 0, 1).repeat(1)].concat(),
        [settings, frame(5, 4, 0, 0)].concat(),
        b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        vec![0xff; 200_000],
        pong.repeat(3),
        frame(0xff_ffff, 0xee, 0, 0),
    ]
}

#[tokio::test]
async fn bombs_end_their_own_line_and_nothing_else() {
    let (bench, (at, _)) = (Bench::new(), target(echo).await);
    let _agent = bench.agent(&[at]).await;
    for (number, bomb) in bombs().into_iter().enumerate() {
        let (mut line, attached) = bench.line();
        // Refused while it is still being said, most of the time.
        let _ = line.write_all(&bomb).await;
        let _ = line.shutdown().await;
        let patience = bench.clock.sleep_until(bench.clock.mono().plus(5 * SECOND));
        tokio::select! {
            ended = attached => ended.unwrap(),
            () = patience => panic!("bomb {number} is still listened to"),
        }
    }
    assert_eq!(bench.connected(), 1);
    let mut client = bench.client(at).await;
    client.write_all(b"x").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'x');
}

#[tokio::test]
async fn an_agent_survives_a_server_that_throws_bombs() {
    for bomb in bombs() {
        let (line, mut server) = duplex(64 * 1024);
        let clock = SystemClock::start();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let throwing = async {
            let _ = server.write_all(&[&preface[..], &bomb].concat()).await;
            let _ = server.shutdown().await;
            let _ = tokio::io::copy(&mut server, &mut tokio::io::sink()).await;
        };
        let tending = async {
            let allow: Arc<[Target]> = Arc::default();
            tend(line, &allow, &clock, &CancellationToken::new(), SECOND).await
        };
        let (over, ()) = tokio::join!(tending, throwing);
        assert!(matches!(over, Over::Lost(_)), "{over:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_without_heartbeat_is_given_up() {
    let bench = Bench::new();
    let (held, attached) = bench.line();
    attached.await.unwrap();
    assert!(bench.clock.mono().0 <= 11 * SECOND, "never up");
    drop(held);

    // Up once, then silent while the line stays open.
    let (mut line, attached) = bench.line();
    let pong = async {
        let mut said = vec![0; 4_096];
        let mut heard = Vec::new();
        line.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        loop {
            let count = line.read(&mut said).await.unwrap();
            heard.extend_from_slice(&said[..count]);
            // Its ping: 8 bytes, type 6.
            if let Some(at) = heard.windows(9).position(|head| head == [0, 0, 8, 6, 0, 0, 0, 0, 0])
                && heard.len() >= at + 17
            {
                let answer = [&[0, 0, 8, 6, 1, 0, 0, 0, 0], &heard[at + 9..at + 17]].concat();
                return line.write_all(&answer).await.unwrap();
            }
        }
    };
    pong.await;
    until(|| bench.connected() == 1).await;
    let up = bench.clock.mono();
    attached.await.unwrap();
    assert!((14 * SECOND..17 * SECOND).contains(&bench.clock.mono().since(up)), "{:?}", bench.clock.mono().since(up));
    assert_eq!(bench.connected(), 0);
}

#[tokio::test]
async fn the_door_lets_nobody_in_without_the_password() {
    let (bench, (at, count)) = (Bench::new(), target(echo).await);
    let _agent = bench.agent(&[at]).await;
    let way = bench.route().proxy().unwrap();
    let address = way.rsplit('@').next().unwrap();
    let guess =
        [&b"\x05\x01\x02\x01\x09warehouse\x05guess\x05\x01\x00\x01\x7f\x00\x00\x01"[..], &at.port().to_be_bytes()]
            .concat();
    for (said, told) in
        [(&b"\x05\x01\x00"[..], &[5, 0xff][..]), (&guess, &[5, 2, 1, 1]), (b"GET / HTTP/1.1\r\n\r\n", &[])]
    {
        let mut stranger = TcpStream::connect(address).await.unwrap();
        stranger.write_all(said).await.unwrap();
        stranger.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = stranger.read_to_end(&mut answer).await;
        // What is not read any more may be answered with a reset, which takes the answer along.
        assert!(answer.is_empty() || answer == told, "{answer:?}");
    }
    assert_eq!(count.load(Ordering::Relaxed), 0);
    let other = Door::open(
        Arc::downgrade(&bench.hub),
        bench.clock.clone(),
        &SeededRng::from_system(),
        CancellationToken::new(),
    );
    assert!(!way.contains(&other.unwrap().way_to(NAME)[..70]), "every process draws its own");
}
