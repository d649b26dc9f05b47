#!/bin/sh
# Joins a Puppet Server directly.
set -eu
PACKAGE=https://packages.example.com/enlist_amd64.deb # set this; an .rpm works too
SHA256=0000000000000000000000000000000000000000000000000000000000000000
mkdir -p /etc/enlist
cat >/etc/enlist/enlist.toml <<'END'
[puppet-server]
server = "puppet.example.com"
ca_fingerprint = "0000000000000000000000000000000000000000000000000000000000000000"
[puppet]
extension_requests = { pp_role = "web" }
END
file=/run/${PACKAGE##*/}
curl -fsSL --retry 5 --retry-all-errors --connect-timeout 10 --max-time 60 -o "$file" "$PACKAGE"
echo "$SHA256  $file" | sha256sum -c
case $file in *.rpm) timeout 10m dnf install -y "$file" ;; *) apt-get -o DPkg::Lock::Timeout=300 install -y "$file" ;; esac
systemctl start enlist.service
