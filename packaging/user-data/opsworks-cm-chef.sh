#!/bin/sh
# Joins a Chef server through an OpsWorks CM API.
set -eu
PACKAGE=https://packages.example.com/enlist_amd64.deb # set this; an .rpm works too
SHA256=0000000000000000000000000000000000000000000000000000000000000000
mkdir -p /etc/enlist
cat >/etc/enlist/enlist.toml <<'END'
[opsworks-cm]
server = "my-chef"
engine = "chef"
[chef]
run_list = ["recipe[base]"]
END
file=/run/${PACKAGE##*/}
curl -fsSL --retry 5 --retry-all-errors --connect-timeout 10 --max-time 60 -o "$file" "$PACKAGE"
echo "$SHA256  $file" | sha256sum -c
case $file in *.rpm) timeout 10m dnf install -y "$file" ;; *) apt-get -o DPkg::Lock::Timeout=300 install -y "$file" ;; esac
systemctl start enlist.service
