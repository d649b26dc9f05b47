#!/usr/bin/env python3
# Signs a GetCallerIdentity with botocore, at a given time: JSON in, the Authorization header out.
import json, sys
try:
    import botocore.session
except ModuleNotFoundError:
    # Version 2 of the AWS CLI has a botocore of its own (Debian 12's package awscli).
    import awscli.botocore
    # Its modules import each other, so this one must be first.
    import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

asked = json.load(sys.stdin)
headers = {
    "Accept": "application/json",
    "Content-Type": "application/x-www-form-urlencoded",
    "Host": asked["host"],
    "X-Enlist-Binding": asked["binding"],
}
request = AWSRequest("POST", "https://%s/" % asked["host"], headers=headers,
                     data="Action=GetCallerIdentity&Version=2011-06-15")
credentials = Credentials(asked["access_key"], asked["secret_key"], asked["token"])
signer = SigV4Auth(credentials, "sts", asked["region"])
request.context["timestamp"] = asked["date"]
signer._modify_request_before_signing(request)
canonical = signer.canonical_request(request)
signature = signer.signature(signer.string_to_sign(request, canonical), request)
signer._inject_signature_to_request(request, signature)
print(request.headers["Authorization"])
