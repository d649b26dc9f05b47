# shellcheck shell=bash
# Sourced by puppet.sh: an agent that ignores agent_disabled.lock, as up to 7.16. Its unit is held until the node
# has joined. The agent's version and systemctl are stand-ins: this machine may have no systemd.

an_old_agent() {
  stop_emulator
  local name version=/usr/lib/ruby/vendor_ruby/puppet/version.rb
  for name in $(compgen -e AWS_ || true); do unset "$name"; done
  export AWS_EC2_METADATA_DISABLED=true
  fresh /etc/enlist /var/lib/enlist /etc/puppet /var/lib/puppet /var/cache/puppet /run/systemd
  cp "$WORK/packaged.conf" /etc/puppet/puppet.conf
  mkdir -p /run/systemd/system
  sed "s/PUPPETVERSION = .*/PUPPETVERSION = '7.16.0'/" "$version" >"$WORK/version.rb"
  mount --bind "$WORK/version.rb" "$version"
  systemd_stand_in
  # It was a policy. A list has no execute bit.
  rm -f "$SERVER/autosign.conf"
  : >"$SERVER/autosign.conf"
  cat >/etc/enlist/enlist.toml <<TOML
[node]
name = "old.example.com"
budget = "3s"
[puppet-server]
server = "localhost"
port = $PORT
ca_file = "/etc/enlist/ca.pem"
[puppet]
key_bits = 2048
TOML
  install -m 644 "$SERVER/ca/ca_crt.pem" /etc/enlist/ca.pem
  here join
  check "an old agent: nobody has signed: 75" equal "$CODE" 75
  check "an old agent: its unit is stopped and masked, then unmasked and started" equal "$(asked_of_systemd)" \
    "mask --runtime --now puppet.service; unmask --runtime puppet.service; start --no-block puppet.service"
  check "an old agent: no note stays" test ! -e /var/lib/enlist/puppet-server/held-unit.json
  killed_while_it_waits
  check "an old agent: a person signs" "$HERE/puppet-server" sign "$SERVER" old.example.com
  : >"$WORK/systemctl.log"
  here join
  check "an old agent: the next join ends" equal "$CODE" 0
  check "an old agent: and lets it run as before the first" equal "$(asked_of_systemd)" \
    "unmask --runtime puppet.service; start --no-block puppet.service"
  : >"$WORK/systemctl.log"
  rm /var/lib/puppet/ssl/crl.pem
  here repair
  check "an old agent: a repair" equal "$CODE" 0
  check "an old agent: does not stop it" empty "$(asked_of_systemd)"
  umount "$version"
  here leave
  check "an old agent: it leaves" equal "$CODE" 0
  echo 'new.example.com' >"$SERVER/autosign.conf"
  here join --set node.name=new.example.com
  check "a newer agent: join" equal "$CODE" 0
  check "a newer agent: its unit is not stopped" empty "$(asked_of_systemd)"
  unset AWS_EC2_METADATA_DISABLED
}

# The mask stays, and the next start knows that the unit ran before.
killed_while_it_waits() {
  : >"$WORK/systemctl.log"
  "$ENLIST" join --set node.budget=60s >"$WORK/said" 2>&1 </dev/null &
  local pid=$!
  for _ in $(seq 100); do
    grep -q "has not signed" "$WORK/said" && break
    sleep 0.1
  done
  kill -KILL "$pid" || true
  wait "$pid" 2>/dev/null || true
  check "an old agent: after a SIGKILL it is still masked" equal "$(asked_of_systemd)" \
    "mask --runtime --now puppet.service"
  check "an old agent: a note says that it ran" \
    contains /var/lib/enlist/puppet-server/held-unit.json '"was_active":true'
}

here() { # COMMAND...: on this machine, as a user does it
  CODE=0
  "$ENLIST" "$@" >"$WORK/said" 2>&1 </dev/null || CODE=$?
}

# It has puppet.service, which runs until it is stopped, and is no more loaded while it is masked.
systemd_stand_in() {
  cat >"$WORK/systemctl" <<SH
#!/bin/sh
state=$WORK/systemctl.state log=$WORK/systemctl.log
[ "\$1" = list-jobs ] && exit 0
if [ "\$1" = show ]; then
  load=loaded active=active
  [ ! -e "\$state.masked" ] || load=masked
  [ ! -e "\$state.stopped" ] || active=inactive
  printf 'LoadState=%s\nActiveState=%s\nJob=0\n' "\$load" "\$active"
  exit 0
fi
echo "\$*" >>"\$log"
case \$1 in
  mask) touch "\$state.masked" "\$state.stopped"; ln -sf /dev/null /run/systemd/system/puppet.service ;;
  unmask) rm -f "\$state.masked" /run/systemd/system/puppet.service ;;
  start) rm -f "\$state.stopped" ;;
esac
SH
  chmod 755 "$WORK/systemctl"
  : >"$WORK/systemctl.log"
  mount --bind "$WORK/systemctl" "$(readlink -f "$(command -v systemctl)")"
}

asked_of_systemd() { paste -sd';' "$WORK/systemctl.log" | sed 's/;/; /g'; }
