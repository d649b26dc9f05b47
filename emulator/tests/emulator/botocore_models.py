"""Calls every action of OpsWorks CM through botocore, and holds each answer against its model.

Prints how many actions were called; ends with an error where an answer does not fit.
"""

import json
import os
import sys

import awscli.botocore.session as session
from awscli.botocore import xform_name

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
client = session.get_session().create_client("opsworkscm", endpoint_url=ENDPOINT)
model = client.meta.service_model
raw = {}


def keep(http_response, **_):
    raw["body"] = http_response.content


client.meta.events.register("after-call.opsworkscm", lambda http_response, **_: keep(http_response))


def fits(shape, value, path):
    """Fails when `value` is none of `shape`."""
    kind = shape.type_name
    if kind == "structure":
        assert isinstance(value, dict), path
        unknown = set(value) - set(shape.members)
        assert not unknown, f"{path}: the model does not know {unknown}"
        missing = [name for name in shape.required_members if name not in value]
        assert not missing, f"{path}: {missing} missing"
        for name, member in value.items():
            # A null stands for an absent member, which is how the reference has the last NextToken.
            if member is not None:
                fits(shape.members[name], member, f"{path}.{name}")
    elif kind == "list":
        assert isinstance(value, list), path
        for number, item in enumerate(value):
            fits(shape.member, item, f"{path}[{number}]")
    elif kind == "string":
        assert isinstance(value, str), path
        assert not shape.enum or value in shape.enum, f"{path}: {value} is not of {shape.enum}"
        bounds = shape.metadata
        assert bounds.get("min", 0) <= len(value) <= bounds.get("max", 10**9), f"{path}: length"
    elif kind == "boolean":
        assert isinstance(value, bool), path
    elif kind in ("integer", "long"):
        assert isinstance(value, int) and not isinstance(value, bool), path
    elif kind == "timestamp":
        assert isinstance(value, (int, float)) and not isinstance(value, bool), path
    else:
        raise AssertionError(f"{path}: a {kind}")


called = set()


def call(action, **members):
    answer = getattr(client, xform_name(action))(**members)
    shape = model.operation_model(action).output_shape
    body = raw["body"]
    if body:
        assert shape is not None, action
        fits(shape, json.loads(body), action)
    called.add(action)
    return answer


def fails(action, error, **members):
    try:
        call(action, **members)
    except client.exceptions.ClientError as failed:
        code = failed.response["Error"]["Code"]
        assert code == error, f"{action}: {code}, not {error}"
        names = [shape.name for shape in model.operation_model(action).error_shapes]
        assert error in names, f"{action}: the model has no {error}"
        assert failed.response["Error"]["Message"], action
        return
    raise AssertionError(f"{action} did not fail")


ROLES = {
    "InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/x",
    "ServiceRoleArn": "arn:aws:iam::123456789012:role/y",
    "InstanceType": "m4.large",
}
for engine in ("Chef", "Puppet", "ChefAutomate"):
    name = engine.lower()
    server = call("CreateServer", ServerName=name, Engine=engine, **ROLES)["Server"]
    call("DescribeServers", ServerName=name)
    call("TagResource", ResourceArn=server["ServerArn"], Tags=[{"Key": "k", "Value": "v"}])
    call("ListTagsForResource", ResourceArn=server["ServerArn"])
    call("UntagResource", ResourceArn=server["ServerArn"], TagKeys=["k"])
    backup = call("CreateBackup", ServerName=name, Description="x")["Backup"]["BackupId"]
    call("DescribeBackups", BackupId=backup)
    call("UpdateServer", ServerName=name, BackupRetentionCount=2)
    call("StartMaintenance", ServerName=name)
    attribute = "PUPPET_ADMIN_PASSWORD" if engine == "Puppet" else "CHEF_PIVOTAL_KEY"
    call("UpdateServerEngineAttributes", ServerName=name, AttributeName=attribute)
    call("RestoreServer", ServerName=name, BackupId=backup)
    call("DescribeEvents", ServerName=name, MaxResults=1)
    call("DescribeEvents", ServerName=name)
    call("ExportServerEngineAttribute", ServerName=name, ExportAttributeName="Userdata")
    fails("CreateServer", "ResourceAlreadyExistsException", ServerName=name, Engine=engine, **ROLES)
    fails("DescribeServers", "InvalidNextTokenException", NextToken="x")
    fails("RestoreServer", "ResourceNotFoundException", ServerName=name, BackupId="none-1")
    fails("UpdateServer", "ValidationException", ServerName="x_y")

call("DescribeAccountAttributes")
key = (
    "-----BEGIN PUBLIC KEY-----\n"
    "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK6QqOaJ8sWgMRdSgoF+ZXZZ6y1DZTcF\n"
    "h8S0YnC1qX2nO6Y5mZfXz1XQ8mS7lQx4VQfF2a7rCzYtXbM1Zs3b0h8CAwEAAQ==\n"
    "-----END PUBLIC KEY-----\n"
)
node = [{"Name": "CHEF_ORGANIZATION", "Value": "default"}]
token = call(
    "AssociateNode",
    ServerName="chef",
    NodeName="node",
    EngineAttributes=node + [{"Name": "CHEF_NODE_PUBLIC_KEY", "Value": key}],
)["NodeAssociationStatusToken"]
call("DescribeNodeAssociationStatus", ServerName="chef", NodeAssociationStatusToken=token)
call("DisassociateNode", ServerName="chef", NodeName="node", EngineAttributes=node)
fails("DisassociateNode", "ResourceNotFoundException", ServerName="chef", NodeName="node",
      EngineAttributes=node)
for found in call("DescribeBackups")["Backups"]:
    call("DeleteBackup", BackupId=found["BackupId"])
for found in call("DescribeServers")["Servers"]:
    call("DeleteServer", ServerName=found["ServerName"])
missing = set(model.operation_names) - called
assert not missing, f"never called: {missing}"
sys.stdout.write(f"every answer fits, of {len(called)} actions")
