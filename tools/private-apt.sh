# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Debian packages for MOSE's cache, for the scripts that source this, with $tools the
# directory that it is in: apt works on directories of its own in $work, with this
# machine's package sources. Nothing is installed on this system and no root is needed.

# The directory of MOSE's cache called NAME: cache_dir NAME.
cache_dir()
{
    if [ -n "${MOSE_CACHE_DIR:-}" ]; then
        cache=$MOSE_CACHE_DIR
    elif [ -n "${XDG_CACHE_HOME:-}" ]; then
        cache=$XDG_CACHE_HOME/mose
    else
        cache=${HOME:?neither MOSE_CACHE_DIR, XDG_CACHE_HOME nor HOME is set}/.cache/mose
    fi
    echo "$cache/$1"
}

die()
{
    echo "$0: $*" >&2
    exit 1
}

# run COMMAND...: quiet while all goes well, the whole story otherwise.
run()
{
    "$@" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        die "'$1' failed (above)"
    }
}

# configure_apt STATUS: a configuration that keeps apt within $work/apt; STATUS tells
# what is installed. What the system hooks onto an update (indexers, the removal of
# archives) does not concern this one.
configure_apt()
{
    mkdir -p "$work/apt/state/lists/partial" "$work/apt/cache/archives/partial" \
        "$work/debs"
    cat >"$work/apt/conf" <<CONF
Dir::State "$work/apt/state";
Dir::State::status "$1";
Dir::Cache "$work/apt/cache";
Debug::NoLocking "1";
APT::Install-Recommends "0";
APT::Sandbox::User "$(id -un)";
APT::Architecture "amd64";
Acquire::Languages "none";
Acquire::Retries "3";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONF
}

# update_lists PACKAGE: a source that does not answer is no reason to stop if another
# has the package. apt calls an update good that got no list at all ("they have been
# ignored"), so what counts is whether the package is known; a busy archive is asked
# again.
update_lists()
{
    for pause in 0 5 20; do
        sleep "$pause"
        apt-get -c "$work/apt/conf" -q update >"$work/update.log" 2>&1 || :
        if apt-cache -c "$work/apt/conf" show "$1" >/dev/null 2>&1; then
            return
        fi
    done
    cat "$work/update.log" >&2
    die "no package source of this machine has $1 ('apt-get update' is above)"
}

# Download what $work/list names to $work/debs.
download_list()
{
    (cd "$work/debs" && xargs apt-get -c "$work/apt/conf" -q download \
        <"$work/list" >"$work/log" 2>&1) || {
        cat "$work/log" >&2
        die 'the download failed (above)'
    }
}

# Unpack $work/debs to $work/packages, with a MANIFEST of what they were.
unpack()
{
    mkdir "$work/packages"
    for deb in "$work"/debs/*.deb; do
        dpkg-deb -x "$deb" "$work/packages"
        # shellcheck disable=SC2016 # dpkg-deb expands them
        dpkg-deb -W --showformat='${Package} ${Version}\n' "$deb"
    done >"$work/manifest"
    mv "$work/manifest" "$work/packages/MANIFEST"
}

# use_suite SUITE: packages of that suite of Debian alone, from where this machine has
# its own.
use_suite()
{
    # shellcheck source=/dev/null
    own=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2154 # set by the script that sources this
    fields=$(awk -v suite="$own" -f "$tools/apt-source.awk" /etc/apt/sources.list \
        /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null) ||
        die "no apt source serves $own main, from which that of $1 could be told"
    mkdir -p "$work/apt/etc/sources.list.d"
    cat >"$work/apt/etc/sources.list.d/$1.sources" <<SOURCE
Types: deb
$fields
Suites: $1
Components: main
SOURCE
    cat >>"$work/apt/conf" <<CONF
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$work/apt/etc/sources.list.d";
CONF
}
