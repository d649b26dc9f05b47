//! The loop: poll, perform, handle; until it is finished.

mod log;
pub mod milestones;

use std::time::Duration;

pub use log::{Log, span};

use crate::bootstrap::{Effect, Event, Now, Outcome, StateMachine, Status};
use crate::host::{Host, timer};

/// Performs effects: the host, or a model of it in tests.
pub trait Perform {
    fn now(&self) -> Now;
    fn perform(&mut self, effect: Effect) -> impl Future<Output = Event>;
    /// Performs an effect that is not to take longer than this, by [`Now::mono`].
    fn perform_until(&mut self, effect: Effect, _ends: Duration) -> impl Future<Output = Event> {
        self.perform(effect)
    }
}

/// Is shown the status before each effect.
pub trait Observer {
    fn observe(&mut self, status: &Status, now: Now);
}

/// Drives one state machine to its end.
pub async fn drive(
    machine: &mut impl StateMachine,
    host: &mut impl Perform,
    observer: &mut impl Observer,
) -> Outcome {
    loop {
        let now = host.now();
        let effect = machine.poll();
        observer.observe(&machine.status(now), now);
        if let Effect::Finish(outcome) = effect {
            return outcome;
        }
        tracing::trace!("effect: {}", effect.describe(machine.status(now).authority.as_str()));
        let event = match machine.ends() {
            Some(ends) => host.perform_until(effect, ends).await,
            None => host.perform(effect).await,
        };
        machine.handle(host.now(), event);
    }
}

impl Perform for Host {
    fn now(&self) -> Now {
        Host::now(self)
    }

    async fn perform(&mut self, effect: Effect) -> Event {
        Host::perform(self, effect).await
    }

    async fn perform_until(&mut self, effect: Effect, ends: Duration) -> Event {
        let rest = ends.saturating_sub(self.now().mono);
        Box::pin(timer::ending_in(rest, Host::perform(self, effect))).await
    }
}
