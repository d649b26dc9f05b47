# shellcheck shell=bash
# Sourced by puppet.sh: `[puppet-server]` against the same Puppet Server, with its own CA and nothing of
# AWS between, and a real agent that runs with no step between.

directly() {
  stop_emulator
  local name
  for name in $(compgen -e AWS_ || true); do unset "$name"; done
  export AWS_EC2_METADATA_DISABLED=true
  a_person_signs
  a_person_carries
  the_list_signs
  a_clash
  cleaned_and_revoked
  many
  a_password
  unset AWS_EC2_METADATA_DISABLED
}

# direct NAME: a node that joins the server itself.
direct() {
  scratch "$1"
  cat >"$WORK/enlist.toml" <<TOML
[node]
name = "$1"
budget = "3s"
[puppet-server]
server = "localhost"
port = $PORT
ca_file = "$SERVER/ca/ca_crt.pem"
[puppet]
confdir = "/etc/puppet"
ssldir = "/etc/puppet/ssl"
statedir = "/var/puppet/state"
key_bits = 2048
TOML
  # Files that the settings name are below the root, too.
  mkdir -p "$ROOT$SERVER/ca"
  cp "$SERVER/ca/ca_crt.pem" "$ROOT$SERVER/ca/ca_crt.pem"
}

runs() { # WHAT: the agent runs, with no step between
  agent --confdir "$ROOT/etc/puppet" --ssldir "$SSL"
  check "direct: $1: puppet agent applies its catalog" equal "$CODE" 2
  check "direct: $1: it asked for no certificate" lacks "$WORK/agent" "certificate request"
  check "direct: $1: it fetched neither CA nor list" lacks "$WORK/agent" "Downloaded"
  check "direct: $1: the server knows the node" contains "$WORK/agent" "trusted $NAME remote"
}

a_person_signs() {
  direct waits.example.com
  join "$ROOT"
  check "direct: nobody has signed: 75" equal "$CODE" 75
  check "direct: and the command is said" \
    contains "$WORK/said" "puppetserver ca sign --certname waits.example.com"
  check "direct: a person signs" "$HERE/puppet-server" sign "$SERVER" waits.example.com
  join "$ROOT"
  check "direct: the next join takes the certificate" equal "$CODE" 0
  check "direct: OpenSSL agrees, with the revocation lists" openssl verify -crl_check_all \
    -purpose sslclient -CAfile "$SSL/certs/ca.pem" -CRLfile "$SSL/crl.pem" "$SSL/certs/$NAME.pem"
  runs "signed by a person"
}

# The request is carried to the CA, and its answer to the node, as docs/by-hand.md says. The node has no network.
a_person_carries() {
  local name=carried.example.com
  direct "$name"
  sed -i -e '/^ca_file = /d' -e 's/^\[puppet\]/trust_on_first_use = true\n[puppet]/' "$WORK/enlist.toml"
  apart csr --by-hand >"$SERVER/ca/requests/$name.pem"
  check "direct: carried: the request is made without a network" equal "$CODE" 0
  check "direct: carried: the server finds and signs it" "$HERE/puppet-server" sign "$SERVER" "$name"
  (cd "$SERVER/ca" && cat "signed/$name.pem" ca_crt.pem ca_crl.pem) >"$WORK/$name.answer"
  apart accept "$WORK/$name.answer" >/dev/null
  check "direct: carried: the answer is accepted without a network" equal "$CODE" 0
  check "direct: carried: OpenSSL agrees, with the revocation lists" openssl verify -crl_check_all \
    -purpose sslclient -CAfile "$SSL/certs/ca.pem" -CRLfile "$SSL/crl.pem" "$SSL/certs/$NAME.pem"
  runs "carried by a person"
}

# apart COMMAND...: enlist in a network of its own, which has nothing in it; the exit code in $CODE.
apart() {
  local alone=(unshare --net)
  ((EUID == 0)) || alone=(unshare --map-root-user --net)
  CODE=0
  "${alone[@]}" "$ENLIST" "$@" --config "$WORK/enlist.toml" --root "$ROOT" 2>"$WORK/said" </dev/null || CODE=$?
}

the_list_signs() {
  echo '*.auto.example.com' >"$SERVER/autosign.conf"
  direct web-1.auto.example.com
  local digest; digest=$(sha256sum <"$SERVER/ca/ca_crt.pem" | cut -d' ' -f1)
  sed -i "s|^ca_file = .*|ca_fingerprint = \"$digest\"|" "$WORK/enlist.toml"
  join "$ROOT"
  check "direct: autosigned, with the fingerprint pinned" equal "$CODE" 0
  runs "autosigned"
  CODE=0
  "$ENLIST" leave --config "$WORK/enlist.toml" --root "$ROOT" >"$WORK/said" 2>&1 </dev/null || CODE=$?
  check "direct: it leaves" equal "$CODE" 0
  check "direct: and says what the server's admin runs" \
    contains "$WORK/said" "puppetserver ca clean --certname web-1.auto.example.com"
}

# The CA has the name for another key, as after a rebuild of the machine.
a_clash() {
  direct web-1.auto.example.com
  rm -rf "$ROOT/etc/puppet/ssl" "$ROOT/var/lib/enlist"
  join "$ROOT"
  check "direct: a name of another key: 69" equal "$CODE" 69
  check "direct: and the command is said" \
    contains "$WORK/said" "puppetserver ca clean --certname web-1.auto.example.com"
  check "direct: nothing is installed" test ! -e "$SSL/certs/$NAME.pem"
  check "direct: the admin cleans" "$HERE/puppet-server" clean "$SERVER" web-1.auto.example.com
  join "$ROOT"
  check "direct: then it joins" equal "$CODE" 0
  runs "after the clash"
}

# A certificate that the admin cleans or revokes: the node is told, and told what to run.
cleaned_and_revoked() {
  direct gone.auto.example.com
  join "$ROOT"
  check "direct: it joins" equal "$CODE" 0
  check "direct: the admin cleans its name" "$HERE/puppet-server" clean "$SERVER" gone.auto.example.com
  leave
  check "direct: it leaves, and the CA does not have it" equal "$CODE" 0
  check "direct: nothing is left to do" lacks "$WORK/said" "puppetserver ca clean"

  direct revoked.auto.example.com
  join "$ROOT"
  check "direct: the admin revokes it" "$HERE/puppet-server" revoke "$SERVER" revoked.auto.example.com "$SSL/certs/$NAME.pem"
  rm -rf "$ROOT/var/lib/enlist"
  join "$ROOT"
  check "direct: a revoked certificate is not taken: 65" equal "$CODE" 65
  check "direct: and that is said" contains "$WORK/said" "revoked"
}

leave() {
  CODE=0
  "$ENLIST" leave --config "$WORK/enlist.toml" --root "$ROOT" >"$WORK/said" 2>&1 </dev/null || CODE=$?
}

# Twenty nodes at once: the CA signs one after the other, and every one joins.
many() {
  local each began=$SECONDS
  for each in $(seq 20); do
    direct "many-$each.auto.example.com"
    cp "$WORK/enlist.toml" "$WORK/enlist-$each.toml"
    sed -i 's/^budget = .*/budget = "2m"/' "$WORK/enlist-$each.toml"
  done
  local started=()
  for each in $(seq 20); do
    "$ENLIST" join --config "$WORK/enlist-$each.toml" --root "$WORK/many-$each.auto.example.com" \
      >"$WORK/many-$each" 2>&1 </dev/null &
    started+=($!)
  done
  local failed=0
  for each in "${started[@]}"; do wait "$each" || failed=$((failed + 1)); done
  check "direct: twenty nodes at once: all join" equal "$failed" 0
  echo "twenty joins took $((SECONDS - began)) s"
}

# A policy that compares the challenge password. For one node it takes longer than the answer to any other request
# may take. Meanwhile the others join.
a_password() {
  rm -f "$SERVER/autosign.conf"
  cat >"$SERVER/autosign.conf" <<'SH'
#!/bin/sh
case $1 in slow.*) sleep 22 ;; esac
openssl req -noout -text | grep -q 'challengePassword *: *open sesame$'
SH
  chmod 755 "$SERVER/autosign.conf"
  with_password slow.example.com "open sesame"
  sed 's/^budget = .*/budget = "2m"/' "$WORK/enlist.toml" >"$WORK/slow.toml"
  "$ENLIST" join --config "$WORK/slow.toml" --root "$ROOT" >"$WORK/slow" 2>&1 </dev/null &
  local slow=$! slow_root=$ROOT rc=0
  with_password right.example.com "open sesame"
  join "$ROOT"
  check "direct: the right password: it joins" equal "$CODE" 0
  check "direct: and the password is left nowhere" empty "$(grep -rlF "open sesame" "$ROOT/etc" "$ROOT/var" "$WORK/said" || true)"
  with_password wrong.example.com "open barley"
  join "$ROOT"
  check "direct: a wrong password is not signed: 75" equal "$CODE" 75
  check "direct: that its policy may have refused it is said" contains "$WORK/said" "its policy has refused it for good"
  check "direct: nor is it there" test ! -e "$SSL/certs/$NAME.pem"
  the_lock
  wait "$slow" || rc=$?
  check "direct: a policy that takes its time: it joins" equal "$rc" 0
  check "direct: by one request" equal "$(grep -c "association: the authority was asked" "$WORK/slow")" 1
  check "direct: with its certificate" test -s "$slow_root/etc/puppet/ssl/certs/slow.example.com.pem"
}

with_password() { # NAME PASSWORD
  direct "$1"
  sed -i 's|^port = .*|&\nchallenge_password = { file = "/password" }|' "$WORK/enlist.toml"
  (umask 077; echo "$2" >"$ROOT/password")
}

# Puppet takes away a lock whose holder is not called like Puppet.
the_lock() {
  cp "$(command -v sleep)" "$WORK/enlist-puppet"
  local name pid held
  for name in "$WORK/enlist-puppet" sleep; do
    "$name" 60 &
    pid=$!
    echo "$pid" >"$WORK/ssl.lock"
    held=$(ruby -e 'require "puppet"; require "puppet/util/pidlock"; Puppet.initialize_settings([])
      puts Puppet::Util::Pidlock.new(ARGV[0]).locked?' "$WORK/ssl.lock" 2>/dev/null || true)
    kill "$pid"; wait "$pid" 2>/dev/null || true
    if [[ $name == sleep ]]; then
      check "direct: Puppet ignores a lock of another program" equal "$held" false
    else
      check "direct: Puppet honours a lock of enlist-puppet" equal "$held" true
    fi
  done
}
