//! `Heartbeat`: renews the session, and carries back what to do with each trial and with the session itself.

use std::sync::Arc;

use descent_spec::id::{AttemptNumber, SessionId, TrialId};
use descent_spec::lease::{Directive, Held, SessionDirective};
use tonic::Status;

use super::{setback, status};
use crate::service::{Service, millis};
use crate::store::StoreError;

/// What to do with each trial listed.
type Told = Vec<(TrialId, AttemptNumber, Directive)>;

/// Takes a beat.
pub(super) async fn beat(
    service: &Arc<Service>,
    session: SessionId,
    held: Vec<Held>,
) -> Result<(SessionDirective, Told), Status> {
    let listed = held.clone();
    let lease_until = service.lease_until();
    let unlisted = millis(service.config.timing.unlisted);
    let beat = service
        .in_time(|store, now| async move {
            store
                .heartbeat(session, &held, lease_until, unlisted, now)
                .await
        })
        .await?;
    let directives = match beat {
        Err(StoreError::SessionClosed(_)) => return Ok((SessionDirective::Reopen, Vec::new())),
        Err(error) => return Err(status::of_store(&error)),
        Ok(directives) => directives,
    };
    let mut told: Told = std::iter::zip(&listed, directives)
        .map(|(held, directive)| (held.trial, held.attempt, directive))
        .collect();
    let (draining, quarantined) = {
        let orders = service.orders();
        (
            orders.draining.contains(&session),
            orders.quarantined.contains_key(&session),
        )
    };
    for (_, _, directive) in &mut told {
        if quarantined && *directive == Directive::Continue {
            *directive = Directive::Release;
        }
    }
    end_overdue(service, session, &listed, &mut told).await;
    let directive = if draining {
        SessionDirective::Drain
    } else {
        SessionDirective::None
    };
    Ok((directive, told))
}

/// Ends attempts that hang, or that run longer than they may. A round of this that fails is made up for by the next beat.
async fn end_overdue(service: &Arc<Service>, session: SessionId, listed: &[Held], told: &mut Told) {
    let own: Vec<Held> = std::iter::zip(listed, &*told)
        .filter(|(_, (_, _, directive))| {
            matches!(directive, Directive::Continue | Directive::Release)
        })
        .map(|(held, _)| *held)
        .collect();
    let unknown = {
        let mut progress = service.progress();
        let longest_gap = millis(service.config.timing.lease);
        progress.beat(session, &own, longest_gap, service.now());
        progress.unknown(session)
    };
    if !unknown.is_empty() {
        let limits = service
            .call(|store, _| async move { store.limits(&unknown).await })
            .await;
        if let Ok(limits) = limits {
            service.progress().learn(session, &limits);
        }
    }
    let overdue = service.progress().overdue(session);
    for (fence, failure) in overdue {
        if setback::fail(service, fence, failure).await.is_ok() {
            let is_it = |one: &&mut (TrialId, AttemptNumber, Directive)| {
                (one.0, one.1) == (fence.trial, fence.attempt)
            };
            if let Some(one) = told.iter_mut().find(is_it) {
                one.2 = Directive::Fenced;
            }
        }
    }
}
