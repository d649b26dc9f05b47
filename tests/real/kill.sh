#!/usr/bin/env bash
# SIGKILL before each system call that changes the disk, one run for each; the next join has to
# end as if nothing had happened.
source "$(dirname "$0")/lib.sh"
need strace openssl curl jq
begin

SSL=etc/puppetlabs/puppet/ssl
HELD=opt/puppetlabs/puppet/cache/state/agent_disabled.lock
POINTS=0
printf '[opsworks-cm]\nserver = "puppet-test"\n[puppet]\nkey_bits = 2048\n' >"$WORK/enlist.toml"

main() {
  strace -qq -o /dev/null true 2>/dev/null || skip "strace may not trace here"
  emulator --throttle off
  openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=former CA" -keyout /dev/null \
    -out "$WORK/former.pem" 2>/dev/null
  kill_at_each rename,renameat,renameat2
  kill_at_each fsync,fdatasync
  kill_at_each unlink,unlinkat
  kill_at_each mkdir,mkdirat,fchmod,fchmodat,fchown
  kill_at_each write,pwrite64,writev
  echo "$POINTS points"
  finish
}

kill_at_each() { # SYSTEM CALLS: at the first, the second... until a run survives
  local calls=$1 n bad=$FAILED
  for ((n = 1; n <= 200; n++)); do
    NAME=kill-${calls%%,*}-$n ROOT=$WORK/root
    new_root
    contents >"$WORK/before"
    killed "$calls" "$n" || break
    local what="killed at $n. of $calls"
    quietly "$what: the agent is held, or finds all or nothing" none_all_or_held
    local key; key=$(made_key)
    # Names that hold a time are others in the next second: no accident may hide a leftover.
    [[ -z $(find "$ROOT/var/lib/enlist" -name '*.enlist-new' 2>/dev/null) ]] || sleep 1.1
    join "$ROOT" --set "node.name=$NAME"
    quietly "$what: the next join ends well" equal "$CODE" 0
    ((CODE == 0)) || { sed 's/^/    /' "$WORK/said"; continue; }
    joined_whole "$what" "$key"
  done
  # n is the run that survived: there are n - 1 such calls.
  POINTS=$((POINTS + n - 1))
  ((FAILED > bad)) ||
    check "killed at each of the $((n - 1)) times of ${calls//,/, }: the next join ends well" \
      test "$n" -gt 1 -a "$n" -lt 200
}

# The most that enlist has to write: another server's CA and revocation list, an admin's settings.
new_root() {
  rm -rf "$ROOT"
  mkdir -p "$ROOT/$SSL/certs"
  cp "$WORK/former.pem" "$ROOT/$SSL/certs/ca.pem"
  echo "a former revocation list" >"$ROOT/$SSL/crl.pem"
  printf '[main]\nserver = former.example\n# mine\n' >"$ROOT/etc/puppetlabs/puppet/puppet.conf"
}

killed() { # SYSTEM CALLS, N: whether the run was
  local rc=0
  { strace -f -qq -o /dev/null -e "trace=$1" -e "inject=$1:signal=SIGKILL:when=$2" \
    "$ENLIST" join --config "$WORK/enlist.toml" --root "$ROOT" --set "node.name=$NAME" \
    >"$WORK/said" 2>&1 </dev/null || rc=$?; } 2>/dev/null
  case $rc in
    0) return 1 ;;
    137) return 0 ;;
    *) check "killed at $2. of $1" equal "$rc" 137; return 1 ;;
  esac
}

made_key() {
  local file
  for file in "$ROOT/$SSL/private_keys/$NAME.pem" "$ROOT/var/lib/enlist/opsworks-cm/key.pem"; do
    [[ ! -e $file ]] || { key_on_disk "$file"; return; }
  done
}

contents() { (cd "$ROOT" && find etc -type f ! -name ssl.lock -exec sha256sum {} + | sort -k 2); }

none_all_or_held() {
  [[ ! -e $ROOT/$HELD ]] || return 0
  ! contents | cmp -s - "$WORK/before" || return 0
  openssl verify -CAfile "$ROOT/$SSL/certs/ca.pem" "$ROOT/$SSL/certs/$NAME.pem"
}

joined_whole() { # WHAT KEY
  local ssl=$ROOT/$SSL installed
  installed=$(key_on_disk "$ssl/private_keys/$NAME.pem")
  quietly "$1: the key that was made by then is the node's" equal "$installed" "${2:-$installed}"
  quietly "$1: and the one that was associated" equal "$(key_at_emulator "$NAME")" "$installed"
  quietly "$1: there is one association" equal "$(associations "$NAME")" 1
  quietly "$1: the certificate is installed and verifies" \
    openssl verify -CAfile "$ssl/certs/ca.pem" "$ssl/certs/$NAME.pem"
  quietly "$1: the former revocation list is gone" test ! -e "$ssl/crl.pem"
  quietly "$1: the settings are edited" contains "$ROOT/etc/puppetlabs/puppet/puppet.conf" "certname = $NAME"
  quietly "$1: the admin's stay" contains "$ROOT/etc/puppetlabs/puppet/puppet.conf" "# mine"
  quietly "$1: the former files are kept" kept
  quietly "$1: the agent may run" test ! -e "$ROOT/$HELD"
  quietly "$1: nothing is left over" empty "$(leftovers "$ROOT")"
}

kept() { # CA, revocation list and settings, each at least once among the backups
  local backup=$ROOT/var/lib/enlist/opsworks-cm/backup word
  for word in ca.pem crl.pem puppet.conf; do
    compgen -G "$backup/*-$word" >/dev/null || { echo "no $word in:"; ls -la "$backup"; return 1; }
  done
  cmp "$WORK/former.pem" "$(compgen -G "$backup/*-ca.pem" | head -n 1)"
}

main
