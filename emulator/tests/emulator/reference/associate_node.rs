//! AssociateNode and DisassociateNode: what the other tests of associations leave open.

use serde_json::json;

use super::*;
use crate::{Outcome, openssl};

/// "No attributes are required for Puppet."
#[test]
fn no_attributes_are_required_to_disassociate_a_puppet_node() {
    for attributes in [json!(null), json!([]), one("PUPPET_NODE_CSR", "request")] {
        let mut plane = plane();
        let node = with(&crate::plane::associate("node", "request"), &named("puppet"));
        ok(&mut plane, 0, "AssociateNode", &node);
        let leave = json!({
            "ServerName": "puppet", "NodeName": "node", "EngineAttributes": attributes,
        });
        ok(&mut plane, 0, "DisassociateNode", &leave);
    }
}

/// "By default only one organization named `default` can exist": another one can be set up.
#[test]
fn a_chef_node_belongs_to_an_organization_that_exists() -> Outcome {
    let spec = "name=chef,engine=Chef,organization=web,organization=db".parse()?;
    let key = openssl::public_key("rsa", openssl::key(0))?;
    for (organization, wanted) in [("default", "SUCCESS"), ("web", "SUCCESS"), ("app", "FAILED")] {
        let mut plane = plane();
        plane.opsworks_cm_mut().put_server(&spec, START);
        let attributes = json!([
            { "Name": "CHEF_ORGANIZATION", "Value": organization },
            { "Name": "CHEF_NODE_PUBLIC_KEY", "Value": key },
        ]);
        let body = json!({
            "ServerName": "chef", "NodeName": "node", "EngineAttributes": attributes,
        });
        let token = ok(&mut plane, 0, "AssociateNode", &body);
        let body = with(&token, &named("chef"));
        let found = ok(&mut plane, 0, "DescribeNodeAssociationStatus", &body);
        assert_eq!(found["NodeAssociationStatus"], wanted, "{organization}");
    }
    Ok(())
}
