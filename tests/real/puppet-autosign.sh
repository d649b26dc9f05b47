# shellcheck shell=bash
# Sourced by puppet.sh: the same Puppet Server, whose `autosign` is now enlist-autosign. It signs the
# right node, and leaves every other one pending.

the_policy() {
  stop_emulator
  local name
  for name in $(compgen -e AWS_ || true); do unset "$name"; done
  policy
  the_right_node
  another_name
  without_a_proof
  another_role
}

# A file that is no program is a list for Puppet Server, and a program is a policy. It takes no
# arguments, and the settings are not in /etc here.
policy() {
  cp "$ENLIST" "$WORK/enlist-autosign"
  rm -f "$SERVER/autosign.conf"
  printf '#!/bin/sh\nexec %q --config %q "$@"\n' "$WORK/enlist-autosign" "$WORK/autosign.toml" \
    >"$SERVER/autosign.conf"
  chmod 755 "$SERVER/autosign.conf"
}

# as ROLE: an instance of this role, whose STS the policy asks.
as() {
  emulator --throttle off --role "$1" --instance-id i-0feedfacecafe0013 --tls-listen 127.0.0.1:0
  curl -sS --noproxy '*' "$AWS_ENDPOINT_URL/_emulator/v1/ca" >"$WORK/sts.pem"
  cat >"$WORK/autosign.toml" <<TOML
[[allow]]
proof = "iam"
account = "123456789012"
role = "web-*"
extensions = ["pp_hostname", "pp_image_name", "pp_region", "pp_zone"]
[sts]
endpoint = "${EMULATOR_TLS_URL/127.0.0.1/localhost}"
ca_file = "$WORK/sts.pem"
[audit]
file = "$WORK/audit.jsonl"
TOML
}

proven() { # NAME PROOF
  direct "$1"
  sed -i "s|^port = .*|&\nproof = \"$2\"|" "$WORK/enlist.toml"
  join "$ROOT"
}

last() { tail -n 1 "$WORK/audit.jsonl" | jq -r "$1"; }

the_right_node() {
  as web-7
  proven i-0feedfacecafe0013 iam
  check "autosign: the right node joins" equal "$CODE" 0
  check "autosign: OpenSSL agrees" openssl verify -CAfile "$SSL/certs/ca.pem" "$SSL/certs/$NAME.pem"
  check "autosign: one audit line, of the instance" equal "$(last '[.verdict, .instance, .role] | join(" ")')" \
    "signed i-0feedfacecafe0013 web-7"
  check "autosign: of the key" equal "$(last .key)" "$(key_on_disk "$SSL/private_keys/$NAME.pem")"
  check "autosign: the server's log has the line" \
    contains "$SERVER/server.log" "enlist-autosign: $NAME: signed by rule 1 (iam)"
  openssl x509 -in "$SSL/certs/$NAME.pem" -noout -text >"$WORK/certificate"
  check "autosign: nothing of the proof is in the certificate" lacks "$WORK/certificate" "2.25."
  check "autosign: nor a signature in log or audit" \
    empty "$(cat "$SERVER/server.log" "$WORK/audit.jsonl" | grep -F -e 'Signature=' -e AWS4-HMAC || true)"
  runs "with a proof"
}

is_pending() { # WHAT WHY
  check "autosign: $1: it waits" equal "$CODE" 75
  check "autosign: $1: and the server's log says why" contains "$SERVER/server.log" "enlist-autosign: $NAME: not signed: $2"
  check "autosign: $1: no certificate" test ! -e "$SSL/certs/$NAME.pem"
}

another_name() {
  proven i-0feedfacecafe0014 iam
  is_pending "a name that is not the instance's" "rule 1 (iam): the name is"
}

without_a_proof() {
  proven plain.example.com none
  is_pending "no proof" "the request has no proof"
  proven document.example.com instance-identity
  is_pending "a proof of another kind" "the request has no proof of the kind iam"
}

another_role() {
  as db-1
  proven i-0feedfacecafe0015 iam
  is_pending "another role" 'rule 1 (iam): the role is "db-1"'
  # What a person does with one that waits; its proof is not looked at again.
  check "autosign: a person signs" "$HERE/puppet-server" sign "$SERVER" "$NAME"
  join "$ROOT"
  check "autosign: and the node joins" equal "$CODE" 0
  stop_emulator
}
