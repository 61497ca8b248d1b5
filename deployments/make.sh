#!/bin/sh
# What the Makefile's targets do. Kept out of the Makefile so that a path may hold spaces.
#
#   deployments/make.sh env [dev]      make .venv from the lock file, unless it is there
#   deployments/make.sh test [full]    everything; arguments after it go to pytest
#   deployments/make.sh check          format, lint, types, import contracts, house rules, secrets
#   deployments/make.sh lock           resolve the dependencies anew
#   deployments/make.sh words [CODE]   bring the catalogues up to date; begin one in a new language
set -eu
cd "$(dirname "$0")/.."
ROOT=$PWD
VENV=$ROOT/.venv
PYTHON=$VENV/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK=1
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV 2>/dev/null || true

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 2; }

find_python() {
    for name in ${CARREL_PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
            2>/dev/null; then
            "$name" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    fail "no Python 3.11, 3.12 or 3.13 found; install one (apt-get install python3) or name it in CARREL_PYTHON"
}

# The stamp names the lock that the environment was made from; a development one serves both.
stamp_of() { cat "$ROOT/requirements$1.lock" "$ROOT/deployments/make.sh" | cksum; }

is_made() {
    [ -x "$PYTHON" ] || return 1
    [ "$(cat "$VENV/stamp-dev" 2>/dev/null)" = "$(stamp_of -dev)" ] && return 0
    [ "$1" = "" ] && [ "$(cat "$VENV/stamp" 2>/dev/null)" = "$(stamp_of "")" ]
}

make_env() {
    kind=${1:+-dev}
    is_made "$kind" && return
    # One that has the development tools keeps them.
    [ -e "$VENV/stamp-dev" ] && kind=-dev
    began=$(date +%s)
    if [ ! -x "$PYTHON" ]; then
        base=$(find_python)
        say "environment: $VENV with $("$base" --version)"
        "$base" -m venv "$VENV" >/dev/null 2>&1 || bare_venv "$base"
    fi
    [ -x "$VENV/bin/uv" ] || install_uv
    say "environment: packages of requirements$kind.lock"
    rm -f "$VENV/stamp" "$VENV/stamp-dev"
    UV_LINK_MODE=${UV_LINK_MODE:-copy} "$VENV/bin/uv" pip sync --quiet --python "$PYTHON" \
        --require-hashes --compile-bytecode "requirements$kind.lock" ||
        fail "the packages were not installed; run it again once the cause above is gone"
    put_command
    stamp_of "$kind" >"$VENV/stamp$kind"
    say "environment: ready after $(($(date +%s) - began)) s"
}

# A Python without ensurepip (Debian without python3-venv): its pip serves from outside.
bare_venv() {
    rm -rf "$VENV"
    "$1" -m venv --without-pip "$VENV" || fail "no virtual environment could be made with $1"
    "$1" -m pip --version >/dev/null 2>&1 ||
        fail "this Python has neither ensurepip nor pip; apt-get install python3-venv"
}

# uv itself comes from the lock too, with its hashes.
install_uv() {
    awk '/^[^ #]/ { wanted = /^uv==/ } wanted' requirements.lock >"$VENV/uv.lock"
    if "$PYTHON" -m pip --version >/dev/null 2>&1; then
        "$PYTHON" -m pip install --quiet --require-hashes -r "$VENV/uv.lock"
    else
        "$(find_python)" -m pip --python "$PYTHON" install --quiet --require-hashes \
            -r "$VENV/uv.lock"
    fi
}

# Our own packages are found through a path file: no build, and edits count at once.
put_command() {
    site=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    printf '%s\n' "$ROOT" >"$site/carrel.pth"
    printf '#!/bin/sh\nexec "%s" -m deployments "$@"\n' "$PYTHON" >"$VENV/bin/carrel"
    chmod +x "$VENV/bin/carrel"
}

find_chromium() {
    for name in "${CARREL_CHROMIUM:-chromium}" chromium chromium-browser google-chrome; do
        command -v "$name" && return
    done
    return 1
}

ensure_chromium() {
    if found=$(find_chromium); then
        export CARREL_CHROMIUM="$found"
    elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "browser: installing Chromium with apt-get (once)"
        apt-get update -qq >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >&2
        CARREL_CHROMIUM=$(find_chromium) || fail "apt-get brought no Chromium"
        export CARREL_CHROMIUM
    else
        fail "the page tests need Chromium: install it (apt-get install chromium) or name it in CARREL_CHROMIUM"
    fi
}

# A real MariaDB for the tests of database sources; without it they are skipped (strict: fail).
ensure_mariadb() {
    if command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ]; then
        return
    fi
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "database: installing MariaDB with apt-get (once)"
        apt-get update -qq >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            mariadb-server-core >&2 || say "database: apt-get brought no MariaDB"
    fi
}

# A real Kafka broker for the tests of the stream needs Java, and Maven for its jars (once); a broker
# in CARREL_KAFKA_BOOTSTRAP serves too.
ensure_kafka() {
    [ -n "${CARREL_KAFKA_BOOTSTRAP:-}" ] && return
    command -v java >/dev/null && command -v mvn >/dev/null && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "broker: installing Java and Maven with apt-get (once)"
        apt-get update -qq >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            default-jre-headless maven >&2 || say "broker: apt-get brought no Java"
    fi
}

run_tests() {
    make_env dev
    ensure_chromium
    ensure_mariadb
    ensure_kafka
    say "tests: a dot for each, with the share that is done; what fails stands at the end"
    # Some workers, a file at a time; for a selection none (tests/conftest.py says how many).
    "$PYTHON" -m pytest -n auto --dist loadfile --no-loadscope-reorder "$@"
}

# Every step runs, so that one look shows all that is wrong.
run_check() {
    make_env dev
    PATH=$VENV/bin:$PATH
    wrong=
    for step in "ruff format --check --output-format concise ." "ruff check --output-format concise ." \
        mypy "lint-imports --no-cache" scan "python -m pytest tests/test_house.py"; do
        say "check: $step"
        $step >"$VENV/said" 2>&1 || { wrong="$wrong, ${step%% --*}" && cat "$VENV/said"; }
    done
    [ -z "$wrong" ] || { say "check: wrong:${wrong#,}" && exit 1; }
    say "check: all well"
}

scan() {
    if git rev-parse >/dev/null 2>&1; then
        git ls-files -z -- ':!*.lock'
    else
        find . -type f ! -path './.*/*' ! -name '*.lock' ! -name '*.pyc' -print0
    fi | xargs -0 detect-secrets-hook --no-verify
}

lock() {
    make_env dev
    for kind in "-dev" ""; do
        extra=${kind:+--extra dev --extra stream}
        limits=
        [ "$kind" = "" ] && limits="--constraints requirements-dev.lock"
        # shellcheck disable=SC2086
        "$VENV/bin/uv" pip compile pyproject.toml --extra env $extra $limits --quiet --universal \
            --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
            --no-annotate --no-header ${UPGRADE:+--upgrade} -o "requirements$kind.lock"
    done
}

case ${1:-} in
    env) shift && make_env "$@" ;;
    test) shift && run_tests "$@" ;;
    test-full) shift && run_tests -m "full or not full" "$@" ;;
    check) run_check ;;
    lock) lock ;;
    words) shift && make_env; exec "$PYTHON" -m bi_app.words.extract "$@" ;;
    # Not `make_env && exec`: what stands before `&&` goes on after an error.
    carrel) shift && make_env; exec "$VENV/bin/carrel" "$@" ;;
    bench) shift && make_env dev; exec "$PYTHON" -m benchmarks "$@" ;;
    *) sed -n '2,9p' "$0" && exit 2 ;;
esac
