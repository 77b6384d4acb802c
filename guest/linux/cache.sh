# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Where the demo guest lives, for the scripts beside this file, which source it.

# shellcheck source-path=SCRIPTDIR source=../../tools/private-apt.sh
. "$here/../../tools/private-apt.sh"

# The directory of the guest: packages/ as `fetch` left them, and the images.
guest_dir()
{
    cache_dir guest-linux
}
