#!/usr/bin/env bash
# Every target, in and out and in again, judged by other people's programs: the AWS CLI says what
# the control plane has, OpenSSL, Ruby and Chef's own library what is on the node.
source "$(dirname "$0")/lib.sh"
need openssl curl jq ruby aws=awscli
AWS=$(command -v /usr/bin/aws || command -v aws)
ruby -e 'require "openssl"; require "mixlib/authentication"' 2>/dev/null ||
  skip "needs Chef's library (package ruby-mixlib-authentication)"
begin

HERE=$(cd "$(dirname "$0")" && pwd)
STACK=2f18b4cb-4de5-4429-a149-ff7da9f0d8ee
ID=i-0123456789abcdef0
ROOT=$WORK/root

main() {
  emulator --throttle off --server name=puppet-test --server name=chef-test,engine=Chef
  export AWS_PAGER='' AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
  puppet
  chef
  chef_with_hostile_values
  chef_beyond_the_end
  opsworks_on_ec2
  opsworks_on_premises
  # From here on, this is no EC2 instance.
  METADATA=$AWS_EC2_METADATA_SERVICE_ENDPOINT; unset AWS_EC2_METADATA_SERVICE_ENDPOINT
  ssm_with_an_agent
  ssm_by_file
  export AWS_EC2_METADATA_SERVICE_ENDPOINT=$METADATA
  policies
  finish
}

settings() { cat >"$WORK/enlist.toml"; }
new_root() { rm -rf "$ROOT"; mkdir -p "$ROOT/etc"; echo "${1:-app-1.example.org}" >"$ROOT/etc/hostname"; }
record() { jq -r "$2" "$ROOT/var/lib/enlist/$1/record.json"; }
judge() { ruby "$HERE/judge.rb" "$@"; }

# A call by the AWS CLI; what it says in $WORK/cli as well.
cli() { "$AWS" --endpoint-url "$AWS_ENDPOINT_URL" --output json "$@" 2>&1 | tee "$WORK/cli"; }
told() { cli "${@:2}" | jq -r "$1"; }
refused() { # WORD CALL...: the API says no, with this word
  ! cli "${@:2}" >/dev/null || { echo "it was not refused:"; cat "$WORK/cli"; return 1; }
  contains "$WORK/cli" "$1"
}

leave() { # the exit code in $CODE, what it said in $WORK/said
  CODE=0
  "$ENLIST" leave --config "$WORK/enlist.toml" --root "$ROOT" >"$WORK/said" 2>&1 </dev/null || CODE=$?
}

# in_and_out WHAT IS_IN IS_OUT: a node that has joined leaves, leaves again, joins again, leaves.
in_and_out() {
  local round
  for round in "" " again"; do
    check "$1: it is a member$round, says the AWS CLI" "$2"
    check "$1: no temporary file is left$round" empty "$(leftovers "$ROOT")"
    leave
    check "$1: leaves$round" equal "$CODE" 0
    check "$1: nothing is left of it$round, says the AWS CLI" "$3"
    check "$1: no temporary file is left of leaving$round" empty "$(leftovers "$ROOT")"
    leave
    check "$1: leaves twice$round" equal "$CODE" 0
    check "$1: and is told that there is nothing to leave$round" contains "$WORK/said" "nothing to leave"
    [[ -z $round ]] || break
    join "$ROOT"
    check "$1: joins again" equal "$CODE" 0
    ((CODE == 0)) || { cat "$WORK/said"; break; }
  done
}

# --- Puppet, by OpsWorks CM

puppet() {
  new_root
  settings <<<$'[opsworks-cm]\nserver = "puppet-test"\n[puppet]\nkey_bits = 2048'
  SERVER=puppet-test SSL=$ROOT/etc/puppetlabs/puppet/ssl
  join "$ROOT"
  check "puppet: joins" equal "$CODE" 0
  local answer; answer=$(association)
  check "puppet: the CLI gets the certificate that is installed" equal \
    "$(jq -r '.EngineAttributes[] | select(.Name == "PUPPET_NODE_CERT").Value' <<<"$answer" | openssl x509 -outform DER | sha256sum)" \
    "$(openssl x509 -in "$SSL/certs/$ID.pem" -outform DER | sha256sum)"
  check "puppet: openssl verifies it with the CA that the CLI gets" openssl verify -CAfile \
    <(told '.Servers[].EngineAttributes[] | select(.Name == "PUPPET_API_CA_CERT").Value' \
      opsworks-cm describe-servers --server-name puppet-test) "$SSL/certs/$ID.pem"
  in_and_out puppet associated disassociated
}

association() { # what the token of the record stands for
  cli opsworks-cm describe-node-association-status --server-name "$SERVER" \
    --node-association-status-token "$(token)"
}
token() { # the last one that was asked about
  seen calls '[.[] | select(.action == "DescribeNodeAssociationStatus").request] | last.NodeAssociationStatusToken'
}
associated() {
  equal "$(association | jq -r .NodeAssociationStatus)" SUCCESS &&
    equal "$(associations "$ID")" 1
}
disassociated() {
  local organization=()
  [[ $SERVER != chef-test ]] || organization=(--engine-attributes Name=CHEF_ORGANIZATION,Value=default)
  equal "$(associations "$ID")" 0 &&
    refused ResourceNotFoundException opsworks-cm disassociate-node --server-name "$SERVER" \
      --node-name "$ID" "${organization[@]}"
}

# --- Chef, by OpsWorks CM

chef() {
  new_root
  mkdir -p "$ROOT/etc/chef"
  printf '# ours\nlog_level :info' >"$ROOT/etc/chef/client.rb"
  settings <<'TOML'
[opsworks-cm]
server = "chef-test"
[chef]
run_list = ["recipe[base]", "recipe[app::deploy@1.2.0]", "role[web]", "plain"]
environment = "prod.eu:1_x-y"
TOML
  SERVER=chef-test
  join "$ROOT"
  check "chef: joins" equal "$CODE" 0
  local rb=$ROOT/etc/chef/client.rb key=$ROOT/etc/chef/client.pem
  check "chef: ruby -c" ruby -c "$rb"
  check "chef: Ruby reads exactly what belongs there" equal "$(judge client-rb "$rb" | jq -cS .)" "$(jq -cSn --arg id "$ID" '[
    ["log_level", "info"],
    ["chef_server_url", "https://chef-test.example/organizations/default"],
    ["node_name", $id],
    ["client_key", "/etc/chef/client.pem"],
    ["trusted_certs_dir", "/etc/chef/trusted_certs"],
    ["environment", "prod.eu:1_x-y"]]')"
  check "chef: first-boot.json" equal "$(jq -cS . "$ROOT/etc/chef/first-boot.json")" \
    '{"run_list":["recipe[base]","recipe[app::deploy@1.2.0]","role[web]","plain"]}'
  check "chef: the key is the owner's alone" mode "$key" 600
  # What chef-client would do next: signed requests, to a server that has the other half.
  seen state --arg node "$ID" '.associations[] | select(.node == $node).public_key' >"$WORK/registered.pem"
  openssl genrsa 2048 2>/dev/null | openssl pkey -pubout >"$WORK/another.pem"
  check "chef: a request signed with client.pem verifies under the key that was associated" \
    judge signature "$key" "$WORK/registered.pem"
  check "chef: and under no other" negate judge signature "$key" "$WORK/another.pem"
  local change
  for change in body path user; do
    check "chef: and not with another $change" negate judge signature "$key" "$WORK/registered.pem" "$change"
  done
  in_and_out chef associated disassociated
  check "chef: what the admin wrote is as it was" equal "$(head -c 22 "$rb")" $'# ours\nlog_level :info'
  check "chef: and is all that Ruby reads" equal "$(judge client-rb "$rb")" '[["log_level","info"]]'

  new_root
  settings <<<$'[opsworks-cm]\nserver = "chef-test"\n[chef]\npolicy_name = "web.1"\npolicy_group = "a:b"'
  join "$ROOT"
  check "chef: joins with a policy" equal "$CODE" 0
  check "chef: Ruby reads the policy" equal "$(judge client-rb "$rb" | jq -c '.[4:]')" \
    '[["use_policyfile",true],["policy_name","web.1"],["policy_group","a:b"]]'
  check "chef: so does first-boot.json" equal "$(jq -cS . "$ROOT/etc/chef/first-boot.json")" \
    '{"policy_group":"a:b","policy_name":"web.1"}'
  leave
}

# Ruby reads no further than __END__: refused, or written before it, but not joined and unread.
chef_beyond_the_end() {
  new_root
  mkdir -p "$ROOT/etc/chef"
  printf 'log_level :info\n__END__\nthe rest is data\n' >"$ROOT/etc/chef/client.rb"
  settings <<<$'[opsworks-cm]\nserver = "chef-test"\n[chef]'
  join "$ROOT"
  if ((CODE == 0)); then
    judge client-rb "$ROOT/etc/chef/client.rb" >"$WORK/read"
    check "chef: settings that end with __END__: what is joined is read" contains "$WORK/read" node_name
  fi
  leave
}

# The one setting that may hold nearly every letter is a path.
chef_with_hostile_values() {
  local path n=0 rb
  for path in "/etc/it's" '/etc/back\slash' '/etc/end\' "/etc/\\'; system('touch $WORK/pwned') #" \
    "/etc/#{system('touch $WORK/pwned')}" "/etc/\`touch pwned\`" '/etc/"double"' '/etc/ü 世界' \
    '/etc/# END enlist' '/etc/%q(x) __END__' '/etc/$(id)' '/etc/a  b '; do
    n=$((n + 1))
    new_root
    settings < <(printf '[opsworks-cm]\nserver = "chef-test"\n[chef]\nconfdir = %s\n' "$(jq -n --arg path "$path" '$path')")
    join "$ROOT"
    check "chef in ${path@Q}: joins" equal "$CODE" 0
    rb=$ROOT$path/client.rb
    check "chef in ${path@Q}: Ruby reads it back" equal "$(judge client-rb "$rb" | jq -c '.[2:]')" \
      "$(jq -cn --arg path "$path" '[["client_key", $path + "/client.pem"], ["trusted_certs_dir", $path + "/trusted_certs"]]')"
    cp "$rb" "$WORK/before"
    rm "$ROOT/var/lib/enlist/opsworks-cm/record.json"
    join "$ROOT"
    check "chef in ${path@Q}: writing it twice changes nothing" cmp "$rb" "$WORK/before"
    leave
    check "chef in ${path@Q}: leaving takes it out" empty "$(cat "$rb" 2>/dev/null)"
  done
  check "chef: nothing of $n hostile values was run" test ! -e "$WORK/pwned" -a ! -e pwned
}

# --- OpsWorks Stacks

opsworks_on_ec2() {
  new_root
  settings <<<"[opsworks]
stack_id = \"$STACK\""
  join "$ROOT"
  check "opsworks on EC2: joins" equal "$CODE" 0
  opsworks_files "opsworks on EC2"
  check "opsworks on EC2: the CLI has the instance as it is" equal \
    "$(told '.Instances[] | [.Hostname, .InfrastructureClass, .Ec2InstanceId, .PrivateIp, .PublicIp] | join(" ")' \
      opsworks describe-instances --stack-id "$STACK")" "app-1 ec2 $ID 10.0.0.17 203.0.113.17"
  in_and_out "opsworks on EC2" registered deregistered
}

opsworks_on_premises() {
  new_root rack7.example
  settings <<<"[opsworks]
stack_id = \"$STACK\"
infrastructure = \"on-premises\"
private_ip = \"10.1.2.3\"
public_ip = \"198.51.100.7\"
[aws]
region = \"us-east-1\""
  local metadata=$AWS_EC2_METADATA_SERVICE_ENDPOINT; unset AWS_EC2_METADATA_SERVICE_ENDPOINT
  join "$ROOT"
  check "opsworks on premises: joins" equal "$CODE" 0
  opsworks_files "opsworks on premises"
  check "opsworks on premises: the CLI has the instance as it is" equal \
    "$(told '.Instances[] | [.Hostname, .InfrastructureClass, .Ec2InstanceId, .PrivateIp, .PublicIp] | join(" ")' \
      opsworks describe-instances --stack-id "$STACK")" "rack7 on-premises  10.1.2.3 198.51.100.7"
  in_and_out "opsworks on premises" registered deregistered
  export AWS_EC2_METADATA_SERVICE_ENDPOINT=$metadata
}

opsworks_files() { # WHAT
  local key=$ROOT/etc/aws/opsworks/instance-key.pem agent=$ROOT/etc/aws/opsworks/instance-agent.yml print
  print=$(openssl pkey -in "$key" -pubout -outform DER | openssl dgst -sha1 -r | cut -d' ' -f1)
  check "$1: the fingerprint is OpenSSL's, SHA-1 of the public key in DER" \
    equal "$(seen state '.instances[].public_key_fingerprint')" "$print"
  judge instance-agent "$agent" >"$WORK/agent.json" || true
  check "$1: Ruby's YAML has the four members, and loads the key pair" equal "$(jq -c keys "$WORK/agent.json")" \
    '[":identity",":instance_private_key",":instance_public_key",":instance_public_key_fingerprint"]'
  check "$1: they are what was registered" equal \
    "$(jq -r '.[":identity"], .[":instance_public_key_fingerprint"], .[":instance_public_key"]' "$WORK/agent.json")" \
    "$(seen state '.instances[] | .id, .public_key_fingerprint, .public_key')"
  check "$1: the private key is the installed one" \
    cmp <(jq -r '.[":instance_private_key"] | rtrimstr("\n")' "$WORK/agent.json") "$key"
  check "$1: it is the owner's alone" equal "$(stat -c %a "$key" "$agent" "$(dirname "$key")" | xargs)" "600 600 700"
}

registered() {
  equal "$(told '.Instances | map(.InstanceId + " " + .Status) | join(", ")' opsworks describe-instances --stack-id "$STACK")" \
    "$(record opsworks .grant.id) registered"
}
deregistered() { equal "$(told '.Instances | length' opsworks describe-instances --stack-id "$STACK")" 0; }

# --- Systems Manager

ssm_with_an_agent() {
  new_root db1.example.org
  echo 0123456789abcdef0123456789abcdef >"$ROOT/etc/machine-id"
  ssm_agent "$ROOT"
  # It notes its arguments down, outside the root.
  sed -i "2i printf '%s\\\\n' \"\$@\" >'$WORK/arguments'" "$ROOT/usr/bin/amazon-ssm-agent"
  settings <<'TOML'
[ssm]
iam_role = "service-role/SSM"
description = "rack 7"
tags = { team = "db" }
[aws]
region = "us-east-1"
TOML
  join "$ROOT" -vv
  check "ssm: joins" equal "$CODE" 0
  check "ssm: the CLI has the activation as it was asked for" equal \
    "$(told '.ActivationList[] | [.DefaultInstanceName, .IamRole, .RegistrationLimit, .RegistrationsCount, (.Tags | map(.Key + "=" + .Value)[])] | map(tostring) | join(" ")' ssm describe-activations)" \
    "db1.example.org service-role/SSM 1 1 team=db"
  no_code_behind
  check "ssm: the agent's vault has the node's id" equal \
    "$(jq -r .instanceID "$ROOT/var/lib/amazon/ssm/Vault/Store/RegistrationKey")" "$(record ssm .grant.id)"
  in_and_out ssm managed unmanaged
}

no_code_behind() { # the code that the agent was given: nowhere else below the root, and in no message
  sed -n '/^-code$/{n;p}' "$WORK/arguments" >"$WORK/code"
  check "ssm: the agent was given a code" test "$(wc -c <"$WORK/code")" -gt 20
  check "ssm: the code is in no file and no message" empty \
    "$(grep -rlFf "$WORK/code" "$ROOT" "$WORK/said" "$WORK/emulator.log" || true)"
  check "ssm: the agent is asked to ask nothing" contains "$WORK/arguments" "-y"
}

managed() { # one activation, one node, and the one belongs to the other
  equal "$(told '.InstanceInformationList | map(.InstanceId + " " + .ActivationId + " " + .PingStatus) | join(", ")' \
    ssm describe-instance-information)" "$(record ssm '.grant.id') $(record ssm '.grant.activation') Online" &&
    equal "$(told '.ActivationList | map(.ActivationId) | join(", ")' ssm describe-activations)" \
      "$(record ssm '.grant.activation')"
}
unmanaged() {
  equal "$(told '.InstanceInformationList | length' ssm describe-instance-information)" 0 &&
    equal "$(told '.ActivationList | length' ssm describe-activations)" 0
}

# The activation in a file, and somebody else hands it over: by the agent's own command line.
ssm_by_file() {
  new_root db2.example.org
  echo fedcba9876543210fedcba9876543210 >"$ROOT/etc/machine-id"
  settings <<<$'[ssm]\niam_role = "service-role/SSM"\nhand_over = "file"\n[aws]\nregion = "us-east-1"'
  join "$ROOT"
  check "ssm by file: joins without an agent" equal "$CODE" 0
  local file=$ROOT/var/lib/enlist/ssm/activation.json
  check "ssm by file: it is root's alone" mode "$file" 600
  check "ssm by file: the CLI has the activation, unused" equal \
    "$(told '.ActivationList[] | .ActivationId + " " + (.RegistrationsCount // 0 | tostring)' ssm describe-activations)" \
    "$(jq -r .ActivationId "$file") 0"
  check "ssm by file: it can be handed over" by_hand "$file"
  check "ssm by file: and is used then" equal "$(told '.ActivationList[].RegistrationsCount' ssm describe-activations)" 1
  local id; id=$(told '.InstanceInformationList[].InstanceId' ssm describe-instance-information)
  leave
  check "ssm by file: leaves" equal "$CODE" 0
  check "ssm by file: the CLI has no activation" equal "$(told '.ActivationList | length' ssm describe-activations)" 0
  check "ssm by file: the file is no longer there" test ! -e "$file"
  # What somebody else registered, somebody else deregisters.
  cli ssm deregister-managed-instance --instance-id "$id" >/dev/null || true
}
by_hand() {
  ssm_agent "$ROOT"
  "$ROOT/usr/bin/amazon-ssm-agent" -register -y -region us-east-1 \
    -id "$(jq -r .ActivationId "$1")" -code "$(jq -r .ActivationCode "$1")"
}

# --- What `enlist policy` prints, against docs/policy.md and the CLI's own list of calls

policies() {
  local stack="stack_id = \"$STACK\"" ca=$WORK/ca.pem
  openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=a CA" -keyout /dev/null -out "$ca" 2>/dev/null
  new_root
  policy opsworks-cm $'[opsworks-cm]\nserver = "puppet-test"' '`opsworks-cm`'
  policy opsworks-cm $'[opsworks-cm]\nserver = "chef-test"\nengine = "chef"' '`opsworks-cm`'
  cp "$ca" "$ROOT/etc/ca.pem"
  policy "opsworks-cm with CA and endpoint" \
    $'[opsworks-cm]\nserver = "puppet-test"\nendpoint = "p.example"\nca_file = "/etc/ca.pem"' '`opsworks-cm`' DescribeServers
  policy opsworks "[opsworks]"$'\n'"$stack" '`opsworks`'
  policy "ssm" $'[ssm]\niam_role = "r"' '`ssm`' AddTagsToResource
  policy "ssm with tags" $'[ssm]\niam_role = "r"\ntags = { a = "b" }' '`ssm`'
  policy "ssm with an activation from elsewhere" \
    $'[ssm]\nactivation_id = "e488f2f6-e686-4afb-8a04-ef6dfe000000"\nactivation_code_file = "/etc/code"' \
    '`ssm` with an activation from elsewhere'
  # Everything at once is a document in which no statement has another one's name.
  settings <<<$'[opsworks-cm]\nserver = "puppet-test"\n[opsworks]\n'"$stack"$'\n[ssm]\niam_role = "service-role/r"'
  "$ENLIST" policy --config "$WORK/enlist.toml" --root "$ROOT" >"$WORK/policy.json"
  check "policy of all targets: IAM's form" jq -e '
    (keys == ["Statement", "Version"]) and .Version == "2012-10-17"
    and (.Statement | length == (map(.Sid) | unique | length))
    and all(.Statement[]; .Effect == "Allow" and (.Sid | test("^[A-Za-z0-9]+$"))
      and (.Action | type == "array" and length > 0 and all(.[]; test("^[a-z-]+:[A-Za-z]+$"))) and (.Resource | length > 0))
    ' "$WORK/policy.json"
  check "policy of all targets: the role is passed to Systems Manager alone" equal \
    "$(jq -c '.Statement[] | select(.Action == ["iam:PassRole"]) | [.Resource, .Condition.StringEquals["iam:PassedToService"]]' "$WORK/policy.json")" \
    '["arn:aws:iam::*:role/service-role/r","ssm.amazonaws.com"]'
  local action
  while read -r action; do
    check "policy: $action is a call that the AWS CLI knows" \
      "$AWS" "${action%%:*}" "$(kebab "${action#*:}")" --generate-cli-skeleton
  done < <(jq -r '.Statement[].Action[] | select(startswith("iam:") | not)' "$WORK/policy.json" | sort -u)
}

kebab() { sed 's/\([A-Z]\)/-\L\1/g; s/^-//' <<<"$1"; }

# policy WHAT SETTINGS ROW [WITHOUT]: column by column, the actions that the page has in this row.
policy() {
  local purpose column=3
  settings <<<"$2"
  "$ENLIST" policy --config "$WORK/enlist.toml" --root "$ROOT" >"$WORK/policy.json"
  for purpose in 'Join|PassRole' Reconcile Leave; do
    check "policy of $1: $purpose is what docs/policy.md says" equal \
      "$(jq -r --arg purpose "($purpose)\$" '.Statement[] | select(.Sid | test($purpose)).Action[]' "$WORK/policy.json" | sort | xargs)" \
      "$(awk -F' *[|] *' -v row="$3" -v column="$column" '$2 == row { print $column }' "$REPO/docs/policy.md" |
        grep -o '`[a-z-]*:[A-Za-z]*`' | tr -d '`' | grep -v "${4:-^$}" | sort | xargs)"
    column=$((column + 1))
  done
}

main
