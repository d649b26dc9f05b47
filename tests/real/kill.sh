#!/usr/bin/env bash
# SIGKILL before each system call that changes the disk, one run for each; the next join has to
# end as if nothing had happened. For the targets whose creating call could make two of something,
# before each system call that talks to the authority too.
#
# Not before fsync: what a killed process wrote stays, so the disk is as before the next call that
# changes it. The crash harness tries what a power cut loses.
#
#   kill.sh [TARGET]...   of puppet, opsworks, ssm; by default all
source "$(dirname "$0")/lib.sh"
need strace openssl curl jq
begin

SSL=etc/puppetlabs/puppet/ssl
HELD=opt/puppetlabs/puppet/cache/state/agent_disabled.lock
STACK=2f18b4cb-4de5-4429-a149-ff7da9f0d8ee
POINTS=0

main() {
  strace -qq -o /dev/null true 2>/dev/null || skip "strace may not trace here"
  (($#)) || set -- puppet opsworks ssm
  for TARGET in "$@"; do
    emulator --throttle off
    ROOT=$WORK/root NAME=
    "${TARGET}_settings"
    kill_at_each rename,renameat,renameat2
    [[ $TARGET != puppet ]] || kill_at_each link,linkat
    kill_at_each unlink,unlinkat
    kill_at_each mkdir,mkdirat,fchmod,fchmodat,fchown
    kill_at_each write,pwrite64,writev
    [[ $TARGET == puppet ]] || kill_at_each sendto,recvfrom
    [[ $TARGET != ssm ]] || kill_while_the_agent_registers
  done
  echo "$POINTS points"
  finish
}

kill_at_each() { # SYSTEM CALLS: at the first, the second... until a run survives
  local calls=$1 n bad=$FAILED
  for ((n = 1; n <= 200; n++)); do
    NAME=kill-${calls%%,*}-$n
    "${TARGET}_root"
    killed "$calls" "$n" || break
    then_joins "$TARGET: killed at $n. of $calls"
  done
  # n is the run that survived: there are n - 1 such calls.
  POINTS=$((POINTS + n - 1))
  ((FAILED > bad)) ||
    check "$TARGET: killed at each of the $((n - 1)) times of ${calls//,/, }: the next join ends well" \
      test "$n" -gt 1 -a "$n" -lt 200
  "${TARGET}_out"
}

then_joins() { # WHAT: everything that has to hold of the next join
  "${TARGET}_between" "$1"
  local key; key=$(made_key)
  join "$ROOT" --set "node.name=$NAME"
  quietly "$1: the next join ends well" equal "$CODE" 0
  if ((CODE == 0)); then
    "${TARGET}_joined" "$1" "$key"
    quietly "$1: nothing is left over" empty "$(leftovers "$ROOT")"
  else
    sed 's/^/    /' "$WORK/said"
  fi
  "${TARGET}_out" "$1"
}

killed() { # SYSTEM CALLS, N: whether the run was
  local rc=0
  # Counted for each thread by itself. All of enlist's work on files and connections is the first
  # one's; of an agent's that it starts, nothing is to be killed here.
  { strace $FOLLOW -qq -o /dev/null -e "trace=$1" -e "inject=$1:signal=SIGKILL:when=$2" \
    "$ENLIST" join --config "$WORK/enlist.toml" --root "$ROOT" --set "node.name=$NAME" \
    >"$WORK/said" 2>&1 </dev/null || rc=$?; } 2>/dev/null
  case $rc in
    0) return 1 ;;
    137) return 0 ;;
    *) check "$TARGET: killed at $2. of $1" equal "$rc" 137; return 1 ;;
  esac
}

made_key() { # the key that is made by now, in its place or on the way there
  local file
  for file in "$ROOT/$SSL/private_keys/$NAME.pem" "$ROOT/etc/aws/opsworks/instance-key.pem" \
    "$ROOT"/var/lib/enlist/*/key.pem; do
    [[ ! -e $file ]] || { key_on_disk "$file"; return; }
  done
}

# What an agent would find.
contents() { (cd "$ROOT" && find etc -type f ! -name '*ssl.lock*' -exec sha256sum {} + | sort -k 2); }

count() { seen state --arg list "$1" '.[$list] | length'; }

# Puppet.

puppet_settings() {
  FOLLOW=-f
  printf '[opsworks-cm]\nserver = "puppet-test"\n[puppet]\nkey_bits = 2048\n' >"$WORK/enlist.toml"
  openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=former CA" -keyout /dev/null \
    -out "$WORK/former.pem" 2>/dev/null
}

# The most that enlist has to write: another server's CA and revocation list, an admin's settings.
puppet_root() {
  rm -rf "$ROOT"
  mkdir -p "$ROOT/$SSL/certs"
  cp "$WORK/former.pem" "$ROOT/$SSL/certs/ca.pem"
  echo "a former revocation list" >"$ROOT/$SSL/crl.pem"
  printf '[main]\nserver = former.example\n# mine\n' >"$ROOT/etc/puppetlabs/puppet/puppet.conf"
  contents >"$WORK/before"
}

puppet_between() { quietly "$1: the agent is held, or finds all or nothing" none_all_or_held; }

none_all_or_held() {
  [[ ! -e $ROOT/$HELD ]] || return 0
  ! contents | cmp -s - "$WORK/before" || return 0
  openssl verify -CAfile "$ROOT/$SSL/certs/ca.pem" "$ROOT/$SSL/certs/$NAME.pem"
}

puppet_joined() { # WHAT KEY
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
}

kept() { # CA, revocation list and settings, each at least once among the backups
  local backup=$ROOT/var/lib/enlist/opsworks-cm/backup word
  for word in ca.pem crl.pem puppet.conf; do
    compgen -G "$backup/*-$word" >/dev/null || { echo "no $word in:"; ls -la "$backup"; return 1; }
  done
  cmp "$WORK/former.pem" "$(compgen -G "$backup/*-ca.pem" | head -n 1)"
}

puppet_out() { :; }

# OpsWorks Stacks, as an EC2 instance: the same one each time, so it leaves before the next one.

opsworks_settings() { FOLLOW=; printf '[opsworks]\nstack_id = "%s"\n' "$STACK" >"$WORK/enlist.toml"; }

opsworks_root() { rm -rf "$ROOT"; mkdir -p "$ROOT/etc"; echo app-1.example >"$ROOT/etc/hostname"; }

opsworks_between() { :; }

opsworks_joined() { # WHAT KEY
  local key=$ROOT/etc/aws/opsworks/instance-key.pem agent=$ROOT/etc/aws/opsworks/instance-agent.yml
  quietly "$1: there is one instance" equal "$(count instances)" 1
  quietly "$1: the key that was made by then is the instance's" \
    equal "$(key_on_disk "$key")" "${2:-$(key_on_disk "$key")}"
  quietly "$1: and the one that was registered" \
    equal "$(seen state '.instances[].public_key')" "$(openssl pkey -in "$key" -pubout)"
  quietly "$1: the agent's file has the instance's id" \
    contains "$agent" ":identity: \"$(seen state '.instances[].id')\""
}

opsworks_out() { leaves "${1:-}" instances; }

# Systems Manager: no EC2 instance, and the agent's stand-in where the agent would be.

ssm_settings() {
  FOLLOW=
  unset AWS_EC2_METADATA_SERVICE_ENDPOINT
  printf '[ssm]\niam_role = "service-role/SSM"\n' >"$WORK/enlist.toml"
}

ssm_root() {
  rm -rf "$ROOT"; mkdir -p "$ROOT/etc"
  echo db1.example >"$ROOT/etc/hostname"
  echo 0123456789abcdef0123456789abcdef >"$ROOT/etc/machine-id"
  ssm_agent "$ROOT"
}

ssm_between() { :; }

ssm_joined() { # WHAT KEY
  local vault=$ROOT/var/lib/amazon/ssm/Vault/Store/RegistrationKey
  quietly "$1: there is one activation" equal "$(count activations)" 1
  quietly "$1: there is one managed instance" equal "$(count managed_instances)" 1
  quietly "$1: it is the one in the agent's vault" \
    equal "$(jq -r .instanceID "$vault")" "$(seen state '.managed_instances[].id')"
  quietly "$1: with the activation that is there" \
    equal "$(seen state '.managed_instances[].activation_id')" "$(seen state '.activations[].id')"
  quietly "$1: no copy of the vault is left" \
    empty "$(find "$ROOT/var/lib/enlist/ssm/vault" -mindepth 1 2>/dev/null)"
}

ssm_out() { leaves "${1:-}" activations managed_instances; }

# Leaves, so that the next run finds the account empty.
leaves() { # WHAT LIST...
  local list rc=0
  "$ENLIST" leave --config "$WORK/enlist.toml" --root "$ROOT" --set "node.name=$NAME" \
    >"$WORK/said" 2>&1 </dev/null || rc=$?
  [[ -z $1 ]] || quietly "$1, joined, left: exit 0" equal "$rc" 0
  for list in "${@:2}"; do
    [[ -z $1 ]] || quietly "$1, joined, left: no $list" equal "$(count "$list")" 0
    # One failure is not to be the next one's too.
    [[ $(count "$list") == 0 ]] || { emulator --throttle off; "${TARGET}_settings"; }
  done
}

# The agent is at work and enlist is gone: with it, as when systemd ends a unit, or alone, and then
# the agent goes on beside the next join.
kill_while_the_agent_registers() {
  local who delay sign rc pid
  for who in together alone; do
    for delay in before after; do
      NAME=kill-$who-$delay sign=$WORK/agent-started
      ssm_root
      rm -f "$sign"
      slow_agent "$delay" "$sign"
      setsid "$ENLIST" join --config "$WORK/enlist.toml" --root "$ROOT" --set "node.name=$NAME" \
        >"$WORK/said" 2>&1 </dev/null &
      pid=$! rc=0
      for _ in $(seq 100); do [[ ! -e $sign ]] || break; sleep 0.05; done
      if [[ $who == together ]]; then kill -KILL -- "-$pid"; else kill -KILL "$pid"; fi
      { wait "$pid" || rc=$?; } 2>/dev/null
      quietly "$NAME: it was at work" equal "$rc" 137
      ssm_agent "$ROOT"
      join "$ROOT" --set "node.name=$NAME"
      check "ssm: killed $who with the agent, $delay it registers: the next join ends well" equal "$CODE" 0
      # Whatever the former agent still does, it has done by then.
      sleep 1.5
      ssm_joined "ssm: killed $who with the agent, $delay it registers"
      ssm_out "ssm: killed $who with the agent, $delay it registers"
    done
  done
}

slow_agent() { # BEFORE OR AFTER, FILE: an agent that takes a second, and says that it is at work
  local program=$ROOT/usr/bin/amazon-ssm-agent real
  real=$(tail -n 1 "$program")
  case $1 in
    before) printf '#!/bin/sh\ntouch %q\nsleep 1\n%s\n' "$2" "$real" ;;
    after) printf '#!/bin/sh\n%s\ntouch %q\nsleep 1\n' "${real/exec /}" "$2" ;;
  esac >"$program"
}

main "$@"
