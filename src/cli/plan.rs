//! `enlist join --plan`: what a join would do. Nothing is sent to an authority, and nothing is written.

use serde::Serialize;

use super::drive::{self, Scope, Selection};
use super::rehearsal;
use super::{Global, printer, runtime};
use crate::daemon::memberships::Known;
use crate::engines::{Action, Place, Requested};
use crate::fault::Fault;
use crate::host::{Root, Store};
use crate::targets::state_dir;

/// The version of the JSON.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Json {
    schema: u32,
    targets: Vec<Plan>,
}

#[derive(Serialize)]
struct Plan {
    target: &'static str,
    authority: String,
    name: String,
    /// The phase of the record, if this node has begun to join.
    phase: Option<&'static str>,
    calls: Vec<String>,
    extension_requests: Vec<Requested>,
    files: Vec<File>,
}

#[derive(Serialize)]
struct File {
    what: String,
    path: String,
    /// Octal.
    mode: String,
    /// None: that of this process.
    owner: Option<&'static str>,
}

pub fn run(global: &Global, selection: &Selection, is_json: bool) -> Result<u8, Fault> {
    let root = global.root()?;
    let known = drive::select(global, &root, selection, Scope::Configured)?;
    let runtime = runtime()?;
    let mut targets = Vec::new();
    for known in &known {
        targets.push(runtime.block_on(plan(&root, known))?);
    }
    if is_json {
        printer::json(&Json { schema: SCHEMA, targets })?;
    } else {
        printer::out(&targets.iter().map(text).collect::<String>())?;
    }
    Ok(0)
}

async fn plan(root: &Root, known: &Known) -> Result<Plan, Fault> {
    let (target, settings) = known.target()?;
    let mut host = settings.access()?.host(root, known.id);
    let node = rehearsal::gather(&mut host, &*target, settings).await?;
    let record = Store::new(root.clone(), known.id).load()?;
    let member = record.as_ref().filter(|record| record.is_member());
    let name = match member.and_then(|record| record.name.clone()) {
        Some(name) => name,
        None => node.name(&*target, settings)?,
    };
    node.check_engine(settings, &name)?;
    let directory = state_dir(target.id());
    let context = node.node(&*target, &name, &directory);
    let engine = settings.engines.get(target.engine());
    let bundle = node.planned(&*target, settings, &name);
    let files = bundle.actions.iter().filter_map(|action| file(root, action)).collect();
    Ok(Plan {
        target: known.id,
        authority: target.authority_name(),
        phase: record.map(|record| record.phase.name().id()),
        calls: target.calls(),
        extension_requests: engine.requested(&context)?,
        files,
        name,
    })
}

fn file(root: &Root, action: &Action) -> Option<File> {
    let (what, Place { path, mode, owner }) = match action {
        Action::Directory(at) => ("directory".to_owned(), at),
        Action::File { item, at, .. }
        | Action::Block { item, at, .. }
        | Action::WithKey { item, at, .. }
        | Action::Secret { item, at, .. } => (item.to_string(), at),
        Action::Key { at, .. } => ("key".to_owned(), at),
        Action::Settings { at, .. } => ("settings".to_owned(), at),
        _ => return None,
    };
    Some(File { what, path: root.shown(path), mode: format!("{mode:04o}"), owner: *owner })
}

fn text(plan: &Plan) -> String {
    let mut rows = Vec::new();
    let mut add = |label: &str, text: String| rows.push((label.to_owned(), text));
    add("authority", plan.authority.clone());
    add("name", plan.name.clone());
    if let Some(phase) = plan.phase {
        add("record", format!("phase {phase}: a join goes on from there"));
    }
    for call in &plan.calls {
        add("call", call.clone());
    }
    for Requested { name, value, source } in &plan.extension_requests {
        add("request", format!("{name} = {value}  ({source})"));
    }
    for File { what, path, mode, owner } in &plan.files {
        let owner = owner.map(|owner| format!(", owner {owner} if it exists")).unwrap_or_default();
        add(what, format!("{path}  (mode {mode}{owner})"));
    }
    if plan.files.is_empty() {
        add("files", "the engine's own: it registers itself".to_owned());
    }
    format!("{}: a join would do this\n{}", plan.target, printer::columns(&rows))
}
