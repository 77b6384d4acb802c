/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys, configuration, start and end of a test's own sshd; see host-sshd.h. */
#include "lib/host-sshd.h"

#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_TRIES 200
#define START_WAIT_US 50000
#define END_TRIES 50
#define END_WAIT_US 10000
#define MAX_DEPTH 8 /* sshd, what serves a connection, its unprivileged part */

/* ---- who logs in ---------------------------------------------------------- */

/* The user's number outside of a user namespace that makes him root (vm-net.c). */
static uid_t
real_user(void)
{
    g_autofree char *map = NULL;
    unsigned inside, outside, n;

    if (g_file_get_contents("/proc/self/uid_map", &map, NULL, NULL) &&
        sscanf(map, "%u %u %u", &inside, &outside, &n) == 3 && n == 1 && inside == 0)
        return outside;
    return geteuid();
}

static char *
in_dir(const HostLogin *login, const char *name)
{
    return g_build_filename(login->dir, name, NULL);
}

static void
write_file(const HostLogin *login, const char *name, const char *text, int mode)
{
    g_autofree char *path = in_dir(login, name);
    g_autoptr(GError) error = NULL;

    g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, mode, &error);
    g_assert_no_error(error);
}

static gboolean
make_key(const HostLogin *login, const char *name)
{
    g_autofree char *path = in_dir(login, name);
    const char *argv[] = { "ssh-keygen", "-q", "-t", "ed25519", "-N",
                           "",           "-f", path, NULL };
    int status = -1;

    return g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL,
                        NULL, NULL, &status, NULL) &&
           status == 0;
}

/*
 * As sshd sees the account: with a plain shell and an empty home, so that no start file
 * of the user's has a say; not locked, which sshd would mind without PAM
 * (auth.c:allowed_user in OpenSSH). Root's sshd needs one of its own, too.
 */
static gboolean
write_accounts(const HostLogin *login, const struct passwd *user)
{
    g_autofree char *home = in_dir(login, "home");
    g_autofree char *accounts = NULL;
    g_autofree char *shadow = g_strdup_printf("%s:*:19000::::::\n", user->pw_name);

    accounts = g_strdup_printf("%s:x:%u:%u::%s:/bin/sh\n"
                               "%ssshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n",
                               user->pw_name, user->pw_uid, user->pw_gid, home,
                               login->root ? "" : "root:x:0:0::/:/bin/sh\n");
    write_file(login, "passwd", accounts, 0644);
    write_file(login, "shadow", shadow, 0600);
    return g_mkdir_with_parents(home, 0700) == 0;
}

static void
write_client_config(HostLogin *login)
{
    g_autofree char *text = g_strdup_printf(
        "Port %s\nIdentityFile %s/key\nIdentitiesOnly yes\nIdentityAgent none\n"
        "UserKnownHostsFile %s/known_hosts\nGlobalKnownHostsFile none\n"
        "StrictHostKeyChecking yes\nUpdateHostKeys no\nBatchMode yes\n"
        "ConnectTimeout 20\nControlPath none\nLogLevel ERROR\n",
        HOST_SSHD_PORT, login->dir, login->dir);

    write_file(login, "ssh_config", text, 0600);
    login->config = in_dir(login, "ssh_config");
}

/* What is wrong, if anything is, goes to standard error. */
static char *
find_sshd(char **ret_why)
{
    const char *fetch = g_getenv("MOSE_FETCH_SSHD");
    const char *argv[] = { fetch, NULL };
    g_autofree char *out = NULL;
    int status = -1;

    if (fetch &&
        g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, &out, NULL, &status,
                     NULL) &&
        status == 0)
        return g_strdup(g_strstrip(out));
    *ret_why = g_strdup_printf("there is no sshd (%s)",
                               fetch ? fetch : "MOSE_FETCH_SSHD is not set");
    return NULL;
}

HostLogin *
host_login_new(const char *dir, char **ret_why)
{
    const struct passwd *user = getpwuid(real_user());
    g_autoptr(HostLogin) login = g_new0(HostLogin, 1);

    login->program = find_sshd(ret_why);
    if (!login->program)
        return NULL;
    login->dir = g_strdup(dir);
    login->user = g_strdup(user ? user->pw_name : NULL);
    login->root = real_user() == 0;
    login->group = user ? user->pw_gid : 0;
    write_client_config(login);
    if (user && write_accounts(login, user) && make_key(login, "key"))
        return g_steal_pointer(&login);
    *ret_why = g_strdup(user ? "ssh-keygen makes no key" : "this user has no name");
    return NULL;
}

void
host_login_free(HostLogin *login)
{
    if (!login)
        return;
    g_free(login->dir);
    g_free(login->program);
    g_free(login->user);
    g_free(login->config);
    g_free(login);
}

char **
host_login_files(const HostLogin *login)
{
    char **files = g_new0(char *, 5);

    files[0] = in_dir(login, "passwd");
    files[1] = g_strdup("/etc/passwd");
    files[2] = in_dir(login, "shadow");
    files[3] = g_strdup("/etc/shadow");
    return files;
}

gboolean
host_login_add(const HostLogin *login, const char *name, const char *address)
{
    g_autofree char *key = g_strconcat("host-", name, NULL);
    g_autofree char *pub = g_strconcat(login->dir, "/", key, ".pub", NULL);
    g_autofree char *known = in_dir(login, "known_hosts");
    g_autofree char *before = NULL, *line = NULL, *text = NULL;

    if (!make_key(login, key) || !g_file_get_contents(pub, &line, NULL, NULL))
        return FALSE;
    g_file_get_contents(known, &before, NULL, NULL);
    text = g_strdup_printf("%s[%s]:%s %s", before ? before : "", address,
                           HOST_SSHD_PORT, line);
    write_file(login, "known_hosts", text, 0600);
    return TRUE;
}

/* ---- the daemon ----------------------------------------------------------- */

static char *
write_server_config(const HostLogin *login, const char *name, const char *address,
                    const char *environment)
{
    g_autofree char *file = g_strconcat("sshd_config-", name, NULL);
    g_autofree char *text = g_strdup_printf(
        "Port %s\nListenAddress %s\nHostKey %s/host-%s\nPidFile none\n"
        "AuthorizedKeysFile %s/key.pub\nAuthenticationMethods publickey\n"
        "PermitRootLogin yes\nUsePAM no\nStrictModes no\nUseDNS no\nPrintMotd no\n"
        "PrintLastLog no\nMaxStartups 100\nLogLevel VERBOSE\nSetEnv %s\n",
        HOST_SSHD_PORT, address, login->dir, name, login->dir, environment);

    write_file(login, file, text, 0600);
    return in_dir(login, file);
}

/* Root's sshd gives its rights up where it meets a stranger, which a user namespace
 * with a single user does not let it do: there, it is the user himself again. */
static GPtrArray *
sshd_argv(const HostLogin *login, const char *config, const char *log)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

    if (!login->root) {
        g_ptr_array_add(argv, g_strdup("unshare"));
        g_ptr_array_add(argv, g_strdup("--user"));
        g_ptr_array_add(argv, g_strdup_printf("--map-user=%u", real_user()));
        g_ptr_array_add(argv, g_strdup_printf("--map-group=%u", login->group));
    }
    g_ptr_array_add(argv, g_strdup(login->program));
    g_ptr_array_add(argv, g_strdup("-D"));
    g_ptr_array_add(argv, g_strdup("-E"));
    g_ptr_array_add(argv, g_strdup(log));
    g_ptr_array_add(argv, g_strdup("-f"));
    g_ptr_array_add(argv, g_strdup(config));
    g_ptr_array_add(argv, NULL);
    return argv;
}

static gboolean
listens(const char *log)
{
    g_autofree char *text = NULL;

    return g_file_get_contents(log, &text, NULL, NULL) &&
           strstr(text, "Server listening on ");
}

static char *
why_ended(const char *log)
{
    g_autofree char *text = NULL;

    g_file_get_contents(log, &text, NULL, NULL);
    return g_strdup_printf("sshd does not start: %s",
                           text ? g_strstrip(text) : "it says nothing");
}

GPid
host_sshd_start(const HostLogin *login, const char *name, const char *address,
                HostSpace *space, const char *environment, char **ret_why)
{
    g_autofree char *config = write_server_config(login, name, address, environment);
    g_autofree char *log_name = g_strconcat("sshd-", name, ".log", NULL);
    g_autofree char *log = in_dir(login, log_name);
    g_autoptr(GPtrArray) argv = sshd_argv(login, config, log);
    g_autoptr(GError) error = NULL;
    GPid pid;

    g_spawn_async("/", (char **)argv->pdata, NULL,
                  G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD,
                  host_space_enter_bound, space, &pid, &error);
    g_assert_no_error(error);
    for (int i = 0; i < START_TRIES; i++) {
        if (listens(log))
            return pid;
        if (waitpid(pid, NULL, WNOHANG) != 0) {
            *ret_why = why_ended(log);
            return 0;
        }
        g_usleep(START_WAIT_US);
    }
    host_sshd_stop(pid);
    *ret_why = why_ended(log);
    return 0;
}

static gboolean
is_sshd(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/comm", (int)pid);
    g_autofree char *comm = NULL;

    return g_file_get_contents(path, &comm, NULL, NULL) &&
           g_str_has_prefix(comm, "sshd");
}

/* From the leaves on, since a parent that ends gives its children away; how many. */
static guint
kill_below(pid_t pid, int depth)
{
    g_autofree char *path =
        g_strdup_printf("/proc/%d/task/%d/children", (int)pid, (int)pid);
    g_autofree char *children = NULL;
    g_auto(GStrv) pids = NULL;
    guint n = 0;

    if (depth == 0 || !g_file_get_contents(path, &children, NULL, NULL))
        return 0;
    pids = g_strsplit(children, " ", -1);
    for (char **child = pids; *child; child++) {
        pid_t below = (pid_t)g_ascii_strtoll(*child, NULL, 10);

        if (below > 0 && is_sshd(below)) {
            n += kill_below(below, depth - 1) + 1;
            kill(below, SIGKILL);
        }
    }
    return n;
}

void
host_sshd_end_sessions(GPid sshd)
{
    /* The list of children leaves some out while others end (proc(5)). */
    for (guint none = 0, i = 0; none < 3 && i < END_TRIES; i++) {
        none = kill_below(sshd, MAX_DEPTH) == 0 ? none + 1 : 0;
        g_usleep(END_WAIT_US);
    }
}

void
host_sshd_stop(GPid sshd)
{
    if (sshd <= 0)
        return;
    host_sshd_end_sessions(sshd);
    kill(sshd, SIGKILL);
    waitpid(sshd, NULL, 0);
}
