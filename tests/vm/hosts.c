/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tests' own two hosts: what other tests rely on when they move a guest from one to
 * the other. ssh runs `mose` on the other side with that side's guests; a stranger's
 * key, a silent and a loud break are noticed; a slow link is slow; nothing stays.
 */
#include <string.h>
#include <unistd.h>

#include "lib/hosts.h"
#include "lib/vm-net.h"
#include "lib/vm.h"

#define SSH_FAILED 255
#define DELAY_MS 50
#define MAX_SECONDS 60
#define KEEPALIVE "-o ServerAliveInterval=1 -o ServerAliveCountMax=2 "

#define VICTIM "--victim"

static Hosts *hosts;

static gboolean
has(const char *text, const char *words)
{
    return strstr(text, words) != NULL;
}

static gboolean
cannot_run(void)
{
    return vm_cannot_run() || hosts_cannot_run();
}

/* ssh's command line from @from to the other side; @options as a shell has them. */
static char **
ssh_argv(HostSide from, const char *options, const char *command)
{
    HostSide to = from == HOST_HERE ? HOST_THERE : HOST_HERE;
    g_autofree char *line = g_strdup_printf("%s %s %s", hosts_rsh(hosts), options,
                                            hosts_address(hosts, to));
    g_auto(GStrv) words = NULL;
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

    g_assert_true(g_shell_parse_argv(line, NULL, &words, NULL));
    g_strv_builder_addv(builder, (const char **)words);
    g_strv_builder_add(builder, command);
    return g_strv_builder_end(builder);
}

static int
ssh(HostSide from, const char *options, const char *command, char **ret_out,
    char **ret_err)
{
    g_auto(GStrv) argv = ssh_argv(from, options, command);

    return hosts_runv(hosts, from, ret_out, ret_err, (const char *const *)argv);
}

/* ---- what runs where ------------------------------------------------------ */

static void
check_identity(HostSide from, const char *name, HostSide to)
{
    g_autofree char *out = NULL;
    g_autofree char *want =
        g_strdup_printf("%s\n%s\n", name, hosts_runtime_dir(hosts, to));

    g_assert_cmpint(ssh(from, "", "uname -n; echo \"$MOSE_RUNTIME_DIR\"", &out, NULL),
                    ==, 0);
    g_assert_cmpstr(out, ==, want);
}

/* Another boot is another host's, or this one's at another time. */
static void
test_identity(void)
{
    const char *boot_id = "/proc/sys/kernel/random/boot_id";
    g_autofree char *here = NULL, *there = NULL, *by_ssh = NULL, *command = NULL;

    if (cannot_run())
        return;
    check_identity(HOST_HERE, "there", HOST_THERE);
    check_identity(HOST_THERE, "here", HOST_HERE);
    hosts_run(hosts, HOST_HERE, &here, NULL, "cat", boot_id, NULL);
    hosts_run(hosts, HOST_THERE, &there, NULL, "cat", boot_id, NULL);
    command = g_strconcat("cat ", boot_id, NULL);
    ssh(HOST_HERE, "", command, &by_ssh, NULL);
    g_assert_cmpint(strlen(there), ==, strlen(here));
    g_assert_cmpstr(here, !=, there);
    g_assert_cmpstr(by_ssh, ==, there);
}

static void
test_mose(void)
{
    g_autofree char *there = NULL, *here = NULL, *report = NULL, *err = NULL;
    int status;

    if (cannot_run())
        return;
    g_assert_cmpint(ssh(HOST_HERE, "",
                        "mose run away --accel tcg -- -m 32 -display none -nodefaults",
                        NULL, &err),
                    ==, 0);
    g_assert_cmpint(ssh(HOST_HERE, "", "mose list", &there, NULL), ==, 0);
    g_assert_cmpint(vm_mose(&here, NULL, "list", NULL), ==, 0);
    g_assert_true(has(there, "away"));
    g_assert_false(has(here, "away"));
    status = hosts_run(hosts, HOST_THERE, &report, NULL, "mose", "stop", "away", NULL);
    g_assert_cmpint(status, ==, 0);
    g_clear_pointer(&report, g_free);
    g_assert_cmpint(ssh(HOST_HERE, "", "mose host --json", &report, NULL), ==, 0);
    g_assert_true(has(report, "\"qemu\""));
}

static void
test_map(void)
{
    g_autofree char *from = vm_path("images"), *to = vm_path("mapped");
    g_autofree char *file = g_build_filename(from, "disk", NULL);
    g_autofree char *list = g_strdup_printf("ls %s %s", from, to);
    g_autofree char *want = g_strdup_printf("%s:\n\n%s:\ndisk\n", from, to);
    g_autofree char *out = NULL;

    if (cannot_run())
        return;
    g_mkdir_with_parents(from, 0700);
    g_mkdir_with_parents(to, 0700);
    g_assert_true(g_file_set_contents(file, "", 0, NULL));
    hosts_map(hosts, from, to);
    g_assert_cmpint(ssh(HOST_HERE, "", list, &out, NULL), ==, 0);
    g_assert_cmpstr(out, ==, want);
    g_assert_true(g_file_test(file, G_FILE_TEST_EXISTS));
}

/* ---- breaks --------------------------------------------------------------- */

/* The key of the other host in the name of that one. */
static void
write_wrong_key(const char *path)
{
    g_autofree char *dir = g_path_get_dirname(strrchr(hosts_rsh(hosts), ' ') + 1);
    g_autofree char *pub = g_build_filename(dir, "host-here.pub", NULL);
    g_autofree char *key = NULL, *line = NULL;

    g_assert_true(g_file_get_contents(pub, &key, NULL, NULL));
    line = g_strdup_printf("[%s]:%s %s", hosts_ip(HOST_THERE), HOST_SSHD_PORT, key);
    g_assert_true(g_file_set_contents(path, line, -1, NULL));
}

static void
test_wrong_key(void)
{
    g_autofree char *path = NULL, *option = NULL, *err = NULL;

    if (cannot_run())
        return;
    path = vm_path("wrong");
    option = g_strdup_printf("-o UserKnownHostsFile=%s", path);
    write_wrong_key(path);
    g_assert_cmpint(ssh(HOST_HERE, option, "true", NULL, &err), ==, SSH_FAILED);
    g_assert_true(has(err, "Host key verification failed"));
}

/* An ssh that waits, there, for what never comes; it has begun to. */
static GSubprocess *
start_waiting(const char *options)
{
    g_auto(GStrv) argv = ssh_argv(HOST_HERE, options, "echo begun; sleep 600");
    GSubprocess *waiting =
        hosts_spawn(hosts, HOST_HERE,
                    G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE,
                    (const char *const *)argv);
    char text[6];
    gsize got;

    g_assert_true(g_input_stream_read_all(g_subprocess_get_stdout_pipe(waiting), text,
                                          sizeof(text), &got, NULL, NULL));
    g_assert_cmpmem(text, got, "begun\n", 6);
    return waiting;
}

/* It ends by itself, as ssh does that has lost its connection; it tells how. */
static char *
wait_lost(GSubprocess *waiting)
{
    char *err = NULL;

    g_assert_true(g_subprocess_communicate_utf8(waiting, NULL, NULL, NULL, &err, NULL));
    g_test_message("%s", err);
    g_assert_cmpint(g_subprocess_get_exit_status(waiting), ==, SSH_FAILED);
    return err;
}

/* Whether it was reading or writing then is a matter of luck. */
static void
assert_reset(GSubprocess *waiting)
{
    g_autofree char *err = wait_lost(waiting);

    g_assert_true(has(err, "closed by remote host") || has(err, "Broken pipe") ||
                  has(err, "Connection reset by peer"));
}

static void
test_cut(void)
{
    g_autoptr(GSubprocess) waiting = NULL;
    g_autofree char *err = NULL;
    gint64 begin = g_get_monotonic_time();

    if (cannot_run())
        return;
    waiting = start_waiting(KEEPALIVE "-o LogLevel=INFO");
    hosts_cut(hosts);
    err = wait_lost(waiting);
    g_assert_true(has(err, "not responding"));
    g_assert_cmpint(g_get_monotonic_time() - begin, <, MAX_SECONDS * G_USEC_PER_SEC);
    g_assert_cmpint(ssh(HOST_HERE, "-o ConnectTimeout=1", "true", NULL, NULL), ==,
                    SSH_FAILED);
    hosts_mend(hosts);
    g_assert_cmpint(ssh(HOST_HERE, "", "true", NULL, NULL), ==, 0);
}

/* A break that is mended in time is none. */
static void
test_mended(void)
{
    g_autoptr(GSubprocess) waiting = NULL;
    g_auto(GStrv) argv = NULL;
    g_autofree char *out = NULL;

    if (cannot_run())
        return;
    argv = ssh_argv(HOST_HERE, "", "read line; echo \"$line\"");
    waiting =
        hosts_spawn(hosts, HOST_HERE,
                    G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE,
                    (const char *const *)argv);
    hosts_cut(hosts);
    g_usleep(G_USEC_PER_SEC);
    hosts_mend(hosts);
    g_assert_true(
        g_subprocess_communicate_utf8(waiting, "late\n", NULL, &out, NULL, NULL));
    g_assert_cmpstr(out, ==, "late\n");
}

static void
test_reset(void)
{
    g_autoptr(GSubprocess) waiting = NULL;

    if (cannot_run())
        return;
    waiting = start_waiting("-o LogLevel=INFO");
    hosts_reset_connections(hosts, HOST_THERE);
    assert_reset(waiting);
    g_assert_cmpint(ssh(HOST_HERE, "", "true", NULL, NULL), ==, 0);
}

/* ---- a slow link ---------------------------------------------------------- */

/* Milliseconds until a connection to the other host is there: one way and back. */
static double
connect_ms(void)
{
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autofree char *address =
        g_strconcat(hosts_ip(HOST_THERE), ":" HOST_SSHD_PORT, NULL);
    gint64 begin = g_get_monotonic_time();
    g_autoptr(GError) error = NULL;
    G_GNUC_UNUSED g_autoptr(GSocketConnection) connection =
        g_socket_client_connect_to_host(client, address, 22, NULL, &error);

    g_assert_no_error(error);
    return (double)(g_get_monotonic_time() - begin) / 1000;
}

static void
test_shape(void)
{
    g_autoptr(GSubprocess) waiting = NULL;

    if (cannot_run())
        return;
    if (access("/dev/net/tun", R_OK | W_OK) < 0) {
        g_test_skip("/dev/net/tun is not there, or not for this user");
        return;
    }
    waiting = start_waiting("-o LogLevel=INFO");
    g_assert_true(hosts_shape(hosts, 1000, DELAY_MS));
    connect_ms(); /* which also asks for the other's hardware address */
    g_assert_cmpfloat(connect_ms(), >=, 2 * DELAY_MS);
    hosts_cut(hosts);
    g_assert_cmpint(ssh(HOST_HERE, "-o ConnectTimeout=1", "true", NULL, NULL), ==,
                    SSH_FAILED);
    hosts_mend(hosts);
    g_assert_cmpint(ssh(HOST_HERE, "", "true", NULL, NULL), ==, 0);
    hosts_unshape(hosts);
    /* The connection that was there before still is. */
    hosts_reset_connections(hosts, HOST_THERE);
    assert_reset(waiting);
}

/* ---- nothing stays -------------------------------------------------------- */

/* A test that is killed, with a process there that would go on: it tells that side's
 * runtime directory and the process. */
static int
be_victim(void)
{
    const char *words[] = { "sh", "-c",
                            "setsid sleep 600 </dev/null >/dev/null 2>&1 & echo $!",
                            NULL };
    g_autofree char *pid = NULL;
    Hosts *mine;

    vm_setup();
    mine = hosts_new();
    if (!mine)
        return 1;
    hosts_runv(mine, HOST_THERE, &pid, NULL, words);
    g_print(VICTIM " %s %s", hosts_runtime_dir(mine, HOST_THERE), pid);
    pause();
    return 0;
}

/* Its temporary files are below ours. */
static GSubprocess *
start_victim(GDataInputStream **ret_out)
{
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE);
    g_autofree char *dir = vm_path("victim");
    g_autoptr(GError) error = NULL;
    GSubprocess *victim;

    g_mkdir_with_parents(dir, 0700);
    g_subprocess_launcher_setenv(launcher, "TMPDIR", dir, TRUE);
    victim =
        g_subprocess_launcher_spawn(launcher, &error, "/proc/self/exe", VICTIM, NULL);
    g_assert_no_error(error);
    *ret_out = g_data_input_stream_new(g_subprocess_get_stdout_pipe(victim));
    return victim;
}

/* Its line among the messages of the library. */
static char *
read_from_victim(GDataInputStream *out)
{
    char *line;

    while ((line = g_data_input_stream_read_line(out, NULL, NULL, NULL)) &&
           !g_str_has_prefix(line, VICTIM " "))
        g_free(line);
    g_assert_nonnull(line);
    return line;
}

static void
assert_gone(const char *path)
{
    for (int i = 0; i < MAX_SECONDS * 10; i++) {
        if (!g_file_test(path, G_FILE_TEST_EXISTS))
            return;
        g_usleep(G_USEC_PER_SEC / 10);
    }
    g_error("%s is still there", path);
}

static void
test_killed(void)
{
    g_autoptr(GSubprocess) victim = NULL;
    g_autoptr(GDataInputStream) out = NULL;
    g_autofree char *line = NULL, *process = NULL;
    g_auto(GStrv) words = NULL;

    if (cannot_run())
        return;
    victim = start_victim(&out);
    line = read_from_victim(out);
    words = g_strsplit(line, " ", -1);
    g_assert_cmpuint(g_strv_length(words), ==, 3);
    process = g_build_filename("/proc", words[2], NULL);
    g_assert_true(g_file_test(words[1], G_FILE_TEST_IS_DIR));
    g_assert_true(g_file_test(process, G_FILE_TEST_IS_DIR));
    g_subprocess_force_exit(victim);
    assert_gone(process);
    assert_gone(words[1]);
}

/* The last test: it ends the hosts. */
static void
test_freed(void)
{
    g_autoptr(GSubprocess) waiting = NULL;
    g_autofree char *runtime_dir = NULL;

    if (cannot_run())
        return;
    runtime_dir = g_strdup(hosts_runtime_dir(hosts, HOST_THERE));
    waiting = start_waiting("-o LogLevel=INFO");
    g_clear_pointer(&hosts, hosts_free);
    assert_reset(waiting);
    g_assert_false(g_file_test(runtime_dir, G_FILE_TEST_EXISTS));
    g_assert_false(vm_net_ip("link show veth-mose"));
}

int
main(int argc, char **argv)
{
    int ret;

    if (argc == 2 && strcmp(argv[1], VICTIM) == 0)
        return be_victim();
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    hosts = hosts_new();
    g_test_add_func("/hosts/identity", test_identity);
    g_test_add_func("/hosts/mose", test_mose);
    g_test_add_func("/hosts/map", test_map);
    g_test_add_func("/hosts/wrong-key", test_wrong_key);
    g_test_add_func("/hosts/cut", test_cut);
    g_test_add_func("/hosts/mended", test_mended);
    g_test_add_func("/hosts/reset", test_reset);
    g_test_add_func("/hosts/shape", test_shape);
    g_test_add_func("/hosts/killed", test_killed);
    g_test_add_func("/hosts/freed", test_freed);
    ret = vm_run_tests();
    hosts_free(hosts);
    return ret;
}
