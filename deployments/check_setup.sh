#!/bin/sh
# Is this machine fit for Carrel? Plain POSIX sh: nothing of Carrel, and no Python, is needed.
#
#   sh deployments/check_setup.sh            each line pass, note or FAIL, with a remedy
#
# Exit codes: 0 fit; 1 something failed; 2 wrong use. Afterwards `carrel doctor` examines more.
# Reads CARREL_* from the environment, else from settings.env of the home. Writes nothing.
set -u

FAILED=0
LEAST_DISK_MB=2000
LEAST_MEMORY_MB=1500
SECONDS_TO_ANSWER=3

line() { printf '%-5s %-12s %s\n' "$1" "$2" "$3"; }
pass() { line pass "$1" "$2"; }
note() { line note "$1" "$2"; [ -z "${3:-}" ] || printf '      remedy: %s\n' "$3"; }
fail() { line FAIL "$1" "$2"; printf '      remedy: %s\n' "$3"; FAILED=1; }
have() { command -v "$1" >/dev/null 2>&1; }
is_number() { case $1 in '' | *[!0-9]*) return 1 ;; esac; }

# Settings of the file count where the environment says nothing; no value is ever run as a command.
read_settings() {
    [ -r "$HOME_OF_CARREL/settings.env" ] || return 0
    while IFS= read -r said || [ -n "$said" ]; do
        said=${said#export }
        name=${said%%=*}
        value=${said#*=}
        case $name in CARREL_*) ;; *) continue ;; esac
        case $name in *[!A-Z0-9_]*) continue ;; esac
        case $value in \"*\" | \'*\') value=${value#?} && value=${value%?} ;; esac
        eval "known=\${$name+set}"
        [ -n "$known" ] || export "$name=$value"
    done <"$HOME_OF_CARREL/settings.env"
}

check_python() {
    for name in ${CARREL_PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
        found=$("$name" -c 'import sys; print(sys.version.split()[0])' 2>/dev/null) || continue
        case $found in
            3.11.* | 3.12.* | 3.13.*)
                if "$name" -c 'import venv, ensurepip' 2>/dev/null || "$name" -m pip --version >/dev/null 2>&1; then
                    pass Python "$found ($name)"
                else
                    fail Python "$found ($name) can make no environment" \
                        "Install its venv (apt-get install python3-venv)."
                fi
                return
                ;;
        esac
        old="${old:-}${old:+, }$name is $found"
    done
    fail Python "none from 3.11 to 3.13${old:+; $old}" \
        "Install Python 3.11, 3.12 or 3.13 (apt-get install python3), or name one in CARREL_PYTHON."
}

# The nearest folder above a place that is there: what is not there yet will be made in it.
standing() {
    place=$1
    while [ ! -e "$place" ]; do
        case $place in
            */*) place=${place%/*} ;;
            *) place=. ;;
        esac
        [ -n "$place" ] || place=/
    done
    printf '%s' "$place"
}

check_disk() {
    place=$(standing "$HOME_OF_CARREL")
    if ! have df; then
        note disk "not looked at: there is no df" "See that $place has 2 GB free."
        return
    fi
    free=$(df -Pk "$place" 2>/dev/null | {
        read -r _
        read -r _ _ _ kilobytes _
        printf '%s' "${kilobytes:-}"
    })
    if ! is_number "$free"; then
        note disk "not looked at: df does not know $place" "See that it has 2 GB free."
    elif [ $((free / 1024)) -lt "$LEAST_DISK_MB" ]; then
        fail disk "$((free / 1024)) MB free at $place" "Free 2 GB, or set CARREL_HOME elsewhere."
    else
        pass disk "$((free / 1024)) MB free at $place"
    fi
}

check_memory() {
    available=
    if [ -r "${CHECK_MEMINFO:-/proc/meminfo}" ]; then
        while read -r name value _; do
            [ "$name" = MemAvailable: ] && available=$((value / 1024))
        done <"${CHECK_MEMINFO:-/proc/meminfo}"
    elif have sysctl; then
        bytes=$(sysctl -n hw.memsize 2>/dev/null) && is_number "$bytes" && available=$((bytes / 1048576))
    fi
    if [ -z "$available" ]; then
        note memory "not looked at: this system does not tell it" "See that 1.5 GB are free."
    elif [ "$available" -lt "$LEAST_MEMORY_MB" ]; then
        fail memory "$available MB available" \
            "Free 1.5 GB: database, Prefect, app and API run beside each other."
    else
        pass memory "$available MB available"
    fi
}

# Whether something listens on a port, as the kernel's own table tells.
is_taken() {
    grep -qsi ":$(printf '%04X' "$1") [0-9A-F]*:0000 0A " /proc/net/tcp /proc/net/tcp6
}

check_port() {
    if ! is_number "$2" || [ "$2" -lt 1 ] || [ "$2" -gt 65535 ]; then
        fail port "$2 is no port for $1" "Set CARREL_$3 to a number from 1 to 65535."
    elif [ ! -r /proc/net/tcp ] || ! have grep; then
        note port "$2 for $1: not looked at, as there is no /proc/net/tcp or no grep"
    elif is_taken "$2"; then
        pass port "$2 is taken; $1 will get the next free one"
    else
        pass port "$2 is free for $1"
    fi
}

# sh itself opens no connection: bash does (/dev/tcp), else curl, nc or python3 is asked to.
# 0: something answers at host $1, port $2; 1: nothing does; 2: there is nothing to ask with.
answers() {
    if have bash && have timeout; then
        timeout "$SECONDS_TO_ANSWER" bash -c ': <>"/dev/tcp/$1/$2"' - "$1" "$2" 2>/dev/null && return 0
        return 1
    elif have curl; then
        curl --silent --connect-timeout "$SECONDS_TO_ANSWER" --max-time "$SECONDS_TO_ANSWER" \
            "telnet://$1:$2" </dev/null >/dev/null 2>&1
        case $? in 0 | 28 | 49 | 56) return 0 ;; *) return 1 ;; esac
    elif have nc; then
        nc -z -w "$SECONDS_TO_ANSWER" "$1" "$2" >/dev/null 2>&1 && return 0
        return 1
    elif have python3; then
        python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)' \
            "$1" "$2" 2>/dev/null && return 0
        return 1
    fi
    return 2
}

# host:port, [address]:port or host, with a port to begin with.
split_address() {
    case $1 in
        \[*\]:*) host=${1%]:*} && host=${host#\[} && port=${1##*:} ;;
        \[*\]) host=${1#\[} && host=${host%\]} && port=$2 ;;
        *:*) host=${1%:*} && port=${1##*:} ;;
        *) host=$1 && port=$2 ;;
    esac
    is_number "$port" && [ -n "$host" ]
}

check_reached() {
    if ! split_address "$2" "$3"; then
        fail "$1" "$2 is no host:port" "$4"
        return
    fi
    answers "$host" "$port"
    case $? in
        0) pass "$1" "$host:$port answers" ;;
        1) fail "$1" "$host:$port does not answer" "$4" ;;
        *) note "$1" "$host:$port: not asked, there is neither bash, curl, nc nor python3" ;;
    esac
}

check_database() {
    if [ -n "${CARREL_DATABASE_URL:-}" ]; then
        place=${CARREL_DATABASE_URL#*://}
        place=${place%%[/?]*}
        check_reached database "${place##*@}" 5432 \
            "Start it, or see CARREL_DATABASE_URL: Carrel needs PostgreSQL 15 or newer."
        return
    fi
    if have id && [ "$(id -u)" = 0 ]; then
        for account in carrel postgres nobody; do
            if id "$account" >/dev/null 2>&1; then
                pass database "the embedded PostgreSQL, run as $account"
                return
            fi
        done
        fail database "PostgreSQL refuses to run as root, and there is no account for it" \
            "Make one (useradd --system carrel), or run Carrel as an ordinary user."
        return
    fi
    pass database "the embedded PostgreSQL"
}

check_kafka() {
    if [ -z "${CARREL_KAFKA_BOOTSTRAP:-}" ]; then
        pass stream "the folder log, as CARREL_KAFKA_BOOTSTRAP is not set"
    else
        rest=$CARREL_KAFKA_BOOTSTRAP,
        while [ -n "$rest" ]; do
            one=${rest%%,*}
            rest=${rest#*,}
            check_reached broker "$one" 9092 "Start the broker, or see CARREL_KAFKA_BOOTSTRAP."
        done
    fi
    if have java; then
        pass Java "$(command -v java)"
    else
        note Java "none; only tests of Kafka need it, to start a broker of their own"
    fi
}

check_writable() {
    place=$(standing "$2")
    if [ -d "$place" ] && [ -w "$place" ] && [ -x "$place" ]; then
        pass writing "$1: $2"
    else
        fail writing "$1: $place cannot be written" "Run \`chown\` on it, or set $3 elsewhere."
    fi
}

check_tools() {
    if have make; then
        pass make "$(command -v make)"
    else
        note make "none" "Run \`deployments/make.sh carrel up\` in place of \`make up\`."
    fi
    if have pg_dump; then
        pass tools "$(command -v pg_dump), for backups of your own PostgreSQL"
    elif [ -n "${CARREL_DATABASE_URL:-}" ]; then
        note tools "no pg_dump" "Backups of your own PostgreSQL need its client programs."
    fi
}

if [ $# -gt 0 ]; then
    printf 'usage: sh deployments/check_setup.sh\n' >&2
    exit 2
fi
HOME_OF_CARREL=${CARREL_HOME:-./.carrel}
read_settings
check_python
check_disk
check_memory
check_port PostgreSQL "${CARREL_PG_PORT:-5432}" PG_PORT
check_port Prefect "${CARREL_PREFECT_PORT:-4200}" PREFECT_PORT
check_port "the app" "${CARREL_APP_PORT:-5006}" APP_PORT
check_port "the API" "${CARREL_API_PORT:-5080}" API_PORT
check_database
check_kafka
check_writable home "$HOME_OF_CARREL" CARREL_HOME
check_writable "own datasets" "${CARREL_PROJECT:-./local}" CARREL_PROJECT
check_writable "temporary files" "${TMPDIR:-/tmp}" TMPDIR
check_tools
if [ "$FAILED" = 0 ]; then
    printf 'This machine is fit for Carrel: `make up` starts it.\n'
else
    printf 'Something is missing: see the remedies above.\n'
fi
exit "$FAILED"
