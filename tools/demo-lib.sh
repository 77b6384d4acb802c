# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the demos share. They set: mose (the command), work (their directory), verdict
# (0, or 1 when something came to harm).
# shellcheck disable=SC2154 # mose and work

say() {
    printf '\n== %s\n' "$*"
}

show() {
    printf '$ mose'
    printf ' %s' "$@"
    printf '\n'
    "$mose" "$@"
}

# wait_for FILE TEXT SECONDS
wait_for() {
    local end=$((SECONDS + $3))
    until grep -q "$2" "$1" 2>/dev/null; do
        if [ $SECONDS -ge $end ]; then
            echo "no '$2' within $3 s; the end of $1:" >&2
            tail -5 "$1" >&2 || :
            return 1
        fi
        sleep 0.1
    done
}

# number KEY: the value of a JSON member on standard input, the last one.
number() {
    sed -n "s/.*\"$1\" *: *\"\\{0,1\\}\\([^,\"}]*\\).*/\\1/p" | tail -n 1
}

# page ADDRESS: the guest's status page.
page() {
    exec 8<>"/dev/tcp/${1%:*}/${1#*:}" || return 1
    printf 'GET /cgi-bin/status HTTP/1.0\r\n\r\n' >&8
    cat <&8
    exec 8>&-
}

# whole ADDRESS: the guest serves, and has found no harm in itself.
whole() {
    local text errors
    text=$(page "$1") || return 1
    errors=$(printf '%s' "$text" | grep '"worker"' | number errors)
    [ "$(printf '%s' "$text" | number kernel_trouble)" = 0 ] && [ "${errors:-0}" = 0 ]
}

fail() {
    echo "NOT WHOLE: $*"
    verdict=1
}

# phases FILE: what httpload tells of its phases.
phases() {
    local phase
    for phase in before during after; do
        grep "\"name\": \"$phase\"" "$1" | sed "s/.*\"duration_ms\": \\([0-9]*\\)[^,]*, \"requests\": \\([0-9]*\\), \"errors\": \\([0-9]*\\), \"reconnects\": \\([0-9]*\\).*\"largest_gap_ms\": \\([0-9]*\\).*/  $phase\\t\\2 requests in \\1 ms, \\3 errors, \\4 reconnects, largest gap \\5 ms/"
    done
}
