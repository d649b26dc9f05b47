#!/usr/bin/env bash
# A real Puppet Server, whose own CA signs what enlist asks for, and a real agent that finds
# everything in place: `enlist join`, then `puppet agent`, and no step between the two.
if [[ -z ${IN_NAMESPACE:-} ]] && ((EUID == 0)) && unshare --mount true 2>/dev/null; then
  # The second half joins this very machine; what it writes ends with the namespace.
  IN_NAMESPACE=1 exec unshare --mount --propagation private "$0" "$@"
fi
source "$(dirname "$0")/lib.sh"
need openssl curl jq puppet=puppet-agent puppetserver java=default-jre-headless
begin

HERE=$(cd "$(dirname "$0")" && pwd)
source "$HERE/puppet-direct.sh"
source "$HERE/puppet-autosign.sh"
source "$HERE/puppet-old-agent.sh"
PORT=$((20000 + RANDOM % 10000))
SERVER=$WORK/server

main() {
  serve_puppet
  authority=(--throttle off --endpoint "localhost:$PORT"
    --ca-cert "$SERVER/ca/ca_crt.pem" --ca-key "$SERVER/ca/ca_key.pem")
  a_scratch_node
  the_same_under_another_name
  a_stranger
  directly
  the_policy
  if [[ -n ${IN_NAMESPACE:-} ]]; then
    this_machine
    an_old_agent
  else
    echo "SKIPPED: a join of this very machine: needs root, and mount namespaces"
  fi
  finish
}

serve_puppet() {
  at_end '"$HERE/puppet-server" stop "$SERVER"'
  local manifests=$SERVER/code/environments/production/manifests
  mkdir -p "$manifests"
  # What the server knows for certain of a node, and something to do.
  cat >"$manifests/site.pp" <<PP
notify { "trusted \${trusted['certname']} \${trusted['authenticated']}": }
\$trusted['extensions'].each |\$name, \$value| {
  notify { "extension \${name}=\${value}": }
}
file { "$WORK/applied-\${trusted['certname']}": content => "by the catalog\n" }
PP
  "$HERE/puppet-server" start "$SERVER" "$PORT"
}

# A node whose every path is in a root of its own. Its admin has settings already. Where the agent runs without
# that root, it is told its ssldir.
scratch() { # NAME
  NAME=$1 ROOT=$WORK/$1 SSL=$WORK/$1/etc/puppet/ssl
  mkdir -p "$ROOT/etc/puppet"
  cat >"$ROOT/etc/puppet/puppet.conf" <<CONF
# This node's paths, and the account that may write there.
[main]
vardir = $ROOT/var/puppet
rundir = $ROOT/run
logdir = $ROOT/log
user = $(id -un)
group = $(id -gn)
[agent]
server = not-this-one.invalid
CONF
  cat >"$WORK/enlist.toml" <<TOML
[opsworks-cm]
server = "puppet-test"
[puppet]
confdir = "/etc/puppet"
ssldir = "/etc/puppet/ssl"
statedir = "/var/puppet/state"
extension_requests = { pp_role = "web::frontend", "1.3.6.1.4.1.34380.1.2.1" = "Größe 7" }
TOML
}

agent() { # once, as the timer or the service would; the exit code in $CODE, the rest in $WORK/agent
  CODE=0
  puppet agent --test --onetime --color=false "$@" >"$WORK/agent" 2>&1 </dev/null || CODE=$?
}

a_scratch_node() {
  emulator "${authority[@]}" --instance-id i-0feedfacecafe0001 --region eu-central-1 \
    --tag pp_project=apollo --tag pp_role=from-the-tag --tag pp_authorization=true
  scratch i-0feedfacecafe0001
  join "$ROOT"
  check "join" equal "$CODE" 0
  local certificate=$SSL/certs/$NAME.pem
  check "the installed CA is the server's whole chain" \
    equal "$(grep -c BEGIN "$SSL/certs/ca.pem")" "$(grep -c BEGIN "$SERVER/ca/ca_crt.pem")"
  check "openssl verifies the certificate with it" \
    openssl verify -x509_strict -purpose sslclient -CAfile "$SSL/certs/ca.pem" "$certificate"
  check "the certificate is for the key" equal "$(openssl x509 -in "$certificate" -noout -pubkey)" \
    "$(openssl pkey -in "$SSL/private_keys/$NAME.pem" -pubout)"
  check "puppet.conf keeps the admin's lines" contains "$ROOT/etc/puppet/puppet.conf" "vardir = $ROOT/var/puppet"

  agent --confdir "$ROOT/etc/puppet" --ssldir "$SSL"
  check "puppet agent applies its catalog (2: with changes)" equal "$CODE" 2
  check "the catalog did what it says" contains "$WORK/applied-$NAME" "by the catalog"
  check "the agent asked for no certificate" lacks "$WORK/agent" "certificate request"
  check "the agent made no key" lacks "$WORK/agent" "Creating a new RSA"
  check "the server knows the node by its certificate" contains "$WORK/agent" "trusted $NAME remote"
  local extension
  for extension in pp_role=web::frontend pp_project=apollo "pp_instance_id=$NAME" \
    pp_region=eu-central-1 pp_zone=eu-central-1a pp_cloudplatform=aws \
    pp_image_name=ami-0123456789abcdef0 1.3.6.1.4.1.34380.1.2.1="Größe 7"; do
    check "the server trusts $extension" contains "$WORK/agent" "extension $extension"
  done
  check "a tag gives no rights on the server" lacks "$WORK/agent" "extension pp_auth"
  check "puppet ssl verify" puppet ssl verify --confdir "$ROOT/etc/puppet" --ssldir "$SSL"
  agent --confdir "$ROOT/etc/puppet" --ssldir "$SSL"
  check "the next run agrees" test "$CODE" = 0 -o "$CODE" = 2

  local before; before=$(cd "$ROOT/etc" && find . -type f -exec sha256sum {} + | sort)
  join "$ROOT"
  check "the next join finds the node joined" contains "$WORK/said" "already joined"
  check "and changes nothing" \
    equal "$(cd "$ROOT/etc" && find . -type f -exec sha256sum {} + | sort)" "$before"
}

# A key that the agent itself has made, and a name of the admin's choice.
the_same_under_another_name() {
  scratch web-01.example.com
  mkdir -p "$SSL/private_keys"
  openssl genrsa -traditional 2048 >"$SSL/private_keys/$NAME.pem" 2>/dev/null
  local key; key=$(key_on_disk "$SSL/private_keys/$NAME.pem")
  join "$ROOT" --set "node.name=$NAME"
  check "join with a key that stands" equal "$CODE" 0
  agent --confdir "$ROOT/etc/puppet" --ssldir "$SSL"
  check "puppet agent runs with it" equal "$CODE" 2
  check "and it is the same key" equal "$(key_on_disk "$SSL/private_keys/$NAME.pem")" "$key"
}

# Signed by a CA that is not this server's: everything fits together, and the server refuses it.
a_stranger() {
  emulator --throttle off --endpoint "localhost:$PORT"
  scratch stranger
  join "$ROOT" --set node.name=stranger
  check "join with another authority" equal "$CODE" 0
  # With the server's CA the agent trusts the server; the server does not trust the agent.
  cp "$SERVER/ca/ca_crt.pem" "$SSL/certs/ca.pem"
  cp "$SERVER/ca/infra_crl.pem" "$SSL/crl.pem" 2>/dev/null || cp "$SERVER/ca/ca_crl.pem" "$SSL/crl.pem"
  check "the server has a catalog for a node of its CA" equal "$(catalog i-0feedfacecafe0001)" 200
  check "the server has none for a stranger" negate equal "$(catalog stranger)" 200
  agent --confdir "$ROOT/etc/puppet" --ssldir "$SSL"
  check "an agent signed by another CA is refused" test "$CODE" = 1
  check "and got no catalog" test ! -e "$WORK/applied-stranger"
}

catalog() { # NAME: the HTTP status; 000 where the server ends the connection
  local ssl=$WORK/$1/etc/puppet/ssl
  curl -s --noproxy '*' -o /dev/null -w '%{http_code}' --cacert "$SERVER/ca/ca_crt.pem" \
    --cert "$ssl/certs/$1.pem" --key "$ssl/private_keys/$1.pem" \
    "https://localhost:$PORT/puppet/v3/catalog/$1?environment=production" || true
}

# Empty directories of this machine, until the end.
fresh() { # PATH...
  local path
  for path in "$@"; do
    # What was not there before is not to stay.
    [[ -d $path ]] || { mkdir -p "$path"; at_end "while umount $path; do :; done 2>/dev/null; rmdir $path"; }
    mount -t tmpfs -o mode=755 enlist "$path"
  done
}

# As a user does it: no option, no path; Debian's own layout, and the first run is enlist's.
this_machine() {
  cp /etc/puppet/puppet.conf "$WORK/packaged.conf"
  fresh /etc/enlist /var/lib/enlist /etc/puppet /var/lib/puppet /var/cache/puppet
  cp "$WORK/packaged.conf" /etc/puppet/puppet.conf
  printf '[opsworks-cm]\nserver = "puppet-test"\n[puppet]\nrun = true\n' >/etc/enlist/enlist.toml

  emulator "${authority[@]}" --instance-id i-0feedfacecafe0002 --tag pp_role=db
  local name=i-0feedfacecafe0002 rc=0
  "$ENLIST" join >"$WORK/said" 2>&1 </dev/null || rc=$?
  check "this machine: join without an option" equal "$rc" 0
  check "this machine: the certificate is where Debian's Puppet looks for it" \
    test -s "/var/lib/puppet/ssl/certs/$name.pem"
  check "this machine: its first run succeeded" contains "$WORK/said" "the first run succeeded"
  check "this machine: the first run applied its catalog" contains "$WORK/applied-$name" "by the catalog"
  check "this machine: puppet agrees on its name" equal "$(puppet config print certname)" "$name"
  check "this machine: puppet ssl verify" puppet ssl verify
  check "this machine: all of it is the account puppet's, as the package has it" \
    empty "$(find /var/lib/puppet/ssl ! -user puppet)"
  agent
  check "this machine: puppet agent runs" test "$CODE" = 0 -o "$CODE" = 2
  check "this machine: with its role" contains "$WORK/agent" "extension pp_role=db"
}

main
