/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes: started with what they need and no more, never mistaken for others. */
#include "util/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/error.h"
#include "util/fd.h"

#define LONG_MS 20000

static char *dir, *log_path;

static MoseProcess *
shell(const char *script, const MoseInheritedFd *fds, gsize n_fds)
{
    const char *const argv[] = { "sh", "-c", script, NULL };
    g_autoptr(GError) error = NULL;
    MoseProcess *process = mose_process_spawn(argv, dir, log_path, fds, n_fds, &error);

    g_assert_no_error(error);
    return process;
}

/* Whether it has got, by its exec, what its shell had exported. */
static gboolean
has_variable(const MoseProcess *process, const char *text)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/environ", (int)process->pid);
    g_autofree char *all = NULL;
    gsize len;

    return g_file_get_contents(path, &all, &len, NULL) && len > 0 &&
           memmem(all, len, text, strlen(text)) != NULL;
}

/* Everything that @script has printed by its end. */
static char *
output_of(const char *script, const MoseInheritedFd *fds, gsize n_fds)
{
    goffset before = mose_log_size(log_path);
    g_autoptr(MoseProcess) process = shell(script, fds, n_fds);

    g_assert_true(mose_process_wait(process, LONG_MS));
    return mose_log_tail(log_path, before, 4096);
}

static void
test_surroundings(void)
{
    g_autofree char *where = output_of("pwd", NULL, 0);
    g_autofree char *both = output_of("echo out; echo err >&2", NULL, 0);
    g_autofree char *input = output_of("cat; echo end", NULL, 0);
    g_autofree char *session =
        output_of("cut -d' ' -f1,6 /proc/$$/stat | (read p s; test $p = $s && echo "
                  "own)",
                  NULL, 0);

    g_assert_cmpstr(where, ==, dir);
    g_assert_cmpstr(both, ==, "out\nerr");
    g_assert_cmpstr(input, ==, "end");
    g_assert_cmpstr(session, ==, "own");
}

/* It lives as another process does, whatever is said here. */
static void
test_like(void)
{
    static const char model_script[] =
        "export MODEL=yes; ulimit -n 77; ulimit -S -c 5; renice -n 3 $$ >/dev/null; "
        "taskset -pc 0 $$ >/dev/null; echo >ready; exec sleep 1000";
    static const char script[] =
        "echo $MODEL $(ulimit -n) $(ulimit -c) $(nice) $(taskset -pc $$ | cut -d: -f2)";
    const char *const argv[] = { "sh", "-c", script, NULL };
    g_autoptr(MoseProcess) model = shell(model_script, NULL, 0);
    g_autofree char *ready = g_build_filename(dir, "ready", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseProcess) process = NULL;
    g_autoptr(MoseSurroundings) surroundings = NULL;
    g_autofree char *said = NULL;
    goffset before;

    for (int i = 0; i < LONG_MS && !g_file_test(ready, G_FILE_TEST_EXISTS); i++)
        g_usleep(1000);
    /* The shell is replaced after the file was made. */
    for (int i = 0; i < LONG_MS && !has_variable(model, "MODEL=yes"); i++)
        g_usleep(1000);
    before = mose_log_size(log_path);
    surroundings = mose_surroundings_of(model->pid);
    process = mose_process_spawn_in(surroundings, argv, dir, log_path, NULL, 0, &error);
    g_assert_no_error(error);
    g_assert_true(mose_process_wait(process, LONG_MS));
    said = mose_log_tail(log_path, before, 4096);
    g_assert_cmpstr(said, ==, "yes 77 5 3 0");
    g_assert_true(mose_process_kill(model));
    unlink(ready);
}

/* What is loaded first: ours comes and goes, the user's own stays. */
static void
test_preload(void)
{
    static const struct {
        const char *before, *module, *after;
    } cases[] = {
        { NULL, "/lib/mose-frozen.so", "/lib/mose-frozen.so" },
        { "/usr/lib/own.so", "/lib/mose-frozen.so",
          "/lib/mose-frozen.so:/usr/lib/own.so" },
        { "/old/mose-frozen.so:/usr/lib/own.so", NULL, "/usr/lib/own.so" },
        { "/old/mose-frozen.so", "/new/mose-frozen.so", "/new/mose-frozen.so" },
        { "/old/mose-frozen.so", NULL, NULL },
        { NULL, NULL, NULL },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(MoseSurroundings) surroundings = mose_surroundings_of(getpid());
        const char *const *environment;

        if (cases[i].before)
            mose_surroundings_preload(surroundings, "", cases[i].before);
        mose_surroundings_preload(surroundings, "mose-frozen.so", cases[i].module);
        environment = mose_surroundings_environment(surroundings);
        g_assert_cmpstr(g_environ_getenv((char **)environment, "LD_PRELOAD"), ==,
                        cases[i].after);
    }
}

/* The descriptors that it is to have, even where numbers cross; no others. */
static void
test_descriptors(void)
{
    int one[2], two[2], stray = open("/dev/null", O_RDONLY);
    g_autofree char *script = NULL;
    g_autofree char *said = NULL;

    g_assert_cmpint(pipe2(one, O_CLOEXEC), ==, 0);
    g_assert_cmpint(pipe2(two, O_CLOEXEC), ==, 0);
    g_assert_cmpint(write(one[1], "first\n", 6), ==, 6);
    g_assert_cmpint(write(two[1], "second\n", 7), ==, 7);
    {
        const MoseInheritedFd fds[] = { { one[0], two[0] }, { two[0], one[0] } };

        script = g_strdup_printf("read a <&%d; read b <&%d; echo $a $b; test -e "
                                 "/proc/self/fd/%d && echo stray; test -e "
                                 "/proc/self/fd/%d && echo pipe",
                                 two[0], one[0], stray, one[1]);
        said = output_of(script, fds, 2);
    }
    g_assert_cmpstr(said, ==, "first second");
    g_assert_cmpint(fcntl(one[0], F_GETFD), ==, FD_CLOEXEC);
    close(one[0]);
    close(one[1]);
    close(two[0]);
    close(two[1]);
    close(stray);
}

static void
test_cannot_start(void)
{
    const char *const argv[] = { "/no/such/qemu", NULL };
    const char *const good[] = { "true", NULL };
    g_autoptr(GError) error = NULL;

    g_assert_null(mose_process_spawn(argv, dir, log_path, NULL, 0, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_FAILED);
    g_assert_true(g_str_has_prefix(error->message, "cannot start /no/such/qemu: "));
    g_clear_error(&error);
    g_assert_null(mose_process_spawn(good, "/no/such/dir", log_path, NULL, 0, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_FAILED);
    g_clear_error(&error);
    g_assert_null(mose_process_spawn(good, dir, "/no/such/log", NULL, 0, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_FAILED);
    g_assert_true(g_str_has_prefix(error->message, "cannot open /no/such/log: "));
}

static void
test_kill(void)
{
    g_autoptr(MoseProcess) process = shell("exec sleep 1000", NULL, 0);
    g_autoptr(MoseProcess) again = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_cmpuint(process->start_time, >, 0);
    again = mose_process_open(process->pid, process->start_time, &error);
    g_assert_no_error(error);
    g_assert_true(mose_process_alive(again));
    g_assert_false(mose_process_wait(process, 0));
    g_assert_true(mose_process_kill(process));
    g_assert_false(mose_process_alive(again));
    g_assert_true(mose_process_kill(again)); /* it is gone already */
    g_assert_cmpuint(mose_process_start_time(process->pid), ==, 0);
    g_assert_cmpint(waitpid(process->pid, NULL, WNOHANG), ==, -1);
}

static void
expect_gone(pid_t pid, guint64 start_time)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseProcess) process = mose_process_open(pid, start_time, &error);

    g_assert_null(process);
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
    g_assert_nonnull(strstr(error->message, "is gone"));
}

/* A pid that another process has taken over is not the one we knew. */
static void
test_pid_reuse(void)
{
    guint64 start_time = mose_process_start_time(getpid());

    g_assert_cmpuint(start_time, >, 0);
    expect_gone(getpid(), start_time + 1);
    expect_gone(getpid(), start_time - 1);
    expect_gone(getpid(), 0);
    expect_gone(0, start_time);
    expect_gone(-1, start_time);
    expect_gone(G_MAXINT, start_time);
}

/* A zombie has ended, whoever is to reap it. */
static void
test_zombie(void)
{
    g_autoptr(MoseProcess) process = shell("exec cat <&9", NULL, 0);
    siginfo_t info;

    g_assert_cmpint(waitid(P_PID, process->pid, &info, WEXITED | WNOWAIT), ==, 0);
    expect_gone(process->pid, process->start_time);
    g_assert_false(mose_process_alive(process));
}

/* The name in /proc/PID/stat may look like the fields after it. */
static void
test_odd_name(void)
{
    g_autofree char *path = g_build_filename(dir, "a) Z 1 (b", NULL);
    g_autofree char *script = g_strdup_printf("exec '%s' 1000", path);
    g_autofree char *sleep_path = g_find_program_in_path("sleep");
    g_autoptr(MoseProcess) process = NULL;
    g_autofree char *name = NULL;
    g_autofree char *comm = NULL;

    g_assert_cmpint(symlink(sleep_path, path), ==, 0);
    process = shell(script, NULL, 0);
    name = g_strdup_printf("/proc/%d/comm", (int)process->pid);
    do {
        g_clear_pointer(&comm, g_free);
        g_assert_true(g_file_get_contents(name, &comm, NULL, NULL));
    } while (strcmp(comm, "a) Z 1 (b\n") != 0);
    g_assert_cmpuint(mose_process_start_time(process->pid), ==, process->start_time);
    g_assert_true(mose_process_kill(process));
    unlink(path);
}

static void
test_get_fd(void)
{
    g_autoptr(GError) error = NULL;
    g_auto(MoseFd) taken = MOSE_FD_NONE;
    g_autoptr(MoseProcess) process = NULL;
    MoseInheritedFd fds[1];
    char text[4] = "";
    int ends[2];

    g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
    fds[0] = (MoseInheritedFd){ ends[0], 16 };
    process = shell("exec sleep 1000", fds, 1);
    taken = mose_process_get_fd(process, 16, &error);
    close(ends[0]);
    g_assert_cmpint(write(ends[1], "abc", 3), ==, 3);
    close(ends[1]);
    if (taken < 0 && g_strrstr(error->message, g_strerror(EPERM)))
        g_test_skip("no right to take a child's descriptor here");
    else
        g_assert_no_error(error);
    if (taken >= 0)
        g_assert_cmpint(read(taken, text, 3), ==, 3);
    g_clear_error(&error);
    g_assert_cmpint(mose_process_get_fd(process, 999, &error), ==, -1);
    g_assert_nonnull(strstr(error->message, "cannot take descriptor 999 out of "));
    mose_process_kill(process);
}

static void
test_log_tail(void)
{
    g_autofree char *path = g_build_filename(dir, "text", NULL);
    g_autofree char *absent = mose_log_tail("/no/such/log", 0, 10);
    g_autofree char *all = NULL, *from = NULL, *beyond = NULL, *last = NULL;

    g_assert_cmpstr(absent, ==, "");
    g_assert_cmpint(mose_log_size("/no/such/log"), ==, 0);
    g_file_set_contents(path, " one\ntwo\xff\n\n", -1, NULL);
    g_assert_cmpint(mose_log_size(path), ==, 11);
    all = mose_log_tail(path, 0, 100);
    from = mose_log_tail(path, 5, 100);
    beyond = mose_log_tail(path, 11, 100);
    last = mose_log_tail(path, 0, 4);
    g_assert_cmpstr(all, ==, "one\ntwo\xef\xbf\xbd");
    g_assert_cmpstr(from, ==, "two\xef\xbf\xbd");
    g_assert_cmpstr(beyond, ==, "");
    g_assert_cmpstr(last, ==, "o\xef\xbf\xbd");
    unlink(path);
}

/* What matters of a QEMU's words, in one line. */
static void
test_log_said(void)
{
    static const struct {
        const char *log, *said;
    } cases[] = {
        { "", "" },
        { "qemu-system-x86_64: warning: TCG doesn't support it\n", "" },
        { "qemu-system-x86_64: -device x: 'x' is no device\r\n", "-device x: 'x' is no "
                                                                 "device" },
        { "qemu: could not open kernel file '/nix': No such file\n",
          "could not open kernel file '/nix': No such file" },
        { "qemu-system-x86_64: warning: a\nqemu-system-x86_64: one\n\n  two\tthree\n",
          "one; two three" },
        { "a\na\nb\nc\nd\ne\n", "b; c; d; e" },
        { "ERROR:cpu.c:1: \033[1mfailed\033[0m", "ERROR:cpu.c:1:  [1mfailed [0m" },
    };
    g_autofree char *path = g_build_filename(dir, "text", NULL);
    g_autofree char *absent = mose_log_said("/no/such/log");

    g_assert_cmpstr(absent, ==, "");
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *said = NULL;

        g_file_set_contents(path, cases[i].log, -1, NULL);
        said = mose_log_said(path);
        g_assert_cmpstr(said, ==, cases[i].said);
    }
    unlink(path);
}

/* One that is held still does nothing until it is let go, and can be ended so. */
static void
test_freeze(void)
{
    const char *const argv[] = { "cat", "/dev/zero", NULL };
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseProcess) process =
        mose_process_spawn(argv, NULL, "/dev/null", NULL, 0, &error);

    g_assert_no_error(error);
    g_assert_false(mose_process_frozen(process));
    g_assert_true(mose_process_freeze(process));
    g_assert_true(mose_process_frozen(process));
    mose_process_thaw(process);
    while (mose_process_frozen(process))
        g_thread_yield();
    g_assert_true(mose_process_freeze(process));
    g_assert_true(mose_process_kill(process));
    g_assert_false(mose_process_frozen(process));
    g_assert_false(mose_process_freeze(process));
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    int ret;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("mose-process-XXXXXX", &error);
    g_assert_no_error(error);
    log_path = g_build_filename(dir, "log", NULL);
    g_test_add_func("/process/freeze", test_freeze);
    g_test_add_func("/process/surroundings", test_surroundings);
    g_test_add_func("/process/like", test_like);
    g_test_add_func("/process/preload", test_preload);
    g_test_add_func("/process/descriptors", test_descriptors);
    g_test_add_func("/process/cannot-start", test_cannot_start);
    g_test_add_func("/process/kill", test_kill);
    g_test_add_func("/process/pid-reuse", test_pid_reuse);
    g_test_add_func("/process/zombie", test_zombie);
    g_test_add_func("/process/odd-name", test_odd_name);
    g_test_add_func("/process/get-fd", test_get_fd);
    g_test_add_func("/process/log-tail", test_log_tail);
    g_test_add_func("/process/log-said", test_log_said);
    ret = g_test_run();
    unlink(log_path);
    g_assert_cmpint(rmdir(dir), ==, 0);
    g_free(log_path);
    g_free(dir);
    return ret;
}
