#!/usr/bin/env bash
# Disks that are full or read-only, at whatever moment: exit 74, a message with the path, nothing
# half-written; and once there is room, the next join goes on with the same key.
#
# Runs in a mount namespace of its own: whatever happens, its file systems end with it.
if [[ -z ${IN_NAMESPACE:-} ]] && ((EUID == 0)) && unshare --mount true 2>/dev/null; then
  IN_NAMESPACE=1 exec unshare --mount --propagation private "$0" "$@"
fi
source "$(dirname "$0")/lib.sh"
need openssl curl jq
[[ -n ${IN_NAMESPACE:-} ]] || skip "needs root, and mount namespaces"
begin

SSL=etc/puppetlabs/puppet/ssl
printf '[opsworks-cm]\nserver = "puppet-test"\n[puppet]\nkey_bits = 2048\n' >"$WORK/enlist.toml"

main() {
  at_end 'umount "$DISK" 2>/dev/null'
  emulator --throttle off
  local case
  for case in var ssl; do
    read_only "$case"
  done
  # One page more each time, until all of it fits: every write comes upon the full disk once.
  every_size var ""
  every_size ssl ""
  every_size ssl former
  every_size root ""
  every_size root former
  finish
}

# prepare WHERE NAME FORMER: a root in $ROOT, a small file system within it at $DISK.
prepare() {
  NAME=$2 ROOT=$WORK/$2
  case $1 in
    root) DISK=$ROOT ;;
    var) DISK=$ROOT/var ;;
    ssl) DISK=$ROOT/$SSL ;;
  esac
  mkdir -p "$DISK"
  mount -t tmpfs -o size=1m,mode=0755 enlist "$DISK"
  mkdir -p "$ROOT/etc"
  [[ -z $3 ]] || former
}

release() { umount "$DISK"; rm -rf "$ROOT"; }

# What another server's agent left behind, an admin's settings among it.
former() {
  mkdir -p "$ROOT/$SSL/certs"
  [[ -e $WORK/former.pem ]] || openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=former CA" \
    -keyout /dev/null -out "$WORK/former.pem" 2>/dev/null
  cp "$WORK/former.pem" "$ROOT/$SSL/certs/ca.pem"
  echo "a former revocation list" >"$ROOT/$SSL/crl.pem"
  printf '[main]\nserver = former.example\n# mine\n' >"$ROOT/etc/puppetlabs/puppet/puppet.conf"
}

# Leaves this many KiB free.
fill() {
  local free; free=$(df --output=avail -k "$DISK" | tail -n 1)
  head -c "$(((free - $1) * 1024))" /dev/zero >"$DISK/ballast"
}

read_only() { # WHERE
  prepare "$1" "read-only-$1" ""
  mount -o remount,ro "$DISK"
  join "$ROOT" --set "node.name=$NAME"
  check "$1 is read-only: exit 74" equal "$CODE" 74
  check "$1 is read-only: the message names the path" contains "$WORK/said" "$DISK"
  check "$1 is read-only: nothing is there" empty "$(find "$DISK" -type f)"
  mount -o remount,rw "$DISK"
  local staged; staged=$(staged_key)
  goes_on "$1 is read-only" "$staged"
  release
}

every_size() { # WHERE FORMER
  local room what failures=0 moments=0 bad=$FAILED
  for room in $(seq 0 4 400); do
    prepare "$1" "$1-full-$room$2" "$2"
    fill "$room"
    contents >"$WORK/before"
    join "$ROOT" --set "node.name=$NAME"
    if ((CODE == 0)); then
      release
      break
    fi
    what="$1 is full${2:+, with $2 files} ($room KiB left)"
    failures=$((failures + 1))
    quietly "$what: exit 74" equal "$CODE" 74
    quietly "$what: the message names a path on it" contains "$WORK/said" "$DISK"
    quietly "$what: no temporary file" empty "$(find "$ROOT" -name '*.enlist-new')"
    quietly "$what: no lock of Puppet's" empty "$(find "$ROOT" -name ssl.lock)"
    quietly "$what: every file is whole" whole
    if ! contents | cmp -s - "$WORK/before"; then
      moments=$((moments + 1))
      # What is in between is nothing an agent may run with.
      quietly "$what: the agent is held" \
        test -e "$ROOT/opt/puppetlabs/puppet/cache/state/agent_disabled.lock"
    fi
    local staged; staged=$(staged_key)
    rm "$DISK/ballast"
    goes_on "$what" "$staged" quietly
    release
  done
  ((FAILED > bad)) ||
    check "$1 is full${2:+, with $2 files}: $failures sizes, $moments of them within the installation" \
      test "$failures" -gt 0
}

# The key that is made by now, in its place or on the way there.
staged_key() {
  local file
  for file in "$ROOT/$SSL/private_keys/$NAME.pem" "$ROOT/var/lib/enlist/opsworks-cm/key.pem"; do
    [[ ! -e $file ]] || { key_on_disk "$file"; return; }
  done
}

goes_on() { # WHAT KEY [CHECK]: with room again, the next join ends well
  local check=${3:-check}
  join "$ROOT" --set "node.name=$NAME"
  "$check" "$1: with room, the next join ends well" equal "$CODE" 0
  ((CODE == 0)) || { sed 's/^/    /' "$WORK/said"; return 0; }
  local installed; installed=$(key_on_disk "$ROOT/$SSL/private_keys/$NAME.pem")
  "$check" "$1: with the same key" equal "$installed" "${2:-$installed}"
  "$check" "$1: which is the one associated" equal "$(key_at_emulator "$NAME")" "$installed"
  "$check" "$1: there is one association" equal "$(associations "$NAME")" 1
  "$check" "$1: nothing is left over" empty "$(leftovers "$ROOT")"
  "$check" "$1: the certificate verifies" openssl verify \
    -CAfile "$ROOT/$SSL/certs/ca.pem" "$ROOT/$SSL/certs/$NAME.pem"
}

# What an agent would find.
contents() { (cd "$ROOT" && find etc -type f ! -name ballast -exec sha256sum {} + | sort -k 2); }

whole() { # each file is one, wherever it is in between
  local file
  while read -r file; do
    case $file in
      */private_keys/*) openssl pkey -in "$file" -noout ;;
      */certificate_requests/*) openssl req -in "$file" -noout -verify ;;
      */certs/*) openssl x509 -in "$file" -noout ;;
      */record.json) jq -e .phase "$file" ;;
      */puppet.conf) contains "$file" server ;;
    esac || return 1
  done < <(find "$ROOT" -type f)
}

main
