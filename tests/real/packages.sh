#!/usr/bin/env bash
# The packages: what is in them, what their scripts do when they are installed, upgraded, removed
# and purged for real, and what Debian's and RPM's own tools say of them; the units, man pages,
# completions and user data in them.
#
# Then what a new user does with the package and the docs: trial.sh.
#
#   PACKAGES    a directory with a .deb and an .rpm of packaging/build; by default they are built,
#               which takes minutes
#   REPRODUCE=1 builds a clone of the commit elsewhere as well, and compares the bytes
#
# Everything is installed into a throw-away layer over this machine's own file system, in a mount
# namespace that ends with the script.
if [[ -z ${IN_NAMESPACE:-} ]] && ((EUID == 0)) && unshare --mount true 2>/dev/null; then
  IN_NAMESPACE=1 exec unshare --mount --propagation private "$0" "$@"
fi
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/real/trial.sh
source "$(dirname "$0")/trial.sh"
[[ -n ${IN_NAMESPACE:-} ]] || skip "needs root, and mount namespaces"
need curl openssl dpkg-deb lintian rpm rpmlint shellcheck cloud-init man zsh fish systemd-analyze=systemd \
  dpkg-shlibdeps=dpkg-dev deb-systemd-helper=init-system-helpers strings=binutils cpio
# Only what is in the packages is looked at.
# shellcheck disable=SC2034
ENLIST=/bin/true EMULATOR=/bin/true
begin

# Numbers to hold: docs/performance.md.
# 8 MB without the direct targets, and 0.13 MB for the first of them and its HTTPS client with a CA of its own.
LARGEST_PROGRAM=8130000 LARGEST_DEB=4000000
# The least exposed is 0, what the issue of hardening may not exceed is 3.0.
LARGEST_EXPOSURE=30

main() {
  build
  deb_contents
  rpm_contents
  reviewers
  texts
  user_data
  trial "$PROGRAM"
  if layer; then
    deb_life
    units
    release
  fi
  if layer; then
    rpm_life
    release
  fi
  reproducible
  finish
}

# Both packages in $DEB and $RPM, and the same sources as a later revision in $NEWER.
build() {
  local dir=${PACKAGES:-$WORK/packages}
  if [[ -z ${PACKAGES:-} ]]; then
    check "packaging/build" "$REPO/packaging/build" --out "$dir"
  fi
  DEB=$(echo "$dir"/enlist_*.deb) RPM=$(echo "$dir"/enlist-*.rpm)
  [[ -f $DEB && -f $RPM ]] || { echo "no packages in $dir"; exit 1; }
  # Without the program built here, the upgrade is to the same revision.
  NEWER=$WORK/newer
  local target=${CARGO_TARGET_DIR:-$REPO/target}
  if [[ -x $target/packaging/release/enlist ]]; then
    check "a later revision" env REVISION=2 "$REPO/packaging/build" --no-build --out "$NEWER"
    check "the same sources, the same packages" same_again "$dir"
  else
    mkdir "$NEWER"; cp "$DEB" "$RPM" "$NEWER"
  fi
}

same_again() {
  "$REPO/packaging/build" --no-build --out "$WORK/again"
  local package
  for package in "$WORK/again"/*; do cmp "$package" "$1/$(basename "$package")"; done
}

deb_contents() {
  dpkg-deb -c "$DEB" | awk '{print $1, $2, $6}' >"$WORK/deb"
  check "everything belongs to root" empty "$(awk '$2 != "0/0"' "$WORK/deb")"
  check "nothing is writable by others or set-user-ID" empty "$(grep -E '^(.{5}w|.{8}w|.*[sStT])' <(cut -d' ' -f1 "$WORK/deb") || true)"
  check "the executable files are the program and its name for a Puppet Server" \
    equal "$(awk '/^-..x/ {print $3}' "$WORK/deb" | sort | xargs)" "./usr/bin/enlist ./usr/bin/enlist-autosign"
  check "no emulator, no fake agent" empty "$(grep -E 'emulator|fake-ssm' "$WORK/deb" || true)"
  local path
  for path in usr/lib/systemd/system/enlist.service usr/lib/systemd/system/enlist-join.service \
    etc/enlist/config.d/README usr/share/man/man1/enlist.1.gz usr/share/man/man1/enlist-join.1.gz \
    usr/share/man/man5/enlist.toml.5.gz usr/share/bash-completion/completions/enlist \
    usr/share/zsh/vendor-completions/_enlist usr/share/fish/vendor_completions.d/enlist.fish \
    usr/share/doc/enlist/copyright usr/share/doc/enlist/changelog.gz \
    usr/share/doc/enlist/third-party-licences.gz usr/share/doc/enlist/examples/enlist.toml \
    usr/share/doc/enlist/examples/autosign.toml usr/share/man/man1/enlist-autosign.1.gz; do
    quietly "$path" contains "$WORK/deb" "-rw-r--r-- 0/0 ./$path"
  done
  mkdir "$WORK/data"; dpkg-deb -x "$DEB" "$WORK/data"
  PROGRAM=$WORK/data/usr/bin/enlist
  check "the .deb is at most $LARGEST_DEB bytes: $(stat -c %s "$DEB")" test "$(stat -c %s "$DEB")" -le $LARGEST_DEB
  check "the program is at most $LARGEST_PROGRAM bytes: $(stat -c %s "$PROGRAM")" \
    test "$(stat -c %s "$PROGRAM")" -le $LARGEST_PROGRAM
  check "no path of the machine it was built on" empty "$(strings -n 6 "$PROGRAM" | grep -F -e "$REPO/" -e "$HOME/" | head -n 3)"
  check "every dependency is in the list of licences" licences
}

# As cargo sees it, against the file in the package.
licences() {
  local packed=$WORK/data/usr/share/doc/enlist/third-party-licences.gz missing='' crate
  while read -r crate; do
    zgrep -qF "$crate" "$packed" || missing+="$crate; "
  done < <(cd "$REPO" && cargo tree --locked --package enlist --edges normal,no-proc-macro --prefix none \
    --format '{p}' | awk '$1 != "enlist" {print $1, substr($2, 2)}' | sort -u)
  empty "$missing"
}

rpm_contents() {
  rpm -qp --qf '[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES}\n]' "$RPM" >"$WORK/rpm"
  check "rpm: digests" rpm -K --nosignature "$RPM"
  check "rpm: everything belongs to root" empty "$(awk '$2 != "root/root"' "$WORK/rpm")"
  check "rpm: the program" contains "$WORK/rpm" "-rwxr-xr-x root/root /usr/bin/enlist"
  check "rpm: its name for a Puppet Server" contains "$WORK/rpm" "-rwxr-xr-x root/root /usr/bin/enlist-autosign"
  check "rpm: the same program" cmp "$PROGRAM" <(rpm2cpio "$RPM" | cpio --quiet -i --to-stdout ./usr/bin/enlist)
  check "rpm: settings are the admin's" equal "$(rpm -qpc "$RPM")" /etc/enlist/config.d/README
  # RHEL 9 and Amazon Linux 2023 have glibc 2.34.
  check "rpm: no newer glibc than 2.34" equal "$(rpm -qp --requires "$RPM" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)" GLIBC_2.34
}

reviewers() {
  check "lintian" lintian --allow-root --fail-on error,warning "$DEB"
  check "rpmlint" rpmlint --rpmlintrc "$REPO/packaging/rpm/rpmlintrc" "$RPM"
  check "shellcheck: what builds and maintains them" shellcheck "$REPO"/packaging/build \
    "$REPO"/packaging/deb/{postinst,prerm,postrm} "$REPO"/packaging/user-data/*.sh
  check "shellcheck: rpm's scriptlets" shellcheck --shell=sh "$REPO"/packaging/rpm/{post,preun,postun}
}

# Man pages and completions.
texts() {
  local share=$WORK/data/usr/share page
  for page in "$share"/man/man*/*; do
    check "renders without a warning: $(basename "$page")" \
      empty "$(LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)"
  done
  for page in $("$PROGRAM" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' | grep -v '^help$'); do
    quietly "a man page for $page" test -s "$share/man/man1/enlist-$page.1.gz"
  done
  check "completions: bash reads them" bash -n "$share/bash-completion/completions/enlist"
  check "completions: bash completes a command" equal "$(completed sta)" status
  check "completions: zsh reads them" zsh -n "$share/zsh/vendor-completions/_enlist"
  check "completions: fish reads them" fish --no-execute "$share/fish/vendor_completions.d/enlist.fish"
  local defaults=$share/doc/enlist/examples/enlist.toml
  check "the defaults are all commented" empty "$(grep -v -e '^#' -e '^$' "$defaults" || true)"
  # Without its comments, every key is known and every value has the right form: what is left to
  # complain about is that required ones are empty.
  sed -n 's/^#\(\[[a-z-]*\]\).*/\1/p; s/^#\([a-z_]* = .*\)/\1/p' "$defaults" >"$WORK/all.toml"
  check "the defaults are settings" negate grep -qE 'no setting|not TOML' <("$PROGRAM" check --config "$WORK/all.toml" 2>&1)
}

completed() { # WORD: what bash would make of `enlist WORD`
  # shellcheck disable=SC1090,SC2016
  bash -c 'source "$1"; COMP_WORDS=(enlist "$2") COMP_CWORD=1; _enlist enlist "$2" enlist; echo "${COMPREPLY[*]}"' \
    _ "$WORK/data/usr/share/bash-completion/completions/enlist" "$1"
}

user_data() {
  local file settings=$WORK/settings.toml
  for file in "$REPO"/packaging/user-data/*.yaml; do
    check "cloud-init: $(basename "$file")" cloud-init schema --config-file "$file"
    python3 -c 'import sys, yaml; print(yaml.safe_load(open(sys.argv[1]))["write_files"][0]["content"])' "$file" >"$settings"
    check "its settings are valid" "$PROGRAM" check --config "$settings"
    check "under 20 lines" test "$(wc -l <"$file")" -lt 20
    sed -n "/<<'END'\$/,/^END\$/p" "${file%.yaml}.sh" | sed '1d;$d' >"$settings.sh"
    check "the script's settings are the same" diff <(grep . "$settings") "$settings.sh"
    check "under 20 lines" test "$(wc -l <"${file%.yaml}.sh")" -lt 20
  done
}

# A layer over the root file system in $ROOT, in which anything may be done.
layer() {
  ROOT=$WORK/root
  mkdir -p "$WORK/layer" "$ROOT"
  # In memory: an overlay can't lie upon another one, as it would in a container.
  mount -t tmpfs -o size=512m enlist "$WORK/layer"
  mkdir "$WORK/layer/upper" "$WORK/layer/work"
  # shellcheck disable=SC2016
  at_end 'umount -R "$ROOT" 2>/dev/null; umount "$WORK/layer" 2>/dev/null'
  if ! mount -t overlay overlay -o "lowerdir=/,upperdir=$WORK/layer/upper,workdir=$WORK/layer/work" "$ROOT"; then
    umount "$WORK/layer"
    if [[ ${CI:-} == true ]]; then check "an overlay of the root file system" false; fi
    echo "SKIPPED: installing: needs an overlay of the root file system"
    return 1
  fi
  # No running systemd in there, whatever runs here, and nothing but the root's own file system.
  mount -t tmpfs enlist "$ROOT/run"
  mount -t proc proc "$ROOT/proc"
  mount --bind /dev "$ROOT/dev"
  # What others made of the same directories stays untouched: this is checked at the end.
  mkdir -p "$ROOT/etc/puppetlabs/puppet/ssl" "$ROOT/etc/chef"
  echo theirs | tee "$ROOT/etc/puppetlabs/puppet/puppet.conf" "$ROOT/etc/chef/client.pem" >/dev/null
  files_in >"$WORK/before"
}

release() { umount -R "$ROOT"; umount "$WORK/layer"; }

in_root() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive chroot "$ROOT" "$@" </dev/null; }

# Everything but what the package managers keep for themselves.
files_in() {
  (cd "$WORK/layer/upper" && find . ! -type d ! -path './var/lib/dpkg/*' ! -path './var/log/*' \
    ! -path './var/lib/rpm/*' ! -path './var/cache/*' ! -path './var/lib/systemd/deb-systemd-helper-*' | sort)
}

enabled() { [[ -L $ROOT/etc/systemd/system/multi-user.target.wants/$1 ]]; }

# No settings: 78, and one line.
refuses() {
  local rc=0
  in_root enlist-autosign web1 >"$WORK/refused" 2>&1 || rc=$?
  equal "$rc" 78 && contains "$WORK/refused" "enlist-autosign: web1: not signed: the settings" &&
    equal "$(wc -l <"$WORK/refused")" 1
}

deb_life() {
  local dpkg=(in_root dpkg --force-unsafe-io)
  mkdir "$ROOT/packages"; cp "$DEB" "$ROOT/packages/old.deb"; cp "$NEWER"/*.deb "$ROOT/packages/new.deb"
  check "deb: installs" "${dpkg[@]}" -i /packages/old.deb
  check "deb: the program runs" in_root enlist --version
  check "deb: enlist-autosign refuses without settings" refuses
  check "deb: enabled" enabled enlist.service
  check "deb: the one for images is not" negate enabled enlist-join.service
  check "deb: no settings are made" negate test -e "$ROOT/etc/enlist/enlist.toml"
  in_root systemctl disable --quiet enlist.service
  echo "# mine" >>"$ROOT/etc/enlist/config.d/README"
  printf '[opsworks]\nstack_id = "x"\n' >"$ROOT/etc/enlist/enlist.toml"
  in_root mkdir -p /var/lib/enlist/opsworks /run/enlist
  check "deb: upgrades" "${dpkg[@]}" -i /packages/new.deb
  check "deb: what the admin disabled stays so" negate enabled enlist.service
  check "deb: what the admin changed stays so" contains "$ROOT/etc/enlist/config.d/README" "# mine"
  in_root systemctl enable --quiet enlist.service
  check "deb: upgrades again" "${dpkg[@]}" -i /packages/new.deb
  check "deb: what the admin enabled stays so" enabled enlist.service
  check "deb: is removed" "${dpkg[@]}" -r enlist
  check "deb: settings and records outlive that" test -e "$ROOT/etc/enlist/enlist.toml" -a -d "$ROOT/var/lib/enlist/opsworks"
  check "deb: the program does not" negate test -e "$ROOT/usr/bin/enlist"
  check "deb: is purged, with nobody to answer" "${dpkg[@]}" -P enlist
  check "deb: nor are its directories left" empty "$(ours)"
  rm -r "$ROOT/packages"
  nothing_left deb
}

rpm_life() {
  local rpm=(rpm --root "$ROOT" --dbpath /var/lib/rpm) readme=$ROOT/etc/enlist/config.d/README
  "${rpm[@]}" --initdb
  # No RPM distribution's packages are here, so what it requires is not looked for.
  check "rpm: installs" "${rpm[@]}" -i --nodeps --force-debian "$RPM"
  check "rpm: verifies" "${rpm[@]}" -V --nodeps enlist
  check "rpm: the program runs" in_root enlist --version
  check "rpm: enabled" enabled enlist.service
  check "rpm: the one for images is not" negate enabled enlist-join.service
  in_root systemctl disable --quiet enlist.service
  echo "# mine" >>"$readme"
  mkdir -p "$ROOT/var/lib/enlist/opsworks"
  # --force: it is the same revision where no later one could be built.
  check "rpm: upgrades" "${rpm[@]}" -U --nodeps --force-debian --force "$NEWER"/*.rpm
  check "rpm: what the admin changed stays so" contains "$readme" "# mine"
  check "rpm: what the admin disabled stays so" negate enabled enlist.service
  rm -f "$readme.rpmnew"
  check "rpm: erases" "${rpm[@]}" -e --nodeps enlist
  check "rpm: records outlive that" test -d "$ROOT/var/lib/enlist/opsworks"
  rm -rf "$readme.rpmsave" "$readme" "$ROOT/var/lib/enlist" "$ROOT/etc/enlist"
  "${rpm[@]}" -i --nodeps --force-debian "$RPM"
  check "rpm: erases what nobody changed" "${rpm[@]}" -e --nodeps enlist
  check "rpm: nor are its directories left" empty "$(ours)"
  nothing_left rpm
}

ours() { cd "$ROOT" && find etc/enlist var/lib/enlist run/enlist usr/share/doc/enlist usr/share/licenses/enlist -maxdepth 0 2>/dev/null; }

nothing_left() {
  check "$1: nothing is left, and nothing is gone" diff "$WORK/before" <(files_in)
  check "$1: Puppet's and Chef's files are as they were" \
    equal "$(cat "$ROOT/etc/puppetlabs/puppet/puppet.conf" "$ROOT/etc/chef/client.pem")" $'theirs\ntheirs'
}

# With the package installed: a unit's commands and man pages have to be there.
units() {
  dpkg --root="$ROOT" --force-script-chrootless --force-depends -i "$DEB" >/dev/null 2>&1 || true
  local unit said score
  for unit in enlist enlist-join; do
    said=$(in_root systemd-analyze verify "/usr/lib/systemd/system/$unit.service" 2>&1) || true
    # Whatever else is wrong with units of this machine is not ours.
    check "systemd-analyze verify: $unit" empty "$(grep -F enlist <<<"$said" || true)"
    score=$(systemd-analyze security --offline=true "$REPO/systemd/$unit.service" | sed -n 's/.*level for .*: \([0-9.]*\) .*/\1/p')
    check "systemd-analyze security: $unit: $score" test "${score/./}" -le $LARGEST_EXPOSURE
  done
  check "both units have one sandbox" diff <(sandbox enlist) <(sandbox enlist-join)
  check "both have the same conditions" diff <(grep ^Condition "$REPO/systemd/enlist.service") \
    <(grep ^Condition "$REPO/systemd/enlist-join.service")
}

sandbox() { sed '1,/^# --- Sandbox/d; /^\[Install\]/,$d' "$REPO/systemd/$1.service" | grep '^[A-Z]'; }

# Elsewhere, from the commit, with another directory for what is built.
reproducible() {
  [[ -n ${REPRODUCE:-} ]] || return 0
  git clone --quiet "$REPO" "$WORK/clone"
  (cd "$WORK/clone" && CARGO_TARGET_DIR=$WORK/elsewhere packaging/build --out "$WORK/reproduced")
  local package
  for package in "$WORK/reproduced"/*; do
    check "reproduced: $(basename "$package")" cmp "$package" "$(dirname "$DEB")/$(basename "$package")"
  done
}

main
