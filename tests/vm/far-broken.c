/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A switch between two hosts, broken: processes and connections are killed when a
 * journal says that a phase has been reached, and at random moments; and the network
 * goes silent in the one moment at which nobody knows who has the guest. It runs on, on
 * one host, each time.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "guest/journal.h"
#include "lib/disk-image.h"
#include "vm/far-guest.h"

typedef enum { BREAK_COMMAND, BREAK_RECEIVER, BREAK_LINK, N_BREAKS } Break;

static const char *const break_names[] = { "command", "receiver", "link" };

#define SHORT_BREAKS 3
#define LONG_BREAKS 120
#define LATEST_MS 2500
/* Longer than all that the transaction waits for. */
#define SETTLED_SECONDS 120
#define PHASE_SECONDS 120
#define LOOK_US 100

/* --- breaking --- */

/* The `mose receive` that runs there, killed. */
static void
kill_receiver(void)
{
    g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(proc))) {
        g_autofree char *path = g_strdup_printf("/proc/%s/cmdline", name);
        g_autofree char *words = NULL;
        gsize len;

        if (g_ascii_isdigit(*name) && g_file_get_contents(path, &words, &len, NULL) &&
            len > strlen(words) + 1 && g_str_has_suffix(words, "mose") &&
            strcmp(words + strlen(words) + 1, "receive") == 0 &&
            hosts_runs_there(far_hosts, atoi(name)))
            kill(atoi(name), SIGKILL);
    }
}

static void
break_it(Break how, GSubprocess *command)
{
    if (how == BREAK_COMMAND)
        g_subprocess_force_exit(command);
    else if (how == BREAK_RECEIVER)
        kill_receiver();
    else
        hosts_reset_connections(far_hosts, HOST_THERE);
}

/* What the guest's disks do: `--disks`; and whether its memory goes by `--tcp`. */
static const char *disks = "shared";
static gboolean tcp;

/* `mose`, to bring @guest to the other host of the two. */
static GSubprocess *
begin(const VmGuest *guest, gboolean is_there)
{
    const char *const go_there[] = { "mose",
                                     "emulate",
                                     guest->name,
                                     "--on",
                                     hosts_address(far_hosts, HOST_THERE),
                                     "--rsh",
                                     hosts_rsh(far_hosts),
                                     "--disks",
                                     disks,
                                     tcp ? "--tcp" : NULL,
                                     "auto",
                                     NULL };
    const char *const go_home[] = { "mose",      "virtualize",
                                    guest->name, tcp ? "--tcp" : NULL,
                                    "auto",      NULL };

    return hosts_spawn(far_hosts, HOST_HERE,
                       G_SUBPROCESS_FLAGS_STDOUT_SILENCE |
                           G_SUBPROCESS_FLAGS_STDERR_SILENCE,
                       is_there ? go_home : go_there);
}

/* --- what becomes of it --- */

/* One look at both hosts: never does it run on both. TRUE when it runs on one, and
 * the other knows. */
static gboolean
is_settled(const VmGuest *guest, gboolean *ret_there)
{
    g_autofree char *here = far_listed(HOST_HERE, guest->name);
    g_autofree char *there = far_listed(HOST_THERE, guest->name);
    gboolean runs_here = strcmp(here, "running") == 0;
    gboolean runs_there = strcmp(there, "running") == 0;

    g_test_message("here '%s', there '%s'", here, there);
    g_assert_false(runs_here && runs_there);
    *ret_there = runs_there;
    return (runs_here && strcmp(there, "") == 0) ||
           (runs_there && strcmp(here, "away") == 0);
}

static void
wait_settled(const VmGuest *guest, gboolean *ret_there)
{
    gint64 deadline = g_get_monotonic_time() + SETTLED_SECONDS * G_USEC_PER_SEC;

    while (!is_settled(guest, ret_there)) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(100000);
    }
}

/* Bring it to where the next break needs it, unbroken. */
static void
put(const VmGuest *guest, gboolean there, gboolean *is_there)
{
    g_autoptr(GSubprocess) command = NULL;

    if (there == *is_there)
        return;
    command = begin(guest, *is_there);
    g_assert_true(g_subprocess_wait_check(command, NULL, NULL));
    wait_settled(guest, is_there);
    g_assert_true(there == *is_there);
}

/* --- at a phase --- */

typedef struct {
    gboolean home; /* on the way home, not there */
    HostSide side; /* whose journal tells */
    MosePhase phase;
    gboolean slow; /* only in the long form */
} Moment;

static const Moment moments[] = {
    { FALSE, HOST_HERE, MOSE_PHASE_PREPARE, TRUE },
    { FALSE, HOST_HERE, MOSE_PHASE_MOVE, TRUE },
    { FALSE, HOST_THERE, MOSE_PHASE_TAKE, TRUE },
    { FALSE, HOST_HERE, MOSE_PHASE_DOUBT, FALSE },
    { FALSE, HOST_THERE, MOSE_PHASE_COMMIT, FALSE },
    { TRUE, HOST_HERE, MOSE_PHASE_TAKE, TRUE },
    { TRUE, HOST_THERE, MOSE_PHASE_MOVE, TRUE },
    { TRUE, HOST_THERE, MOSE_PHASE_DOUBT, FALSE },
    { TRUE, HOST_HERE, MOSE_PHASE_COMMIT, FALSE },
};

/* FALSE when @command ended before it was seen, which a fast phase may. */
static gboolean
wait_phase(const VmGuest *guest, const Moment *moment, GSubprocess *command)
{
    g_autofree char *dir =
        g_build_filename(hosts_runtime_dir(far_hosts, moment->side), guest->name, NULL);
    gint64 deadline = g_get_monotonic_time() + PHASE_SECONDS * G_USEC_PER_SEC;
    MoseJournalEntry entry = { .phase = MOSE_PHASE_START };

    while (!mose_journal_read(dir, &entry, NULL) || entry.phase < moment->phase) {
        if (!g_subprocess_get_identifier(command))
            return FALSE;
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(LOOK_US);
        g_main_context_iteration(NULL, FALSE);
    }
    return entry.phase == moment->phase;
}

static void
break_at(const VmGuest *guest, const Moment *moment, Break how, gboolean *is_there)
{
    g_autoptr(GSubprocess) command = NULL;
    gboolean seen;

    put(guest, moment->home, is_there);
    command = begin(guest, *is_there);
    seen = wait_phase(guest, moment, command);
    break_it(how, command);
    g_subprocess_wait(command, NULL, NULL);
    wait_settled(guest, is_there);
    far_assert_answers(guest);
    g_test_message("%s, %s of %s, %s killed%s: it is %s",
                   moment->home ? "home" : "there", mose_phase_name(moment->phase),
                   moment->side == HOST_HERE ? "here" : "there", break_names[how],
                   seen ? "" : " (a phase late)", *is_there ? "there" : "here");
}

static void
test_phases(void)
{
    VmGuest *guest;
    gboolean is_there = FALSE;

    if (far_cannot_run())
        return;
    guest = far_start("far-phases", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(moments); i++)
        for (Break how = 0; how < N_BREAKS; how++)
            if (g_test_slow() || !moments[i].slow)
                break_at(guest, &moments[i], how, &is_there);
    put(guest, FALSE, &is_there);
    json_object_unref(vm_assert_healthy(guest));
    far_stop(guest);
}

/* --- at random moments --- */

static void
break_at_random(VmGuest *guest)
{
    guint breaks = g_test_slow() ? LONG_BREAKS : SHORT_BREAKS;
    gboolean is_there = FALSE;

    for (guint i = 0; i < breaks; i++) {
        int after_ms = g_test_rand_int_range(0, LATEST_MS);
        gboolean was_there = is_there;
        g_autoptr(GSubprocess) command = begin(guest, is_there);

        g_usleep(after_ms * 1000);
        break_it(i % N_BREAKS, command);
        g_subprocess_wait(command, NULL, NULL);
        wait_settled(guest, &is_there);
        far_assert_answers(guest);
        g_test_message("%s killed after %d ms on the way %s: it is %s",
                       break_names[i % N_BREAKS], after_ms,
                       was_there ? "home" : "there", is_there ? "there" : "here");
    }
    put(guest, FALSE, &is_there);
    json_object_unref(vm_assert_healthy(guest));
    far_stop(guest);
}

static void
test_random(void)
{
    if (!far_cannot_run())
        break_at_random(far_start("far-random", NULL));
}

/* With a disk that stays at home. */
static void
test_random_home(void)
{
    g_autofree char *image = NULL, *options = NULL;

    if (far_cannot_run())
        return;
    image = far_image("random-home");
    options = g_strdup_printf("-drive file=%s,format=qcow2,if=virtio", image);
    disks = "home";
    break_at_random(far_start("far-random-home", options));
    disks = "shared";
    disk_image_assert_ring(image, "qcow2", 1);
}

/* With memory that goes beside the link. */
static void
test_random_tcp(void)
{
    if (far_cannot_run())
        return;
    tcp = TRUE;
    break_at_random(far_start("far-random-tcp", NULL));
    tcp = FALSE;
}

/* --- silence --- */

/* Each way, so that what is said can be lost before it is heard. */
#define DELAY_MS 80

/* Wait until it is @here and @there; never does it run on both. */
static void
wait_listed(const VmGuest *guest, const char *here, const char *there)
{
    gint64 deadline = g_get_monotonic_time() + SETTLED_SECONDS * G_USEC_PER_SEC;

    for (;;) {
        g_autofree char *at_home = far_listed(HOST_HERE, guest->name);
        g_autofree char *away = far_listed(HOST_THERE, guest->name);

        g_test_message("here '%s', there '%s'", at_home, away);
        g_assert_false(strcmp(at_home, "running") == 0 && strcmp(away, "running") == 0);
        if (strcmp(at_home, here) == 0 && strcmp(away, there) == 0)
            return;
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(500000);
    }
}

/* From the copy on all takes its time, which the many questions before it would, too.
 * Until who has the guest, @from, is in doubt. */
static GSubprocess *
begin_until_doubt(const VmGuest *guest, HostSide from)
{
    const Moment move = { FALSE, from, MOSE_PHASE_MOVE, FALSE };
    const Moment doubt = { FALSE, from, MOSE_PHASE_DOUBT, FALSE };
    GSubprocess *command = begin(guest, from == HOST_THERE);

    g_assert_true(wait_phase(guest, &move, command));
    g_assert_true(hosts_shape(far_hosts, 0, DELAY_MS));
    g_assert_true(wait_phase(guest, &doubt, command));
    return command;
}

static void
mend(void)
{
    hosts_mend(far_hosts);
    hosts_unshape(far_hosts);
}

/* The word to commit is on its way when the network goes silent: the guest runs there,
 * and is kept still here, since its image is locked, until the hosts hear of each other
 * again. */
static void
answer_lost(const VmGuest *guest)
{
    g_autoptr(GSubprocess) command = begin_until_doubt(guest, HOST_HERE);

    hosts_cut(far_hosts);
    wait_listed(guest, "in-doubt", "running");
    far_assert_answers(guest);
    g_subprocess_wait(command, NULL, NULL);
    wait_listed(guest, "in-doubt", "running");
    mend();
    wait_listed(guest, "away", "running");
}

/* It never arrives, and nobody can be asked: the image, free and as it was, tells that
 * the guest may run on here. */
static void
word_lost(const VmGuest *guest)
{
    g_autoptr(GSubprocess) command = begin_until_doubt(guest, HOST_HERE);

    kill_receiver();
    hosts_cut(far_hosts);
    wait_listed(guest, "running", "");
    far_assert_answers(guest);
    g_subprocess_wait(command, NULL, NULL);
    mend();
    wait_listed(guest, "running", "");
}

/* On the way home the word, or the answer to it, never arrives. The other host cannot
 * ask this one: it is told, once that can be. */
static void
home_word_lost(const VmGuest *guest, gboolean *ret_there)
{
    g_autoptr(GSubprocess) command = begin_until_doubt(guest, HOST_THERE);
    g_autofree char *there = NULL;

    hosts_cut(far_hosts);
    g_subprocess_wait(command, NULL, NULL);
    there = far_listed(HOST_THERE, guest->name);
    g_assert_cmpstr(there, ==, "in-doubt");
    mend();
    wait_settled(guest, ret_there);
    far_assert_answers(guest);
}

static void
test_silence(void)
{
    g_autofree char *image = NULL, *options = NULL;
    gboolean is_there = TRUE;
    VmGuest *guest;

    if (far_cannot_run())
        return;
    if (!hosts_shape(far_hosts, 0, DELAY_MS)) {
        g_test_skip("/dev/net/tun is needed to delay what hosts say");
        return;
    }
    hosts_unshape(far_hosts);
    image = vm_path("silence.qcow2");
    options = g_strdup_printf("-drive file=%s,format=qcow2,if=virtio", image);
    disk_image_make(image, "qcow2");
    guest = far_start("far-silence", options);
    word_lost(guest);
    answer_lost(guest);
    home_word_lost(guest, &is_there);
    put(guest, FALSE, &is_there);
    json_object_unref(vm_assert_healthy(guest));
    far_stop(guest);
    disk_image_assert_ring(image, "qcow2", 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    far_setup();
    g_test_add_func("/far-broken/phases", test_phases);
    g_test_add_func("/far-broken/random", test_random);
    g_test_add_func("/far-broken/random-home", test_random_home);
    g_test_add_func("/far-broken/random-tcp", test_random_tcp);
    g_test_add_func("/far-broken/silence", test_silence);
    return far_run_tests();
}
