# shellcheck shell=bash
# Sourced by the tests against real parts: counting, the programs they need, the emulator.
#
#   ENLIST_BIN, EMULATOR_BIN  the programs; by default the debug build's, made where missing
#   CI=true                   missing programs are installed, and are a failure where they can't be

set -euo pipefail
REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
PASSED=0 FAILED=0 EMULATOR_PID='' AT_END=()

# Taken, and out of the environment: enlist reads ENLIST_* as settings.
ENLIST=${ENLIST_BIN:-} EMULATOR=${EMULATOR_BIN:-}
for name in $(compgen -e ENLIST_ || true); do unset "$name"; done
# As elsewhere: nothing of the caller's may lead the client to another API.
for name in $(compgen -e AWS_ || true); do unset "$name"; done

# check WHAT COMMAND...: one check; what the command says is shown where it fails.
check() {
  local what=$1 said rc=0; shift
  said=$("$@" 2>&1) || rc=$?
  if ((rc == 0)); then
    PASSED=$((PASSED + 1)); echo "ok - $what"
  else
    FAILED=$((FAILED + 1)); echo "not ok - $what"
    echo "    $* -> $rc"; head -c 4000 <<<"$said" | sed 's/^/    /'
  fi
}

# quietly WHAT COMMAND...: one of many checks of which only a failure is worth a line.
quietly() {
  local passed=$PASSED failed=$FAILED
  check "$@" >"$WORK/checked"
  ((FAILED > failed)) || { PASSED=$passed; return 0; }
  cat "$WORK/checked"
}

# Predicates for check; each says what it found where it fails.
equal() { [[ $1 == "$2" ]] || { echo "expected: $2"; echo "found:    $1"; return 1; }; }
contains() { grep -qF -- "$2" "$1" || { echo "no ${2@Q} in:"; cat "$1"; return 1; }; }
lacks() { ! grep -nF -- "$2" "$1"; }
empty() { [[ -z $1 ]] || { echo "$1"; return 1; }; }
mode() { equal "$(stat -c %a "$1")" "$2"; }
negate() { ! "$@"; }

finish() { # the last line and the exit code
  trap - EXIT; clean_up
  echo "$PASSED passed, $FAILED failed"
  ((FAILED == 0 && PASSED > 0)) || exit 1
  exit 0
}

skip() { # nothing was tested: nobody may overlook it, and CI may not go on
  echo "SKIPPED: $(basename "$0"): $*"
  [[ ${CI:-} != true ]] || exit 1
  exit 0
}

# need PROGRAM[=PACKAGE]...: in CI, installs what is missing.
need() {
  local missing=() packages=() word
  for word in "$@"; do
    command -v "${word%%=*}" >/dev/null || { missing+=("${word%%=*}"); packages+=("${word#*=}"); }
  done
  ((${#missing[@]})) || return 0
  if [[ ${CI:-} == true ]] && command -v apt-get >/dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null || true
  fi
  for word in "${missing[@]}"; do
    command -v "$word" >/dev/null || skip "needs ${missing[*]} (packages ${packages[*]})"
  done
}

begin() { # a scratch directory in $WORK, the programs in $ENLIST and $EMULATOR
  WORK=$(mktemp -d "${TMPDIR:-/tmp}/enlist-real.XXXXXX")
  # A function that ends the script may have its output elsewhere at that moment.
  exec 3>&1
  trap 'rc=$?; clean_up; echo "$PASSED passed, $((FAILED + 1)) failed (ended early)" >&3; exit $((rc ? rc : 1))' EXIT
  local built=${CARGO_TARGET_DIR:-$REPO/target}/debug
  ENLIST=${ENLIST:-$built/enlist} EMULATOR=${EMULATOR:-$built/enlist-emulator}
  [[ -x $ENLIST && -x $EMULATOR ]] || (cd "$REPO" && cargo build --quiet --workspace)
}

at_end() { AT_END+=("$*"); }

clean_up() {
  local command
  for command in ${AT_END[@]+"${AT_END[@]}"}; do eval "$command" || true; done
  stop_emulator
  if [[ -n ${KEEP:-} ]]; then echo "kept: $WORK"; else rm -rf "$WORK"; fi
}

# emulator OPTION...: starts one, and sets the environment that leads to it.
emulator() {
  stop_emulator
  : >"$WORK/environment"
  "$EMULATOR" serve "$@" >"$WORK/environment" 2>"$WORK/emulator.log" </dev/null &
  EMULATOR_PID=$!
  for _ in $(seq 100); do
    # The endpoint of the API, and three or more others: it prints them at once.
    if (($(wc -l <"$WORK/environment") >= 4)); then
      # shellcheck disable=SC1091
      source "$WORK/environment"
      return
    fi
    kill -0 "$EMULATOR_PID" 2>/dev/null || break
    sleep 0.1
  done
  cat "$WORK/emulator.log" >&2
  echo "the emulator did not start" >&2
  exit 1
}

stop_emulator() {
  [[ -n $EMULATOR_PID ]] || return 0
  kill "$EMULATOR_PID" 2>/dev/null || true
  wait "$EMULATOR_PID" 2>/dev/null || true
  EMULATOR_PID=''
}

# What the emulator knows: `state` or `calls`, through a jq filter.
seen() { curl -sS --noproxy '*' "$AWS_ENDPOINT_URL/_emulator/$1" | jq -r "${@:2}"; }

# How many associations the node has, and how often it asked for one that was granted.
associations() { seen state --arg node "$1" '[.associations[] | select(.node == $node)] | length'; }
associate_calls() {
  seen state --arg node "$1" '[.associations[] | select(.node == $node) | .associate_calls] | add // 0'
}

# SHA-256 of the public key: of a private key on disk, and of the one the emulator associated.
key_on_disk() {
  { openssl pkey -in "$1" -pubout -outform DER 2>/dev/null || true; } | sha256sum | cut -d' ' -f1
}
key_at_emulator() {
  seen state --arg node "$1" '.associations[] | select(.node == $node) | .public_key_sha256'
}

# join ROOT [OPTION...]: the exit code in $CODE, what it said in $WORK/said.
join() {
  CODE=0
  "$ENLIST" join --config "$WORK/enlist.toml" --root "$@" >"$WORK/said" 2>&1 </dev/null || CODE=$?
}

# ssm_agent ROOT: the emulator's stand-in where amazon-ssm-agent would be.
ssm_agent() {
  mkdir -p "$1/usr/bin"
  printf '#!/bin/sh\nFAKE_SSM_AGENT_ROOT=%q FAKE_SSM_AGENT_ENDPOINT=%q exec %q "$@"\n' \
    "$1" "$AWS_ENDPOINT_URL" "$(dirname "$EMULATOR")/fake-ssm-agent" >"$1/usr/bin/amazon-ssm-agent"
  chmod 755 "$1/usr/bin/amazon-ssm-agent"
}

leftovers() { # temporary files, locks of Puppet's, and a staged key, under a root
  find "$1" \( -name '*.enlist-new' -o -name ssl.lock -o -path '*/var/lib/enlist/*/key.pem' \) -print
}
