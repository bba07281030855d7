# Sourced by the scripts beside it: brings .venv up to date, at the cost of two small processes when it already is.
# shellcheck shell=sh

root=$(cd -- "$here/.." && pwd -P)
venv=$root/.venv

# What .venv was made from. A change of any of it sends the next call through _setup.py.
fingerprint() {
    echo "root $root, debug ${PGFLOW_STRESS_DEBUG:-}"
    # A glob that matches nothing is no error: the missing name is simply not in the list.
    (cd -- "$root" && sha256sum -- requirements*.txt pyproject.toml setup.py scripts/_*.py ext/*.py \
        ext/pgflow_stress_hot/*.pyx ext/pgflow_stress_hot/*.pxd ext/pgflow_stress_hot/*.pxi \
        ext/pgflow_stress_hot/*.h 2>/dev/null) || :
}

# Every module has been built; the sources' hashes do not see a .so that was swept away.
is_built() {
    for source in "$root"/ext/pgflow_stress_hot/*.pyx; do
        [ -e "$source" ] || continue
        set -- "${source%.pyx}".*.so
        [ -e "$1" ] || return 1
    done
}

# is_current PROFILE: the stamp that _setup.py left says what we would find.
is_current() {
    [ -x "$venv/bin/pgflow-stress" ] && [ -r "$venv/.set-up/$1" ] || return 1
    [ "$key
$(stat -L -c '%s %Y' -- "$venv/bin/python" 2>/dev/null)" = "$(cat -- "$venv/.set-up/$1")" ] && is_built
}

find_python() {
    for python in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    echo 'set-up: needs Python 3.11 or newer; type: sudo apt-get install -y python3.11 python3.11-venv python3.11-dev' >&2
    return 3
}

# set_up PROFILE: stress (what a run needs), test (and what the tests need); build: as stress, whatever the stamp says.
set_up() {
    key=$(fingerprint)
    is_current "$1" && return
    python=$(find_python) || exit 3
    "$python" -E -s "$root/scripts/_setup.py" "$1" "$key" || exit $?
}
