//! Whether the engine will use what is installed: looked at before, confirmed after, and looked at
//! now and then.

use super::chef;
use super::install;
use super::puppet::{self, Asked};
use super::root::Root;
use super::store::Store;
use crate::engines::{Engine, Use};
use crate::fault::{Fault, Kind};

/// Before the authority is asked.
///
/// # Errors
/// `Host`, with the file and the line.
pub fn foresee(root: &Root, used: &Use) -> Result<(), Fault> {
    let problems = match used {
        Use::Puppet(expected) => puppet::foresee(root, expected)?,
        Use::Chef { client_rb, content } => chef::problems(root, client_rb, content),
    };
    check(used, problems, "the authority was not asked, and nothing was written")
}

/// After everything is installed; what is ours to set is set.
///
/// # Errors
/// As for [`foresee`].
pub async fn confirm(root: &Root, store: &Store, used: &Use) -> Result<(), Fault> {
    let problems = match used {
        Use::Puppet(expected) => {
            let edit =
                |values: &[(&str, &str)]| install::set(root, store, &expected.conf(), values);
            puppet::confirm(root, store, expected, edit).await?
        }
        Use::Chef { client_rb, content } => chef::problems(root, client_rb, content),
    };
    check(used, problems, "what was installed stands, and the next join goes on from there")
}

/// What leads the engine elsewhere by now.
pub async fn look(root: &Root, store: &Store, used: &Use, asked: &mut Asked) -> Vec<String> {
    match used {
        Use::Puppet(expected) => puppet::look(root, store, expected, asked).await,
        Use::Chef { content, .. } if content.is_empty() => {
            vec!["our settings are gone from it".to_owned()]
        }
        Use::Chef { client_rb, content } => chef::problems(root, client_rb, content),
    }
}

fn check(used: &Use, problems: Vec<String>, state: &str) -> Result<(), Fault> {
    let mut problems = problems.into_iter();
    let Some(first) = problems.next() else { return Ok(()) };
    let what = match used.engine() {
        Engine::Puppet => "Puppet would not use what enlist installs for it",
        Engine::Chef => "Chef would not use what enlist installs for it",
    };
    let todo = "correct or remove what is named there, then `enlist join`";
    let fault = Fault::new(Kind::Host, what, first, todo);
    Err(problems.fold(fault, Fault::cause).cause(state))
}
