#!/bin/sh
# An EC2 instance registers itself with an OpsWorks stack.
set -eu
PACKAGE=https://packages.example.com/enlist_amd64.deb # set this; an .rpm works too
SHA256=0000000000000000000000000000000000000000000000000000000000000000
mkdir -p /etc/enlist
cat >/etc/enlist/enlist.toml <<'END'
[opsworks]
stack_id = "2f18b4cb-4de5-4429-a149-ff7da9f0d8ee"
END
file=/run/${PACKAGE##*/}
curl -fsSL --retry 5 --retry-all-errors --connect-timeout 10 --max-time 60 -o "$file" "$PACKAGE"
echo "$SHA256  $file" | sha256sum -c
case $file in *.rpm) timeout 10m dnf install -y "$file" ;; *) apt-get -o DPkg::Lock::Timeout=300 install -y "$file" ;; esac
systemctl start enlist.service
