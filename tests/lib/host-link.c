/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The network between two hosts; see host-link.h. */
#include "lib/host-link.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define VETH "veth-mose"
#define WIRE "wire" /* as the program calls its taps */
/* Nobody's: what is sent to it is received, and thrown away, by the other host. */
#define NOBODY "02:00:00:00:00:01"

struct HostLink {
    Hosts *hosts;
    HostSpace *there;
    GPid wire; /* 0: none */
};

/* `ip` with these words, split at blanks, on a host. */
static gboolean G_GNUC_PRINTF(3, 4)
    ip(const HostLink *link, HostSide side, const char *format, ...)
{
    g_autofree char *text = NULL;
    g_autofree char *line = NULL;
    g_auto(GStrv) words = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    line = g_strconcat("ip ", text, NULL);
    words = g_strsplit(line, " ", -1);
    return hosts_runv(link->hosts, side, NULL, NULL, (const char *const *)words) == 0;
}

static HostSide
other(HostSide side)
{
    return side == HOST_HERE ? HOST_THERE : HOST_HERE;
}

/* The way from either to the other. */
static gboolean
route_over(const HostLink *link, const char *device)
{
    for (HostSide side = HOST_HERE; side <= HOST_THERE; side++) {
        if (!ip(link, side, "link set %s up", device) ||
            !ip(link, side, "route replace %s/32 dev %s src %s", hosts_ip(other(side)),
                device, hosts_ip(side)))
            return FALSE;
    }
    return TRUE;
}

HostLink *
host_link_new(Hosts *hosts, HostSpace *there, char **ret_why)
{
    HostLink *link = g_new0(HostLink, 1);
    gboolean made;

    link->hosts = hosts;
    link->there = there;
    made =
        ip(link, HOST_HERE, "link add " VETH " type veth peer name " VETH " netns %d",
           (int)host_space_pid(there));
    for (HostSide side = HOST_HERE; made && side <= HOST_THERE; side++)
        made = ip(link, side, "link set lo up") &&
               ip(link, side, "addr add %s/32 dev lo", hosts_ip(side));
    if (made && route_over(link, VETH))
        return link;
    host_link_free(link);
    *ret_why = g_strdup("a veth pair cannot be made (ip link)");
    return NULL;
}

void
host_link_free(HostLink *link)
{
    if (!link)
        return;
    host_link_unshape(link);
    /* The kernel takes its time to remove a namespace, and with it the pair. */
    ip(link, HOST_HERE, "link del " VETH);
    ip(link, HOST_HERE, "addr del %s/32 dev lo", hosts_ip(HOST_HERE));
    g_free(link);
}

/* A device that carries no traffic now loses it as well. */
void
host_link_cut(HostLink *link)
{
    for (HostSide side = HOST_HERE; side <= HOST_THERE; side++)
        g_assert_true(ip(link, side,
                         "neigh replace %s lladdr " NOBODY " nud permanent dev %s",
                         hosts_ip(other(side)), link->wire ? WIRE : VETH));
}

void
host_link_mend(HostLink *link)
{
    for (HostSide side = HOST_HERE; side <= HOST_THERE; side++)
        g_assert_true(ip(link, side, "neigh del %s dev %s", hosts_ip(other(side)),
                         link->wire ? WIRE : VETH));
}

/* It prints a line when both its taps are there. */
static GPid
start_wire(const HostLink *link, guint mbit, guint delay_ms)
{
    g_autofree char *network =
        g_strdup_printf("/proc/%d/ns/net", (int)host_space_pid(link->there));
    g_autofree char *rate = g_strdup_printf("%u", mbit);
    g_autofree char *delay = g_strdup_printf("%u", delay_ms);
    const char *argv[] = { g_getenv("WIRE"), network, rate, delay, NULL };
    char byte = 0;
    int out;
    GPid pid;

    if (!argv[0] || !g_spawn_async_with_pipes(
                        NULL, (char **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD,
                        host_space_enter_bound, NULL, &pid, NULL, &out, NULL, NULL))
        return 0;
    if (read(out, &byte, 1) != 1) {
        waitpid(pid, NULL, 0);
        pid = 0;
    }
    close(out);
    return pid;
}

gboolean
host_link_shape(HostLink *link, guint mbit, guint delay_ms)
{
    host_link_unshape(link);
    link->wire = start_wire(link, mbit, delay_ms);
    return link->wire > 0 && route_over(link, WIRE);
}

void
host_link_unshape(HostLink *link)
{
    if (!link->wire)
        return;
    route_over(link, VETH);
    kill(link->wire, SIGKILL);
    waitpid(link->wire, NULL, 0);
    link->wire = 0;
}
