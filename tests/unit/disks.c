/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Overlays of a guest's disks: which files are deleted when, and what is left when
 * QEMU (a script here) refuses, fails or goes away in the middle of their commit. An
 * overlay that may hold the only copy of something must be there after all of it.
 */
#include "guest/disks.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fakeqemu/peer.h"
#include "lib/says.h"

#define GENERATION 3
#define NEWER (GENERATION + 1)

static char *dir;

static MoseGuest
guest_here(void)
{
    return (MoseGuest){ .name = (char *)"g", .dir = dir, .generation = GENERATION };
}

static char *
overlay_path(guint i)
{
    return g_strdup_printf("%s/overlay%u", dir, i);
}

static void
make_file(const char *path, const char *text)
{
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
}

/* A record of @n overlays of generation @generation, each in @state, with their files.
 */
static void
record(guint generation, guint n, MoseOverlayState state)
{
    const MoseGuest guest = guest_here();
    g_autoptr(GPtrArray) overlays = mose_overlays_new();
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < n; i++) {
        MoseOverlay *overlay = g_new0(MoseOverlay, 1);

        *overlay = (MoseOverlay){ g_strdup_printf("mose-overlay%u", i),
                                  g_strdup_printf("image%u", i),
                                  g_strdup("/images/x"),
                                  g_strdup("raw"),
                                  4096,
                                  overlay_path(i),
                                  state };
        make_file(overlay->file, "data");
        g_ptr_array_add(overlays, overlay);
    }
    mose_disks_write(&guest, generation, overlays, &error);
    g_assert_no_error(error);
}

/* How many files are there, and that the record tells of them, in @state. */
static guint
count(guint generation, MoseOverlayState state)
{
    const MoseGuest guest = guest_here();
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) overlays = mose_disks_read(&guest, generation, &error);
    guint n = 0;

    g_assert_no_error(error);
    for (guint i = 0; i < 2; i++) {
        g_autofree char *path = overlay_path(i);

        n += access(path, F_OK) == 0;
    }
    g_assert_cmpuint(overlays->len, ==, n);
    for (guint i = 0; i < n; i++)
        g_assert_cmpint(((MoseOverlay *)overlays->pdata[i])->state, ==, state);
    return n;
}

static void
clear(guint generation)
{
    const MoseGuest guest = guest_here();
    g_autoptr(GPtrArray) none = mose_overlays_new();

    for (guint i = 0; i < 2; i++) {
        g_autofree char *path = overlay_path(i);

        unlink(path);
    }
    g_assert_true(mose_disks_write(&guest, generation, none, NULL));
}

/* --- what is deleted --- */

static void
test_forget(void)
{
    static const struct {
        guint generation;
        MoseOverlayState state;
        guint left;
    } cases[] = {
        { GENERATION, MOSE_OVERLAY_OPEN, 2 },
        { GENERATION, MOSE_OVERLAY_COMMITTING, 2 },
        { GENERATION, MOSE_OVERLAY_COMMITTED, 0 },
        /* The guest has gone on without it: it never had the guest. */
        { NEWER, MOSE_OVERLAY_OPEN, 0 },
        { NEWER, MOSE_OVERLAY_COMMITTING, 2 },
        /* Not empty: it is somebody else's. */
        { NEWER, MOSE_OVERLAY_PLANNED, 2 },
        { GENERATION - 1, MOSE_OVERLAY_OPEN, 2 },
    };
    const MoseGuest guest = guest_here();

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        record(cases[i].generation, 2, cases[i].state);
        mose_disks_forget(&guest, cases[i].generation);
        g_assert_cmpuint(count(cases[i].generation, cases[i].state), ==, cases[i].left);
        clear(cases[i].generation);
    }
}

static void
test_forget_planned(void)
{
    const MoseGuest guest = guest_here();
    g_autofree char *path = overlay_path(0);

    record(NEWER, 1, MOSE_OVERLAY_PLANNED);
    make_file(path, "");
    mose_disks_forget(&guest, NEWER);
    g_assert_cmpuint(count(NEWER, MOSE_OVERLAY_PLANNED), ==, 0);
}

/* What can't be read is no reason to delete anything. */
static void
test_forget_damaged(void)
{
    const MoseGuest guest = guest_here();
    g_autofree char *path = g_strdup_printf("%s/overlays.%u", dir, NEWER);
    g_autofree char *overlay = overlay_path(0);
    g_autoptr(GError) error = NULL;

    record(NEWER, 1, MOSE_OVERLAY_OPEN);
    make_file(path, "{\"overlays\":[{\"id\":");
    mose_disks_forget(&guest, NEWER);
    g_assert_null(mose_disks_read(&guest, NEWER, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    g_assert_cmpint(access(overlay, F_OK), ==, 0);
    clear(NEWER);
}

static void
test_ends(void)
{
    const MoseGuest guest = guest_here();
    g_autoptr(GError) open = NULL, part = NULL;
    g_autoptr(GPtrArray) overlays = NULL;

    g_assert_true(mose_disks_may_end(&guest, &open));
    record(GENERATION, 2, MOSE_OVERLAY_OPEN);
    g_assert_false(mose_disks_may_end(&guest, &open));
    g_assert_error(open, MOSE_ERROR, MOSE_ERROR_REFUSED);
    overlays = mose_disks_read(&guest, GENERATION, NULL);
    g_assert_true(mose_disks_may_discard(overlays, &part));
    ((MoseOverlay *)overlays->pdata[1])->state = MOSE_OVERLAY_COMMITTING;
    g_assert_false(mose_disks_may_discard(overlays, &part));
    g_assert_error(part, MOSE_ERROR, MOSE_ERROR_REFUSED);
    g_assert_cmpuint(count(GENERATION, MOSE_OVERLAY_OPEN), ==, 2);
    clear(GENERATION);
}

/* --- the commit --- */

#define BLOCK(node) "{\"return\":[{\"inserted\":{\"node-name\":\"" node "\"}}]}\r\n"
#define NO_JOBS "{\"return\":[]}\r\n"
#define JOB(status)                                                                    \
    "{\"return\":[{\"id\":\"else\",\"status\":\"running\"},"                           \
    "{\"id\":\"mose-overlay0\",\"status\":\"" status                                   \
    "\",\"current-progress\":1,\"total-progress\":2}]}\r\n"
#define EVENT "{\"event\":\"JOB_STATUS_CHANGE\",\"data\":{}}\r\n"
#define NO_CANCEL "{\"error\":{\"class\":\"GenericError\",\"desc\":\"concluded\"}}\r\n"

/* A QEMU that does all that it is told. */
static const FakeStep good[] = {
    FAKE_HELLO,
    /* What an earlier command has left: nothing. */
    { "\"query-jobs\"", NO_JOBS },
    { "\"query-jobs\"", NO_JOBS },
    { "\"query-block\"", BLOCK("mose-overlay0") },
    { "\"query-block\"", BLOCK("mose-overlay0") },
    { "\"block-commit\"", FAKE_OK },
    { "\"query-jobs\"", JOB("running") EVENT },
    { "\"query-jobs\"", JOB("ready") },
    { "\"job-complete\"", FAKE_OK },
    { "\"query-jobs\"", JOB("pending") EVENT },
    { "\"query-jobs\"", JOB("concluded") },
    { "\"query-jobs\"", JOB("concluded") },
    { "\"job-cancel\"", NO_CANCEL },
    { "\"query-jobs\"", JOB("concluded") },
    { "\"job-dismiss\"", FAKE_OK },
    { "\"query-block\"", BLOCK("image0") },
    { NULL },
};

/* Steps that play in each test before anything is begun. */
#define FIRST_STEPS 2
#define BEGUN 6 /* steps after which the image may hold a part */

/* Commit one overlay with a QEMU that plays @steps. */
static gboolean
commit(const FakeStep *steps, GError **error)
{
    const MoseGuest guest = guest_here();
    const MoseDisksCommit how = { 0 };
    guint committed;
    int fd;
    FakePeer *peer = fake_peer_start(steps, &fd);
    MoseQmp *qmp = mose_qmp_new(fd, "fake", 5000, error);
    gboolean done;

    record(GENERATION, 1, MOSE_OVERLAY_OPEN);
    done = qmp && mose_disks_commit(&guest, qmp, &how, &committed, error);
    mose_qmp_free(qmp);
    g_assert_cmpint(fake_peer_finish(peer), ==, -1);
    g_assert_true(!done || committed == 1);
    return done;
}

static void
test_commit(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(commit(good, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(count(GENERATION, MOSE_OVERLAY_COMMITTED), ==, 0);
}

/* QEMU goes away at the Nth command, for each N. */
static void
test_commit_nth(void)
{
    for (gsize n = FIRST_STEPS; n < G_N_ELEMENTS(good) - 1; n++) {
        g_autofree FakeStep *steps = g_memdup2(good, sizeof(good));
        g_autoptr(GError) error = NULL;

        steps[n].reply = NULL;
        steps[n].hang_up = TRUE;
        memset(&steps[n + 1], 0, sizeof(FakeStep));
        g_assert_false(commit(steps, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_CLOSED);
        g_assert_cmpuint(
            count(GENERATION, n < BEGUN ? MOSE_OVERLAY_OPEN : MOSE_OVERLAY_COMMITTING),
            ==, 1);
        clear(GENERATION);
    }
}

/* The image cannot be written: the job is ended, the guest has its overlay. */
static void
test_commit_fails(void)
{
    static const char failed[] =
        "{\"return\":[{\"id\":\"mose-overlay0\",\"status\":\"concluded\","
        "\"current-progress\":1,\"total-progress\":2,\"error\":\"No space\"}]}\r\n";
    const FakeStep steps[] = {
        FAKE_HELLO,
        { "\"query-jobs\"", NO_JOBS },
        { "\"query-jobs\"", NO_JOBS },
        { "\"query-block\"", BLOCK("mose-overlay0") },
        { "\"query-block\"", BLOCK("mose-overlay0") },
        { "\"block-commit\"", FAKE_OK },
        { "\"query-jobs\"", failed },
        { "\"query-jobs\"", failed },
        { "\"job-cancel\"", NO_CANCEL },
        { "\"query-jobs\"", failed },
        { "\"job-dismiss\"", FAKE_OK },
        { "\"query-block\"", BLOCK("mose-overlay0") },
        { NULL },
    };
    g_autoptr(GError) error = NULL;

    g_assert_false(commit(steps, &error));
    assert_says(error, MOSE_ERROR_FAILED, "disk /images/x: No space");
    g_assert_cmpuint(count(GENERATION, MOSE_OVERLAY_COMMITTING), ==, 1);
    clear(GENERATION);
}

/* The disk's device is gone, and its overlay's node with it: nothing tells that its
 * data is in the image. */
static void
test_unplugged(void)
{
    g_autofree FakeStep *steps = g_memdup2(good, sizeof(good));
    g_autoptr(GError) error = NULL;

    steps[G_N_ELEMENTS(good) - 2].reply = "{\"return\":[]}\r\n";
    g_assert_false(commit(steps, &error));
    assert_says(error, MOSE_ERROR_FAILED, "no device of the guest has it");
    g_assert_cmpuint(count(GENERATION, MOSE_OVERLAY_COMMITTING), ==, 1);
    clear(GENERATION);
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    int ret;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("mose-test-XXXXXX", &error);
    g_assert_no_error(error);
    g_test_add_func("/overlay-files/forget", test_forget);
    g_test_add_func("/overlay-files/planned", test_forget_planned);
    g_test_add_func("/overlay-files/damaged", test_forget_damaged);
    g_test_add_func("/overlay-files/ends", test_ends);
    g_test_add_func("/overlay-files/commit", test_commit);
    g_test_add_func("/overlay-files/commit-nth", test_commit_nth);
    g_test_add_func("/overlay-files/commit-fails", test_commit_fails);
    g_test_add_func("/overlay-files/unplugged", test_unplugged);
    ret = g_test_run();
    rmdir(dir);
    g_free(dir);
    return ret;
}
