//! The phases of a bootstrap and their data. Each phase is written to disk before its work begins:
//! `Creating` is on disk *before* the creating call.
//!
//! ```text
//! from        to          when
//! New         Creating    facts, authority and key are known: the creating call is next
//! New         Requested   a person carries the request to the authority, and its answer here
//! New         Installing  the settings give an activation, or a person has carried a key here
//! New         Joined      a renewal failed: the former certificate stays in use
//! Requested   Installing  the answer that was carried here is acceptable
//! Creating    Watching    the authority gave a ticket, or has an earlier request of ours
//! Creating    Installing  the authority granted at once, an earlier call took effect, or as for Requested
//! Creating    Joined      a renewal failed: the former certificate stays in use
//! Watching    Installing  the authority granted, or as for Requested
//! Watching    Creating    the authority does not know the ticket: create again
//! Watching    New         the authority refused: the next start begins again
//! Watching    Joined      a renewal failed: the former certificate stays in use
//! Installing  Joined      everything is installed, or a renewal or a repair failed
//! Installing  Creating    the grant's secret is lost or does not work: get another grant
//! Joined      New         the certificate is due for renewal
//! Joined      Installing  the files of a member are repaired
//! any         Leaving     the node leaves
//! ```

use serde::{Deserialize, Serialize};

use crate::engines::Grant;

/// A phase and its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The authority was asked nothing but read-only questions.
    New,
    /// A person carries the request to the authority. The answer comes with `enlist accept`, and the
    /// authority is not asked.
    Requested,
    /// The creating call is next, or was made and its reply is not known.
    Creating,
    /// The authority gave this ticket and has not decided yet.
    Watching { ticket: String },
    /// The grant was checked and is being installed.
    Installing { grant: Grant },
    /// The node is a member.
    Joined { grant: Grant },
    /// The node is leaving. `join` is refused until that is finished.
    Leaving {
        grant: Option<Grant>,
        /// Whether a creating call was ever attempted.
        was_attempted: bool,
        /// Whether the authority has been told. What is left is on this machine.
        is_told: bool,
    },
}

/// A phase without its data: as the record, `enlist status --json` and the metrics spell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PhaseName {
    #[default]
    New,
    Requested,
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
            Self::Requested => "requested",
            Self::Creating => "creating",
            Self::Watching => "watching",
            Self::Installing => "installing",
            Self::Joined => "joined",
            Self::Leaving => "leaving",
        }
    }

    /// The phases that may follow. `Journal::enter` makes no other transition.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::New => {
                &[Self::Requested, Self::Creating, Self::Installing, Self::Joined, Self::Leaving]
            }
            Self::Requested => &[Self::Installing, Self::Leaving],
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
            Self::Requested => PhaseName::Requested,
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
            Self::Installing { grant } | Self::Joined { grant } => Some(grant),
            Self::Leaving { grant, .. } => grant.as_ref(),
            Self::New | Self::Requested | Self::Creating | Self::Watching { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PhaseName;

    const ALL: [PhaseName; 7] = [
        PhaseName::New,
        PhaseName::Requested,
        PhaseName::Creating,
        PhaseName::Watching,
        PhaseName::Installing,
        PhaseName::Joined,
        PhaseName::Leaving,
    ];

    /// Compares the table at the top of this file with [`PhaseName::next`].
    #[test]
    fn the_documented_transitions_match_the_code() {
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
