# Shared by tools/run and tools/test (sourced, not run): packages, configuration, quiet builds.
# Callers set `root` to the top of the source tree. Everything said goes to stderr; stdout belongs to the script that runs.

# What a release build needs, as Debian packages.
build_packages=(clang-19 lld-19 llvm-19 libstdc++-12-dev libc6-dev meson ninja-build pkg-config
                libboost-context-dev libboost-dev libuv1-dev libssl-dev)

say() { printf 'baton: %s\n' "$*" >&2; }

# Installs the packages named that are not there yet. Asks dpkg first, so that a second run needs neither root nor network.
need_packages() {
  command -v dpkg-query >/dev/null || return 0   # not Debian: whoever built it knows what he has
  local package missing=()
  local installed
  installed=" $(dpkg-query -W -f '${db:Status-Status}:${Package} ' "$@" 2>/dev/null) "
  for package in "$@"; do
    [[ $installed == *" installed:$package "* ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0

  local as_root=()
  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      say "these Debian packages are missing: ${missing[*]}"
      say "install them as root (apt-get install ${missing[*]}) and run this again"
      exit 1
    fi
    as_root=(sudo)
  fi
  say "installing ${missing[*]}"
  local log
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  if ! { "${as_root[@]}" apt-get update &&
         "${as_root[@]}" apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
    tail -n 25 "$log" >&2
    rm -f "$log"
    say "could not install: ${missing[*]}"
    exit 1
  fi
  rm -f "$log"
}

# One build at a time in a tree: two scripts started together must not both configure it. The lock is on the file system
# object `tools/` itself, and is given up before anything of the user's runs.
lock_tree() { exec 9<"$root/tools" && flock 9; }
unlock_tree() { exec 9<&-; }

native_files() {
  printf '%s\n' --native-file "$root/tools/clang19.ini"
  if command -v ccache >/dev/null; then printf '%s\n' --native-file "$root/tools/clang19_ccache.ini"; fi
}

# configure DIRECTORY [meson setup options...]: once; later runs leave the directory's options alone.
configure() {
  local directory=$1
  shift
  [[ -f $directory/build.ninja ]] && return 0
  local log
  log=$(mktemp)
  local again=()
  [[ -d $directory/meson-private ]] && again=(--wipe)   # an earlier configuration broke off
  if ! meson setup "$directory" "$root" "${again[@]}" "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    say "configuring $directory failed"
    return 1
  fi
  rm -f "$log"
}

# build DIRECTORY [ninja targets...]: silent unless it takes long (one line) or fails (the compiler's output).
build() {
  local directory=$1
  shift
  if ninja -C "$directory" -n "$@" 2>/dev/null | grep -q 'no work to do'; then return 0; fi
  say "building ${directory#"$root"/}/ (from nothing this takes some minutes)"
  local log
  log=$(mktemp)
  if ! ninja -C "$directory" "$@" >"$log" 2>&1; then
    grep -v '^\[[0-9]*/[0-9]*\] \(Compiling\|Linking\)' "$log" | head -n 200 >&2
    rm -f "$log"
    say "the build in ${directory#"$root"/} failed"
    return 1
  fi
  rm -f "$log"
}

configure_release() {
  local options
  mapfile -t options < <(native_files)
  configure "$root/build" "${options[@]}" --buildtype release
}
