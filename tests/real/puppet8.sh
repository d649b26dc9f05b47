#!/usr/bin/env bash
# Puppet Server 8 and a Puppet 8 agent, of Debian 13 in a chroot: a server that renews certificates, an agent
# that fetches its CA and renews its certificate by itself beside us, and a rule by which a node removes itself.
#   PUPPET8_IMAGE=DIR  where the image is; it is made once (a minute and a half)
if [[ -z ${IN_NAMESPACE:-} ]] && ((EUID == 0)) && unshare --mount true 2>/dev/null; then
  # What is mounted in the image ends with the namespace, so that nothing of this machine is removed with the image.
  IN_NAMESPACE=1 exec unshare --mount --propagation private "$0" "$@"
fi
source "$(dirname "$0")/lib.sh"
[[ -n ${IN_NAMESPACE:-} ]] || skip "needs root and mount namespaces, for a chroot"
need debootstrap openssl jq curl
begin

HERE=$(cd "$(dirname "$0")" && pwd)
IMAGE=${PUPPET8_IMAGE:-$REPO/target/puppet8-image}
PORT=$((20000 + RANDOM % 10000))
SERVER=/root/enlist-server NODE=/root/enlist-node

main() {
  image
  serve
  the_daemon_gets_a_short_certificate_and_it_is_renewed
  an_agent_beside_us
  it_removes_itself
  it_is_left_at_the_ca
  finish
}

image() {
  local mirror
  mirror=$(awk '/^URIs:/ {print $2; exit} /^deb / {for (i = 2; i <= NF; i++) if ($i ~ /^http/) {print $i; exit}}' \
    /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
  if [[ ! -e $IMAGE/made ]]; then
    rm -rf "$IMAGE"; mkdir -p "$(dirname "$IMAGE")"
    curl -sS --fail -o /dev/null --max-time 20 "$mirror/dists/trixie/Release" ||
      skip "the package mirror can't be reached"
    debootstrap --variant=minbase trixie "$IMAGE" "$mirror" >"$WORK/debootstrap" 2>&1 || {
      tail -n 5 "$WORK/debootstrap"; skip "no image could be made"; }
    cp -r /etc/apt/apt.conf.d/. "$IMAGE/etc/apt/apt.conf.d/"
    cp /etc/resolv.conf "$IMAGE/etc/" 2>/dev/null || true
    # Nothing of it has to survive a power cut, and nobody reads manuals in it.
    printf '%s\n' force-unsafe-io 'path-exclude=/usr/share/doc/*' 'path-exclude=/usr/share/man/*' \
      'path-exclude=/usr/share/locale/*' >"$IMAGE/etc/dpkg/dpkg.cfg.d/fast"
  fi
  local each
  for each in proc sys dev; do mount --bind "/$each" "$IMAGE/$each"; done
  [[ -e $IMAGE/made ]] || {
    inside apt-get update -qq
    inside env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends puppetserver puppet-agent \
      default-jre-headless curl openssl procps >/dev/null 2>&1
    inside apt-get clean
    touch "$IMAGE/made"
  }
  echo '127.0.0.1 localhost' >"$IMAGE/etc/hosts"
  inside rm -rf "$SERVER" "$NODE"
}

inside() { chroot "$IMAGE" "$@"; }

serve() {
  cp "$HERE/puppet-server" "$IMAGE/root/puppet-server"
  mkdir -p "$IMAGE$SERVER"
  echo '*.example.com' >"$IMAGE$SERVER/autosign.conf"
  # The server reads its rules when it starts. This one lets a node delete what the CA has of it, unless its name
  # begins with "kept".
  at_end 'inside /root/puppet-server stop "$SERVER"'
  inside env SELF_DELETE='(?!kept)[^/]+' CA_SETTINGS='allow-auto-renewal: true, auto-renewal-cert-ttl: "60d"' \
    /root/puppet-server start "$SERVER" "$PORT"
}

# A node whose root is in the image, so that the agent there finds its files.
node() { # NAME
  NAME=$1 ROOT=$IMAGE$NODE/$1
  SSL=$ROOT/etc/puppet/ssl
  mkdir -p "$ROOT/etc/puppet"
  cp "$IMAGE$SERVER/ca/ca_crt.pem" "$ROOT/ca.pem"
  cat >"$WORK/enlist.toml" <<TOML
[node]
name = "$NAME"
budget = "60s"
[run]
inspect = "1s"
[puppet-server]
server = "localhost"
port = $PORT
ca_file = "/ca.pem"
[puppet]
confdir = "/etc/puppet"
ssldir = "/etc/puppet/ssl"
statedir = "/var/puppet/state"
key_bits = 2048
TOML
}

enlist() { # COMMAND...: its exit code in $CODE, what it says in $WORK/said
  CODE=0
  AWS_EC2_METADATA_DISABLED=true "$ENLIST" "$@" --config "$WORK/enlist.toml" --root "$ROOT" \
    >"$WORK/said" 2>&1 </dev/null || CODE=$?
}

# until COMMAND...: the daemon runs until that is so, or for a minute.
daemon_until() {
  AWS_EC2_METADATA_DISABLED=true "$ENLIST" run --config "$WORK/enlist.toml" --root "$ROOT" \
    >"$WORK/daemon" 2>&1 </dev/null &
  local daemon=$! rc=1
  for _ in $(seq 300); do
    if "$@"; then rc=0; break; fi
    sleep 0.2
  done
  kill "$daemon"; wait "$daemon" || true
  ((rc == 0)) || tail -n 20 "$WORK/daemon"
  return "$rc"
}

serial() { openssl x509 -in "$SSL/certs/$NAME.pem" -noout -serial; }
joined() { [[ -e $ROOT/var/lib/enlist/puppet-server/record.json ]] &&
  [[ $(jq -r .phase "$ROOT/var/lib/enlist/puppet-server/record.json") == joined ]]; }
renewed() { [[ $(serial) != "$BEFORE" ]] && joined; }

# It is due, by the record.
make_due() {
  BEFORE=$(serial)
  local record=$ROOT/var/lib/enlist/puppet-server/record.json
  jq '.since = 0 | .fault = null' "$record" >"$WORK/record"
  cat "$WORK/record" >"$record"
}

the_daemon_gets_a_short_certificate_and_it_is_renewed() {
  node short.example.com
  check "8: the daemon joins" daemon_until joined
  check "8: what will be renewed is signed for 60 days" negate openssl x509 -in "$SSL/certs/$NAME.pem" \
    -noout -checkend $((61 * 24 * 3600))
  make_due
  check "8: the server renews the certificate" daemon_until renewed
  check "8: OpenSSL agrees, with the revocation lists" openssl verify -crl_check_all -purpose sslclient \
    -CAfile "$SSL/certs/ca.pem" -CRLfile "$SSL/crl.pem" "$SSL/certs/$NAME.pem"
  check "8: it is for the same key" equal "$(openssl x509 -in "$SSL/certs/$NAME.pem" -noout -pubkey)" \
    "$(openssl pkey -in "$SSL/private_keys/$NAME.pem" -pubout)"
}

agent() { # OPTION...
  CODE=0
  local at=$NODE/$NAME
  inside puppet agent --test --color=false --confdir "$at/etc/puppet" --ssldir "$at/etc/puppet/ssl" \
    --vardir "$at/var/puppet" --rundir "$at/run" --logdir "$at/log" --user root --group root "$@" >"$WORK/agent" 2>&1 </dev/null || CODE=$?
}

an_agent_beside_us() {
  agent --ca_refresh_interval 1s
  check "8: the agent runs with the new certificate" equal "$CODE" 0
  check "8: the agent asks for its CA anew" contains "$WORK/agent" "Refreshing CA certificate"
  BEFORE=$(serial)
  agent --hostcert_renewal_interval 100d
  check "8: the agent renews its certificate by itself" negate equal "$(serial)" "$BEFORE"
  enlist status
  check "8: that is no damage" equal "$CODE" 0
  # Its record has the former certificate. The CA's is taken, and no further one is made.
  local own; own=$(serial)
  make_due
  jq_phase() { [[ $(jq -r .grant.serial "$ROOT/var/lib/enlist/puppet-server/record.json") == "$(tr '[:upper:]' '[:lower:]' <<<"${own#serial=}")" ]]; }
  check "8: the daemon takes the agent's certificate" daemon_until jq_phase
  check "8: and asks for none" equal "$(serial)" "$own"
}

it_removes_itself() {
  enlist leave
  check "8: with a rule in auth.conf the node removes itself" equal "$CODE" 0
  check "8: nothing is left to do" lacks "$WORK/said" "puppetserver ca clean"
  check "8: the CA does not have it" test ! -e "$IMAGE$SERVER/ca/signed/$NAME.pem"
  enlist join
  check "8: its name is free for another key" equal "$CODE" 0
}

it_is_left_at_the_ca() {
  node kept.example.com
  enlist join
  check "8: another node joins" equal "$CODE" 0
  enlist leave
  check "8: without the rule it leaves all the same" equal "$CODE" 0
  check "8: and says what the server's admin runs" contains "$WORK/said" "puppetserver ca clean --certname $NAME"
  check "8: the CA still has it" test -e "$IMAGE$SERVER/ca/signed/$NAME.pem"
  check "8: the node is cleared" test ! -e "$SSL/certs/$NAME.pem"
}

main
