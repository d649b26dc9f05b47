#!/bin/sh
# Joins a Chef Infra Server directly. The validator's key is a parameter of the Parameter Store, so it is
# neither in the user data nor on the disk; `enlist policy` lists what the instance's role needs.
set -eu
PACKAGE=https://packages.example.com/enlist_amd64.deb # set this; an .rpm works too
SHA256=0000000000000000000000000000000000000000000000000000000000000000
mkdir -p /etc/enlist
cat >/etc/enlist/enlist.toml <<'END'
[chef-server]
url = "https://chef.example.com/organizations/acme"
validator_key = { ssm_parameter = "/chef/acme-validator" }
[chef]
run_list = ["recipe[base]"]
END
file=/run/${PACKAGE##*/}
curl -fsSL --retry 5 --retry-all-errors --connect-timeout 10 --max-time 60 -o "$file" "$PACKAGE"
echo "$SHA256  $file" | sha256sum -c
case $file in *.rpm) timeout 10m dnf install -y "$file" ;; *) apt-get -o DPkg::Lock::Timeout=300 install -y "$file" ;; esac
systemctl start enlist.service
