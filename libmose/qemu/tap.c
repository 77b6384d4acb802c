/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening a tap; see tap.h. */
#include "qemu/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "util/error.h"
#include "util/fd.h"

int
mose_tap_open(const char *ifname, gboolean vnet_hdr, GError **error)
{
    g_auto(MoseFd) fd = MOSE_FD_NONE;
    struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };

    if (if_nametoindex(ifname) == 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "no tap interface %s; make it with `ip tuntap add %s mode tap`",
                    ifname, ifname);
        return -1;
    }
    if (vnet_hdr)
        ifr.ifr_flags |= IFF_VNET_HDR;
    g_strlcpy(ifr.ifr_name, ifname, sizeof(ifr.ifr_name));
    fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0) {
        mose_error_set_errno(error, errno, "cannot open tap %s", ifname);
        return -1;
    }
    return mose_fd_steal(&fd);
}

static gboolean
is_tap(const char *dir, const char *number, const char *ifname)
{
    g_autofree char *path = g_build_filename(dir, number, NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return FALSE;
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++)
        if (g_str_has_prefix(*line, "iff:") &&
            strcmp(g_strstrip(*line + 4), ifname) == 0)
            return TRUE;
    return FALSE;
}

int
mose_tap_take(const MoseProcess *process, const char *ifname, int number,
              GError **error)
{
    g_autofree char *dir = g_strdup_printf("/proc/%d/fdinfo", (int)process->pid);
    g_autoptr(GDir) list = g_dir_open(dir, 0, NULL);
    const char *name;

    while (list && (name = g_dir_read_name(list)))
        if (is_tap(dir, name, ifname))
            return mose_process_get_fd(process, atoi(name), error);
    return mose_process_get_fd(process, number, error);
}
