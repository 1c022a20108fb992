#!/bin/sh
# Installs the palimpsest binary for this machine into ~/.local/bin:
#
#   PALIMPSEST_RELEASE=<address of a folder with the binaries and SHA256SUMS> sh install.sh
#
# PALIMPSEST_BIN=<folder> puts it elsewhere. Nothing is changed unless the download has the checksum that SHA256SUMS names. Needs curl or wget, and
# sha256sum or shasum.
set -eu

fail() {
  printf 'install: %s\n' "$1" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Prints what the binary for this machine is called.
binary_name() {
  system=$(uname -s) machine=$(uname -m)
  case $system-$machine in
    Linux-x86_64) name=linux-x64 ;;
    Linux-aarch64 | Linux-arm64) name=linux-arm64 ;;
    Darwin-arm64) name=darwin-arm64 ;;
    *) fail "There is no binary for $system $machine, there are Linux x86_64, Linux aarch64, macOS arm64 and, without this script, Windows x86_64: a checkout with npm runs elsewhere" ;;
  esac
  # Bun and ONNX Runtime are linked with glibc.
  if [ "$system" = Linux ] && { ldd --version 2>&1 || :; } | grep -qi musl; then
    fail "There is no binary for Linux with musl, there are those for glibc: a container with Debian or Ubuntu works"
  fi
  printf 'palimpsest-%s\n' "$name"
}

# Fetches the address $1 into the file $2.
fetch() {
  if have curl; then
    curl --fail --location --silent --show-error --retry 3 --output "$2" "$1" || fail "Cannot fetch $1"
  elif have wget; then
    wget --quiet --output-document="$2" "$1" || fail "Cannot fetch $1"
  else
    fail "Neither curl nor wget is here: install one of them"
  fi
}

sha256_of() {
  if have sha256sum; then
    sha256sum "$1" | cut -d ' ' -f 1
  elif have shasum; then
    shasum -a 256 "$1" | cut -d ' ' -f 1
  else
    fail "Neither sha256sum nor shasum is here, and nothing is installed unchecked"
  fi
}

# In a function, so that a download of this script that was cut off does nothing.
main() {
  release=${PALIMPSEST_RELEASE:-}
  [ -n "$release" ] || fail "PALIMPSEST_RELEASE is not set: it names the address of a folder with the binaries and SHA256SUMS"
  name=$(binary_name) || exit 1
  folder=${PALIMPSEST_BIN:-$HOME/.local/bin}
  mkdir -p "$folder" || fail "Cannot make the folder $folder: PALIMPSEST_BIN names another one"

  # Beside its place, so that the last step is a rename: an installed binary is replaced whole or not at all.
  work=$(mktemp -d "$folder/.palimpsest-install.XXXXXX") || fail "Cannot write to $folder: PALIMPSEST_BIN names another folder"
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM

  fetch "${release%/}/SHA256SUMS" "$work/SHA256SUMS"
  wanted=$(awk -v name="$name" '{ file = $2; sub(/^\*/, "", file); if (file == name) { print $1; exit } }' "$work/SHA256SUMS")
  [ -n "$wanted" ] || fail "$release/SHA256SUMS does not name $name"
  printf 'install: fetching %s/%s\n' "${release%/}" "$name" >&2
  fetch "${release%/}/$name" "$work/palimpsest"
  found=$(sha256_of "$work/palimpsest") || exit 1
  [ "$found" = "$wanted" ] || fail "$name has the checksum $found, and SHA256SUMS names $wanted: nothing is installed"
  chmod 755 "$work/palimpsest"
  version=$("$work/palimpsest" --version) || fail "$name does not run on this machine: nothing is installed"
  mv -f "$work/palimpsest" "$folder/palimpsest"

  printf 'install: palimpsest %s is %s/palimpsest\n' "$version" "$folder" >&2
  case :$PATH: in
    *:"$folder":*) ;;
    *) printf 'install: %s is not on PATH: add it in the profile of your shell\n' "$folder" >&2 ;;
  esac
}

main
