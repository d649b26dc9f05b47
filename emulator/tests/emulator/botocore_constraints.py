"""Every constraint of every input of OpsWorks CM in botocore's model: at its boundary, and one past.

The values are made from the model, so that nothing here repeats what the emulator believes. Prints how
many were sent; ends with an error where the emulator judges one otherwise than the model.
"""

import copy
import json
import os
import re
import sys
import unicodedata

import awscli.botocore.session as session
from awscli.botocore import xform_name
from awscli.botocore.config import Config

client = session.get_session().create_client(
    "opsworkscm",
    endpoint_url=os.environ["AWS_ENDPOINT_URL"],
    config=Config(parameter_validation=False, retries={"max_attempts": 1}),
)
model = client.meta.service_model

# Where the reference of 2019 decides against the model (docs/emulator.md, decision 0013).
EXCEPT = {
    # "Required: No"
    ("CreateServer", "engine", "required"),
    # "A ResourceNotFoundException is thrown when you specify a backup ID that is not valid."
    ("CreateServer", "backupId", "pattern"),
}
ROLE = "arn:aws:iam::123456789012:"
ARN = "arn:aws:opsworks-cm:us-east-1:123456789012:server/none/x"
TAGS = [{"Key": "k", "Value": "v"}]
PAIRS = [{"Name": "n", "Value": "v"}]
BASES = {
    "AssociateNode": {"ServerName": "none", "NodeName": "n", "EngineAttributes": PAIRS},
    "CreateBackup": {"ServerName": "none", "Description": "d", "Tags": TAGS},
    "CreateServer": {
        "ServerName": "puppet-test", "Engine": "Puppet", "InstanceType": "m4.large",
        "InstanceProfileArn": ROLE + "instance-profile/x", "ServiceRoleArn": ROLE + "role/y",
        "BackupId": "b", "BackupRetentionCount": 1, "EngineAttributes": PAIRS, "Tags": TAGS,
        "PreferredBackupWindow": "08:00", "PreferredMaintenanceWindow": "Mon:08:00",
        "SecurityGroupIds": ["sg"], "SubnetIds": ["subnet"], "KeyPair": "k", "EngineModel": "m",
        "EngineVersion": "1", "CustomDomain": "a.example",
        "CustomCertificate": "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----",
        "CustomPrivateKey": "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----",
    },
    "DeleteBackup": {"BackupId": "none"},
    "DeleteServer": {"ServerName": "none"},
    "DescribeAccountAttributes": {},
    "DescribeBackups": {"BackupId": "none", "ServerName": "none", "MaxResults": 1, "NextToken": "t"},
    "DescribeEvents": {"ServerName": "none", "MaxResults": 1, "NextToken": "t"},
    "DescribeNodeAssociationStatus": {"ServerName": "none", "NodeAssociationStatusToken": "t"},
    "DescribeServers": {"ServerName": "none", "MaxResults": 1, "NextToken": "t"},
    "DisassociateNode": {"ServerName": "none", "NodeName": "n", "EngineAttributes": PAIRS},
    "ExportServerEngineAttribute": {
        "ServerName": "none", "ExportAttributeName": "Userdata", "InputAttributes": PAIRS,
    },
    "ListTagsForResource": {"ResourceArn": ARN, "MaxResults": 1, "NextToken": "t"},
    "RestoreServer": {
        "ServerName": "none", "BackupId": "b", "InstanceType": "m4.large", "KeyPair": "k",
    },
    "StartMaintenance": {"ServerName": "none", "EngineAttributes": PAIRS},
    "TagResource": {"ResourceArn": ARN, "Tags": TAGS},
    "UntagResource": {"ResourceArn": ARN, "TagKeys": ["k"]},
    "UpdateServer": {
        "ServerName": "none", "BackupRetentionCount": 1, "DisableAutomatedBackup": True,
        "PreferredBackupWindow": "08:00", "PreferredMaintenanceWindow": "08:00",
    },
    "UpdateServerEngineAttributes": {
        "ServerName": "none", "AttributeName": "A", "AttributeValue": "v",
    },
}
SAMPLES = [
    "", " ", "a", "A", "1", "-", "_", ".", ":", "a-b", "a.b", "A_1", "a b", "a\n", "\na", "é", "a/b",
    "a@b", "a,b", "a*b", "\t", "08:00", "Mon:08:00", "Thr:08:00", "24:00", "a.example", "-a.example",
    "1a", "node:1", ARN, ROLE + "role/", ROLE + "role/x", ROLE + "instance-profile/x", ROLE + "user/x",
    "arn:aws:iam::12:role/x", "arn:aws-cn:opsworks-cm:x:123456789012:", "\u2028", "①", "z" * 40,
]
sent = 0


def judged(action, params):
    """The message of a ValidationException, else an empty text."""
    global sent
    sent += 1
    try:
        getattr(client, xform_name(action))(**params)
    except client.exceptions.ClientError as failed:
        error = failed.response["Error"]
        return error["Message"] if error["Code"] == "ValidationException" else ""
    return ""


def is_name(text):
    fits = lambda letter: letter in "_.:/=+-@" or unicodedata.category(letter)[0] in "LZN"
    return all(map(fits, text))


def matches(pattern, text):
    """Java's `matches`: the whole text, and `.` for no line end."""
    if pattern.startswith(r"^([\p{L}"):
        return is_name(text)
    pattern = pattern.replace(r"\p{Alnum}", "a-zA-Z0-9")
    # Inner flags that Python does not have in the middle; `$` and `.` stop at line ends in Java too.
    pattern = pattern.replace("(?-s:.*)", "[^\n]*")
    return re.fullmatch(pattern, text) is not None and not (
        "(?s)" not in pattern and pattern.endswith("$") and text.endswith("\n")
    )


def check(action, at, kind, params, refused, phrase):
    if (action, at, kind) in EXCEPT:
        return
    message = judged(action, params)
    found = re.search(rf"at '{re.escape(at)}' failed to satisfy constraint: {phrase}", message)
    assert bool(found) == refused, f"{action} {at} {kind}: refused={bool(found)}: {message[:300]}"


def small(name):
    return name[0].lower() + name[1:]


def put(params, path, value):
    made = copy.deepcopy(params)
    target = made
    for step in path[:-1]:
        target = target[step]
    if value is None:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return made


def string(action, base, shape, path, at):
    bounds = shape.metadata
    if "max" in bounds and bounds["max"] < 500_000:
        longest = bounds["max"]
        too_long = f"Member must have length less than or equal to {longest}"
        check(action, at, "max", put(base, path, "z" * longest), False, too_long)
        check(action, at, "max", put(base, path, "z" * (longest + 1)), True, too_long)
    if bounds.get("min", 0) > 0:
        too_short = f"Member must have length greater than or equal to {bounds['min']}"
        check(action, at, "min", put(base, path, "z" * bounds["min"]), False, too_short)
        check(action, at, "min", put(base, path, "z" * (bounds["min"] - 1)), True, too_short)
    # botocore reads no patterns, but its model has them.
    pattern = shape._shape_model.get("pattern")
    if pattern and pattern != "(?s).*":
        for text in SAMPLES:
            wrong = not matches(pattern, text)
            params = put(base, path, text)
            check(action, at, "pattern", params, wrong, "Member must satisfy regular expression")


def walk(action, base, shape, value, path, at):
    kind = shape.type_name
    if kind == "string":
        string(action, base, shape, path, at)
    elif kind == "integer" and "min" in shape.metadata:
        least = shape.metadata["min"]
        phrase = f"Member must have value greater than or equal to {least}"
        check(action, at, "min", put(base, path, least), False, phrase)
        check(action, at, "min", put(base, path, least - 1), True, phrase)
    elif kind == "list":
        if "max" in shape.metadata:
            most = shape.metadata["max"]
            phrase = f"Member must have length less than or equal to {most}"
            check(action, at, "count", put(base, path, value[:1] * most), False, phrase)
            check(action, at, "count", put(base, path, value[:1] * (most + 1)), True, phrase)
        nested = shape.member.type_name == "structure"
        inner = f"{at}.1.member" + ("." if nested else "")
        walk(action, base, shape.member, value[0], path + [0], inner)
    elif kind == "structure":
        structure(action, base, shape, value, path, at)


def structure(action, base, shape, value, path, at):
    missing = set(shape.members) - set(value)
    assert not missing or not path, f"{action}: no value for {missing}"
    for name in shape.required_members:
        params = put(base, path + [name], None)
        check(action, at + small(name), "required", params, True, "Member must not be null")
    for name, inner in value.items():
        walk(action, base, shape.members[name], inner, path + [name], at + small(name))


for action in model.operation_names:
    structure(action, BASES[action], model.operation_model(action).input_shape, BASES[action], [], "")
sys.stdout.write(f"{sent} requests, judged as the model does, of {len(BASES)} actions")
