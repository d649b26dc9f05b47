#!/usr/bin/env bash
# "Joined" means that the engine will use it: Debian's Puppet, whose settings lead elsewhere in every
# way, is asked what it uses once enlist has joined; Ruby loads what Chef loads, and reads what
# Puppet reads.
if [[ -z ${IN_NAMESPACE:-} ]] && ((EUID == 0)) && unshare --mount true 2>/dev/null; then
  # This very machine joins; what is written ends with the namespace.
  IN_NAMESPACE=1 exec unshare --mount --propagation private "$0" "$@"
fi
source "$(dirname "$0")/lib.sh"
[[ -n ${IN_NAMESPACE:-} ]] || skip "needs root, and mount namespaces"
need openssl curl jq puppet=puppet-agent ruby
begin

HERE=$(cd "$(dirname "$0")" && pwd)
NAME=i-0123456789abcdef0
CONF=/etc/puppet/puppet.conf
STATE=/var/cache/puppet/state
judge() { ruby "$HERE/judge.rb" "$@"; }

main() {
  emulator --throttle off --server name=puppet-test --server name=chef-test,engine=Chef
  this_machine
  set_right
  not_ours_to_set
  options_of_the_service
  asked_when_something_changed
  nobody_elses_code
  not_writable
  values_as_ruby_reads_them
  attributes_as_puppet_reads_them
  chef_loads_later_files
  chef_reads_our_lines
  chef_trusts_a_chain
  finish
}

# Its own directories, empty, in this namespace; Puppet's program counts its calls.
this_machine() {
  local path
  for path in /etc/enlist /var/lib/enlist /etc/puppet /var/lib/puppet /var/cache/puppet; do
    [[ -d $path ]] || { mkdir -p "$path"; at_end "umount $path; rmdir $path"; }
    mount -t tmpfs -o mode=755 enlist "$path"
  done
  printf '#!/bin/sh\necho "$*" >>%q\nexec %q "$@"\n' "$WORK/asked" "$(command -v puppet)" >"$WORK/puppet"
  chmod 755 "$WORK/puppet"
  printf '[opsworks-cm]\nserver = "puppet-test"\n[puppet]\nkey_bits = 2048\nprogram = "%s"\n' \
    "$WORK/puppet" >/etc/enlist/enlist.toml
}

# A machine as it was before, with this puppet.conf from standard input.
fresh() {
  "$ENLIST" leave >/dev/null 2>&1 </dev/null || true
  find /var/lib/enlist /etc/puppet /var/lib/puppet /var/cache/puppet -mindepth 1 -delete
  cat >"$CONF"; : >"$WORK/asked"
}

enlist() { # COMMAND...: the exit code in $CODE, what it said in $WORK/said
  CODE=0
  "$ENLIST" "$@" >"$WORK/said" 2>&1 </dev/null || CODE=$?
}

calls() { seen calls '[.[] | select(.action == "AssociateNode")] | length'; }
asked() { wc -l <"$WORK/asked"; }

# What the agent uses by now, said by Puppet itself without our options.
uses() { # WHAT
  (cd / && puppet config print --section agent server ca_server ca_port server_list use_srv_records certname \
    hostcert hostprivkey localcacert hostcrl ssldir) >"$WORK/uses" 2>"$WORK/complaints" || true
  check "$1: Puppet has nothing to complain of" empty "$(cat "$WORK/complaints")"
  local pair
  for pair in server=puppet-test.example ca_server=puppet-test.example ca_port=8140 \
    use_srv_records=false "certname=$NAME"; do
    check "$1: ${pair%%=*}" equal "$(used "${pair%%=*}")" "${pair#*=}"
  done
  case $(used server_list) in '' | puppet-test.example:8140) ;; *) check "$1: server_list" false ;; esac
  check "$1: the certificate is for the key" equal \
    "$(openssl x509 -in "$(used hostcert)" -noout -pubkey 2>&1)" "$(openssl pkey -in "$(used hostprivkey)" -pubout 2>&1)"
  check "$1: the CA verifies the certificate" openssl verify -CAfile "$(used localcacert)" "$(used hostcert)"
}
used() { sed -n "s/^$1 = *//p" "$WORK/uses"; }

# joins WHAT <CONF: the agent goes where it has to.
joins() {
  fresh
  cp "$CONF" "$WORK/before"
  enlist join
  check "$1: joins" equal "$CODE" 0
  ((CODE == 0)) || { cat "$WORK/said"; return 0; }
  uses "$1"
  enlist status
  check "$1: status: all is well" equal "$CODE" 0
  enlist leave
  check "$1: leaves" equal "$CODE" 0
  check "$1: puppet.conf holds nothing of ours" lacks "$CONF" enlist
}

set_right() {
  joins "an empty file" <<<""
  joins "the agent's own server" <<<$'[agent]\nserver = other.example'
  # Asked in another directory than the agent starts in.
  cd "$WORK"
  joins "a relative ssldir" <<<$'[main]\nssldir = var/lib/puppet/relative'
  check "a relative ssldir: not in this directory" test ! -e "$WORK/var"
  cd /
  joins "the agent's own ssldir" <<<$'[main]\nssldir = /var/lib/puppet/ssl\n[agent]\nssldir = /var/lib/puppet/other'
  joins "a list of servers" <<<$'[main]\nserver_list = a.example:8140,b.example:8140'
  joins "another CA server" <<<$'[agent]\nca_server = ca.example'
  joins "other ports" <<<$'[main]\nserverport = 9140\n[agent]\nmasterport = 9141\nca_port = 9142'
  joins "servers by DNS" <<<$'[main]\nuse_srv_records = true\nsrv_domain = example.org'
  joins "a certificate elsewhere" <<<$'[agent]\nhostcert = /var/lib/puppet/elsewhere.pem'
  joins "keys elsewhere" <<<$'[main]\nprivatekeydir = /var/lib/puppet/keys'
  joins "certificates elsewhere" <<<$'[agent]\ncertdir = $vardir/certs'
  joins "a CA and a list elsewhere" <<<$'[main]\nlocalcacert = /etc/ca.pem\nhostcrl = /etc/crl.pem'
  joins "a certificate of another name" <<<$'[main]\nhostcert = $certdir/host.pem\nhostprivkey = $privatekeydir/host.pem'
  joins "another name" <<<$'[main]\ncertname = one\n[agent]\ncertname = two'
  joins "a name that Puppet refuses" <<<$'[main]\ncertname = Upper.Case'
  joins "a comment behind a value" <<<$'[main]\nserver = a.example # ours'
  joins "quotes" <<<$'[main]\nserver = "a.example"\ncertname = \'x\''
  joins "a byte-order mark" < <(printf '\xef\xbb\xbf[main]\nserver = a.example\n')
  joins "a byte-order mark before a comment" < <(printf '\xef\xbb\xbf# notepad\r\n[agent]\r\nserver = a.example\r\n')
  joins "sections twice" <<<$'[main]\nserver = a\n[agent]\nserver = b\n[main]\ncertname = c\n[agent]\nca_server = d'
  joins "tabs and blanks" <<<$'\t[main]\t\n\t server\t=\ta \n [agent] \n\tssldir=/var/lib/puppet/tabs'
  joins "a backslash at the end" <<<$'[main]\nserver = a \\\ncertname = b'
  joins "sections of the server" <<<$'[server]\nssldir = /var/lib/puppet/x\ncertname = c\n[master]\nserver = d\n[agent]\n'
  joins "upper case in the agent's name" <<<$'[agent]\ncertname = WEB.Example'
  joins "an environment" <<<$'[agent]\nenvironment = test'
  joins "values that contain others" <<<$'[main]\nbase = x\nssldir = $vardir/of\ncertdir = $ssldir/c'
  joins "no newline at the end" < <(printf '[agent]\nserver = a.example')
}

# refuses WHAT LINE <CONF: before anything is asked.
refuses() {
  fresh
  local before; before=$(calls)
  enlist join
  check "$1: exit 74" equal "$CODE" 74
  check "$1: the line is named" contains "$WORK/said" "puppet.conf, line $2: "
  check "$1: nothing was asked" equal "$(calls)" "$before"
  check "$1: the agent is not held" test ! -e "$STATE/agent_disabled.lock"
}

not_ours_to_set() {
  refuses "another confdir" 3 <<<$'[main]\nserver = a\nconfdir = /etc/puppet/other'
  refuses "another file of settings" 2 <<<$'[agent]\nconfig = /etc/puppet/other.conf'
  refuses "a broken section" 1 <<<$'[main\nserver = a\n[main]\nserver = a'
  refuses "a line of another format" 2 <<<$'[main]\n; a comment elsewhere\nserver = a'
  refuses "blanks in a section" 3 <<<$'[main]\nserver = a\n[ agent ]'
  refuses "a section that Puppet does not know" 2 <<<$'[main]\n[production]\nserver = a'
  refuses "a mark of a merge" 1 <<<$'<<<<<<< HEAD\n[main]'
  refuses "a mode that is none" 2 <<<$'[main]\nhostcert = /x {mode = rw}'
  refuses "a name in braces" 2 <<<$'[main]\nssldir = ${vardir}/braces'
  refuses "a value that contains itself" 2 <<<$'[main]\nssldir = $certdir'
  refuses "values that contain each other" 3 <<<$'[main]\nserver = a\nssldir = $certdir\ncertdir = $ssldir/certs'
  refuses "the agent's value contains itself" 3 <<<$'[main]\n[agent]\nvardir = $vardir/x'
  # Puppet says what is wrong, and not where.
  refuses "a variable that is none" 4 <<<$'[main]\nserver = a\nrundir = /x\nssldir = $nothing/ssl'
  sed -i '/nothing/d' "$CONF"
  enlist join
  check "a variable that is none: once it is gone, the node joins" equal "$CODE" 0
  uses "once it is gone"
}

options_of_the_service() {
  local file=/etc/default/puppet
  [[ -e $file ]] || { : >"$file"; at_end "rm -f $file"; }
  cp "$file" "$WORK/default"
  mount --bind "$WORK/default" "$file"
  printf '# of the service\nPUPPET_EXTRA_OPTS="--verbose --server other.example"\n' >"$file"
  fresh <<<""
  enlist join
  check "an option of the service: exit 74" equal "$CODE" 74
  check "an option of the service: file and line are named" contains "$WORK/said" "$file, line 2: "
  printf 'PUPPET_EXTRA_OPTS="--verbose --certname=%s"\n' "$NAME" >"$file"
  joins "options that change nothing" <<<""
  umount "$file"
}

asked_when_something_changed() {
  fresh <<<""
  enlist join
  check "Puppet is asked before and after the installation" equal "$(asked)" 2
  enlist status; enlist join; enlist status
  check "and not again while nothing changes" equal "$(asked)" 2
  printf '[agent]\nssldir = /var/lib/puppet/other\n' >>"$CONF"
  enlist status
  check "a change is asked about" equal "$(asked)" 3
  check "and found, with its line" contains "$WORK/said" "ssldir = /var/lib/puppet/other"
  enlist join
  check "join on a member whose agent goes elsewhere: exit 74" equal "$CODE" 74
  check "with the line" contains "$WORK/said" "puppet.conf, line "
  enlist join; enlist status
  check "what was said is kept" equal "$(asked)" 4
  printf 'server = a\nbroken\n' >>"$CONF"
  enlist status
  check "a line that Puppet can't read is found" contains "$WORK/said" "can't read \"broken\""
}

# What the account puppet may write is not run by root for a question.
nobody_elses_code() {
  fresh <<<""
  local file
  for file in lib/puppet/application/config.rb lib/puppet/face/config.rb lib/facter/x.rb facts/x.rb lib/json.rb; do
    mkdir -p "/var/cache/puppet/$(dirname "$file")"
    echo "File.write('$WORK/run-by-root', __FILE__)" >"/var/cache/puppet/$file"
  done
  mkdir -p /etc/puppet/code/environments/production/modules/m/lib/puppet/face
  echo "File.write('$WORK/run-by-root', __FILE__)" >/etc/puppet/code/environments/production/modules/m/lib/puppet/face/config.rb
  enlist join
  check "a join beside others' code" equal "$CODE" 0
  check "none of it was run" test ! -e "$WORK/run-by-root"
}

not_writable() {
  local before path
  for path in /etc/puppet /var/lib/puppet /var/cache/puppet; do
    fresh <<<$'[main]\nserver = a'
    before=$(calls)
    mount -o remount,ro "$path"
    enlist join
    mount -o remount,rw "$path"
    check "$path is read-only: exit 74" equal "$CODE" 74
    check "$path is read-only: it is named" contains "$WORK/said" "$path"
    check "$path is read-only: nothing was asked" equal "$(calls)" "$before"
  done
  fresh <<<$'[main]\nserver = a'
  cp "$CONF" "$WORK/mounted"; mount --bind "$WORK/mounted" "$CONF"
  before=$(calls)
  enlist join
  umount "$CONF"
  check "puppet.conf is a mount point: exit 74" equal "$CODE" 74
  check "puppet.conf is a mount point: nothing was asked" equal "$(calls)" "$before"
  immutable
}

immutable() {
  local before ROOT=$WORK/immutable
  mkdir -p "$ROOT/etc/puppetlabs/puppet"
  printf '[main]\n' >"$ROOT/etc/puppetlabs/puppet/puppet.conf"
  if ! chattr +i "$ROOT/etc/puppetlabs/puppet" 2>/dev/null; then
    echo "SKIPPED: immutable directories: this file system has none"
    return 0
  fi
  cp /etc/enlist/enlist.toml "$WORK/enlist.toml"
  before=$(calls)
  join "$ROOT"
  chattr -i "$ROOT/etc/puppetlabs/puppet"
  check "an immutable directory: exit 74" equal "$CODE" 74
  check "an immutable directory: the command is said" contains "$WORK/said" "chattr -ia $ROOT/etc/puppetlabs/puppet"
  check "an immutable directory: nothing was asked" equal "$(calls)" "$before"
  chattr +i "$ROOT/etc/puppetlabs/puppet/puppet.conf"
  join "$ROOT"
  chattr -i "$ROOT/etc/puppetlabs/puppet/puppet.conf"
  check "an immutable file: exit 74" equal "$CODE" 74
  check "an immutable file: nothing was asked" equal "$(calls)" "$before"
}

# Each in a root of its own, with one key.
scratch() {
  ROOT=$WORK/scratch; rm -rf "$ROOT"
  mkdir -p "$ROOT/etc/puppetlabs/puppet/ssl/private_keys"
  [[ -s $WORK/key.pem ]] || openssl genrsa -out "$WORK/key.pem" 2048 2>/dev/null
  cp "$WORK/key.pem" "$ROOT/etc/puppetlabs/puppet/ssl/private_keys/$NAME.pem"
  printf '[opsworks-cm]\nserver = "puppet-test"\n' >"$WORK/enlist.toml"
}

values_as_ruby_reads_them() {
  fresh <<<""
  local value judged wrong=()
  tr ' ' '\n' >"$WORK/values" <<<"web 42 0 -0 00123 +5 1_000 1,000 0x1F 0b101 0o17 017 089 1e3 1.5 1.50 1.0e3 .5 5. -.5 1.0 1e+3 1.5e+3 12345678901234567890123 yes no on off true false True TRUE y n ~ null NULL 2024-01-01 2024-1-1 2024-13-45 2024-01-01T10:00:00Z 1:30 12:34:56 1:2:3:4 190:20:30.15 10.0.0.1 1.2.3 v1.2 52:54:00:12:34:56 :foo foo:bar .inf -.inf .nan -5 1a 0xZZ 1__0 _1 1_ 1.2,3 1_0.5 yesterday nope ~x NaN 1.5. 0.0001 0.00001 0.10 00.5 1:60 01:30 0777 08 -0.0 00 -01 a#b x&y 1.2"
  judge psych <"$WORK/values" >"$WORK/judged"
  while read -r value judged; do
    scratch
    printf 'extension_requests:\n  pp_cost_center: %s\n' "$value" >"$ROOT/etc/puppetlabs/puppet/csr_attributes.yaml"
    join "$ROOT"
    case $judged:$CODE in same:0 | other:78) ;; *) wrong+=("$value is $judged to Ruby, exit $CODE") ;; esac
    [[ $judged != same ]] || openssl req -in "$ROOT/etc/puppetlabs/puppet/ssl/certificate_requests/$NAME.pem" \
      -noout -text | grep -qF -- "$value" || wrong+=("$value is not in the request")
  done < <(paste -d' ' "$WORK/values" "$WORK/judged")
  check "$(wc -l <"$WORK/values") values are taken as Ruby reads them, or refused" empty "${wrong[*]}"
}

# What Puppet refuses is refused; what is taken is what Puppet would ask for.
attributes_as_puppet_reads_them() {
  local text n=0 theirs ours
  for text in 'extension_requests: {pp_role: web}' '{}' '' '--- ~' 'false' '[]' 'a text' \
    'extension_request: {pp_role: web}' 'agent: {extension_requests: {pp_role: web}}' 'extension_requests: {pp_rolle: web}' \
    'extension_requests: {1.3.6.1..4: web}' 'extension_requests: {3.1.1: web}' 'extension_requests: {subjectAltName: web}' \
    'extension_requests: {2.5.29.17: web}' 'custom_attributes: {extReq: web}' 'custom_attributes: {1.2.840.113549.1.9.14: web}' \
    'custom_attributes: {challengePassword: open}' 'extension_requests: {pp_role: "00123", pp_project: "yes"}' \
    'extension_requests: {pp_role: a, pp_role: b}' 'extension_requests: &x {pp_role: a}' \
    $'extension_requests:\n  pp_role: &r web\n  pp_service: *r' $'extension_requests:\n  <<: {pp_role: web}\n  pp_service: x' \
    $'extension_requests:\n  pp_role: |\n    two\n    lines' $'extension_requests:\n\tpp_role: web' 'extension_requests: {pp_role: !!str 0777}' \
    'extension_requests: {pp_role: 2024-01-01}' 'custom_attributes: {password: x}' $'extension_requests: {pp_role: a}\n---\nextension_requests: {pp_role: b}' \
    $'\xef\xbb\xbfextension_requests: {pp_role: web}' 'extension_requests: {1.2: web}' 'extension_requests: {:pp_role: web}'; do
    n=$((n + 1))
    scratch
    printf '%s\n' "$text" >"$ROOT/etc/puppetlabs/puppet/csr_attributes.yaml"
    theirs=$(judge puppet-csr "$ROOT/etc/puppetlabs/puppet/csr_attributes.yaml" 2>/dev/null) || theirs=refused
    join "$ROOT"
    if [[ $theirs == refused ]]; then
      quietly "csr_attributes.yaml ${text@Q}: Puppet refuses it, exit 78" equal "$CODE" 78
    elif ((CODE == 0)) && [[ $text == custom_attributes* ]]; then
      # It may hold a secret.
      quietly "csr_attributes.yaml ${text@Q}: the request is not kept" \
        test ! -e "$ROOT/etc/puppetlabs/puppet/ssl/certificate_requests/$NAME.pem"
    elif ((CODE == 0)); then
      # As it was sent: one with a secret in it is not left on the disk.
      seen calls '[.[] | select(.action == "AssociateNode")][-1].request.EngineAttributes[] | select(.Name == "PUPPET_NODE_CSR").Value' \
        >"$WORK/request.pem"
      ours=$(judge request "$WORK/request.pem")
      quietly "csr_attributes.yaml ${text@Q}: asked for what Puppet asks for" \
        equal "$(jq -c --argjson ours "$ours" 'with_entries(select($ours[.key] != .value))' <<<"$theirs")" '{}'
    else
      quietly "csr_attributes.yaml ${text@Q}: refused with the line" contains "$WORK/said" "csr_attributes.yaml, line "
    fi
  done
  check "$n files are taken as Puppet takes them" test "$n" -gt 0
}

chef_loads_later_files() {
  local line n=0 loaded wanted
  for line in "chef_server_url 'https://other.example/organizations/x'" 'node_name("web")' 'node_name = "a variable"' \
    "# node_name 'web'" 'self.client_key = "/x"' 'node_name "#{"we" + "b"}"' "log_level :info; node_name 'web'" \
    "node_name '$NAME'" 'file_cache_path "/var/#{node_name}"' "node_name 'web' if true" $'=begin\nnode_name "web"\n=end' \
    $'__END__\nnode_name "web"' "node_name %q(web)" "log_location '/x'" "if true then node_name 'web' end" \
    "trusted_certs_dir '/x' # ours" $'__END__ \nnode_name "web"' $'x = <<A\nnode_name "web"\nA' $'x = <<A; node_name "web"\nA' \
    $'\xef\xbb\xbflog_level :info' $'# M\xfcller\nlog_level :info' $'x "M\xfcller"' $'# encoding: iso-8859-1\nx "M\xfcller"' \
    $'# encoding: none\nlog_level :info' $'node_name \\\n "web"' 'node_name(*["web"])' \
    'x = node_name "web"' 'true and node_name "web"' 'node_name << "x"' '__send__(:node_name, "web")' \
    "x 'it's'" $'=begin\nlog_level :info' $'if true\n' 'return if true' 'raise "x"' $'x %q(\nnode_name "web"\n)' "x = /a'b/" \
    'x ? 1 : 2' $'begin\n  raise "x"\nrescue => e\n  x e\nend' 'puts "#{x "}"}"' '[1].each { |a| x a / 2 }' 'x a: 1, if: 2' 'x [] << 1' \
    '[].class.name' 'class << self; def y(a = {}) a end; end' 'case 1 when 1 then x end' 'while false do x end' 'x ?a' 'x %w(a (b) c)'; do
    n=$((n + 1))
    rm -rf "$WORK/scratch"; ROOT=$WORK/scratch; mkdir -p "$ROOT/etc/chef"
    cp "$WORK/key.pem" "$ROOT/etc/chef/client.pem"
    printf '[opsworks-cm]\nserver = "chef-test"\n[chef]\n' >"$WORK/enlist.toml"
    join "$ROOT"
    wanted=$(judge chef-loads "$ROOT/etc/chef/client.rb" | jq -cS '{chef_server_url, node_name, client_key, trusted_certs_dir}')
    mkdir -p "$ROOT/etc/chef/client.d"; printf '%s\n' "$line" >"$ROOT/etc/chef/client.d/later.rb"
    loaded=$(judge chef-loads "$ROOT/etc/chef/client.rb" 2>/dev/null | jq -cS '{chef_server_url, node_name, client_key, trusted_certs_dir}') || loaded=refused
    join "$ROOT"
    if [[ $loaded == "$wanted" ]]; then
      quietly "client.d: ${line@Q} changes nothing" equal "$CODE" 0
    else
      quietly "client.d: ${line@Q} leads elsewhere" equal "$CODE" 74
      quietly "client.d: ${line@Q} is named" contains "$WORK/said" "/etc/chef/client.d/later.rb, line "
    fi
  done
  check "$n files in client.d are taken as Ruby loads them" test "$n" -gt 0
}

# Lines before ours: they stay, and Ruby reaches ours after them, or the join ends before any request.
chef_reads_our_lines() {
  local text n=0 loaded wanted before
  for text in $'\xef\xbb\xbf# by an editor\nlog_level :info' $'\xef\xbb\xbf\r\nlog_level :info\r' $'log_level :info\n__END__\nif (' \
    $'=begin\n__END__\n=end\nlog_level :info' $'=begin\nlog_level :info' $'=begin\n=end\n# encoding: none' $'if true' $'x <<A' $'x <<A\nif (\nA' \
    'return' 'return if true' 'return if false' 'raise "x"' 'raise "x" if false' 'throw :x' $'log_level :info\n\x1a' $'log_level :info\x04' $'# \x1a' \
    '# encoding: none' $'# x\n# encoding: none' $'#!/x\n# encoding: none' '# -*- coding: utf-8 -*-' '# encoding: us-ascii' \
    'false &&' 'x.' 'x 1,' "x 'it's'" "x \"#{y" 'node_name "web"' 'def node_name(*) "web" end' $'begin\n  require "x"\nrescue LoadError\nend' \
    $'if File.exist?("/x")\n  x 1\nelse\n  y 2\nend' $'Dir.glob("/etc/chef/none.d/*.rb").each do |c|\n  from_file(c)\nend' $'x(\n  1\n)' '}' 'end'; do
    n=$((n + 1))
    rm -rf "$WORK/scratch"; ROOT=$WORK/scratch; mkdir -p "$ROOT/etc/chef"
    cp "$WORK/key.pem" "$ROOT/etc/chef/client.pem"
    printf '[opsworks-cm]\nserver = "chef-test"\n[chef]\n' >"$WORK/enlist.toml"
    [[ -s $WORK/client.rb ]] || { join "$ROOT"; cp "$ROOT/etc/chef/client.rb" "$WORK/client.rb"; rm -rf "$ROOT/var" "$ROOT/etc/chef/client.rb"; }
    wanted=$(judge chef-loads "$WORK/client.rb" | jq -cS '{chef_server_url, node_name, client_key, trusted_certs_dir}')
    # Ruby, with our lines at the end of the program as a person would add them.
    if [[ $text == *__END__* ]]; then loaded=$wanted; else
      { printf '%s\n' "$text"; cat "$WORK/client.rb"; } >"$WORK/both.rb"
      loaded=$(judge chef-loads "$WORK/both.rb" 2>/dev/null | jq -cS '{chef_server_url, node_name, client_key, trusted_certs_dir}') || loaded=refused
    fi
    printf '%s\n' "$text" >"$ROOT/etc/chef/client.rb"
    before=$(calls)
    join "$ROOT"
    if [[ $loaded == "$wanted" ]] && ((CODE == 0)); then
      quietly "client.rb: ${text@Q} stays" equal \
        "$(judge chef-loads "$ROOT/etc/chef/client.rb" | jq -cS '{chef_server_url, node_name, client_key, trusted_certs_dir}')" "$wanted"
    elif [[ $loaded == "$wanted" ]]; then
      # What only Ruby can decide.
      quietly "client.rb: ${text@Q} is in doubt" contains <(printf '%s' "$text") return
    else
      quietly "client.rb: ${text@Q}: exit 74" equal "$CODE" 74
      quietly "client.rb: ${text@Q}: the line is named" contains "$WORK/said" "/etc/chef/client.rb, line "
      quietly "client.rb: ${text@Q}: nothing was asked" equal "$(calls)" "$before"
    fi
  done
  check "$n client.rb are read as Ruby reads them, or refused" test "$n" -gt 0
}

chef_trusts_a_chain() {
  scratch
  join "$ROOT"
  check "a join for a certificate of that CA" equal "$CODE" 0
  local ssl=$ROOT/etc/puppetlabs/puppet/ssl
  cp "$ssl/certs/ca.pem" "$WORK/chain.pem"; cp "$ssl/certs/$NAME.pem" "$WORK/leaf.pem"
  check "the CA is a chain of two" equal "$(grep -c BEGIN "$WORK/chain.pem")" 2
  rm -rf "$ROOT"; mkdir -p "$ROOT/etc/chef"; cp "$WORK/chain.pem" "$ROOT/etc/chain.pem"
  cp "$WORK/key.pem" "$ROOT/etc/chef/client.pem"
  printf '[opsworks-cm]\nserver = "chef-test"\nca_file = "/etc/chain.pem"\n[chef]\n' >"$WORK/enlist.toml"
  join "$ROOT"
  check "Chef with a CA of two certificates: joins" equal "$CODE" 0
  check "what Chef reads of trusted_certs verifies a certificate of that CA" \
    judge trusted-certs "$ROOT/etc/chef/trusted_certs" "$WORK/leaf.pem"
}

main
