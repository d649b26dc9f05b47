//! The points at which a start may crash, and the state of the disk that a crash leaves.

use enlist::engines::{Bundle, Installed};
use enlist::fault::Fault;
use enlist::host::{Store, install};

use super::node::{Crash, Node};
use super::tree::{Tree, locked};

impl Node {
    /// Passes a point at which the process may end.
    pub fn pass(&mut self) -> Result<(), Crash> {
        self.points += 1;
        match &mut self.crash_after {
            Some(0) => Err(Crash),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Changes the disk. A crash can come between any two of its changes.
    pub fn on_disk<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Result<T, Crash> {
        if self.crash_after.is_none() {
            return Ok(work(self));
        }
        let before = self.tree();
        let result = work(self);
        let after = self.tree();
        if !self.pass_all(before.states_between(&after)) {
            self.pass_through(&after, before.states_towards(&after))?;
        }
        Ok(result)
    }

    /// Passes so many points at once. False, and nothing is passed, if the crash is among them.
    fn pass_all(&mut self, points: usize) -> bool {
        match &mut self.crash_after {
            Some(left) if *left >= points => *left -= points,
            _ => return false,
        }
        self.points += points;
        true
    }

    /// Passes a point for each of these states. At a crash, the disk is left in that state.
    pub fn pass_through(&mut self, now: &Tree, states: Vec<Tree>) -> Result<(), Crash> {
        for state in states {
            if self.pass().is_err() {
                now.make_so(self.directory.path(), &state);
                return Err(Crash);
            }
        }
        Ok(())
    }

    /// Performs a bundle. If a crash is planned, each action is performed alone, and a crash leaves the
    /// engine's lock behind.
    pub fn bundle(
        &mut self,
        store: &Store,
        bundle: &Bundle,
    ) -> Result<Result<Vec<Installed>, Fault>, Crash> {
        let root = self.root.clone();
        if self.crash_after.is_none() {
            return Ok(self.runtime.block_on(install::perform(&root, store, bundle)));
        }
        let mut installed = Vec::new();
        for action in &bundle.actions {
            let one = Bundle { actions: vec![action.clone()], ..bundle.clone() };
            let before = self.tree();
            let done = self.runtime.block_on(install::perform(&root, store, &one));
            let after = self.tree();
            match done {
                Ok(files) => installed.extend(files),
                Err(fault) => return Ok(Err(fault)),
            }
            if !self.pass_all(before.states_between(&after)) {
                let states = before.states_towards(&after).into_iter();
                let states = states
                    .map(|state| locked(state, bundle.lock.as_ref().map(|lock| &lock.at)))
                    .collect();
                self.pass_through(&after, states)?;
            }
        }
        self.pass()?;
        Ok(Ok(installed))
    }
}
