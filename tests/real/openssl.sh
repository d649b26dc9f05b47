#!/usr/bin/env bash
# What enlist makes and installs, as OpenSSL and stat(1) see it: requests, keys, modes, owners.
source "$(dirname "$0")/lib.sh"
need openssl curl jq
begin

SSL=etc/puppetlabs/puppet/ssl
CONF=etc/puppetlabs/puppet
printf '[opsworks-cm]\nserver = "puppet-test"\n[puppet]\nkey_bits = 2048\n' >"$WORK/enlist.toml"

main() {
  emulator --throttle off --tag pp_role=web --tag 'pp_project=Grüße, 世界' --tag Name=box \
    --tag pp_authorization=true
  a_request_and_its_certificate
  attributes_of_the_admins
  modes_and_owners
  for bits in 2048 3072 4096; do sizes "$bits"; done
  for form in traditional pkcs8; do
    for bits in 2048 3072 4096; do a_key_that_stands "$form" "$bits"; done
  done
  keys_that_are_none
  finish
}

# What a new machine has at least.
new_root() { rm -rf "$WORK/root"; ROOT=$WORK/root; mkdir -p "$ROOT"; }

request() { openssl req -in "$ROOT/$SSL/certificate_requests/$1.pem" -noout "${@:2}"; }

# The extension of this dotted OID, as the bytes inside its OCTET STRING.
extension() { # FILE asn1parse-able, OID
  local at
  at=$(openssl asn1parse -in "$1" | grep -A2 -E "OBJECT +:($2)\$" |
    sed -n 's/^ *\([0-9]*\):.*OCTET STRING.*/\1/p' | head -n 1)
  [[ -n $at ]] || { echo "there is no $2"; return; }
  openssl asn1parse -in "$1" -strparse "$at" | sed 's/^.*prim: *//; s/ *:/:/'
}

a_request_and_its_certificate() {
  new_root
  join "$ROOT" --set node.name=shape
  check "join" equal "$CODE" 0
  check "the request's signature is its key's" request shape -verify
  request shape -text >"$WORK/text"
  check "the request is of version 0" contains "$WORK/text" 'Version: 1 (0x0)'
  check "the request is signed with SHA-256" contains "$WORK/text" sha256WithRSAEncryption
  check "the subject is the name and nothing else" \
    equal "$(request shape -subject -nameopt RFC2253)" subject=CN=shape
  check "no authorization extension comes from a tag" lacks "$WORK/text" 1.3.6.1.4.1.34380.1.3
  check "no subjectAltName unless asked for" lacks "$WORK/text" 'Alternative Name'
  local pem
  for pem in certificate_requests certs; do
    local file=$ROOT/$SSL/$pem/shape.pem oid=1.3.6.1.4.1.34380.1.1
    check "$pem: pp_role is a UTF8String" equal "$(extension "$file" $oid.13)" UTF8STRING:web
    check "$pem: pp_project keeps its letters" \
      equal "$(extension "$file" $oid.7)" "UTF8STRING:Grüße, 世界"
    check "$pem: pp_instance_id" equal "$(extension "$file" $oid.2)" UTF8STRING:i-0123456789abcdef0
  done
  check "the certificate chains up to what is installed as CA" openssl verify -x509_strict \
    -CAfile "$ROOT/$SSL/certs/ca.pem" "$ROOT/$SSL/certs/shape.pem"
  check "the certificate is for the key" equal \
    "$(openssl x509 -in "$ROOT/$SSL/certs/shape.pem" -noout -pubkey)" \
    "$(openssl pkey -in "$ROOT/$SSL/private_keys/shape.pem" -pubout)"
}

attributes_of_the_admins() {
  new_root
  mkdir -p "$ROOT/$CONF"
  cat >"$ROOT/$CONF/csr_attributes.yaml" <<'YAML'
---
custom_attributes:
  1.2.840.113549.1.9.7: open sesame
extension_requests:
  pp_cost_center: "4711"
  1.3.6.1.4.1.34380.1.2.9: private arc
YAML
  join "$ROOT" --set node.name=attributes
  check "join with csr_attributes.yaml" equal "$CODE" 0
  check "the request is not kept: it holds a secret" \
    test ! -e "$ROOT/$SSL/certificate_requests/attributes.pem"
  local file=$ROOT/$SSL/certificate_requests/sent.pem
  seen state '.associations[] | select(.node == "attributes") | .csr' >"$file"
  check "its extensions are asked for" \
    equal "$(extension "$file" 1.3.6.1.4.1.34380.1.1.5)" UTF8STRING:4711
  check "and those of the private arc" \
    equal "$(extension "$file" 1.3.6.1.4.1.34380.1.2.9)" 'UTF8STRING:private arc'
  request sent -text >"$WORK/text"
  check "the challenge password is there" contains "$WORK/text" 'open sesame'
}

modes_and_owners() {
  local umask
  for umask in 000 077; do
    new_root
    mkdir "$ROOT/etc"
    printf 'root:x:0:0::/:/bin/sh\npuppet:x:4242:4343::/:/bin/false\n' >"$ROOT/etc/passwd"
    (umask "$umask" && join "$ROOT" --set "node.name=umask-$umask" && exit "$CODE")
    local pair
    for pair in .=771 certs=755 public_keys=755 certificate_requests=755 private_keys=750 \
      private=750 "private_keys/umask-$umask.pem=640" "certs/umask-$umask.pem=644" \
      certs/ca.pem=644 "certificate_requests/umask-$umask.pem=644"; do
      check "umask $umask: mode of ${pair%=*}" mode "$ROOT/$SSL/${pair%=*}" "${pair#*=}"
    done
    check "umask $umask: the state is root's alone" mode "$ROOT/var/lib/enlist" 700
    check "umask $umask: so is the record" mode "$ROOT/var/lib/enlist/opsworks-cm/record.json" 600
    check "umask $umask: nothing else is left there" empty "$(leftovers "$ROOT")"
    if ((EUID == 0)); then
      check "umask $umask: all of the ssldir is the account puppet's of this root" \
        empty "$(find "$ROOT/$SSL" ! \( -uid 4242 -gid 4343 \))"
    fi
  done
}

sizes() { # BITS
  new_root
  join "$ROOT" --set "node.name=size-$1" --set "puppet.key_bits=$1"
  local text
  text=$(openssl pkey -in "$ROOT/$SSL/private_keys/size-$1.pem" -noout -text -check 2>&1 || true)
  check "a new key of $1 bits is one, and consistent" \
    equal "$(grep -cE "Private-Key: \($1 bit|Key is valid" <<<"$text")" 2
}

a_key_that_stands() { # FORM BITS
  local name=stands-$1-$2 key before
  new_root
  mkdir -p "$ROOT/$SSL/private_keys"
  key=$ROOT/$SSL/private_keys/$name.pem
  case $1 in
    traditional) openssl genrsa -traditional "$2" ;; # PKCS#1
    pkcs8) openssl genpkey -algorithm RSA -pkeyopt "rsa_keygen_bits:$2" ;;
  esac 2>/dev/null >"$key"
  chmod 600 "$key"
  before=$(sha256sum <"$key"; stat -c '%a %u %i %Y' "$key")
  join "$ROOT" --set "node.name=$name"
  check "a key of $2 bits stands ($1): joined" equal "$CODE" 0
  check "a key of $2 bits stands ($1): it was not touched" \
    equal "$(sha256sum <"$key"; stat -c '%a %u %i %Y' "$key")" "$before"
  check "a key of $2 bits stands ($1): it is the one that was associated" \
    equal "$(key_at_emulator "$name")" "$(key_on_disk "$key")"
}

keys_that_are_none() {
  local case before
  for case in encrypted elliptic cut empty small; do
    new_root
    mkdir -p "$ROOT/$SSL/private_keys"
    local key=$ROOT/$SSL/private_keys/$case.pem
    case $case in
      encrypted) openssl genrsa -aes128 -passout pass:secret 2048 ;;
      elliptic) openssl ecparam -name prime256v1 -genkey -noout ;;
      cut) openssl genrsa 2048 | head -n 12 ;;
      empty) ;;
      small) openssl genrsa 1024 ;;
    esac 2>/dev/null >"$key"
    before=$(sha256sum <"$key")
    join "$ROOT" --set "node.name=$case"
    check "a key that can't be used ($case): exit 65" equal "$CODE" 65
    check "a key that can't be used ($case): the message names it" contains "$WORK/said" "$key"
    check "a key that can't be used ($case): it was not touched" \
      equal "$(sha256sum <"$key")" "$before"
    check "a key that can't be used ($case): nothing was associated" equal "$(associations "$case")" 0
  done
}

main
