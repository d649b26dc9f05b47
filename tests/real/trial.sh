# shellcheck shell=bash
# Sourced by packages.sh: what a new user does with the package and docs/quick-start.md alone. A node is joined, broken in
# three ways, and each time put right with the command that `enlist status` says.

trial() { # PROGRAM: the one of the package
  local program=$1
  EMULATOR=${CARGO_TARGET_DIR:-$REPO/target}/debug/enlist-emulator
  [[ -x $EMULATOR ]] || (cd "$REPO" && cargo build --quiet --locked --package enlist-emulator --bins)
  emulator --puppet-listen 127.0.0.1:0 --autosign on
  NODE=$WORK/trial SSL=$WORK/trial/etc/puppetlabs/puppet/ssl
  mkdir -p "$NODE/etc/enlist" "$NODE/usr/bin"
  cp "$program" "$NODE/usr/bin/enlist"
  before_the_join
  say join
  check "trial: it joins, as the page says" equal "$CODE" 0
  check "trial: and names the next step" contains "$WORK/trial-said" "puppet agent -t"
  well "after the join"
  broken_and_put_right
  leaves
  stop_emulator
  local name
  for name in $(compgen -e AWS_ || true) $(compgen -e EMULATOR_ || true); do unset "$name"; done
}

# say COMMAND...: runs it on the node; the exit code in $CODE.
say() {
  CODE=0
  "$NODE/usr/bin/enlist" "$@" --root "$NODE" >"$WORK/trial-said" 2>&1 </dev/null || CODE=$?
}

# The first block of settings of the page, for the emulator's server.
settings_of_page() { # PORT
  local port=$1 url=${EMULATOR_PUPPET_URL%/} digest
  curl -sSk --noproxy '*' "$url/puppet-ca/v1/certificate/ca" >"$WORK/trial-ca.pem"
  digest=$(openssl x509 -noout -fingerprint -sha256 -in "$WORK/trial-ca.pem" | cut -d= -f2)
  awk '/^```toml/ { on = 1; next } /^```/ && on { exit } on' "$REPO/docs/quick-start.md" |
    sed -e "s|^server = .*|server = \"localhost\"\nport = $port|" \
      -e "s|^ca_fingerprint = .*|ca_fingerprint = \"$digest\"|" >"$NODE/etc/enlist/enlist.toml"
}

before_the_join() {
  local port=${EMULATOR_PUPPET_URL%/}; port=${port##*:}
  settings_of_page 1
  say check
  check "trial: the settings of the page are valid" equal "$CODE" 0
  say status
  check "trial: not joined yet" equal "$CODE" 75
  say doctor
  check "trial: nothing answers at the wrong port: 75" equal "$CODE" 75
  check "trial: and the doctor says so first" contains "$WORK/trial-said" "first failed check: puppet-server: connection"
  settings_of_page "$port"
  say doctor
  check "trial: with the right port, the doctor finds nothing" equal "$CODE" 0
  say join --plan
  check "trial: the plan sends nothing" equal "$CODE" 0
  check "trial: and has the request of the page" contains "$WORK/trial-said" "pp_role = web"
}

well() { # WHEN
  say status --probe
  check "trial: $1: joined, healthy" contains "$WORK/trial-said" "joined, healthy"
  check "trial: $1: exit code 0" equal "$CODE" 0
}

# broken WHAT CODE TEXT: status names it, and the first command that it says puts it right.
broken() {
  say status
  check "trial: $1: exit code $2" equal "$CODE" "$2"
  check "trial: $1: status names it" contains "$WORK/trial-said" "$3"
  local command
  # shellcheck disable=SC2016
  command=$(sed -n 's/^ *to do .*`\(enlist [^`]*\)`.*/\1/p' "$WORK/trial-said" | head -n 1)
  check "trial: $1: the command is whole" contains <(echo "$command") "--root $NODE"
  CODE=0
  PATH=$NODE/usr/bin:$PATH sh -c "$command" >"$WORK/trial-said" 2>&1 </dev/null || CODE=$?
  check "trial: $1: what it says to do works: $command" equal "$CODE" 0
  well "$1, put right"
}

broken_and_put_right() {
  local certificate key; certificate=$(echo "$SSL"/certs/i-*.pem) key=$(echo "$SSL"/private_keys/i-*.pem)
  rm "$certificate"
  broken "the certificate is deleted" 74 "the certificate is missing"
  check "trial: OpenSSL finds the certificate good" openssl verify -CAfile "$SSL/certs/ca.pem" "$certificate"
  chmod 0666 "$key"
  broken "everybody can read the key" 78 "lets"
  check "trial: the key is private again" mode "$key" 640
  sed -i 's/^server = .*/server = puppet.other.example/' "$NODE/etc/puppetlabs/puppet/puppet.conf"
  broken "another server in puppet.conf" 74 "puppet.other.example"
  check "trial: the server is the right one again" contains "$NODE/etc/puppetlabs/puppet/puppet.conf" "server = localhost"
}

leaves() {
  say leave
  check "trial: it leaves" equal "$CODE" 0
  check "trial: nothing of enlist's is left in Puppet's directory" \
    empty "$(find "$SSL" -name 'i-*.pem')"
  say leave
  check "trial: leaving twice is success" equal "$CODE" 0
}
