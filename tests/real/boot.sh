#!/usr/bin/env bash
# A Debian system that really boots, with the package in it and a real Puppet: install, reboot,
# SIGKILL in the middle, reload, upgrade, leave, remove, purge; and `puppet agent` has nothing left
# to do but its work.
#
#   boot.sh [PACKAGE.deb]   by default one that is built
#
# The system is a container with a systemd of its own (systemd-nspawn) that shares this machine's
# network; so the emulator and Puppet Server run beside it.
source "$(dirname "$0")/lib.sh"
((EUID == 0)) || skip "booting a system needs root"
need openssl curl jq puppetserver java=default-jre-headless systemd-nspawn=systemd-container debootstrap
HERE=$(cd "$(dirname "$0")" && pwd)
# Made once: half a minute of debootstrap.
IMAGE=${BOOT_IMAGE:-$REPO/target/boot-image}
PORT=$((20000 + RANDOM % 10000))
NODE=i-0b00ted000000001
SSL=/var/lib/puppet/ssl
INIT='' CONTAINER=''

# Not a failure even in CI: no program that could be installed would help.
forbidden() {
  echo "SKIPPED: $(basename "$0"): THE KERNEL FORBIDS IT: $*" >&3
  trap - EXIT; clean_up
  exit 0
}

main() {
  begin
  local package=${1:-}
  if [[ -z $package ]]; then
    # Nothing is compiled where it was built before, as by packages.sh.
    check "packaging/build" "$REPO/packaging/build" --no-rpm --out "$WORK/package"
    package=$(find "$WORK/package" -name '*.deb')
  fi
  make_image
  serve_puppet
  authority=(--throttle off --endpoint "localhost:$PORT" --instance-id "$NODE"
    --ca-cert "$WORK/server/ca/ca_crt.pem" --ca-key "$WORK/server/ca/ca_key.pem")
  emulator "${authority[@]}" --association-time 1
  a_machine "$package"
  installed_and_idle
  joined_at_boot
  puppet_works
  never_twice
  for unit in enlist enlist-join; do confined "$unit"; done
  reloaded_and_stopped
  killed_in_the_middle
  an_old_agent
  upgraded "$package"
  left_and_refused
  renewed_and_repaired
  elsewhere
  other_engines
  switched_off
  removed
  finish
}

make_image() {
  # Minbase Debian, systemd, and the agent, whose service is what ours is ordered before.
  if [[ ! -e $IMAGE/made ]]; then
    rm -rf "$IMAGE"; mkdir -p "$(dirname "$IMAGE")"
    # From where this machine has its own packages.
    local mirror
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -m 1 debian.org || true)
    debootstrap --variant=minbase --include=systemd-sysv,dbus,ca-certificates,puppet-agent,procps bookworm \
      "$IMAGE" "${mirror:-http://deb.debian.org/debian}" >"$WORK/debootstrap.log" 2>&1 ||
      { tail "$WORK/debootstrap.log"; skip "debootstrap failed"; }
    mkdir -p "$IMAGE/var/log/journal"
    rm -f "$IMAGE"/var/cache/apt/archives/*.deb
    touch "$IMAGE/made"
  fi
}

serve_puppet() {
  at_end '"$HERE/puppet-server" stop "$WORK/server"'
  local manifests=$WORK/server/code/environments/production/manifests
  mkdir -p "$manifests"
  cat >"$manifests/site.pp" <<'PP'
file { '/root/applied': content => "${trusted['certname']} ${trusted['extensions']['pp_role']} ${trusted['extensions']['pp_instance_id']}\n" }
PP
  "$HERE/puppet-server" start "$WORK/server" "$PORT"
}

# A throw-away copy of the image, booted.
a_machine() { # PACKAGE
  ROOT=$WORK/root
  mkdir -p "$WORK"/{upper,overlay,root}
  mount -t overlay overlay -o "lowerdir=$IMAGE,upperdir=$WORK/upper,workdir=$WORK/overlay" "$ROOT" ||
    forbidden "no overlay file system may be mounted here"
  at_end 'umount -R "$ROOT"'
  at_end 'unplug'
  : >"$ROOT/etc/machine-id"
  echo booted >"$ROOT/etc/hostname"
  printf '127.0.0.1 localhost booted\n' >"$ROOT/etc/hosts"
  cp "$1" "$ROOT/root/enlist.deb"
  power_on
}

power_on() {
  systemd-nspawn --quiet --register=no --keep-unit --boot --directory="$ROOT" --console=pipe \
    --machine="enlist$$" --resolv-conf=off --timezone=off >>"$WORK/console" 2>&1 </dev/null &
  CONTAINER=$!
  for _ in $(seq 600); do
    kill -0 "$CONTAINER" 2>/dev/null || { tail "$WORK/console"; forbidden "a container may not boot here"; }
    INIT=$(pgrep -P "$CONTAINER" | head -n 1) || true
    case $([[ -z $INIT ]] || box systemctl is-system-running 2>/dev/null || true) in
      running | degraded) return ;;
    esac
    sleep 0.1
  done
  tail "$WORK/console"
  echo "the system did not come up within a minute"
  exit 1
}

box() { nsenter -t "$INIT" -m -u -i -n -p -C -- "$@"; }
power_off() { kill -s RTMIN+4 "$INIT"; wait "$CONTAINER" || true; CONTAINER=''; } # signal(7) of systemd(1): poweroff.target
restart() { kill -s RTMIN+5 "$INIT"; wait "$CONTAINER" || true; power_on; }       # reboot.target
unplug() { [[ -z $CONTAINER ]] || { kill -KILL "$INIT"; wait "$CONTAINER"; } 2>/dev/null; }

# within SECONDS COMMAND...
within() {
  local n=$(($1 * 10)); shift
  until "$@" >/dev/null 2>&1; do ((n-- > 0)) || { "$@"; return; }; sleep 0.1; done
}
property() { box systemctl show --value -p "$1" "${2:-enlist.service}"; }
is_active() { [[ $(property ActiveState) == active ]]; }
phase() { jq -r .phase "$ROOT/var/lib/enlist/opsworks-cm/record.json"; }
is_in() { [[ $(phase 2>/dev/null) == "$1" ]]; }

installed_and_idle() {
  check "dpkg installs the package" box dpkg -i /root/enlist.deb
  check "the service is enabled" equal "$(box systemctl is-enabled enlist.service)" enabled
  check "without settings it has not failed" negate equal "$(property ActiveState)" failed
  check "and nobody was asked for anything" equal "$(seen calls length)" 0
  check "the unit is in order" box systemd-analyze verify --man=no enlist.service enlist-join.service
  check "puppet is started after it" contains <(property After puppet.service) enlist.service
}

settings() { # EXTRA
  cat >"$ROOT/etc/enlist/enlist.toml" <<TOML
[opsworks-cm]
server = "puppet-test"
[puppet]
key_bits = 2048
extension_requests = { pp_role = "web" }
$1
TOML
}

joined_at_boot() {
  grep '^export ' "$WORK/environment" | sed 's/^export //' >"$ROOT/etc/default/enlist"
  chmod 600 "$ROOT/etc/default/enlist"
  settings ""
  restart
  check "after a reboot the service is active" within 60 is_active
  check "the node has joined" equal "$(phase)" joined
  check "once" equal "$(associations "$NODE") $(associate_calls "$NODE")" "1 1"
  check "systemctl status says so" contains <(property StatusText) "joined server puppet-test"
  check "the journal finds it by its MESSAGE_ID" contains \
    <(box journalctl --no-pager -b MESSAGE_ID="$(message_id JOINED)") "joined server puppet-test as $NODE"
  check "the key is Puppet's and nobody else's" mode "$ROOT$SSL/private_keys/$NODE.pem" 640
  local booted started joined
  booted=$(box systemctl show --value -p UserspaceTimestampMonotonic)
  started=$(property ExecMainStartTimestampMonotonic)
  joined=$(property ActiveEnterTimestampMonotonic)
  echo "    joined $(((joined - booted) / 1000)) ms after systemd began, $(((joined - started) / 1000)) ms after the service did; 1000 ms of it are the authority's"
}

message_id() { sed -n "s/.*const $1: &str = \"\(.*\)\";/\1/p" "$REPO/src/driver/milestones.rs"; }

agent() { # the exit code in $CODE
  CODE=0
  box puppet agent --test --onetime --color=false >"$WORK/agent" 2>&1 </dev/null || CODE=$?
}

puppet_works() {
  agent
  check "puppet agent applies its catalog, with no step between" equal "$CODE" 2
  check "the catalog reads our trusted facts" contains "$ROOT/root/applied" "$NODE web $NODE"
}

never_twice() {
  local key; key=$(key_on_disk "$ROOT$SSL/private_keys/$NODE.pem")
  restart
  check "after another reboot it is active" within 60 is_active
  check "nobody was asked again" equal "$(associate_calls "$NODE")" 1
  check "the key is the same" equal "$(key_on_disk "$ROOT$SSL/private_keys/$NODE.pem")" "$key"
  kill -KILL "$INIT"; wait "$CONTAINER" 2>/dev/null || true
  power_on
  check "after a power cut it is active" within 60 is_active
  check "and nobody was asked again" equal "$(associate_calls "$NODE")" 1
}

# as_the_unit UNIT COMMAND: in its sandbox, after its first step, with its environment.
as_the_unit() {
  sed -e "s|^ExecStart=.*|ExecStart=$2|" -e 's/^Type=.*/Type=oneshot/' \
    -e '/^\(ExecReload\|RemainAfterExit\|NotifyAccess\|WatchdogSec\|Restart\)/d' \
    "$ROOT/usr/lib/systemd/system/$1.service" >"$ROOT/etc/systemd/system/like-$1.service"
  box systemctl daemon-reload
  box systemctl start "like-$1.service"
}

# What decides who may log in, what runs as root, and what is installed; and all that is not named.
FORBIDDEN=(/etc/{passwd,shadow,group,gshadow,sudoers,sudoers.d/x,crontab,cron.d/x,cron.daily/x,cron.hourly/x}
  /etc/{apt/apt.conf.d/x,apt/sources.list,apt/trusted.gpg.d/x,bash_completion.d/x,bash.bashrc,profile,profile.d/x,environment}
  /etc/{ld.so.preload,ld.so.conf.d/x,pam.d/x,security/x,ssh/x,init.d/x,rc.local,udev/rules.d/x,modprobe.d/x,tmpfiles.d/x,logrotate.d/x}
  /etc/{systemd/system/x.service,dbus-1/system.d/x,default/enlist,enlist/enlist.toml,enlist/config.d/x.toml,hosts,fstab,x}
  /etc/{puppetlabs/x,aws/x} /opt/x /opt/puppetlabs/bin/x /opt/puppetlabs/puppet/x /var/lib/amazon/x
  /var/lib/{apt/x,dpkg/status,dpkg/info/x.postinst,systemd/x,x} /var/{x,cache/x,cache/apt/x,log/x,spool/cron/x,spool/cron/crontabs/root}
  /usr/{bin/x,sbin/x,lib/x,lib/systemd/system/x.service,local/bin/x} /{x,boot/x,srv/x,run/x,run/systemd/system/x.service}
  /root/{x,.ssh/authorized_keys,.bashrc} /home/u/.bashrc
  # A link in a place that may be written leads to one that may not.
  /etc/puppet/to-passwd /var/lib/puppet/to-cron/x /proc/sys/kernel/core_pattern)
ALLOWED=(/var/lib/enlist/x /run/enlist/x /etc/puppet/x /var/lib/puppet/x /var/lib/puppet/ssl/x /var/cache/puppet/state/x /tmp/x)

confined() { # UNIT
  local path tried=$ROOT/var/lib/enlist/tried before after
  box mkdir -p /etc/cron.d
  box ln -sfn /etc/passwd /etc/puppet/to-passwd
  box ln -sfn /etc/cron.d /var/lib/puppet/to-cron
  # What can't be written is not to be so for want of a directory.
  for path in "${FORBIDDEN[@]}"; do box mkdir -p "$(dirname "$path")"; done
  cat >"$ROOT/usr/local/sbin/try-to-write" <<'SH'
#!/bin/sh
say() { echo "$*" >>/var/lib/enlist/tried; }
rm -f /var/lib/enlist/tried
while read -r path; do
  if (: >>"$path") 2>/dev/null; then say "wrote $path"; else say "kept $path"; fi
done </usr/local/sbin/paths
mount -o remount,rw / 2>/dev/null && say "mounted"
cp /bin/true /var/lib/enlist/true && chmod 4755 /var/lib/enlist/true 2>/dev/null && say "set-user-ID"
mknod /var/lib/enlist/disk b 8 0 2>/dev/null && say "device"
say "done"
SH
  chmod 755 "$ROOT/usr/local/sbin/try-to-write"
  printf '%s\n' "${FORBIDDEN[@]}" "${ALLOWED[@]}" >"$ROOT/usr/local/sbin/paths"
  before=$(box sh -c 'cat /etc/passwd /etc/shadow /var/lib/dpkg/status | sha256sum')
  check "$1: a copy of the unit tries to write" as_the_unit "$1" /usr/local/sbin/try-to-write
  check "$1: to its end" contains "$tried" done
  for path in "${FORBIDDEN[@]}"; do quietly "$1: $path is kept" grep -qxF "kept $path" "$tried"; done
  for path in "${ALLOWED[@]}"; do quietly "$1: $path can be written" grep -qxF "wrote $path" "$tried"; done
  check "$1: ${#FORBIDDEN[@]} places can't be written, ${#ALLOWED[@]} can" \
    equal "$(grep -c ^kept "$tried") $(grep -c ^wrote "$tried")" "${#FORBIDDEN[@]} ${#ALLOWED[@]}"
  check "$1: no mount, no set-user-ID, no device" \
    negate grep -E 'mounted|set-user-ID|device' "$tried"
  after=$(box sh -c 'cat /etc/passwd /etc/shadow /var/lib/dpkg/status | sha256sum')
  check "$1: accounts and packages are as they were" equal "$after" "$before"
  (cd "$ROOT" && rm -f "${ALLOWED[@]#/}" etc/puppet/to-passwd var/lib/puppet/to-cron \
    var/lib/enlist/{tried,true} etc/systemd/system/like-*.service)
  # They would be taken for an engine's.
  rm -r "$ROOT"/etc/{puppetlabs,aws} "$ROOT/opt/puppetlabs" "$ROOT/var/lib/amazon"
}

reloaded_and_stopped() {
  settings $'[metrics]\ntextfile = "/var/lib/enlist/enlist.prom"'
  check "systemctl reload" box systemctl reload enlist.service
  check "the new settings are in force" within 20 contains "$ROOT/var/lib/enlist/enlist.prom" 'enlist_joined{target="opsworks-cm"} 1'
  local pid; pid=$(property MainPID)
  local peak; peak=$(box grep VmHWM "/proc/$pid/status" | tr -dc 0-9)
  check "peak memory of the daemon: $peak KiB, at most 12 MB" test "$peak" -le 12000
  check "it may not leave a core dump" contains <(box grep 'Max core file size' "/proc/$pid/limits") "0                    0"
  check "systemctl stop" box systemctl stop enlist.service
  check "it ended well" equal "$(property Result)" success
  check "and is still a member" equal "$(associations "$NODE")" 1
}

killed_in_the_middle() {
  check "leave" box sh -c 'set -a; . /etc/default/enlist; enlist leave'
  check "the authority does not have it" equal "$(associations "$NODE")" 0
  emulator_again --association-time 8
  # A minute by the unit; the test need not wait for it.
  mkdir -p "$ROOT/run/systemd/system"
  box sh -c 'mkdir -p /run/systemd/system/enlist.service.d; printf "[Service]\nRestartSec=1s\n" >/run/systemd/system/enlist.service.d/test.conf; systemctl daemon-reload'
  box systemctl start --no-block enlist.service
  check "it waits for the authority" within 60 is_in watching
  check "and is not active yet" equal "$(property ActiveState)" activating
  local key; key=$(key_on_disk "$ROOT/var/lib/enlist/opsworks-cm/key.pem")
  box systemctl kill -s KILL --kill-who=main enlist.service
  check "killed in the middle, systemd starts it again, and it finishes" within 60 is_active
  check "it was restarted" test "$(property NRestarts)" -ge 1
  check "one association" equal "$(associations "$NODE") $(associate_calls "$NODE")" "1 1"
  check "with the key that was made before" equal "$(key_on_disk "$ROOT$SSL/private_keys/$NODE.pem")" "$key"
}

# An agent up to 7.16 ignores agent_disabled.lock. So its unit does not run before the node has joined, whatever
# happens meanwhile. This one's unit only notes whether the certificate was there when it started.
an_old_agent() {
  local version=$ROOT/usr/lib/ruby/vendor_ruby/puppet/version.rb
  local unit=$ROOT/usr/lib/systemd/system/puppet.service
  cp "$version" "$WORK/version.rb"; cp "$unit" "$WORK/puppet.service"
  sed -i "s/PUPPETVERSION = .*/PUPPETVERSION = '7.16.0'/" "$version"
  sed -i "s|^ExecStart=.*|ExecStart=/bin/sh -c 'test -e $SSL/certs/$NODE.pem \&\& echo with >>/root/starts \|\| echo without >>/root/starts; exec sleep infinity'|" "$unit"
  box systemctl daemon-reload
  box systemctl enable --quiet puppet.service
  box systemctl restart puppet.service
  joins_slowly
  check "an old agent: it is stopped" within 10 equal_property inactive ActiveState puppet.service
  check "an old agent: and masked" equal "$(property LoadState puppet.service)" masked
  check "an old agent: nobody can start it" negate box systemctl start puppet.service
  box systemctl kill -s KILL --kill-who=main enlist.service
  check "an old agent: after a SIGKILL it is masked" equal "$(property LoadState puppet.service)" masked
  joined_with_agent "an old agent: after a SIGKILL"

  joins_slowly
  kill -KILL "$INIT"; wait "$CONTAINER" 2>/dev/null || true
  power_on
  joined_with_agent "an old agent: after a power cut"

  # Nobody goes on with the join. A later start of another command takes it back.
  joins_slowly
  box systemctl kill -s KILL --kill-who=all enlist.service
  box systemctl stop enlist.service
  check "an old agent: masked, and nobody at work" equal "$(property LoadState puppet.service)" masked
  check "an old agent: enlist leave" box sh -c 'set -a; . /etc/default/enlist; enlist leave'
  check "an old agent: it runs as before" equal "$(property LoadState puppet.service) $(property ActiveState puppet.service)" "loaded active"
  box systemctl disable --quiet --now puppet.service
  cp "$WORK/version.rb" "$version"; cp "$WORK/puppet.service" "$unit"
  box systemctl daemon-reload
  emulator_again
  check "with the agent of today it joins" box systemctl start enlist.service
}
equal_property() { equal "$(property "$2" "$3")" "$1"; }

# The authority takes its time, and enlist waits for it.
joins_slowly() {
  box sh -c 'systemctl stop enlist; set -a; . /etc/default/enlist; enlist leave' >/dev/null
  emulator_again --association-time 6
  rm -f "$ROOT/root/starts"
  box systemctl start --no-block enlist.service
  within 60 is_in watching
}

joined_with_agent() { # WHAT
  check "$1: the node joins" within 60 is_active
  check "$1: it runs again" within 10 is_active_puppet
  check "$1: its unit is not masked" equal "$(property LoadState puppet.service)" loaded
  check "$1: no note stays" test ! -e "$ROOT/var/lib/enlist/opsworks-cm/held-unit.json"
  check "$1: it did not run without a certificate" equal "$(sort -u "$ROOT/root/starts")" with
}
is_active_puppet() { [[ $(property ActiveState puppet.service) == active ]]; }

emulator_again() { # with what it knew before gone, as after a leave
  emulator "${authority[@]}" "$@"
  grep '^export ' "$WORK/environment" | sed 's/^export //' >"$ROOT/etc/default/enlist"
}

upgraded() { # PACKAGE
  local pid; pid=$(property MainPID)
  dpkg-deb -R "$1" "$WORK/newer"
  sed -i 's/^Version: .*/Version: 99.0-1/' "$WORK/newer/DEBIAN/control"
  dpkg-deb --root-owner-group -b "$WORK/newer" "$ROOT/root/newer.deb" >/dev/null
  check "an upgrade" box dpkg -i /root/newer.deb
  check "is a restart" within 30 is_active
  check "of the process" negate equal "$(property MainPID)" "$pid"
  check "and no second association" equal "$(associate_calls "$NODE")" 1
  check "the settings are as they were" contains "$ROOT/etc/enlist/enlist.toml" 'server = "puppet-test"'
}

left_and_refused() {
  # Another leaf with the node's identity, as it might have been copied before.
  cp -r "$ROOT$SSL" "$WORK/stolen"
  check "systemctl stop, enlist leave" box sh -c 'systemctl stop enlist; set -a; . /etc/default/enlist; enlist leave'
  check "the node's certificate is gone" test ! -e "$ROOT$SSL/certs/$NODE.pem"
  check "the admin revokes it" \
    "$HERE/puppet-server" revoke "$WORK/server" "$NODE" "$WORK/stolen/certs/$NODE.pem"
  rm -rf "$ROOT$SSL"; cp -r "$WORK/stolen" "$ROOT$SSL"
  printf '[main]\nserver = localhost\nserverport = %s\ncertname = %s\n' "$PORT" "$NODE" >"$ROOT/etc/puppet/puppet.conf"
  rm -f "$ROOT$SSL/crl.pem"
  agent
  check "what was copied before is refused" negate test "$CODE" = 0 -o "$CODE" = 2
  check "for being revoked" grep -qi revoked "$WORK/agent"
  rm -rf "$ROOT$SSL"
}

# In the sandbox: what is granted, what is put back, and a whole directory that is gone.
renewed_and_repaired() {
  settings $'[run]\nrepair = true\ninspect = "1s"'
  emulator_again --certificate-lifetime 30
  box systemctl start enlist.service
  check "joined for 30 s" is_active
  local certificate=$ROOT$SSL/certs/$NODE.pem serial
  serial=$(openssl x509 -in "$certificate" -noout -serial)
  check "the unit renews the certificate" within 60 negate contains <(openssl x509 -in "$certificate" -noout -serial) "$serial"
  emulator_again
  box sh -c 'systemctl stop enlist; set -a; . /etc/default/enlist; enlist leave' >/dev/null
  box systemctl start enlist.service
  rm "$certificate" "$ROOT$SSL/certs/ca.pem"
  check "the unit puts back what is missing" within 30 test -e "$certificate" -a -e "$ROOT$SSL/certs/ca.pem"
  # Repairs have a pause between them.
  box systemctl restart enlist.service
  rm -rf "$ROOT$SSL"
  check "and joins anew where the whole ssldir is" within 60 test -e "$certificate"
  check "that it did" within 30 equal_associations 1
  check "systemctl stop, enlist leave" box sh -c 'systemctl stop enlist; set -a; . /etc/default/enlist; enlist leave'
}
equal_associations() { equal "$(associations "$NODE")" "$1"; }

# An ssldir that the unit may not write: what is said, and that it helps.
elsewhere() {
  settings 'ssldir = "/srv/puppet/ssl"'
  emulator_again
  box systemctl restart --no-block enlist.service
  said() { box journalctl --no-pager -b -u enlist.service | grep -F "ReadWritePaths=/srv/puppet/ssl"; }
  check "a place of one's own is refused with the drop-in that helps" within 60 said
  check "for this unit" contains <(said) "systemctl edit enlist.service"
  mkdir -p "$ROOT/etc/systemd/system/enlist.service.d"
  printf '[Service]\nReadWritePaths=/srv/puppet/ssl\n' >"$ROOT/etc/systemd/system/enlist.service.d/override.conf"
  box systemctl daemon-reload
  box systemctl restart enlist.service
  check "with it, the node joins" test -e "$ROOT/srv/puppet/ssl/certs/$NODE.pem"
  check "systemctl stop, enlist leave" box sh -c 'systemctl stop enlist; set -a; . /etc/default/enlist; enlist leave'
  rm -r "$ROOT/etc/systemd/system/enlist.service.d"
  box systemctl daemon-reload
}

# Engines that were never installed here: their directories are made. And the agent registers.
other_engines() {
  emulator_again --server name=chef-test,engine=Chef
  install -D "$(dirname "$EMULATOR")/fake-ssm-agent" "$ROOT/usr/local/lib/fake-ssm-agent"
  printf '#!/bin/sh\nFAKE_SSM_AGENT_ROOT=/ FAKE_SSM_AGENT_ENDPOINT=%q exec /usr/local/lib/fake-ssm-agent "$@"\n' \
    "$AWS_ENDPOINT_URL" >"$ROOT/usr/bin/amazon-ssm-agent"
  chmod 755 "$ROOT/usr/bin/amazon-ssm-agent"
  cat >"$ROOT/etc/enlist/enlist.toml" <<TOML
[opsworks-cm]
server = "chef-test"
engine = "chef"
[chef]
key_bits = 2048
[opsworks]
stack_id = "2f18b4cb-4de5-4429-a149-ff7da9f0d8ee"
[ssm]
iam_role = "service-role/SSM"
on_ec2 = true
[run]
repair = true
inspect = "1s"
[metrics]
textfile = "/run/enlist/enlist.prom"
socket = "/run/enlist/metrics.sock"
TOML
  local files=("$ROOT"/etc/chef/client.{pem,rb} "$ROOT"/etc/aws/opsworks/instance-{key.pem,agent.yml}
    "$ROOT/var/lib/amazon/ssm/Vault/Store/RegistrationKey") file
  for file in "${files[@]}"; do check "not there: ${file#"$ROOT"}" test ! -e "$file"; done
  check "Chef, OpsWorks and Systems Manager: joined" box systemctl start enlist.service
  for file in "${files[@]}"; do check "there: ${file#"$ROOT"}" test -e "$file"; done
  check "no directory of Puppet's vendor is made" test ! -e "$ROOT/opt/puppetlabs/puppet/cache"
  check "metrics on the socket" contains \
    <(curl -sS --unix-socket "/proc/$INIT/root/run/enlist/metrics.sock" http://localhost/metrics) 'enlist_joined{target="ssm"} 1'
  check "and in a file for node_exporter" box grep -q 'enlist_joined{target="opsworks"} 1' /run/enlist/enlist.prom
  rm "$ROOT/etc/chef/client.rb" "$ROOT/etc/aws/opsworks/instance-agent.yml"
  check "Chef's settings are put back" within 30 test -e "$ROOT/etc/chef/client.rb"
  check "so is the agent's file" within 30 test -e "$ROOT/etc/aws/opsworks/instance-agent.yml"
  box systemctl stop enlist.service
  check "enlist leave, in the unit's sandbox" as_the_unit enlist '/usr/bin/enlist leave'
  check "the authorities do not have it" equal \
    "$(seen state '[(.associations | length), ([.instances[]? | select(.status != "terminated" and .status != "deregistered")] | length), (.managed_instances | length)] | join(" ")')" "0 0 0"
  check "and the key is gone" test ! -e "$ROOT/etc/chef/client.pem"
  rm -f "$ROOT"/etc/systemd/system/like-*.service "$ROOT/usr/bin/amazon-ssm-agent"
  settings ""
}

switched_off() {
  settings $'[run]\nleave_on = "shutdown"'
  emulator_again
  box systemctl start enlist.service
  check "joined anew" equal "$(associations "$NODE")" 1
  restart
  check "a reboot is no reason to leave" equal "$(associations "$NODE")" 1
  check "the service is active" within 60 is_active
  power_off
  check "a power-off is, where the settings say so" equal "$(associations "$NODE")" 0
  settings ""
  power_on
  check "switched on again, it joins anew" within 60 is_active
  check "once" equal "$(associations "$NODE")" 1
}

removed() {
  check "dpkg --remove" box dpkg --remove enlist
  check "stops the service" negate equal "$(property ActiveState)" active
  check "keeps the records" test -e "$ROOT/var/lib/enlist/opsworks-cm/record.json"
  check "and the settings" test -e "$ROOT/etc/enlist/enlist.toml"
  check "dpkg --purge asks for nothing" box sh -c 'dpkg --purge enlist </dev/null'
  check "takes what is ours" test ! -e "$ROOT/var/lib/enlist" -a ! -e "$ROOT/etc/enlist"
  check "and nothing of Puppet's" test -e "$ROOT$SSL/certs/$NODE.pem" -a -e "$ROOT$SSL/private_keys/$NODE.pem"
}

main "$@"
