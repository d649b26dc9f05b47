# The stages of CI, one recipe each. `.ci/run` has their commands and works without just.

# List the recipes.
default:
    @just --list --unsorted

# Run every stage, as CI does.
ci:
    .ci/run

# Check for the Debian packages that the other stages use; with CI=true, install them.
packages:
    .ci/run packages

# Check the formatting; `cargo fmt --all` corrects it.
format:
    .ci/run format

# Run Clippy; a warning is an error.
lint:
    .ci/run lint

# Build the workspace.
build:
    .ci/run build

# Run the README's first command.
try:
    .ci/run try

# Run all tests, with a third of the crash harness's pairs and all attacks.
test:
    .ci/run test

# Join and leave every target, checked with the AWS CLI and OpenSSL.
targets:
    .ci/run targets

# Join a real Puppet Server.
puppet:
    .ci/run puppet

# Have Puppet and Ruby read what enlist has installed.
engine:
    .ci/run engine

# Renewal and removal at Puppet Server 8, in a chroot.
puppet8:
    .ci/run puppet8

# Compare keys, requests and certificates with OpenSSL.
openssl:
    .ci/run openssl

# Join with disks that are full or read-only.
disk:
    .ci/run disk

# Kill joins before each system call that changes the disk.
kill:
    .ci/run kill

# Build the packages; install, upgrade, remove and check them.
packaging:
    .ci/run packaging

# Build the emulator's package; look into it, and try it out.
emulator-package:
    .ci/run emulator-package

# Boot a Debian in a container, with the package installed.
boot:
    .ci/run boot

# Build the documentation; a warning is an error.
doc:
    .ci/run doc

# Check licences, sources and known vulnerabilities of the dependencies.
deny:
    .ci/run deny
