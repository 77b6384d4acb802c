# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Completion of mose(1) for bash. Needs no bash-completion.

_mose_commands='host run list status stop plug unplug check emulate virtualize fork discard'
_mose_commands+=' dump receive stream trace'
# Those that look into a guest, or into a core file.
_mose_looks='ps cpus bt modules dmesg irq net mounts files maps objects cat sym type read'
_mose_commands+=" $_mose_looks write"

# The options of command $1.
_mose_options()
{
    case $1 in
    host) echo '--cpu --accel --report --qemu --json --help' ;;
    run)
        echo '--accel --cpu --emulator-cpu --qemu --overcommit --ram-shared' \
            '--ram-private --json --help --'
        ;;
    plug) echo '--json --help --' ;;
    unplug) echo '--timeout --json --help' ;;
    emulate | virtualize)
        echo '--in-place --copy --channels --downtime-limit --overcommit --disks' \
            '--overlay-dir --on --rsh --mose-path --map --network --tcp --tls --bandwidth --compress' \
            '--json --help'
        ;;
    fork)
        echo '--same-moment --paused --room --overcommit --overlay-dir --owner --export' \
            '--compress --import --json --help'
        ;;
    dump) echo '--format --live --force --json --help' ;;
    dmesg) echo '--follow --raw --level --facility --callers --from --json --help' ;;
    net) echo '--pid --kinds --listening --links --json --help' ;;
    receive) echo '--compress --json --help' ;;
    stop) echo '--discard --keep --forget --json --help' ;;
    stream) echo '--section --json --help' ;;
    maps) echo '--pages --json --help' ;;
    read)
        echo '--physical --pid --cpu --strings --min --disassemble --bits --words --pages' \
            '--raw --output --json --help'
        ;;
    write) echo '--physical --pid --cpu --text --file --expect --shared --json --help' ;;
    cat) echo '--pid --output --map --json --help' ;;
    sym) echo '--all --pid --debug-info --json --help' ;;
    bt)
        echo '--all --cpu --kernel --registers --frame-pointers --debug-info --json --help'
        ;;
    trace)
        echo '--output --pid --kernel --user --function --module --range --memory --no-values' \
            '--seconds --instructions --drop --patience --buffer --level --vcpu --from' \
            '--blocks --info --json --help'
        ;;
    type) echo '--max --depth --elements --nonzero --json --help' ;;
    ps) echo '--threads --tree --full --long --container --columns --json --help' ;;
    cpus) echo '--registers --json --help' ;;
    irq) echo '--softirqs --total --json --help' ;;
    *) echo '--json --help' ;;
    esac
}

# The names of this user's guests: their directories, since asking each QEMU for
# its state would take longer than typing.
_mose_guests()
{
    local dir guest
    if [[ -n ${MOSE_RUNTIME_DIR:-} ]]; then
        dir=$MOSE_RUNTIME_DIR
    elif ((EUID == 0)); then
        dir=/run/mose
    else
        dir=${XDG_RUNTIME_DIR:-/nonexistent}/mose
    fi
    for guest in "$dir"/*/guest.json; do
        guest=${guest%/guest.json}
        if [[ -e $guest ]]; then echo "${guest##*/}"; fi
    done
}

# Those of them that are forks.
_mose_forks()
{
    local guest
    for guest in $(_mose_guests); do
        if grep -qs '"fork" :' "${MOSE_RUNTIME_DIR:-/run/mose}/$guest/guest.json" ||
            grep -qs '"fork" :' "${XDG_RUNTIME_DIR:-/nonexistent}/mose/$guest/guest.json"; then
            echo "$guest"
        fi
    done
}

# What may stand at word number $2 of command $1, which begins with $3. "FILES"
# stands for the names of files.
_mose_words()
{
    if [[ $3 == -* ]]; then
        _mose_options "$1"
        return
    fi
    if [[ " $_mose_looks " == *" $1 "* ]]; then
        if (($2 > 2)); then return; fi
        if [[ $3 == */* ]]; then echo FILES; else _mose_guests; fi
        return
    fi
    case $1 in
    status | stop | check | plug | emulate | virtualize) _mose_guests ;;
    fork) if (($2 == 2)); then _mose_guests; fi ;;
    discard) _mose_forks ;;
    dump) if (($2 == 2)); then _mose_guests; else echo FILES; fi ;;
    trace)
        if (($2 == 2)); then
            _mose_guests
            echo show
        else
            echo FILES
        fi
        ;;
    unplug | write) if (($2 == 2)); then _mose_guests; fi ;;
    stream) if (($2 == 2)); then echo 'show diff'; else echo FILES; fi ;;
    esac
}

# What may follow option $2 of command $1; fails where it takes no argument.
_mose_argument()
{
    case $1:$2 in
    host:--accel | run:--accel) echo 'auto kvm tcg' ;;
    run:--cpu) echo portable ;;
    host:--qemu | host:--report | run:--qemu) echo FILES ;;
    run:--emulator-cpu | stream:--section | unplug:--timeout) ;;
    emulate:--channels | virtualize:--channels) ;;
    emulate:--downtime-limit | virtualize:--downtime-limit) ;;
    emulate:--disks) echo 'shared overlay home' ;;
    emulate:--overlay-dir) echo FILES ;;
    virtualize:--disks | virtualize:--overlay-dir) ;;
    receive:--compress | fork:--compress | fork:--room | fork:--owner) ;;
    dmesg:--level) echo 'emerg alert crit err warn notice info debug' ;;
    dmesg:--facility) echo 'kern user mail daemon auth syslog' ;;
    net:--kinds) echo 'tcp udp udplite raw unix packet netlink' ;;
    dmesg:--from | net:--pid) ;;
    dump:--format) echo 'elf kdump-zlib kdump-lzo kdump-snappy' ;;
    bt:--debug-info | sym:--debug-info) echo FILES ;;
    bt:--cpu | bt:-c) ;;
    read:--output | read:-o | cat:--output | cat:-o | write:--file) echo FILES ;;
    read:--bits) echo '16 32 64' ;;
    read:--pid | read:--cpu | read:--min | cat:--pid | sym:--pid) ;;
    trace:--output | trace:-o) echo FILES ;;
    trace:--pid | trace:--function | trace:--module | trace:--range | trace:--seconds | trace:-s) ;;
    trace:--instructions | trace:-n | trace:--patience | trace:--buffer) ;;
    trace:--level | trace:--vcpu | trace:--from) ;;
    write:--pid | write:--cpu | write:--text | write:--expect) ;;
    fork:--overlay-dir | fork:--export | fork:--import) echo FILES ;;
    emulate:--network | virtualize:--network) echo 'there home' ;;
    emulate:--tcp | virtualize:--tcp) echo auto ;;
    emulate:--tls | virtualize:--tls) echo FILES ;;
    emulate:--on | emulate:--rsh | emulate:--mose-path | emulate:--map) ;;
    emulate:--bandwidth | emulate:--compress) ;;
    virtualize:--on | virtualize:--rsh | virtualize:--mose-path | virtualize:--map) ;;
    virtualize:--bandwidth | virtualize:--compress) ;;
    ps:--columns | ps:-o) echo 'pid,ppid,uid,stat,time,args' ;;
    *) return 1 ;;
    esac
}

_mose()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} words

    # readline takes --accel=kvm for three words.
    if [[ $word == = ]]; then
        word=
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if ((COMP_CWORD == 1)); then
        words="$_mose_commands --help --version"
    elif [[ " ${COMP_WORDS[*]:2:COMP_CWORD-2} " == *' -- '* ]]; then
        words=FILES # QEMU's options
    else
        words=$(_mose_argument "$command" "$before") ||
            words=$(_mose_words "$command" "$COMP_CWORD" "$word")
    fi
    if [[ $words == FILES ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    fi
}

complete -o filenames -F _mose mose
