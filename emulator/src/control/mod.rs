//! The control plane: an account's API endpoint as a value that is told the time.
//!
//! Nothing here asks a clock, a socket or a source of randomness. The same code answers over HTTP
//! and, in virtual time, the nodes of a simulation.

mod call;
mod family;
mod fault;
mod opsworks;
mod opsworks_cm;
mod public_key;
mod ssm;
mod throttle;
mod validate;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

pub use call::Call;
pub use family::{Family, Operation};
pub use fault::{Fault, FaultError, FaultKind, FaultPlan};
pub use opsworks::{
    DEFAULT_STACK, Identity, IdentityVerifier, OpsWorks, OpsWorksSettings, RegisteredInstance,
    Stack, StackSpec, StackSpecError,
};
pub use opsworks_cm::{
    Association, DEFAULT_SERVER, Engine, HEALTHY, OpsWorksCm, OpsWorksCmSettings, Outcome, Place,
    STATUSES, Server, ServerSpec, ServerSpecError,
};
pub use ssm::{Activation, ManagedInstance, PING_STATUSES, Report, Ssm, SsmSettings, Tag};
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
    /// Actions that IAM refuses.
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
        }
    }
}

/// One account's control plane.
pub struct ControlPlane {
    credentials: Option<Credentials>,
    region: Option<String>,
    denied: BTreeSet<String>,
    throttles: BTreeMap<Family, Throttle>,
    faults: FaultPlan,
    random: Random,
    authority: Box<dyn Authority>,
    calls: Vec<Call>,
    opsworks_cm: OpsWorksCm,
    opsworks: OpsWorks,
    ssm: Ssm,
}

/// What an action may use beside its own family's state.
pub(crate) struct Context<'a> {
    pub now: Now,
    pub fault: Option<FaultKind>,
    pub random: &'a mut Random,
    pub authority: &'a mut dyn Authority,
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
            denied: settings.denied,
            throttles: throttles(settings.throttle, now),
            faults,
            random: Random::new(settings.seed),
            authority,
            calls: Vec::new(),
            opsworks_cm: OpsWorksCm::new(settings.opsworks_cm, now),
            opsworks: OpsWorks::new(settings.opsworks, now),
            ssm: Ssm::new(settings.ssm),
        }
    }

    /// Answers one request, at `now`.
    pub fn handle(&mut self, now: Now, request: &Request) -> Response {
        let action = family::action_name(request);
        let fault = self.faults.take(action);
        let response = match fault.and_then(FaultKind::instead) {
            Some(instead) => instead,
            None => self.answer(now, request, fault),
        };
        let response = response.with_header("x-amzn-requestid", self.random.uuid());
        self.calls.push(Call::new(now, action, &request.body, fault, &response));
        response
    }

    fn answer(&mut self, now: Now, request: &Request, fault: Option<FaultKind>) -> Response {
        let delivery = fault.map(FaultKind::delivery).unwrap_or_default();
        let response = match self.perform(now, request, fault) {
            Ok(Value::Null) => Response::new(200, AMZ_JSON, ""),
            Ok(body) => Response::new(200, AMZ_JSON, body.to_string()),
            Err(error) => match Operation::of(request) {
                Ok(operation) => error.response_of(operation.family),
                Err(_) => error.response(),
            },
        };
        Response { delivery, ..response }
    }

    fn perform(
        &mut self,
        now: Now,
        request: &Request,
        fault: Option<FaultKind>,
    ) -> Result<Value, ApiError> {
        let operation = Operation::of(request)?;
        self.authorize(now, request, &operation)?;
        let throttle = self.throttles.get_mut(&operation.family);
        if !throttle.is_none_or(|throttle| throttle.admit(now)) {
            return Err(ApiError::Throttling);
        }
        let body = serde_json::from_slice(&request.body);
        let body: Value = body.map_err(|error| ApiError::Serialization(error.to_string()))?;
        let random = &mut self.random;
        let authority = &mut *self.authority;
        let mut context = Context { now, fault, random, authority };
        match operation.family {
            Family::OpsWorksCm => self.opsworks_cm.handle(&mut context, operation.action, &body),
            Family::OpsWorks => self.opsworks.handle(&mut context, operation.action, &body),
            Family::Ssm => self.ssm.handle(&mut context, operation.action, &body),
        }
    }

    /// Signature first, permission second, as the service does.
    fn authorize(
        &self,
        now: Now,
        request: &Request,
        operation: &Operation<'_>,
    ) -> Result<(), ApiError> {
        let Operation { action, signing_name, .. } = operation;
        let credentials = self.credentials.as_ref();
        if let Some(credentials) = credentials.filter(|_| !operation.is_anonymous()) {
            let scope = sigv4::Scope { service: signing_name, region: self.region.as_deref() };
            sigv4::verify(now, request, credentials, &scope)?;
        }
        if self.denied.contains(*action) {
            let user = self.credentials.as_ref().map_or("-", |known| &known.access_key);
            return Err(ApiError::AccessDenied {
                user: user.to_owned(),
                action: format!("{signing_name}:{action}"),
            });
        }
        Ok(())
    }
}

/// What people and tests may see and change.
impl ControlPlane {
    /// Sets a fault, from the next call on.
    pub fn inject(&mut self, fault: Fault) {
        self.faults.add(fault);
    }

    /// Forgets every fault.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Sets the account's request limit; the buckets start full.
    pub fn set_throttle(&mut self, rate: Option<Rate>, now: Now) {
        self.throttles = throttles(rate, now);
    }

    /// Sets the actions that IAM refuses.
    pub fn set_denied(&mut self, actions: impl IntoIterator<Item = String>) {
        self.denied = actions.into_iter().collect();
    }

    /// OpsWorks CM's state.
    #[must_use]
    pub fn opsworks_cm(&self) -> &OpsWorksCm {
        &self.opsworks_cm
    }

    /// OpsWorks CM's state, to change it.
    pub fn opsworks_cm_mut(&mut self) -> &mut OpsWorksCm {
        &mut self.opsworks_cm
    }

    /// OpsWorks Stacks' state.
    #[must_use]
    pub fn opsworks(&self) -> &OpsWorks {
        &self.opsworks
    }

    /// OpsWorks Stacks' state, to change it.
    pub fn opsworks_mut(&mut self) -> &mut OpsWorks {
        &mut self.opsworks
    }

    /// Systems Manager's state.
    #[must_use]
    pub fn ssm(&self) -> &Ssm {
        &self.ssm
    }

    /// Systems Manager's state, to change it.
    pub fn ssm_mut(&mut self) -> &mut Ssm {
        &mut self.ssm
    }

    /// The CA bundle that Puppet servers give out.
    #[must_use]
    pub fn ca_bundle(&self) -> &str {
        self.authority.bundle()
    }

    /// Every call so far, oldest first.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The account as JSON; statuses are those at `now`.
    #[must_use]
    pub fn state(&self, now: Now) -> Value {
        let mut state = json!({ "now": now.rfc3339() });
        let families = [self.opsworks_cm.state(now), self.opsworks.state(now), self.ssm.state(now)];
        for family in families {
            if let (Some(state), Value::Object(family)) = (state.as_object_mut(), family) {
                state.extend(family);
            }
        }
        state
    }
}

/// Each service counts for itself.
fn throttles(rate: Option<Rate>, now: Now) -> BTreeMap<Family, Throttle> {
    let families = [Family::OpsWorksCm, Family::OpsWorks, Family::Ssm];
    families.into_iter().map(|family| (family, Throttle::new(rate, now))).collect()
}
