//! How far a bootstrap is, with what is known there. Every phase is entered by writing it to disk
//! first; `Creating` is written *before* the creating call.
//!
//! ```text
//! from        to          when
//! New         Creating    everything is known: the creating call comes next
//! New         Installing  the activation was made elsewhere: there is nothing to create
//! New         Joined      a renewal came to nothing: the former certificate stays
//! Creating    Watching    the authority gave a ticket
//! Creating    Installing  the authority granted at once, or an earlier call had
//! Creating    Joined      a renewal came to nothing: the former certificate stays
//! Watching    Installing  the authority granted
//! Watching    Creating    the authority forgot the ticket: the creating call is made again
//! Watching    New         the authority said no: the next start asks anew
//! Watching    Joined      a renewal came to nothing: the former certificate stays
//! Installing  Joined      everything is installed, or a renewal came to nothing
//! Installing  Creating    the grant's secret is lost or was of no use: another one is asked for
//! Joined      New         the certificate is due for renewal
//! Joined      Installing  what was granted is installed once more
//! any         Leaving     this node leaves
//! ```

use serde::{Deserialize, Serialize};

use crate::engines::{Grant, Installed};

/// A phase and its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing was asked that changes anything at the authority.
    New,
    /// The creating call comes next, or was made and its reply is not known.
    Creating,
    /// The authority has given this ticket and has still to decide.
    Watching { ticket: String },
    /// The grant was checked and is being installed; these files are planned.
    Installing { grant: Grant, planned: Vec<Installed> },
    /// The node is a member.
    Joined { grant: Grant },
    /// The node leaves; `join` does nothing until that is finished.
    Leaving {
        grant: Option<Grant>,
        planned: Vec<Installed>,
        /// Whether the creating call was ever attempted.
        was_attempted: bool,
    },
}

/// A phase without its data: as the record, `enlist status --json` and the metrics spell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PhaseName {
    #[default]
    New,
    Creating,
    Watching,
    Installing,
    Joined,
    Leaving,
}

impl PhaseName {
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Creating => "creating",
            Self::Watching => "watching",
            Self::Installing => "installing",
            Self::Joined => "joined",
            Self::Leaving => "leaving",
        }
    }

    /// The phases that may come next. `Journal::enter` makes no other transition.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::New => &[Self::Creating, Self::Installing, Self::Joined, Self::Leaving],
            Self::Creating => &[Self::Watching, Self::Installing, Self::Joined, Self::Leaving],
            Self::Watching => {
                &[Self::Installing, Self::Creating, Self::New, Self::Joined, Self::Leaving]
            }
            Self::Installing => &[Self::Joined, Self::Creating, Self::Leaving],
            Self::Joined => &[Self::New, Self::Installing, Self::Leaving],
            Self::Leaving => &[],
        }
    }
}

impl Phase {
    #[must_use]
    pub fn name(&self) -> PhaseName {
        match self {
            Self::New => PhaseName::New,
            Self::Creating => PhaseName::Creating,
            Self::Watching { .. } => PhaseName::Watching,
            Self::Installing { .. } => PhaseName::Installing,
            Self::Joined { .. } => PhaseName::Joined,
            Self::Leaving { .. } => PhaseName::Leaving,
        }
    }

    #[must_use]
    pub fn grant(&self) -> Option<&Grant> {
        match self {
            Self::Installing { grant, .. } | Self::Joined { grant } => Some(grant),
            Self::Leaving { grant, .. } => grant.as_ref(),
            Self::New | Self::Creating | Self::Watching { .. } => None,
        }
    }

    /// The files that are being installed, or were when that was cut short.
    #[must_use]
    pub fn planned(&self) -> &[Installed] {
        match self {
            Self::Installing { planned, .. } | Self::Leaving { planned, .. } => planned,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PhaseName;

    const ALL: [PhaseName; 6] = [
        PhaseName::New,
        PhaseName::Creating,
        PhaseName::Watching,
        PhaseName::Installing,
        PhaseName::Joined,
        PhaseName::Leaving,
    ];

    /// The table at the top of this file is what the code does.
    #[test]
    fn the_documented_transitions_are_those_of_the_code() {
        let rows = include_str!("phase.rs").lines().filter_map(|line| line.strip_prefix("//! "));
        let mut documented: Vec<(String, String)> = rows
            .skip_while(|line| !line.starts_with("from "))
            .skip(1)
            .take_while(|line| !line.starts_with("```"))
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                Some((words.next()?.to_owned(), words.next()?.to_owned()))
            })
            .collect();
        let any = documented.pop().unwrap();
        assert_eq!(any, ("any".to_owned(), "Leaving".to_owned()));
        let mut coded: Vec<(String, String)> = Vec::new();
        for from in ALL {
            let may_leave = from == PhaseName::Leaving || from.next().contains(&PhaseName::Leaving);
            assert!(may_leave, "{from:?}");
            let to = from.next().iter().filter(|to| **to != PhaseName::Leaving);
            coded.extend(to.map(|to| (format!("{from:?}"), format!("{to:?}"))));
        }
        documented.sort();
        coded.sort();
        assert_eq!(documented, coded);
    }
}
