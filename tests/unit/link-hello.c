/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The beginning of a link: who answers there, and who does not. */
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/link-far.h"
#include "lib/says.h"
#include "link/ssh.h"

static MoseLink *
open_shell(const char *script, guint hello_ms, int interrupt_fd, GError **error)
{
    const char *argv[] = { "sh", "-c", script, NULL };
    const MoseLinkOptions options = { .hello_ms = hello_ms };

    return mose_link_open(argv, &options, interrupt_fd, error);
}

static void
expect_refusal(const char *script, MoseErrorCode code, const char *says)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(open_shell(script, 0, -1, &error));
    assert_says(error, code, says);
}

static void
test_not_found(void)
{
    expect_refusal(
        "echo 'bash: line 1: mose: command not found' >&2; exit 127", MOSE_ERROR_CLOSED,
        "sh has ended with status 127: bash: line 1: mose: command not found");
    expect_refusal("exec /nonexistent/mose receive", MOSE_ERROR_CLOSED,
                   "sh has ended with status 127: ");
    expect_refusal("kill -9 $$", MOSE_ERROR_CLOSED, "sh was ended by signal 9");
    expect_refusal(
        "echo Sorry, no.; exit 1", MOSE_ERROR_CLOSED,
        "sh has ended with status 1; the other side has ended before the link "
        "was up; it said 'Sorry, no.'");
}

static void
test_no_transport(void)
{
    const char *argv[] = { "/nonexistent/ssh", NULL };
    g_autoptr(GError) error = NULL;

    g_assert_null(mose_link_open(argv, NULL, -1, &error));
    assert_says(error, MOSE_ERROR_FAILED, "cannot start /nonexistent/ssh");
}

static void
test_others(void)
{
    expect_refusal("echo MOSE-LINK 2 far; sleep 5", MOSE_ERROR_INVALID,
                   "it says 'MOSE-LINK 2 far', and this one speaks version 1");
    expect_refusal("cat", MOSE_ERROR_INVALID, "it repeats what is sent");
    expect_refusal("yes 'who are you?'", MOSE_ERROR_INVALID,
                   "no mose: it says 'who are you?'");
    expect_refusal("cat /dev/zero", MOSE_ERROR_INVALID, "no mose: it says ''");
}

/* Remote shells say something of their own. */
static void
test_noise(void)
{
    static const char *const scripts[] = {
        "echo Welcome!; echo; echo MOSE-LINK 1 far; sleep 5",
        "printf 'Welcome! MOSE-LINK 1 far\\n'; sleep 5",
        ("echo Welcome!; sleep 0.2; printf 'MOSE-LINK 1'; sleep 0.2; "
         "printf ' far\\r\\n'; sleep 5"),
    };

    for (gsize i = 0; i < G_N_ELEMENTS(scripts); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(MoseLink) link = open_shell(scripts[i], 0, -1, &error);

        g_assert_no_error(error);
        g_assert_nonnull(link);
    }
}

static void
test_time_limit(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(
        open_shell("echo 'Host is busy' >&2; exec sleep 100", 1000, -1, &error));
    assert_says(error, MOSE_ERROR_TIMEOUT,
                "sh says 'Host is busy'; the other side has not answered");
}

static void
test_interrupted(void)
{
    g_autoptr(GError) error = NULL;
    int fd = eventfd(1, 0);

    g_assert_null(open_shell("sleep 100", 0, fd, &error));
    assert_says(error, MOSE_ERROR_INTERRUPTED, "interrupted");
    close(fd);
}

/* Nobody at the other end of the far side's wire. */
static void
test_accept(void)
{
    g_autoptr(GError) error = NULL;
    int ends[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
    g_assert_cmpint(send(ends[1], "ls -l\n", 6, 0), ==, 6);
    shutdown(ends[1], SHUT_WR);
    g_assert_null(mose_link_accept(ends[0], ends[0], NULL, &error));
    assert_says(error, MOSE_ERROR_CLOSED, "it said 'ls -l'");
    close(ends[1]);
}

/* --- ssh's command line --- */

static void
expect_argv(const char *host, const char *rsh, const char *far, guint compress,
            const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) argv = mose_ssh_argv(host, rsh, far, compress, &error);
    g_autofree char *text = argv ? g_strjoinv("|", argv) : NULL;

    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, expected);
}

static void
test_ssh(void)
{
    g_auto(GStrv) argv = mose_ssh_argv("me@there", NULL, NULL, 0, NULL);
    g_autofree char *text = g_strjoinv(" ", argv);

    g_assert_true(g_str_has_prefix(text, "ssh -T "));
    g_assert_true(g_str_has_suffix(text, " me@there mose receive"));
    expect_argv("there", "lsh -l 'some one'", "/opt/mose -v", 0,
                "lsh|-l|some one|there|/opt/mose -v|receive");
    expect_argv("there", "lsh", NULL, 3, "lsh|there|mose|receive|--compress|3");
}

static void
test_ssh_refuses(void)
{
    static const char *const hosts[] = { "",    "-oProxyCommand=x", "me@-x",
                                         "me@", "two words",        "line\nbreak" };
    g_autoptr(GError) error = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(hosts); i++) {
        g_autoptr(GError) cause = NULL;

        g_assert_null(mose_ssh_argv(hosts[i], NULL, NULL, 0, &cause));
        assert_says(cause, MOSE_ERROR_INVALID, "is no host");
    }
    g_assert_null(mose_ssh_argv("there", "ssh 'x", NULL, 0, &error));
    assert_says(error, MOSE_ERROR_INVALID, "cannot be split");
}

int
main(int argc, char **argv)
{
    link_far_main(argc, argv);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/link-hello/not-found", test_not_found);
    g_test_add_func("/link-hello/no-transport", test_no_transport);
    g_test_add_func("/link-hello/others", test_others);
    g_test_add_func("/link-hello/noise", test_noise);
    g_test_add_func("/link-hello/time-limit", test_time_limit);
    g_test_add_func("/link-hello/interrupted", test_interrupted);
    g_test_add_func("/link-hello/accept", test_accept);
    g_test_add_func("/link-hello/ssh", test_ssh);
    g_test_add_func("/link-hello/ssh-refuses", test_ssh_refuses);
    return g_test_run();
}
