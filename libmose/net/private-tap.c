/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The child that makes a private tap; see private-tap.h. What it does between fork()
 * and _exit() is system calls only, since a thread of the parent may hold any lock. */
#include "net/private-tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/error.h"
#include "util/fd.h"

/* Frames of the guest that wait for the pump: a hundred of them as large as
 * segmentation offload makes them. Without privilege the kernel gives no more than
 * net.core.rmem_max. */
#define RECEIVE_BUFFER (4 << 20)

/* The child's steps, for the error that tells where it ended. */
typedef enum {
    STEP_NAMESPACE,
    STEP_MAP,
    STEP_IPV6,
    STEP_TUN,
    STEP_TAP,
    STEP_UP,
    STEP_SOCKET,
    STEP_DONE,
} Step;

static const char *const step_text[] = {
    [STEP_NAMESPACE] = "make a network namespace",
    [STEP_MAP] = "map this user into a user namespace",
    [STEP_IPV6] = "keep IPv6 off it (/proc/sys/net/ipv6)",
    [STEP_TUN] = "open /dev/net/tun",
    [STEP_TAP] = "make it",
    [STEP_UP] = "set it up",
    [STEP_SOCKET] = "open a packet socket on it",
};

/* What the child says when it ends. */
typedef struct {
    Step step;
    int saved_errno;
} Outcome;

/* All that the child needs, made before the fork. */
typedef struct {
    struct ifreq ifr;
    int mtu;
    char uid_map[32];
    char gid_map[32];
    MosePrivateTap made;
} Plan;

static gboolean
write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    gboolean written =
        fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    mose_fd_close(fd);
    return written;
}

/* With the group map of one that has no privilege goes that it gives setgroups(2) up:
 * user_namespaces(7). */
static Step
enter_namespaces(const Plan *plan)
{
    if (unshare(CLONE_NEWNET) == 0)
        return STEP_DONE;
    if (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return STEP_NAMESPACE;
    if (!write_text("/proc/self/setgroups", "deny") ||
        !write_text("/proc/self/uid_map", plan->uid_map) ||
        !write_text("/proc/self/gid_map", plan->gid_map))
        return STEP_MAP;
    return STEP_DONE;
}

/* Before there is an interface: one that comes up with IPv6 on announces itself at
 * once. A kernel without IPv6 has no such file. */
static gboolean
keep_ipv6_off(void)
{
    return write_text("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1") ||
           errno == ENOENT;
}

/* No ARP either. TUNSETIFF asks for CAP_NET_ADMIN over the namespace in which
 * /dev/net/tun was opened (Linux drivers/net/tun.c:tun_set_iff). */
static Step
make_tap(Plan *plan)
{
    g_auto(MoseFd) control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq ifr = plan->ifr;

    plan->made.tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (plan->made.tap < 0)
        return STEP_TUN;
    if (ioctl(plan->made.tap, TUNSETIFF, &ifr) < 0)
        return STEP_TAP;
    ifr.ifr_mtu = plan->mtu;
    if (control < 0 || ioctl(control, SIOCSIFMTU, &ifr) < 0)
        return STEP_UP;
    ifr.ifr_flags = IFF_UP | IFF_NOARP;
    return ioctl(control, SIOCSIFFLAGS, &ifr) < 0 ? STEP_UP : STEP_DONE;
}

static gboolean
turn_on(int fd, int option)
{
    int on = 1;

    return setsockopt(fd, SOL_PACKET, option, &on, sizeof(on)) == 0;
}

/*
 * A VLAN tag is not in the frame but beside it (PACKET_AUXDATA), since the kernel takes
 * it out of all that it receives (Linux net/core/dev.c:__netif_receive_skb_core). The
 * options come first, bind() last: nothing is received without them. Frames for all
 * addresses are seen without promiscuous mode. PACKET_QDISC_BYPASS would lose what has
 * to be cut for a guest without offloads (net/core/dev.c:__dev_direct_xmit).
 */
static Step
open_packet(Plan *plan)
{
    const struct sockaddr_ll addr = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = (int)if_nametoindex(plan->ifr.ifr_name),
    };
    const int buffer = RECEIVE_BUFFER;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    plan->made.packet = fd;
    if (fd < 0 || !turn_on(fd, PACKET_VNET_HDR) || !turn_on(fd, PACKET_AUXDATA) ||
        !turn_on(fd, PACKET_IGNORE_OUTGOING))
        return STEP_SOCKET;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
    return bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ? STEP_SOCKET
                                                                      : STEP_DONE;
}

static Step
take_steps(Plan *plan)
{
    Step step = enter_namespaces(plan);

    if (step == STEP_DONE && !keep_ipv6_off())
        step = STEP_IPV6;
    if (step == STEP_DONE)
        step = make_tap(plan);
    return step == STEP_DONE ? open_packet(plan) : step;
}

/* One message: the outcome, and both descriptors if all went well. */
static struct msghdr
message(struct iovec *iov, void *control, gsize control_len)
{
    return (struct msghdr){ .msg_iov = iov,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = control_len };
}

typedef union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(MosePrivateTap))];
} Rights;

static void
child(Plan *plan, int to_parent)
{
    Outcome outcome = { .step = take_steps(plan), .saved_errno = errno };
    struct iovec iov = { &outcome, sizeof(outcome) };
    gboolean done = outcome.step == STEP_DONE;
    Rights rights = { .header = { .cmsg_level = SOL_SOCKET,
                                  .cmsg_type = SCM_RIGHTS,
                                  .cmsg_len = CMSG_LEN(sizeof(plan->made)) } };
    struct msghdr msg = message(&iov, done ? &rights : NULL, done ? sizeof(rights) : 0);

    memcpy(CMSG_DATA(&rights.header), &plan->made, sizeof(plan->made));
    _exit(sendmsg(to_parent, &msg, MSG_NOSIGNAL) < 0 ? 1 : 0);
}

static gboolean
receive(int from_child, Outcome *outcome, MosePrivateTap *ret)
{
    struct iovec iov = { outcome, sizeof(*outcome) };
    Rights rights = { 0 };
    struct msghdr msg = message(&iov, &rights, sizeof(rights));
    ssize_t got;

    do
        got = recvmsg(from_child, &msg, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got != sizeof(*outcome))
        return FALSE;
    if (outcome->step != STEP_DONE)
        return TRUE;
    if (rights.header.cmsg_type != SCM_RIGHTS ||
        rights.header.cmsg_len != CMSG_LEN(sizeof(*ret)))
        return FALSE;
    memcpy(ret, CMSG_DATA(&rights.header), sizeof(*ret));
    return TRUE;
}

/* What the host does not offer is told from what went wrong. */
static void
set_error(GError **error, const Outcome *outcome, const char *ifname)
{
    if (outcome->step < STEP_IPV6 || outcome->step == STEP_TUN)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "no private tap %s here, cannot %s: %s", ifname,
                    step_text[outcome->step], g_strerror(outcome->saved_errno));
    else
        mose_error_set_errno(error, outcome->saved_errno, "private tap %s: cannot %s",
                             ifname, step_text[outcome->step]);
}

static gboolean
make_plan(Plan *plan, const char *ifname, gboolean vnet_hdr, guint mtu, GError **error)
{
    *plan = (Plan){ .mtu = mtu ? (int)MIN(mtu, G_MAXINT) : MOSE_TAP_MTU_MAX,
                    .made = { MOSE_FD_NONE, MOSE_FD_NONE } };
    if (strlen(ifname) == 0 || strlen(ifname) >= IFNAMSIZ) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "no name of a tap: '%s'",
                    ifname);
        return FALSE;
    }
    g_strlcpy(plan->ifr.ifr_name, ifname, IFNAMSIZ);
    plan->ifr.ifr_flags = IFF_TAP | IFF_NO_PI | (vnet_hdr ? IFF_VNET_HDR : 0);
    g_snprintf(plan->uid_map, sizeof(plan->uid_map), "0 %u 1", (guint)geteuid());
    g_snprintf(plan->gid_map, sizeof(plan->gid_map), "0 %u 1", (guint)getegid());
    return TRUE;
}

gboolean
mose_private_tap_open(const char *ifname, gboolean vnet_hdr, guint mtu,
                      MosePrivateTap *ret, GError **error)
{
    g_auto(MoseFd) here = MOSE_FD_NONE;
    Plan plan;
    Outcome outcome = { .step = STEP_NAMESPACE };
    int pair[2];
    gboolean told;
    pid_t pid;

    if (!make_plan(&plan, ifname, vnet_hdr, mtu, error))
        return FALSE;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        mose_error_set_errno(error, errno, "private tap %s", ifname);
        return FALSE;
    }
    here = pair[0];
    pid = fork();
    if (pid == 0)
        child(&plan, pair[1]);
    if (pid < 0)
        mose_error_set_errno(error, errno, "private tap %s", ifname);
    mose_fd_close(pair[1]);
    if (pid < 0)
        return FALSE;
    told = receive(here, &outcome, ret);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (!told)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "private tap %s: the process that makes it has ended", ifname);
    else if (outcome.step != STEP_DONE)
        set_error(error, &outcome, ifname);
    return told && outcome.step == STEP_DONE;
}

int
mose_private_tap_alone(const char *ifname, gboolean vnet_hdr, GError **error)
{
    MosePrivateTap made;

    if (!mose_private_tap_open(ifname, vnet_hdr, 0, &made, error))
        return MOSE_FD_NONE;
    mose_fd_close(made.packet);
    return made.tap;
}
