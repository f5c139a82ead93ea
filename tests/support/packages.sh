# SPDX-License-Identifier: ISC
# Sourced by quickstart and tests/run: installs those of Debian's packages that are missing.

PW_BUILD_PACKAGES="build-essential meson ninja-build pkg-config libevent-dev libpq-dev libssl-dev libpg-query-dev
    libprotobuf-c-dev libcmocka-dev libxxhash-dev libjansson-dev uthash-dev libc-ares-dev libsystemd-dev libldap-dev libpam0g-dev
    zlib1g-dev libzstd-dev liblzma-dev liburing-dev"
PW_TEST_PACKAGES="zstd python3-pytest python3-psycopg python3-psycopg2 python3-asyncpg python3-jsonschema prometheus-pgbouncer-exporter"

# slapd is wanted for its program: no directory of the system's own is configured, and when it cannot be had its tests are skipped.
pw_install_slapd() {
    [ "$(id -u)" -eq 0 ] || return 0
    echo "slapd slapd/no_configuration boolean true" | debconf-set-selections 2>/dev/null
    RUNLEVEL=1 pw_install slapd || echo "without slapd the LDAP tests are skipped" >&2
}

# A browser to look at the report with, the smallest there is; without it those tests are skipped.
pw_install_browser() {
    command -v chromium >/dev/null && return 0
    pw_install chromium-headless-shell || echo "without chromium nobody looks at the HTML report" >&2
}

pw_missing_packages() {
    local p
    for p in "$@"; do
        dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q '^install ok installed$' || echo "$p"
    done
}

pw_updated=""
# The lists of packages are read once; a machine that has all it needs asks nobody.
pw_update() {
    local sudo=""
    [ -z "$pw_updated" ] || return 0
    [ "$(id -u)" -eq 0 ] || sudo="sudo -n"
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q update >/dev/null || { echo "apt-get update failed" >&2; return 1; }
    pw_updated=1
}

pw_offers() { apt-cache policy "$1" 2>/dev/null | grep -q '^ *Candidate: [0-9]'; }

# The folder of the server that quickstart and the tests start: 15, which the tests know best, else the newest; 1: there is none.
pw_postgresql_bin() {
    local dir
    for dir in /usr/lib/postgresql/15/bin $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
        [ -x "$dir/initdb" ] && echo "$dir" && return 0
    done
    return 1
}

# PostgreSQL 15 (Debian 12's) where it is installed or can be had, else the release's own (17 in Debian 13).
pw_server_packages() {
    local major=15
    if [ ! -x /usr/lib/postgresql/15/bin/initdb ]; then
        pw_offers postgresql || pw_update >/dev/null 2>&1
        pw_offers postgresql-15 || major=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/^ *Depends: postgresql-\([0-9]*\)$/\1/p' | head -1)
    fi
    echo "postgresql-${major:=15} postgresql-client-$major postgresql-$major-hypopg"
}

# pw_install PACKAGE...: only what is missing. Returns 1 with a message when that is not possible.
pw_install() {
    local missing sudo="" marker=/etc/postgresql-common/createcluster.d/poolwise.conf
    missing=$(pw_missing_packages "$@")
    [ -z "$missing" ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
            sudo="sudo -n"
        else
            echo "missing packages; as root: apt-get install -y" $missing >&2
            return 1
        fi
    fi
    echo "installing:" $missing
    pw_update || return 1
    # The server is wanted for its programs: no cluster of the system's own is made or started along the way.
    case "$missing" in
    *postgresql-[0-9]*)
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends postgresql-common >/dev/null || return 1
        if [ ! -e "$marker" ]; then
            $sudo mkdir -p "${marker%/*}"
            echo "create_main_cluster = false" | $sudo tee "$marker" >/dev/null
        else
            marker=""
        fi
        ;;
    *) marker="" ;;
    esac
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
    local status=$?
    [ -n "$marker" ] && $sudo rm -f "$marker"
    [ $status -eq 0 ] || echo "apt-get install failed:" $missing >&2
    return $status
}
