//! Exporting the account and importing it. Both take the emulator's keys: the CA's key and activation
//! codes are in it.

use std::net::SocketAddr;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{Answer, Problem, ROOT, VERSION};
use crate::ca::{Authority, KeptCa, SigningCa};
use crate::control::ControlPlane;
use crate::http::Request;
use crate::shared::Shared;
use crate::state;
use crate::store::{Row, line};

/// The longest body of an import, in bytes.
const LIMIT: usize = 512 * 1024 * 1024;
/// How long a piece is before it is handed on, in bytes.
const PIECE: usize = 64 * 1024;
const FORMAT: &str = "enlist-emulator export";

/// The account, to be told: changes of an empty one, as text.
pub(crate) struct Export(Vec<String>);

impl Export {
    /// Writes the JSON in pieces, until `sink` says that it wants no more.
    pub fn write(&self, mut sink: impl FnMut(String) -> bool) {
        let mut piece = format!("{{\"format\":\"{FORMAT}\",\"version\":1,\"rows\":[");
        for (index, row) in self.0.iter().enumerate() {
            piece += if index == 0 { "\n" } else { ",\n" };
            piece += row;
            if piece.len() >= PIECE && !sink(std::mem::take(&mut piece)) {
                return;
            }
        }
        piece += "\n]}\n";
        sink(piece);
    }
}

#[derive(Deserialize)]
struct Import<'a> {
    format: String,
    version: u32,
    #[serde(borrow)]
    rows: Vec<&'a RawValue>,
}

/// The limit of a body that may be longer than others; none for every other request.
pub(crate) fn large_body(request: &Request, peer: SocketAddr, shared: &Shared) -> Option<usize> {
    let path = request.path.strip_prefix(ROOT)?.strip_prefix(VERSION)?;
    let may = path == "import" && peer.ip().to_canonical().is_loopback();
    Some(LIMIT).filter(|_| may && has_keys(request, shared))
}

pub(super) fn export(request: &Request, shared: &Shared) -> Result<Export, Problem> {
    if !has_keys(request, shared) {
        return Err(Problem::Unauthorized);
    }
    let mut control = shared.control();
    control.settle(shared.now());
    let ca = state::ca(&control);
    let rows = [ca].into_iter().chain(control.all_rows());
    Ok(Export(rows.map(|row| line::text(&row)).collect()))
}

/// Puts what was exported in the place of the account. Where a row cannot be read, nothing changes.
pub(super) fn import(request: &Request, shared: &Shared) -> Answer {
    if !has_keys(request, shared) {
        return Err(Problem::Unauthorized);
    }
    let import: Import<'_> = serde_json::from_slice(&request.body).map_err(Problem::invalid)?;
    if import.format != FORMAT || import.version != 1 {
        return Err(Problem::Invalid("this is no export of version 1".to_owned()));
    }
    let rows = import.rows.iter().map(|row| {
        let (table, key, value) = line::parts(row).map_err(Problem::Invalid)?;
        Ok(Row { table, key, value })
    });
    let rows: Vec<Row<'_>> = rows.collect::<Result<_, Problem>>()?;
    let ca = rows.iter().find_map(state::read_ca).transpose().map_err(Problem::Invalid)?;
    let own = shared.control().kept_ca();
    let ca = match (ca, own) {
        (Some(_), None) => {
            return Err(Problem::Invalid(
                "this emulator has the CA of --ca-cert, the export has another".to_owned(),
            ));
        }
        (ca, own) => ca.or(own),
    };
    let authority = |ca: &KeptCa| SigningCa::from_kept(ca).map_err(Problem::invalid);
    let trial: Box<dyn Authority> = match &ca {
        Some(ca) => Box::new(authority(ca)?),
        None => Box::new(crate::ca::Unable),
    };
    apply(&mut shared.empty_account(trial), &rows)?;

    let mut control = shared.control();
    control.clear();
    apply(&mut control, &rows)?;
    if let Some(ca) = &ca {
        let allow = shared.allows_authorization_extensions();
        let authority = authority(ca)?.allow_authorization_extensions(allow);
        control.set_authority(Box::new(authority));
    }
    shared.commit_other(state::ca(&control));
    Ok(json!({ "rows": rows.len() }))
}

fn apply(control: &mut ControlPlane, rows: &[Row<'_>]) -> Result<(), Problem> {
    for row in rows.iter().filter(|row| !state::is_own(row)) {
        control.restore(&row.table, row.key, row.value).map_err(Problem::invalid)?;
    }
    control.restored();
    Ok(())
}

/// Whether the request shows the emulator's keys, as HTTP's basic authentication (RFC 7617).
fn has_keys(request: &Request, shared: &Shared) -> bool {
    let keys = shared.credentials();
    let wanted = format!("{}:{}", keys.access_key, keys.secret_key);
    let shown = request.header("authorization").and_then(|text| text.split_once(' '));
    let shown = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
    let shown = shown.and_then(|(_, word)| BASE64_STANDARD.decode(word.trim()).ok());
    shown.is_some_and(|shown| {
        aws_lc_rs::constant_time::verify_slices_are_equal(&shown, wanted.as_bytes()).is_ok()
    })
}
