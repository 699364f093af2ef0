#!/usr/bin/env bash
# Installs every outside tool that SignSvc's tests run, on Debian 12, as root or through sudo.
# Safe to run at any time: it adds what is missing, and when nothing is it touches no network.
#
#   SIGNSVC_TOOLS    where tools that are not system packages go   (default <checkout>/.tools)
#   XDG_CACHE_HOME   downloads outlive a checkout in signsvc/ here (default ~/.cache)
set -euo pipefail
umask 022

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=${SIGNSVC_TOOLS:-$(dirname "$tests")/.tools}
cache=${XDG_CACHE_HOME:-~/.cache}/signsvc
clients=$tests/SignSvc.Clients.Tests/node
schemas=$tests/SignSvc.Operations.Tests/node
readonly tests tools cache clients schemas

# The oldest Node.js on which every client in $clients/package.json runs.
readonly oldest_node=20.19.0

# Debian's own packages.
readonly packages=(
  # fetching, reading and comparing
  ca-certificates curl debian-archive-keyring jq openssl
  # stores: tests start their own PostgreSQL clusters from /usr/lib/postgresql/*/bin
  postgresql sqlite3
  # PKCS#11: SoftHSM first; NSS and openCryptoki are the second and third opinion
  libengine-pkcs11-openssl libnss3 libnss3-tools opencryptoki opensc softhsm2
  # a C compiler, for small libraries that inject faults
  gcc libc6-dev
  # faults, sockets, slow clients, metrics
  iproute2 prometheus slowhttptest strace
  # outside clients and verifiers
  awscli docker-registry osslsigncode
  # the image, built without an engine
  buildah
  python3 python3-authlib python3-boto3 python3-cryptography python3-grpcio python3-hvac
  python3-jose python3-jwcrypto python3-jwt python3-protobuf
)

# Installing these would start a daemon, now and at every boot; tests start their own.
declare -rA daemon_of=(
  [docker-registry]=docker-registry.service
  [opencryptoki]=pkcsslotd.service
  [prometheus]=prometheus.service
)

# Programs of newer Debian releases: package, suite, major version, name under $tools/bin.
# They run on Debian 12, and are unpacked beside the system, never installed into it. sid moves:
# another minor version than the one tests were written with is taken, and shown at the end.
readonly newer=(
  "cosign   trixie 2 cosign-2.5"
  "cosign   sid    3 cosign-3.1"
  "notation sid    1 notation"
  "kubectl  sid    1 kubectl"
)

# The Python modules that clients import, from Debian's packages alone.
readonly python_modules=(authlib boto3 cryptography google.protobuf grpc hvac jose jwcrypto jwt)

say() { printf '%s\n' "$*"; }
fail() { printf 'install-tools: %s\n' "$*" >&2; exit 1; }

main() {
  [[ -r /etc/debian_version ]] || fail "this is not Debian: install the packages named in $0 by hand"
  mkdir -p "$tools/bin" "$tools/versions" "$cache"
  # Two runs that share a tools folder take turns.
  exec 9>"$tools/.lock"
  flock 9

  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  # apt downloads as the user _apt, who must get this far.
  chmod 755 "$scratch"

  install_packages
  local row
  for row in "${newer[@]}"; do
    # shellcheck disable=SC2086 # a row is four words
    install_newer $row
  done
  choose_node
  install_node_packages "$clients"
  install_node_packages "$schemas"
  install_moto
  check_python
  print_versions
}

# --- Debian packages -------------------------------------------------------------------------

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]})) || return 0

  say "Installing from Debian: ${missing[*]}"
  local root=() package
  if ((EUID != 0)); then
    command -v sudo >/dev/null || fail "run as root: apt-get install --no-install-recommends ${missing[*]}"
    root=(sudo)
  fi
  "${root[@]}" apt-get update -qq
  for package in "${missing[@]}"; do
    apt-cache show --no-all-versions "$package" >/dev/null 2>&1 ||
      fail "apt knows no package '$package': is Debian's main component among its sources?"
  done

  keep_daemons_down "${missing[@]}"
  # RUNLEVEL=1 keeps System V init scripts from starting anything where systemd is not in charge.
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
    "${missing[@]}" >"$scratch/apt.log" 2>&1 ||
    { tail -n 30 "$scratch/apt.log" >&2; fail "apt-get install failed for: ${missing[*]}"; }
  "${root[@]}" rm -f "$no_cluster"

  mapfile -t missing < <(missing_packages)
  ((${#missing[@]} == 0)) || fail "still missing after apt-get install: ${missing[*]}"
}

missing_packages() {
  local wanted=("${packages[@]}") package state
  if ! command -v node >/dev/null; then
    wanted+=(nodejs npm)
  elif ! command -v npm >/dev/null; then
    wanted+=(npm)
  fi
  has_moto || wanted+=(python3-venv)
  declare -A present=()
  while read -r package state; do
    [[ $state == ii* ]] && present[$package]=1
    # An absent package is an answer here, not an error.
  done < <(dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' "${wanted[@]}" 2>/dev/null || true)
  for package in "${wanted[@]}"; do
    [[ ${present[$package]:-} ]] || say "$package"
  done
}

# PostgreSQL's packages read this folder before they would make and start a cluster on port 5432.
readonly no_cluster=/etc/postgresql-common/createcluster.d/signsvc-tests.conf

# Uses the caller's `root`. Only packages about to be installed are touched: a daemon that was
# here before belongs to somebody.
keep_daemons_down() {
  local package unit
  for package in "$@"; do
    if [[ $package == postgresql ]]; then
      "${root[@]}" mkdir -p "$(dirname "$no_cluster")"
      say "create_main_cluster = false" | "${root[@]}" tee "$no_cluster" >/dev/null
    fi
    unit=${daemon_of[$package]:-}
    if [[ $unit ]] && command -v systemctl >/dev/null; then
      say "Masking $unit: tests start their own (undo with: systemctl unmask $unit)"
      "${root[@]}" systemctl mask --quiet "$unit" 2>/dev/null ||
        "${root[@]}" ln -sfn /dev/null "/etc/systemd/system/$unit"
    fi
  done
}

# --- Programs of newer Debian releases ---------------------------------------------------------

install_newer() {
  local package=$1 suite=$2 major=$3 name=$4
  [[ $(unpacked_version "$name") == "$major".* ]] && runs "$tools/bin/$name" >/dev/null 2>&1 && return 0

  local deb
  deb=$(cached_deb "$package" "$major")
  if [[ -z $deb ]]; then
    download_newer "$package" "$suite" "$major"
    deb=$(cached_deb "$package" "$major")
  fi
  say "Unpacking $(basename "$deb") as $tools/bin/$name"
  rm -rf "$scratch/unpacked"
  dpkg -x "$deb" "$scratch/unpacked" || { rm -f "$deb"; fail "$deb was damaged and is removed: run this again"; }
  install -m 755 "$scratch/unpacked/usr/bin/$package" "$tools/bin/.$name.new"
  runs "$tools/bin/.$name.new" >"$scratch/ran" 2>&1 ||
    fail "$(basename "$deb") does not run here: $(tail -n 3 "$scratch/ran")"
  mv "$tools/bin/.$name.new" "$tools/bin/$name"
  dpkg-deb -f "$deb" Version >"$tools/versions/$name"
}

# kubectl alone would ask a cluster for its version, too.
runs() {
  local client=
  [[ $1 != *kubectl* ]] || client=--client
  "$1" version $client
}

# Debian's version of a program under $tools/bin: cosign's own answer is "devel" in Debian's builds.
unpacked_version() {
  cat "$tools/versions/$1" 2>/dev/null || true
}

cached_deb() {
  local deb
  for deb in "$cache/${1}_${2}".*"_$(dpkg --print-architecture).deb"; do
    if [[ -f $deb ]]; then
      say "$deb"
      return
    fi
  done
}

# Downloads with apt under a configuration of its own: apt still checks Debian's signature on the
# suite and the package's hash under it, and the machine's sources and lists stay as they are.
download_newer() {
  local package=$1 suite=$2 major=$3 mirror found
  while read -r mirror; do
    use_private_apt "$mirror" "$suite" || continue
    found=$(apt-cache -c "$private_apt" madison "$package" | awk -v v="$major." 'index($3, v) == 1 { print $3; exit }')
    if [[ -z $found ]]; then
      say "No $package $major in $suite at this mirror"
      continue
    fi
    say "Downloading $package $found from Debian $suite"
    rm -rf "$scratch/download"
    mkdir "$scratch/download"
    # Same sandbox user as above; a folder of an unprivileged run is the user's own already.
    ((EUID != 0)) || chown _apt "$scratch/download"
    (cd "$scratch/download" && apt-get -c "$private_apt" download -qq "$package=$found") </dev/null || continue
    # The cache may be on another file system: copy, then rename into place.
    cp "$scratch/download"/*.deb "$cache/.${package}_$major.part"
    mv "$cache/.${package}_$major.part" "$cache/$(basename "$scratch/download"/*.deb)"
    return
  done < <(mirrors)
  fail "could not get $package $major of Debian $suite (see above); run this again, or put a .deb of it into $cache"
}

# Sets private_apt to a configuration that knows one suite of one mirror, and reads its lists.
use_private_apt() {
  local mirror=$1 suite=$2 home=$scratch/apt-$2
  private_apt=$home/apt.conf
  if [[ -f $home/fetched && $(<"$home/fetched") == "$mirror" ]]; then
    return 0
  fi
  rm -rf "$home"
  mkdir -p "$home/lists/partial" "$home/cache/archives/partial"
  say "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$home/sources.list"
  cat >"$private_apt" <<CONF
Dir::Etc::SourceList "$home/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::Lists "$home/lists";
Dir::Cache "$home/cache";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
APT::Get::AllowUnauthenticated "false";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONF
  say "Reading the package list of Debian $suite"
  apt-get -c "$private_apt" update -qq --error-on=any || return 1
  say "$mirror" >"$home/fetched"
}

# The mirrors that this machine takes its own release from, in both of apt's notations, and
# Debian's own as the last.
mirrors() {
  local release
  # shellcheck source=/dev/null
  release=$(. /etc/os-release && say "${VERSION_CODENAME:-bookworm}")
  {
    # deb822: stanzas of "Field: values", comments between them.
    find /etc/apt/sources.list.d -name '*.sources' -exec sed '/^#/d' {} \; -exec echo \; 2>/dev/null |
      awk -v release="$release" '
        function stanza(   i, words) {
          if (types ~ / deb / && suites ~ " " release " " && components ~ / main / && enabled !~ /no/) {
            split(uris, words, " ")
            for (i = 1; i in words; i++) print words[i]
          }
          types = uris = suites = components = enabled = field = ""
        }
        /^[ \t]*$/ { stanza(); next }
        /^[^ \t]/ { field = tolower($0); sub(/:.*/, "", field); sub(/^[^:]*:/, "") }
        field == "types" { types = types " " $0 " " }
        field == "uris" { uris = uris " " $0 }
        field == "suites" { suites = suites " " $0 " " }
        field == "components" { components = components " " $0 " " }
        field == "enabled" { enabled = tolower($0) }
        END { stanza() }'
    # One line each: deb [options] URI suite components.
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
      sed -E 's/#.*//; s/\[[^]]*\]//' |
      awk -v release="$release" '$1 == "deb" && $3 == release && / main( |$)/ { print $2 }'
    say http://deb.debian.org/debian
  } | awk '{ sub(/\/+$/, "") } !seen[$0]++'
}

# --- Node.js and its packages --------------------------------------------------------------------

# $tools/bin/node is the one tests run: the machine's own where it is new enough.
choose_node() {
  if [[ -e $tools/bin/node ]] && new_enough "$tools/bin/node"; then
    return
  fi
  local node
  node=$(command -v node)
  if ! new_enough "$node"; then
    say "Node.js $("$node" --version) is older than $oldest_node: installing a newer one for tests from npm"
    mkdir -p "$tools/node"
    cp "$tests/node-runtime"/{package.json,package-lock.json,.npmrc} "$tools/node/"
    (cd "$tools/node" && npm ci --prefer-offline --loglevel=error)
    node=$(find "$tools/node/node_modules" -path '*/bin/node' -type f | head -n 1)
    new_enough "${node:-none}" || fail "npm has no Node.js for $(uname -m): install Node.js $oldest_node or newer"
  fi
  ln -sfn "$node" "$tools/bin/node"
}

new_enough() {
  local version
  version=$("$1" --version 2>/dev/null) || return 1
  printf '%s\n' "$oldest_node" "${version#v}" | sort -CV
}

install_node_packages() {
  local folder=$1 stamp=$1/node_modules/.installed wanted
  wanted=$(cat "$folder/package.json" "$folder/package-lock.json" | sha256sum)
  [[ -f $stamp && $(<"$stamp") == "$wanted" ]] && return 0
  say "Installing the JavaScript packages in ${folder#"$(dirname "$tests")"/}"
  (cd "$folder" && PATH=$tools/bin:$PATH npm ci --prefer-offline --loglevel=error) ||
    fail "npm ci failed in $folder"
  say "$wanted" >"$stamp"
}

# --- moto, another stand-in for AWS ---------------------------------------------------------------

# The machine's own where it has one; else one of our own, in a virtual environment.
has_moto() { command -v moto_server >/dev/null || [[ -x $tools/moto/bin/moto_server ]]; }

install_moto() {
  has_moto && return
  say "Installing moto_server with pip in $tools/moto"
  { /usr/bin/python3 -m venv "$tools/moto" && "$tools/moto/bin/pip" install --quiet --disable-pip-version-check 'moto[server]==5.2.1'; } ||
    fail "pip cannot install moto: put a moto_server on PATH"
}

# --- What is there -------------------------------------------------------------------------------

# Debian's interpreter by its path: another python3 earlier on PATH does not see these modules.
check_python() {
  /usr/bin/python3 - "${python_modules[@]}" <<'PY' || fail "reinstall the python3-… packages that Debian's python3 cannot find"
import importlib.util, sys
missing = [name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]
sys.exit("missing Python modules: " + ", ".join(missing) if missing else 0)
PY
}

print_versions() {
  say "Tools for SignSvc's tests:"
  {
    dpkg-query -W -f '${binary:Package} ${Version} /usr\n' "${packages[@]}" | sed 's/:[a-z0-9]* / /'
    local row name
    for row in "${newer[@]}"; do
      name=${row##* }
      say "$name $(unpacked_version "$name") $tools/bin"
    done
    say "node $("$tools/bin/node" --version | tr -d v) $(readlink -f "$tools/bin/node" | xargs dirname)"
    local folder
    for folder in "$clients" "$schemas"; do
      jq -r --arg at "$folder" '.dependencies | to_entries[] | "\(.key) \(.value) \($at)"' "$folder/package.json"
    done
  } | awk '{ printf "  %-28s %-30s %s\n", $1, $2, $3 }'
}

main "$@"
