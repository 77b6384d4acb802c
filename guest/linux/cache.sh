# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Where the demo guest lives, for the scripts beside this file, which source it.

# The directory of the guest: packages/ as `fetch` left them, and the images.
guest_dir()
{
    if [ -n "${MOSE_CACHE_DIR:-}" ]; then
        cache=$MOSE_CACHE_DIR
    elif [ -n "${XDG_CACHE_HOME:-}" ]; then
        cache=$XDG_CACHE_HOME/mose
    else
        cache=${HOME:?neither MOSE_CACHE_DIR, XDG_CACHE_HOME nor HOME is set}/.cache/mose
    fi
    echo "$cache/guest-linux"
}

die()
{
    echo "$0: $*" >&2
    exit 1
}
