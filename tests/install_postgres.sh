#!/usr/bin/env bash
# Prefect's server keeps its tables in a Postgres with pg_trgm where the machine has one, else in SQLite; the
# integration tests take whichever is there. This gets Debian's, where it may: it asks for nothing and never fails.
# ALCHEMISCALE_TESTS_INSTALL=no keeps it from installing anything.
set -u

server() { ls -1 /usr/lib/postgresql/*/bin/postgres 2>/dev/null | sort -V | tail -n 1; }

as_root=()
may_install() {
    [ "${ALCHEMISCALE_TESTS_INSTALL:-yes}" != no ] && command -v apt-get >/dev/null || return 1
    [ "$(id -u)" -eq 0 ] && return 0
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || return 1
    as_root=(sudo -n)
}

install() {
    local log; log=$(mktemp)
    local apt=(timeout 300 "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120)
    if ! { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends postgresql; } </dev/null >"$log" 2>&1; then
        echo "apt-get could not install postgresql; its last lines:" >&2
        tail -n 5 "$log" >&2
    fi
    rm -f "$log"
}

if [ -z "$(server)" ] && may_install; then
    echo "Installing Debian's postgresql for Prefect's server in the integration tests …"
    install
fi
if [ -n "$(server)" ]; then
    echo "Prefect's server in the integration tests: Postgres ($("$(server)" --version))"
else
    echo "Prefect's server in the integration tests: SQLite (no Postgres in /usr/lib/postgresql, and none could be installed)"
fi
exit 0
