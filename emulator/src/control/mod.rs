//! The control plane: an account's API endpoint as a value that is told the time.
//!
//! Nothing here asks a clock, a socket or a source of randomness. The same code answers over HTTP
//! and, in virtual time, the nodes of a simulation.

mod action;
mod admin;
mod call;
mod chef;
mod face;
mod fault;
mod keep;
mod opsworks;
mod opsworks_cm;
mod public_key;
mod puppet_ca;
mod secret;
mod service;
mod snapshot;
mod span;
mod ssm;
mod sts;
mod table;
mod tag;
mod throttle;
mod validate;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub use action::{Target, UnknownAction};
pub use call::{Call, CallList, Calls};

pub use chef::{Chef, ChefSettings, ClientKind};
pub use face::Greeting;
pub use fault::{Fault, FaultError, FaultKind, FaultPlan};
pub use opsworks::{
    DEFAULT_STACK, INSTALLER_PATH, Identity, IdentityVerifier, Layer, LayerSpec, LayerSpecError,
    OpsWorks, OpsWorksSettings, RegisteredInstance, Stack, StackSpec, StackSpecError, installer,
};
pub use opsworks_cm::{
    Association, Backup, DEFAULT_SERVER, Engine, HEALTHY, OpsWorksCm, OpsWorksCmSettings, Outcome,
    Place, STATUSES, Server, ServerSpec, ServerSpecError, Times,
};
pub use public_key::rsa_from_pem as rsa_public_key;
pub(crate) use puppet_ca::Face as PuppetFace;
pub use puppet_ca::{Autosign, CaPolicy, PolicyError, PuppetCa};
pub use service::{Family, Operation};
pub use snapshot::Snapshot;
pub use span::{Span, SpanError};
pub use ssm::{Activation, ManagedInstance, PING_STATUSES, Report, Ssm, SsmSettings};
pub use sts::StsSettings;
pub use table::{Change, RowError};
pub use tag::Tag;
pub use throttle::{DOCUMENTED, Rate, RateError, Throttle};
pub use validate::{Attribute, Members, Pattern, Text};

use crate::ca::Authority;
use crate::error::ApiError;
use crate::http::{AMZ_JSON, Request, Response};
use crate::now::Now;
use crate::random::Random;
use crate::sigv4::{self, Credentials};

/// How the account is set up.
#[derive(Clone, Debug)]
pub struct ControlSettings {
    /// What requests must be signed with; `None` takes unsigned requests.
    pub credentials: Option<Credentials>,
    /// The region that signatures must be made out to; `None` takes any.
    pub region: Option<String>,
    /// Actions that IAM refuses, each as [`Target`] reads it.
    pub denied: BTreeSet<String>,
    /// The account's request limit, for each service; `None` for no limit.
    pub throttle: Option<Rate>,
    /// Faults set from the start.
    pub faults: Vec<Fault>,
    /// What identifiers and serial numbers are made from.
    pub seed: u64,
    /// OpsWorks CM.
    pub opsworks_cm: OpsWorksCmSettings,
    /// OpsWorks Stacks.
    pub opsworks: OpsWorksSettings,
    /// Systems Manager.
    pub ssm: SsmSettings,
    /// The Security Token Service.
    pub sts: StsSettings,
    /// The CAs of Puppet servers.
    pub puppet_ca: CaPolicy,
    /// The APIs of Chef servers.
    pub chef: ChefSettings,
}

impl Default for ControlSettings {
    /// Unsigned requests within the documented limit, no faults: what a simulation starts from.
    fn default() -> Self {
        Self {
            credentials: None,
            region: None,
            denied: BTreeSet::new(),
            throttle: Some(DOCUMENTED),
            faults: Vec::new(),
            seed: 0,
            opsworks_cm: OpsWorksCmSettings::default(),
            opsworks: OpsWorksSettings::default(),
            ssm: SsmSettings::default(),
            sts: StsSettings::default(),
            puppet_ca: CaPolicy::default(),
            chef: ChefSettings::default(),
        }
    }
}

/// One account's control plane.
pub struct ControlPlane {
    credentials: Option<Credentials>,
    region: Option<String>,
    denied: Vec<Target>,
    throttles: BTreeMap<Family, Throttle>,
    faults: FaultPlan,
    random: Random,
    authority: Box<dyn Authority>,
    calls: Calls,
    opsworks_cm: OpsWorksCm,
    opsworks: OpsWorks,
    ssm: Ssm,
    sts: StsSettings,
    puppet_ca: PuppetCa,
    chef: Chef,
    /// Whether changes are noted, to be written down.
    notes_changes: bool,
    /// Changes by a reset, not yet handed over.
    replaced: Vec<Change>,
}

/// What an action may use beside its own family's state.
pub(crate) struct Context<'a> {
    pub now: Now,
    pub fault: Option<FaultKind>,
    /// Where the client sent the request: `HOST` or `HOST:PORT`.
    pub host: Option<&'a str>,
    pub random: &'a mut Random,
    pub authority: &'a mut dyn Authority,
    /// What the servers' CAs have signed by themselves.
    pub puppet_ca: &'a PuppetCa,
}

impl Context<'_> {
    /// Whether the fault of this call is one of the association itself.
    fn ails_association(&self) -> bool {
        matches!(self.fault, Some(FaultKind::Failed | FaultKind::Certificate(_)))
    }
}

impl ControlPlane {
    /// A control plane that starts at `now`.
    #[must_use]
    pub fn new(settings: ControlSettings, authority: Box<dyn Authority>, now: Now) -> Self {
        let mut faults = FaultPlan::default();
        settings.faults.into_iter().for_each(|fault| faults.add(fault));
        Self {
            credentials: settings.credentials,
            region: settings.region,
            denied: targets(settings.denied),
            throttles: throttles(settings.throttle, now),
            faults,
            random: Random::new(settings.seed),
            authority,
            calls: Calls::default(),
            opsworks_cm: OpsWorksCm::new(settings.opsworks_cm, now),
            opsworks: OpsWorks::new(settings.opsworks, now),
            ssm: Ssm::new(settings.ssm),
            sts: settings.sts,
            puppet_ca: PuppetCa::new(settings.puppet_ca),
            chef: Chef::new(settings.chef),
            notes_changes: false,
            replaced: Vec::new(),
        }
    }

    /// Answers one request, at `now`.
    pub fn handle(&mut self, now: Now, request: &Request) -> Response {
        let operation = Operation::of(request);
        let mut seen = Seen::default();
        let response = match &operation {
            Ok(operation) if operation.family == Family::Sts => {
                self.answer_sts(now, request, operation, &mut seen)
            }
            Ok(operation) => self.answer(now, request, operation, &mut seen),
            Err(error) => error.response(),
        };
        let request_id = self.random.uuid();
        let response = response.with_header("x-amzn-requestid", &*request_id);
        self.calls.push(call::Answered {
            now,
            family: operation.ok().map(|operation| operation.family),
            action: service::action_name(request),
            request_id,
            request_bytes: request.body.len(),
            request: seen.request,
            answer: seen.answer,
            fault: seen.fault,
            response: &response,
        });
        response
    }

    /// Authentication, permission and the request limit come first: a call that none of them lets
    /// through uses no fault up.
    fn answer(
        &mut self,
        now: Now,
        request: &Request,
        operation: &Operation<'_>,
        seen: &mut Seen,
    ) -> Response {
        let refused = |error: ApiError| error.response_of(operation.family);
        if let Err(error) = self.authorize(now, request, operation) {
            return refused(error);
        }
        let throttle = self.throttles.get_mut(&operation.family);
        if !throttle.is_none_or(|throttle| throttle.admit(now)) {
            return refused(ApiError::Throttling);
        }
        let body = body_of(request);
        if let Ok(body) = &body {
            seen.request = Some(if secret::may_have(operation.action) {
                secret::left_out(body.clone()).to_string()
            } else {
                String::from_utf8_lossy(&request.body).into_owned()
            });
        }
        seen.fault = self.faults.take(operation.family, operation.action);
        let denied = self.denied(operation);
        if let Some(instead) = seen.fault.and_then(|fault| fault.instead(&denied)) {
            return instead;
        }
        let delivery = seen.fault.map(FaultKind::delivery).unwrap_or_default();
        let host = request.header("host");
        let answered = body.and_then(|body| self.perform(now, host, operation, seen.fault, &body));
        if let Ok(answer) = &answered
            && secret::may_have(operation.action)
        {
            seen.answer = Some(secret::left_out(answer.clone()).to_string());
        }
        let response = match answered {
            Ok(Value::Null) => Response::new(200, AMZ_JSON, ""),
            Ok(body) => Response::new(200, AMZ_JSON, body.to_string()),
            Err(error) => refused(error),
        };
        Response { delivery, ..response }
    }

    fn perform(
        &mut self,
        now: Now,
        host: Option<&str>,
        operation: &Operation<'_>,
        fault: Option<FaultKind>,
        body: &Value,
    ) -> Result<Value, ApiError> {
        let random = &mut self.random;
        let authority = &mut *self.authority;
        let puppet_ca = &self.puppet_ca;
        let mut context = Context { now, fault, host, random, authority, puppet_ca };
        let answer = match operation.family {
            Family::OpsWorksCm => self.opsworks_cm.handle(&mut context, operation.action, body),
            Family::OpsWorks => self.opsworks.handle(&mut context, operation.action, body),
            Family::Ssm => self.ssm.handle(&mut context, operation.action, body),
            Family::Sts | Family::PuppetCa | Family::Chef => {
                Err(ApiError::UnknownOperation(format!("'{}'", operation.action)))
            }
        };
        self.settle_faces();
        answer
    }

    fn verify(
        &self,
        now: Now,
        request: &Request,
        operation: &Operation<'_>,
    ) -> Result<(), ApiError> {
        let credentials = self.credentials.as_ref();
        let Some(credentials) = credentials.filter(|_| !operation.is_anonymous()) else {
            return Ok(());
        };
        let service = operation.family.name();
        let scope = sigv4::Scope { service, region: self.region.as_deref() };
        sigv4::verify(now, request, credentials, &scope)
    }

    /// Signature first, permission second, as the service does.
    fn authorize(
        &self,
        now: Now,
        request: &Request,
        operation: &Operation<'_>,
    ) -> Result<(), ApiError> {
        self.verify(now, request, operation)?;
        let covers = |target: &Target| target.covers(operation.family, operation.action);
        if self.denied.iter().any(covers) { Err(self.denied(operation)) } else { Ok(()) }
    }

    /// What IAM says when it refuses.
    fn denied(&self, operation: &Operation<'_>) -> ApiError {
        let user = self.credentials.as_ref().map_or("-", |known| &known.access_key);
        let service = operation.family.name();
        ApiError::AccessDenied {
            user: user.to_owned(),
            action: format!("{service}:{}", operation.action),
        }
    }
}

/// What the record of a call takes from how it was answered.
#[derive(Default)]
struct Seen {
    request: Option<String>,
    answer: Option<String>,
    fault: Option<FaultKind>,
}

/// How many things of one kind are kept: associations, tokens, instances, activations.
pub(crate) const MOST: usize = 200_000;

/// Refuses one more of a kind when there are `count` already. `is_new` is false when it replaces one.
///
/// # Errors
/// `ServiceUnavailable`: a limit of the emulator's own.
pub(crate) fn room_for(count: usize, is_new: bool, what: &'static str) -> Result<(), ApiError> {
    if is_new && count >= MOST { Err(ApiError::Full { what, most: MOST }) } else { Ok(()) }
}

/// How many commas and opening brackets a body may have. The largest request there is, two hundred
/// tags, has two thousand; each can cost 72 bytes once it is read.
const LARGEST_STRUCTURE: usize = 100_000;

fn body_of(request: &Request) -> Result<Value, ApiError> {
    let parts = request.body.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    if parts > LARGEST_STRUCTURE {
        return Err(ApiError::Serialization(format!("more than {LARGEST_STRUCTURE} values")));
    }
    let body = serde_json::from_slice(&request.body);
    body.map_err(|error| ApiError::Serialization(error.to_string()))
}

fn targets(actions: impl IntoIterator<Item = String>) -> Vec<Target> {
    actions.into_iter().filter_map(|action| Target::parse(&action).ok()).collect()
}

/// Each service counts for itself.
fn throttles(rate: Option<Rate>, now: Now) -> BTreeMap<Family, Throttle> {
    let families = service::SERVICES.iter().map(|row| row.family);
    let families = families.filter(|family| family.is_aws());
    families.map(|family| (family, Throttle::new(rate, now))).collect()
}

/// The services' way to write a moment: seconds since 1970, with milliseconds.
fn timestamp(moment: Now) -> Value {
    let text = format!("{}.{:03}", moment.unix_seconds(), moment.unix_ms() % 1000);
    serde_json::from_str(&text).unwrap_or_default()
}
