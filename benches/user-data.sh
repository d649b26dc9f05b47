#!/usr/bin/env bash
# The same join as `enlist join`, written by hand: what people put into EC2 user data. It is what
# enlist is measured against, so it is written as well as OpenSSL and the AWS CLI allow.
#
#   user-data.sh SERVER ROOT [NAME]     NAME: by default the instance's id
#
# AWS: the program (aws); AWS_ENDPOINT_URL and AWS_EC2_METADATA_SERVICE_ENDPOINT are honoured.
set -euo pipefail
umask 022

server=$1 root=${2%/} aws=${AWS:-aws}
ssl=$root/etc/puppetlabs/puppet/ssl conf=$root/etc/puppetlabs/puppet
deadline=$((SECONDS + 1800))

cm() { # one call; --endpoint-url, since older versions of the CLI know no variable for it
  "$aws" opsworks-cm ${AWS_ENDPOINT_URL:+--endpoint-url "$AWS_ENDPOINT_URL"} --output json "$@"
}

metadata=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
metadata=${metadata%/}/latest
token=$(curl -sSf --max-time 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$metadata/api/token")
instance() { curl -sSf --max-time 5 -H "X-aws-ec2-metadata-token: $token" "$metadata/$1"; }

document=$(instance dynamic/instance-identity/document)
id=$(jq -r .instanceId <<<"$document")
name=${3:-$id}
export AWS_DEFAULT_REGION; AWS_DEFAULT_REGION=$(jq -r .region <<<"$document")

# The server, its address and its CA.
while :; do
  described=$(cm describe-servers --server-name "$server")
  status=$(jq -r '.Servers[0].Status' <<<"$described")
  [[ $status != HEALTHY ]] || break
  ((SECONDS < deadline)) || { echo "the server is $status" >&2; exit 75; }
  sleep 15
done
endpoint=$(jq -r '.Servers[0].Endpoint' <<<"$described")
ca=$(jq -r '.Servers[0].EngineAttributes[] | select(.Name == "PUPPET_API_CA_CERT").Value' <<<"$described")

# The key, where there is none, and a request with what is known of the instance.
mkdir -p -m 0755 "$ssl"/{certs,certificate_requests}
mkdir -p -m 0750 "$ssl/private_keys"
key=$ssl/private_keys/$name.pem
[[ -s $key ]] || (umask 077 && openssl genrsa -out "$key" "${KEY_BITS:-4096}" 2>/dev/null)
request=$ssl/certificate_requests/$name.pem
openssl req -new -sha256 -key "$key" -out "$request" -config <(cat <<CONF
[req]
prompt = no
distinguished_name = subject
req_extensions = puppet
string_mask = utf8only
[subject]
CN = $name
[puppet]
1.3.6.1.4.1.34380.1.1.2 = ASN1:UTF8String:$id
1.3.6.1.4.1.34380.1.1.3 = ASN1:UTF8String:$(jq -r .imageId <<<"$document")
1.3.6.1.4.1.34380.1.1.18 = ASN1:UTF8String:$(jq -r .region <<<"$document")
1.3.6.1.4.1.34380.1.1.20 = ASN1:UTF8String:$(jq -r .availabilityZone <<<"$document")
1.3.6.1.4.1.34380.1.1.23 = ASN1:UTF8String:aws
CONF
)

# Ask, and wait for the answer.
ticket=$(cm associate-node --server-name "$server" --node-name "$name" \
  --engine-attributes "$(jq -n --rawfile csr "$request" '[{Name: "PUPPET_NODE_CSR", Value: $csr}]')" |
  jq -r .NodeAssociationStatusToken)
while :; do
  answer=$(cm describe-node-association-status --server-name "$server" \
    --node-association-status-token "$ticket")
  case $(jq -r .NodeAssociationStatus <<<"$answer") in
    SUCCESS) break ;;
    FAILED) echo "the association failed" >&2; exit 69 ;;
  esac
  ((SECONDS < deadline)) || { echo "the association is still in progress" >&2; exit 75; }
  sleep 15
done

# Check it, then install it.
certificate=$(jq -r '.EngineAttributes[] | select(.Name == "PUPPET_NODE_CERT").Value' <<<"$answer")
printf '%s\n' "$ca" >"$ssl/certs/ca.pem"
printf '%s\n' "$certificate" >"$ssl/certs/$name.pem.new"
openssl verify -CAfile "$ssl/certs/ca.pem" "$ssl/certs/$name.pem.new" >/dev/null
[[ $(openssl x509 -in "$ssl/certs/$name.pem.new" -noout -pubkey) == "$(openssl pkey -in "$key" -pubout)" ]]
mv "$ssl/certs/$name.pem.new" "$ssl/certs/$name.pem"
printf '[main]\nserver = %s\ncertname = %s\n' "${endpoint%%:*}" "$name" >"$conf/puppet.conf"
