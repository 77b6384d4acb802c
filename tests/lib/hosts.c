/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two hosts and what is run on them; see hosts.h. The link between them: host-link.c.
 */
#include "lib/hosts.h"

#include <errno.h>
#include <string.h>

#include "lib/host-link.h"
#include "lib/vm-net.h"
#include "lib/vm.h"

#define SIDES 2

typedef struct {
    HostSpace *space; /* here: sshd's alone */
    char *runtime_dir;
    char *address; /* USER@ADDRESS */
    GPid sshd;
} Host;

struct Hosts {
    HostLogin *login;
    char *rsh;
    Host host[SIDES];
    HostLink *link;
};

static const struct {
    const char *name, *ip;
} known[SIDES] = { { "here", "10.99.0.1" }, { "there", "10.99.0.2" } };

static char *why_no_hosts;

/* ---- what is run ---------------------------------------------------------- */

/* Where a process of that side runs; NULL: with the test. */
static HostSpace *
space_of(const Hosts *hosts, HostSide side)
{
    return side == HOST_HERE ? NULL : hosts->host[side].space;
}

/* The tested `mose` before any that is installed. */
static char *
search_path(void)
{
    g_autofree char *dir = g_path_get_dirname(g_getenv("MOSE"));

    return g_strdup_printf("%s:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
                           "/sbin:/bin",
                           dir);
}

/* GSubprocessLauncher searches in the test's own PATH. */
static char *
find_program(const char *word)
{
    g_autofree char *found = NULL;

    if (strcmp(word, "mose") == 0)
        return g_strdup(g_getenv("MOSE"));
    found = g_find_program_in_path(word);
    return g_strdup(found ? found : word);
}

GSubprocess *
hosts_spawn(Hosts *hosts, HostSide side, GSubprocessFlags flags,
            const char *const *words)
{
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(flags);
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autofree char *program = find_program(words[0]);
    g_autofree char *path = search_path();
    g_autoptr(GError) error = NULL;
    GSubprocess *process;

    g_ptr_array_add(argv, program);
    for (words++; *words; words++)
        g_ptr_array_add(argv, (gpointer)*words);
    g_ptr_array_add(argv, NULL);
    g_subprocess_launcher_setenv(launcher, "PATH", path, TRUE);
    g_subprocess_launcher_setenv(launcher, "MOSE_RUNTIME_DIR",
                                 hosts->host[side].runtime_dir, TRUE);
    g_subprocess_launcher_set_child_setup(launcher, host_space_enter_bound,
                                          space_of(hosts, side), NULL);
    process = g_subprocess_launcher_spawnv(launcher, (const char *const *)argv->pdata,
                                           &error);
    g_assert_no_error(error);
    return process;
}

int
hosts_runv(Hosts *hosts, HostSide side, char **ret_out, char **ret_err,
           const char *const *words)
{
    g_autofree char *line = g_strjoinv(" ", (char **)words);
    g_autofree char *out = NULL, *err = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocess) process = hosts_spawn(
        hosts, side, G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE,
        words);

    g_subprocess_communicate_utf8(process, NULL, NULL, &out, &err, &error);
    g_assert_no_error(error);
    g_test_message("%s: %s\n%s%s", known[side].name, line, out, err);
    g_assert_true(g_subprocess_get_if_exited(process));
    if (ret_out)
        *ret_out = g_steal_pointer(&out);
    if (ret_err)
        *ret_err = g_steal_pointer(&err);
    return g_subprocess_get_exit_status(process);
}

int
hosts_run(Hosts *hosts, HostSide side, char **ret_out, char **ret_err, const char *word,
          ...)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    va_list args;

    va_start(args, word);
    for (; word; word = va_arg(args, const char *))
        g_ptr_array_add(words, (gpointer)word);
    va_end(args);
    g_ptr_array_add(words, NULL);
    return hosts_runv(hosts, side, ret_out, ret_err, (const char *const *)words->pdata);
}

/* ---- making them ---------------------------------------------------------- */

/* As Linux has it: one that differs says that this is another host, or another time. */
static void
write_boot_id(const char *path)
{
    g_autofree char *id = g_uuid_string_random();
    g_autofree char *line = g_strconcat(id, "\n", NULL);
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, line, -1, &error);
    g_assert_no_error(error);
}

static gboolean
make_space(Hosts *hosts, HostSide side)
{
    g_auto(GStrv) account = host_login_files(hosts->login);
    g_autofree char *boot_id = g_build_filename(hosts->login->dir, "boot_id", NULL);
    const char *files[] = { account[0],
                            account[1],
                            account[2],
                            account[3],
                            side == HOST_THERE ? boot_id : NULL,
                            "/proc/sys/kernel/random/boot_id",
                            NULL };
    HostSpaceConfig config = { .name = known[side].name, .files = files };

    if (side == HOST_THERE) {
        write_boot_id(boot_id);
        config.own_net = TRUE;
        config.runtime_dir = hosts->host[side].runtime_dir;
    }
    hosts->host[side].space = host_space_new(&config, &why_no_hosts);
    return hosts->host[side].space != NULL;
}

static gboolean
make_host(Hosts *hosts, HostSide side)
{
    Host *host = &hosts->host[side];

    if (!host_login_add(hosts->login, known[side].name, known[side].ip)) {
        why_no_hosts = g_strdup("ssh-keygen makes no key");
        return FALSE;
    }
    host->address = g_strdup_printf("%s@%s", hosts->login->user, known[side].ip);
    host->runtime_dir = side == HOST_HERE ? g_strdup(g_getenv("MOSE_RUNTIME_DIR"))
                                          : vm_make_runtime_dir();
    return make_space(hosts, side);
}

static gboolean
start_sshd(Hosts *hosts, HostSide side)
{
    Host *host = &hosts->host[side];
    g_autofree char *path = search_path();
    g_autofree char *environment =
        g_strdup_printf("MOSE_RUNTIME_DIR=%s PATH=%s", host->runtime_dir, path);

    host->sshd = host_sshd_start(hosts->login, known[side].name, known[side].ip,
                                 host->space, environment, &why_no_hosts);
    return host->sshd > 0;
}

static gboolean
make_login(Hosts *hosts)
{
    g_autofree char *dir = vm_path("hosts-XXXXXX");

    g_assert_nonnull(g_mkdtemp(dir));
    hosts->login = host_login_new(dir, &why_no_hosts);
    if (!hosts->login)
        return FALSE;
    hosts->rsh = g_strdup_printf("ssh -F %s", hosts->login->config);
    return TRUE;
}

static gboolean
make_all(Hosts *hosts)
{
    if (!make_host(hosts, HOST_HERE) || !make_host(hosts, HOST_THERE))
        return FALSE;
    hosts->link = host_link_new(hosts, hosts->host[HOST_THERE].space, &why_no_hosts);
    return hosts->link && start_sshd(hosts, HOST_HERE) && start_sshd(hosts, HOST_THERE);
}

Hosts *
hosts_new(void)
{
    g_autoptr(Hosts) hosts = g_new0(Hosts, 1);

    g_clear_pointer(&why_no_hosts, g_free);
    if (!g_getenv("MOSE"))
        why_no_hosts = g_strdup("MOSE is not set");
    else if (!make_login(hosts)) /* which may need the network that is left below */
        return NULL;
    else if (!vm_net_enter())
        why_no_hosts = g_strdup_printf("no network namespace: %s", g_strerror(errno));
    else if (make_all(hosts))
        return g_steal_pointer(&hosts);
    return NULL;
}

const char *
hosts_why_not(void)
{
    return why_no_hosts;
}

gboolean
hosts_cannot_run(void)
{
    if (why_no_hosts)
        g_test_skip(why_no_hosts);
    return why_no_hosts != NULL;
}

void
hosts_free(Hosts *hosts)
{
    if (!hosts)
        return;
    for (int side = 0; side < SIDES; side++)
        host_sshd_stop(hosts->host[side].sshd);
    host_link_free(hosts->link);
    for (int side = 0; side < SIDES; side++) {
        host_space_free(hosts->host[side].space);
        g_free(hosts->host[side].runtime_dir);
        g_free(hosts->host[side].address);
    }
    host_login_free(hosts->login);
    g_free(hosts->rsh);
    g_free(hosts);
}

/* ---- the rest ------------------------------------------------------------- */

const char *
hosts_rsh(const Hosts *hosts)
{
    return hosts->rsh;
}

const char *
hosts_address(const Hosts *hosts, HostSide side)
{
    return hosts->host[side].address;
}

const char *
hosts_ip(HostSide side)
{
    return known[side].ip;
}

const char *
hosts_runtime_dir(const Hosts *hosts, HostSide side)
{
    return hosts->host[side].runtime_dir;
}

gboolean
hosts_runs_there(const Hosts *hosts, pid_t pid)
{
    return host_space_has(space_of(hosts, HOST_THERE), pid);
}

void
hosts_map(Hosts *hosts, const char *from, const char *to)
{
    g_assert_cmpint(
        hosts_run(hosts, HOST_THERE, NULL, NULL, "mount", "--bind", from, to, NULL), ==,
        0);
    g_assert_cmpint(hosts_run(hosts, HOST_THERE, NULL, NULL, "mount", "-t", "tmpfs",
                              "none", from, NULL),
                    ==, 0);
}

void
hosts_cut(Hosts *hosts)
{
    host_link_cut(hosts->link);
}

void
hosts_mend(Hosts *hosts)
{
    host_link_mend(hosts->link);
}

void
hosts_reset_connections(Hosts *hosts, HostSide side)
{
    host_sshd_end_sessions(hosts->host[side].sshd);
}

gboolean
hosts_shape(Hosts *hosts, guint mbit, guint delay_ms)
{
    return host_link_shape(hosts->link, mbit, delay_ms);
}

void
hosts_unshape(Hosts *hosts)
{
    host_link_unshape(hosts->link);
}
