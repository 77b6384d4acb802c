/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Namespaces that make a host; see host-space.h. A child, the keeper, makes them, waits
 * for the test's end, however that comes, and clears up. */
#include "lib/host-space.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/vm.h"
#include "util/fd.h"

#define SPACES 3
#define END_TRIES 200
#define END_WAIT_US 50000

struct HostSpace {
    pid_t keeper;
    int hold; /* the keeper clears up when it is closed */
    int spaces[SPACES];
};

/* The mounts last: with them the working directory is lost. */
static const char *const space_names[SPACES] = { "uts", "net", "mnt" };

/* ---- the keeper ----------------------------------------------------------- */

/* In a chroot, "/" may be no mount and cannot be made private, and need not be. */
static gboolean
make_mounts_private(void)
{
    g_autofree char *mounts = NULL;

    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
    return g_file_get_contents("/proc/self/mountinfo", &mounts, NULL, NULL) &&
           !strstr(mounts, " shared:");
}

/* What failed, or NULL; errno tells why. */
static const char *
make_space(const HostSpaceConfig *config)
{
    if (unshare(CLONE_NEWNS | CLONE_NEWUTS | (config->own_net ? CLONE_NEWNET : 0)) < 0)
        return "unshare";
    if (sethostname(config->name, strlen(config->name)) < 0)
        return "sethostname";
    if (!make_mounts_private())
        return "private mounts";
    if (mount("run", "/run", "tmpfs", 0, "mode=0755") < 0 ||
        mkdir("/run/sshd", 0755) < 0)
        return "an empty /run";
    for (const char *const *file = config->files; *file; file += 2) {
        if (mount(file[0], file[1], NULL, MS_BIND, NULL) < 0)
            return file[1];
    }
    return NULL;
}

static gboolean
in_network(const char *pid, const struct stat *network)
{
    g_autofree char *path = g_build_filename("/proc", pid, "ns/net", NULL);
    struct stat other;

    return stat(path, &other) == 0 && other.st_dev == network->st_dev &&
           other.st_ino == network->st_ino;
}

/* Kill all but this process that are in its network; how many there were. */
static guint
kill_all(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
    struct stat network;
    const char *name;
    guint n = 0;

    if (!dir || stat("/proc/self/ns/net", &network) < 0)
        return 0;
    while ((name = g_dir_read_name(dir))) {
        pid_t pid = (pid_t)g_ascii_strtoll(name, NULL, 10);

        if (pid > 0 && pid != getpid() && in_network(name, &network)) {
            kill(pid, SIGKILL);
            n++;
        }
    }
    return n;
}

static void
clear_up(const HostSpaceConfig *config)
{
    /* One may have started another in between. */
    for (int i = 0; config->own_net && kill_all() > 0 && i < END_TRIES; i++)
        g_usleep(END_WAIT_US);
    if (config->runtime_dir)
        vm_remove_tree(config->runtime_dir);
}

/* Keep nothing of the test's open, whose readers wait for its end: @hold alone. */
static void
close_others(int hold)
{
    int null_fd = open("/dev/null", O_RDWR);

    for (int fd = 0; fd <= 2; fd++)
        dup2(null_fd, fd);
    if (hold > 3)
        close_range(3, (unsigned)hold - 1, 0);
    close_range((unsigned)hold + 1, ~0u, 0);
}

static void
be_keeper(const HostSpaceConfig *config, int tell, int hold)
{
    const char *failed = make_space(config);
    g_autofree char *why =
        failed ? g_strdup_printf("%s: %s", failed, g_strerror(errno)) : g_strdup("");
    char byte;

    setsid();
    mose_fd_write_all(tell, why, strlen(why), "the test", NULL);
    close_others(hold);
    if (failed)
        _exit(1); /* it may be in the test's network, and shall kill nobody there */
    while (read(hold, &byte, 1) < 0)
        ;
    clear_up(config);
    _exit(0);
}

/* ---- the test ------------------------------------------------------------- */

/* What the keeper tells until it closes the pipe: nothing, if all is well. */
static char *
read_why(int fd)
{
    char text[256];
    gsize len = 0;
    ssize_t got;

    while (len < sizeof(text) &&
           ((got = read(fd, text + len, sizeof(text) - len)) > 0 ||
            (got < 0 && errno == EINTR)))
        len += got > 0 ? (gsize)got : 0;
    return len > 0 ? g_strndup(text, len) : NULL;
}

static void
open_spaces(HostSpace *space)
{
    for (int i = 0; i < SPACES; i++) {
        g_autofree char *path =
            g_strdup_printf("/proc/%d/ns/%s", (int)space->keeper, space_names[i]);

        space->spaces[i] = open(path, O_RDONLY | O_CLOEXEC);
        g_assert_cmpint(space->spaces[i], >=, 0);
    }
}

HostSpace *
host_space_new(const HostSpaceConfig *config, char **ret_why)
{
    g_autoptr(HostSpace) space = g_new(HostSpace, 1);
    int tell[2], hold[2];

    memset(space->spaces, MOSE_FD_NONE, sizeof(space->spaces)); /* -1, each byte 0xff */
    g_assert_cmpint(pipe2(tell, O_CLOEXEC), ==, 0);
    g_assert_cmpint(pipe2(hold, O_CLOEXEC), ==, 0);
    space->keeper = fork();
    g_assert_cmpint(space->keeper, >=, 0);
    if (space->keeper == 0) {
        close(tell[0]);
        close(hold[1]);
        be_keeper(config, tell[1], hold[0]);
    }
    close(tell[1]);
    close(hold[0]);
    space->hold = hold[1];
    *ret_why = read_why(tell[0]);
    close(tell[0]);
    if (*ret_why) {
        if (config->runtime_dir)
            vm_remove_tree(config->runtime_dir);
        return NULL;
    }
    open_spaces(space);
    return g_steal_pointer(&space);
}

void
host_space_free(HostSpace *space)
{
    if (!space)
        return;
    for (int i = 0; i < SPACES; i++)
        mose_fd_close(space->spaces[i]);
    close(space->hold);
    while (waitpid(space->keeper, NULL, 0) < 0 && errno == EINTR)
        ;
    g_free(space);
}

/* Between fork and exec: nothing but system calls. */
void
host_space_enter(gpointer data)
{
    const HostSpace *space = data;

    for (int i = 0; space && i < SPACES; i++) {
        if (setns(space->spaces[i], 0) < 0)
            _exit(126);
    }
}

void
host_space_enter_bound(gpointer data)
{
    host_space_enter(data);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

gboolean
host_space_has(const HostSpace *space, pid_t pid)
{
    g_autofree char *network = g_strdup_printf("/proc/%d/ns/net", (int)space->keeper);
    g_autofree char *text = g_strdup_printf("%d", (int)pid);
    struct stat st;

    return stat(network, &st) == 0 && in_network(text, &st);
}

pid_t
host_space_pid(const HostSpace *space)
{
    return space->keeper;
}
