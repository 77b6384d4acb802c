# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Where the demo guest lives, for the scripts beside this file, which source it.

tools=$here/../../tools
# shellcheck source-path=SCRIPTDIR source=../../tools/private-apt.sh
. "$tools/private-apt.sh"

# guest_dir [KERNEL]: the directory of the guest with this machine's own kernel, or with
# that of another version: packages/ as `fetch` left them, and the images.
guest_dir()
{
    cache_dir "guest-linux${1:+-$1}"
}

# kernel_suite KERNEL: the suite of Debian that has a Linux of that version.
kernel_suite()
{
    case $1 in
    5.10) echo bullseye ;;
    6.1) echo bookworm ;;
    6.12) echo trixie ;;
    7) echo trixie-backports ;;
    *) return 1 ;;
    esac
}
