//! Somebody who submits sweeps and changes their mind, and repeats every call until it is answered.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use descent_proto::channel::Connection;
use descent_proto::retry::may_retry;
use descent_proto::v1::{self, sweeps_client::SweepsClient};
use descent_spec::id::ContentHash;
use tonic::{Request, Status};

use crate::chance::Chance;
use crate::network::connect;
use crate::plan::{Action, Host, SWEEPS};
use crate::record::What;
use crate::shared::Shared;

type Sweeps = SweepsClient<Connection>;

pub(crate) async fn user(shared: Arc<Shared>) -> turmoil::Result {
    let sweeps = connect(Host::Coordinator.name()).sweeps();
    let mut chance = Chance::new(shared.plan.seed ^ 0x05e4);
    for (at, action) in &shared.plan.actions {
        if let Some(wait) = at.checked_sub(shared.now()) {
            tokio::time::sleep(wait).await;
        }
        act(&shared, &sweeps, action, &mut chance).await;
    }
    let mut healed = shared.healed.subscribe();
    let _ = healed.wait_for(|healed| *healed).await;
    // What is still paused would never end.
    for name in SWEEPS {
        act(&shared, &sweeps, &Action::Resume(name), &mut chance).await;
    }
    shared.user_is_done.store(true, Ordering::Relaxed);
    Ok(())
}

async fn act(shared: &Shared, sweeps: &Sweeps, action: &Action, chance: &mut Chance) {
    let id = [chance.next().to_be_bytes(), chance.next().to_be_bytes()].concat();
    loop {
        let mut sweeps = sweeps.clone();
        let call = call(&mut sweeps, action, id.clone());
        let answer = match tokio::time::timeout(Duration::from_secs(15), call).await {
            Ok(answer) => answer,
            Err(_) => Err(Status::cancelled("no answer")),
        };
        let now = shared.now();
        let text = match &answer {
            Ok(number) => format!("{action:?} -> {number}"),
            Err(refusal) => format!("{action:?} -> {:?}: {}", refusal.code(), refusal.message()),
        };
        shared.record.note(now, What::User(text));
        match answer {
            Ok(number) => {
                let told = (now, action.clone(), number);
                shared.acknowledged.lock().unwrap().push(told);
                return;
            }
            Err(refusal) if may_retry(&refusal) => {
                tokio::time::sleep(chance.millis(50..=4_000)).await;
            }
            Err(_) => return,
        }
    }
}

async fn call(sweeps: &mut Sweeps, action: &Action, request_id: Vec<u8>) -> Result<u64, Status> {
    match action {
        Action::Submit(source, _) => {
            let request = v1::SubmitRequest {
                request_id,
                source: source.clone(),
                file: "toy.toml".to_owned(),
                data: HashMap::from([("toy".to_owned(), data())]),
                dry_run: false,
                allow_removal: true,
            };
            let answer = sweeps.submit(Request::new(request)).await?.into_inner();
            Ok(answer.added + answer.kept)
        }
        Action::Pause(sweep) => {
            let sweep = (*sweep).to_owned();
            let request = v1::PauseRequest { request_id, sweep };
            sweeps.pause(request).await.map(|_| 0)
        }
        Action::Resume(sweep) => {
            let sweep = (*sweep).to_owned();
            let request = v1::ResumeRequest { request_id, sweep };
            sweeps.resume(request).await.map(|_| 0)
        }
        Action::Cancel(sweep) => {
            let sweep = (*sweep).to_owned();
            let request = v1::CancelRequest { request_id, sweep };
            sweeps.cancel(request).await.map(|_| 0)
        }
        Action::Rerun(sweep, which) => {
            let request = v1::RerunRequest {
                request_id,
                sweep: (*sweep).to_owned(),
                which: (*which).into(),
            };
            let answer = sweeps.rerun(request).await?.into_inner();
            Ok(answer.trials)
        }
    }
}

fn data() -> v1::DataSet {
    v1::DataSet {
        hash: ContentHash::of(b"toy").0.to_vec(),
        inputs: 5,
        outputs: 3,
        train_samples: 100,
        test_samples: 20,
        image: None,
    }
}
