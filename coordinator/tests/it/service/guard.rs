//! Who is let in, and what is taken from them.

use std::sync::Arc;

use descent_coordinator::clock::SystemClock;
use descent_coordinator::config::Tls;
use descent_coordinator::store::memory::MemoryStore;
use descent_coordinator::{Config, Refusal, ServeError, serve};
use descent_proto::channel::{Connection, Credentials};
use descent_proto::reason::Reason;
use descent_proto::v1;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;

use super::world::{TOY, Worker, World, named_field, opening};

#[tokio::test(start_paused = true)]
async fn only_the_token_lets_in() {
    let world = World::with(|config| config.token = Some("open sesame".into()));
    for (token, expected) in [
        (None, Code::Unauthenticated),
        (Some("open"), Code::Unauthenticated),
        (Some("open sesame"), Code::Ok),
    ] {
        let connection = world.connection_with(token);
        let listed = connection.sweeps().list(v1::ListRequest::default()).await;
        let code = listed.map_or_else(|refusal| refusal.code(), |_| Code::Ok);
        assert_eq!(code, expected, "{token:?}");
        let opened = connection
            .work()
            .open_session(opening(&world.fresh(), 1))
            .await;
        let code = opened.map_or_else(|refusal| refusal.code(), |_| Code::Ok);
        assert_eq!(code, expected, "{token:?}");
    }
}

#[tokio::test]
async fn other_machines_are_not_let_in_by_accident() {
    let folder = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = serve(
        Config::new(folder.path()),
        Arc::new(MemoryStore::default()),
        listener,
        Arc::new(SystemClock),
        CancellationToken::new(),
    )
    .await;
    assert!(
        matches!(refused, Err(ServeError::Refused(Refusal::Open { .. }))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_real_listener_serves_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(serve(
        Config::new(folder.path()),
        Arc::new(MemoryStore::default()),
        listener,
        Arc::new(SystemClock),
        shutdown.clone(),
    ));
    // The first address does not answer; the second does, from the next call on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let urls = [dead, url];
    let connection = Connection::new(&urls, &Credentials::default()).unwrap();
    let mut sweeps = connection.sweeps();
    let refusal = sweeps.list(v1::ListRequest::default()).await.unwrap_err();
    assert_eq!(refusal.code(), Code::Unavailable);
    assert!(descent_proto::retry::may_retry(&refusal));
    sweeps.list(v1::ListRequest::default()).await.unwrap();
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}

/// A certificate for `localhost` that is good for a hundred years, its key, and who signed it; made for this test alone.
fn tls() -> (Tls, String) {
    let own = Tls {
        certificate: include_str!("tls/certificate.pem").to_owned(),
        key: include_str!("tls/key.pem").to_owned(),
    };
    (own, include_str!("tls/authority.pem").to_owned())
}

#[tokio::test]
async fn the_wire_may_be_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (own, authority) = tls();
    let mut config = Config::new(folder.path());
    config.tls = Some(own);
    config.token = Some("open sesame".into());
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(serve(
        config,
        Arc::new(MemoryStore::default()),
        listener,
        Arc::new(SystemClock),
        shutdown.clone(),
    ));
    for (authority, expected) in [(Some(authority), Code::Ok), (None, Code::Unavailable)] {
        let credentials = Credentials {
            token: Some("open sesame".into()),
            authority,
        };
        let url = format!("https://localhost:{port}");
        let connection = Connection::new(&[url], &credentials).unwrap();
        let listed = connection.sweeps().list(v1::ListRequest::default()).await;
        let code = listed.map_or_else(|refusal| refusal.code(), |_| Code::Ok);
        assert_eq!(code, expected);
    }
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn health_follows_the_coordinator() {
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::health_client::HealthClient;
    let world = World::with(|config| config.token = Some("open sesame".into()));
    // Probes have no token.
    let mut health = HealthClient::new(world.connection_with(None));
    let answer = health.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    let mut watch = health
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    world.begin_stop();
    let next = watch.message().await.unwrap().unwrap();
    assert_eq!(next.status(), ServingStatus::NotServing);
}

#[tokio::test(start_paused = true)]
async fn another_version_is_told_both_and_the_way_out() {
    let world = World::start();
    let mut work = world.connection().work();
    for change in [
        (|request| request.protocol += 1) as fn(&mut v1::OpenSessionRequest),
        |request| request.numerics += 1,
    ] {
        let mut request = opening(&world.fresh(), 1);
        change(&mut request);
        let refusal = work.open_session(request.clone()).await.unwrap_err();
        assert_eq!(refusal.code(), Code::FailedPrecondition);
        assert_eq!(Reason::of(&refusal), Some(Reason::Version));
        for part in [
            format!("protocol {}", request.protocol),
            format!("protocol {}", descent_proto::PROTOCOL),
            format!("numerics {}", request.numerics),
            "run the same version".to_owned(),
        ] {
            assert!(refusal.message().contains(&part), "{}", refusal.message());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_over_the_limit_is_refused() {
    let world = World::start();
    let mut request = world.submission(TOY);
    request.source = "#".repeat(descent_proto::MAX_MESSAGE_BYTES);
    let refusal = world
        .connection()
        .sweeps()
        .submit(request)
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::OutOfRange);
    assert!(!descent_proto::retry::may_retry(&refusal));
}

#[tokio::test(start_paused = true)]
async fn a_bad_request_names_the_field() {
    let world = World::start();
    let mut worker = world.worker().await;
    let mut sweeps = world.connection().sweeps();

    let mut request = worker.asking(1, 0);
    request.session = vec![1, 2, 3];
    let refusal = worker.work.lease(request).await.unwrap_err();
    assert_eq!(named_field(&refusal), "session");
    let mut request = worker.asking(0, 0);
    request.data.clear();
    let refusal = worker.work.lease(request).await.unwrap_err();
    assert_eq!(named_field(&refusal), "max_trials");
    let mut request = worker.asking(1, 0);
    request.data.push(vec![0; 31]);
    let refusal = worker.work.lease(request).await.unwrap_err();
    assert_eq!(named_field(&refusal), "data[1]");

    let mut request = completion(&worker);
    request.completions[1]
        .result
        .as_mut()
        .unwrap()
        .last
        .as_mut()
        .unwrap()
        .train_loss = Some(f64::NAN);
    let refusal = worker.work.complete(request).await.unwrap_err();
    assert_eq!(
        named_field(&refusal),
        "completions[1].result.last.train_loss"
    );
    let mut request = completion(&worker);
    request.completions[0].result.as_mut().unwrap().stop = 0;
    let refusal = worker.work.complete(request).await.unwrap_err();
    assert_eq!(named_field(&refusal), "completions[0].result.stop");

    let mut request = world.submission(TOY);
    request.data.get_mut("toy").unwrap().inputs = 0;
    let refusal = sweeps.submit(request).await.unwrap_err();
    assert_eq!(named_field(&refusal), "data[\"toy\"].inputs");
    let request = v1::RerunRequest {
        request_id: world.fresh(),
        sweep: "toy".into(),
        which: 0,
    };
    let refusal = sweeps.rerun(request).await.unwrap_err();
    assert_eq!(named_field(&refusal), "which");
}

fn completion(worker: &Worker<'_>) -> v1::CompleteRequest {
    let fence = v1::Fence {
        session: worker.session.clone(),
        trial: 1,
        attempt: 1,
    };
    let one = v1::Completion {
        fence: Some(fence),
        result: Some((&super::world::result()).into()),
    };
    v1::CompleteRequest {
        completions: vec![one.clone(), one],
    }
}
