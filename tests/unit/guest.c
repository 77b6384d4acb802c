/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests' directories: whose they may be, who holds them, what is read of them. */
#include "guest/guest.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/says.h"
#include "guest/guest-dir.h"
#include "util/fd.h"
#include "util/json.h"
#include "util/unix-socket.h"

#define NOBODY 65534

static char *top, *run;

static void
remove_all(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *below = g_build_filename(path, name, NULL);

        if (unlink(below) < 0)
            remove_all(below);
    }
    rmdir(path);
}

/* A guest that could be saved: its process is this test. */
static MoseGuest *
make_guest(const char *name)
{
    static const char *const options[] = { "-m", "64M", "-nodefaults", NULL };
    g_autoptr(GError) error = NULL;
    MoseGuest *guest = mose_guest_create(name, &error);

    g_assert_no_error(error);
    guest->spec = mose_spec_parse(options, &error);
    g_assert_no_error(error);
    guest->spec->name = g_strdup(name);
    guest->spec->qemu = g_strdup("/bin/true");
    guest->spec->cwd = g_strdup("/");
    for (MoseSide side = 0; side < MOSE_N_SIDES; side++) {
        guest->spec->accel[side] = g_strdup("tcg");
        guest->spec->cpu[side] = g_strdup("max");
    }
    guest->machine_type = g_strdup("pc-i440fx-10.0");
    guest->generation = 1;
    guest->pid = getpid();
    guest->start_time = mose_process_start_time(getpid());
    mose_guest_save(guest, &error);
    g_assert_no_error(error);
    return guest;
}

static void
remove_guest(MoseGuest *guest)
{
    g_autoptr(GError) error = NULL;

    mose_guest_remove(guest, &error);
    g_assert_no_error(error);
    mose_guest_free(guest);
}

static void
test_names(void)
{
    static const char *const good[] = { "a", "0", "web-1", "a.b_C-d", NULL };
    static const char *const bad[] = { "",    ".",   "..",   "-a",       "_a", ".a",
                                       "a/b", "a b", "a\nb", "\xc3\xa4", NULL };
    g_autofree char *longest = g_strnfill(64, 'x');
    g_autofree char *longer = g_strnfill(65, 'x');
    g_autoptr(GError) error = NULL;

    for (int i = 0; good[i]; i++)
        g_assert_true(mose_guest_name_valid(good[i], NULL));
    for (int i = 0; bad[i]; i++)
        g_assert_false(mose_guest_name_valid(bad[i], NULL));
    g_assert_true(mose_guest_name_valid(longest, NULL));
    g_assert_false(mose_guest_name_valid(longer, NULL));
    g_assert_null(mose_guest_open("../x", MOSE_GUEST_LOOK, &error));
    assert_says(error, MOSE_ERROR_INVALID, "'../x' is no name for a guest");
}

static void
expect_runtime_error(MoseErrorCode code, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *dir = mose_runtime_dir(&error);

    g_assert_null(dir);
    assert_says(error, code, text);
}

static void
test_runtime_dir(void)
{
    g_autofree char *dir = mose_runtime_dir(NULL);
    g_autofree char *target = g_build_filename(top, "target", NULL);
    struct stat st;

    g_assert_cmpstr(dir, ==, run);
    g_assert_cmpint(stat(run, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 0777, ==, 0700);

    g_assert_cmpint(chmod(run, 0750), ==, 0);
    expect_runtime_error(MOSE_ERROR_INVALID, "of ours with mode 0700");
    g_assert_cmpint(chmod(run, 0700), ==, 0);
    if (geteuid() == 0) {
        g_assert_cmpint(chown(run, NOBODY, NOBODY), ==, 0);
        expect_runtime_error(MOSE_ERROR_INVALID, "of ours with mode 0700");
        g_assert_cmpint(chown(run, 0, 0), ==, 0);
    }
    g_assert_cmpint(rmdir(run), ==, 0);
    g_assert_cmpint(mkdir(target, 0700), ==, 0);
    g_assert_cmpint(symlink(target, run), ==, 0);
    expect_runtime_error(MOSE_ERROR_INVALID, "of ours with mode 0700");
    g_assert_cmpint(unlink(run), ==, 0);
    g_assert_cmpint(rmdir(target), ==, 0);

    g_setenv("MOSE_RUNTIME_DIR", "relative/dir", TRUE);
    expect_runtime_error(MOSE_ERROR_INVALID,
                         "MOSE_RUNTIME_DIR=relative/dir is not an absolute path");
    g_setenv("MOSE_RUNTIME_DIR", "/no/such/place", TRUE);
    expect_runtime_error(MOSE_ERROR_FAILED, "cannot make /no/such/place: ");
    g_setenv("MOSE_RUNTIME_DIR", run, TRUE);
}

/* Whether, without root's rights, XDG_RUNTIME_DIR=@value is refused for @text. */
static gboolean
refused_as_user(const char *value, const char *text)
{
    int status;
    pid_t pid = fork();

    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        g_autoptr(GError) error = NULL;

        if (geteuid() == 0 && setuid(NOBODY) < 0)
            _exit(2);
        g_unsetenv("MOSE_RUNTIME_DIR");
        g_unsetenv("XDG_RUNTIME_DIR");
        if (value)
            g_setenv("XDG_RUNTIME_DIR", value, TRUE);
        _exit(mose_runtime_dir(&error) || !strstr(error->message, text));
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void
test_no_xdg(void)
{
    g_assert_true(refused_as_user(NULL, "no XDG_RUNTIME_DIR, where guests are kept"));
    g_assert_true(refused_as_user("", "no XDG_RUNTIME_DIR"));
    g_assert_true(refused_as_user("run", "no XDG_RUNTIME_DIR"));
    g_assert_true(refused_as_user("/no/such/dir", "cannot make /no/such/dir/mose: "));
}

static void
test_round_trip(void)
{
    MoseGuest *guest = make_guest("web");
    g_autoptr(MoseGuest) read = NULL;
    g_autoptr(MoseProcess) process = NULL;
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) names = NULL;

    guest->side = MOSE_SIDE_EMULATOR;
    guest->generation = 4;
    mose_guest_note(guest, "run", NULL);
    mose_guest_note(guest, "emulate", mose_json_object("rules", "i", (gint64)3, NULL));
    g_assert_true(mose_guest_save(guest, &error));
    read = mose_guest_open("web", MOSE_GUEST_LOOK, &error);
    g_assert_no_error(error);
    g_assert_cmpint(read->side, ==, MOSE_SIDE_EMULATOR);
    g_assert_cmpuint(read->generation, ==, 4);
    g_assert_cmpint(read->pid, ==, getpid());
    g_assert_cmpuint(read->start_time, ==, guest->start_time);
    g_assert_cmpstr(read->machine_type, ==, "pc-i440fx-10.0");
    g_assert_cmpuint(read->spec->ram_size, ==, 64 << 20);
    g_assert_cmpuint(json_array_get_length(read->timeline), ==, 2);
    process = mose_guest_process(read, &error);
    g_assert_no_error(error);

    /* A process of an earlier boot has ended, whatever has its pid now. */
    g_free(read->boot_id);
    read->boot_id = g_strdup("another");
    g_assert_null(mose_guest_process(read, &error));
    assert_says(error, MOSE_ERROR_ENDED, "guest web ended with an earlier boot");
    g_clear_error(&error);

    names = mose_guest_names(&error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_strv_length(names), ==, 1);
    g_assert_cmpstr(names[0], ==, "web");
    remove_guest(guest);
    g_assert_null(mose_guest_open("web", MOSE_GUEST_LOOK, &error));
    assert_says(error, MOSE_ERROR_NOT_FOUND, "no guest web");
}

static void
test_list_sorted(void)
{
    MoseGuest *b = make_guest("b"), *a = make_guest("a");
    g_autofree char *empty = g_build_filename(run, "empty", NULL);
    g_auto(GStrv) names = NULL;
    g_autofree char *text = NULL;

    g_assert_cmpint(mkdir(empty, 0700), ==, 0);
    names = mose_guest_names(NULL);
    text = g_strjoinv(" ", names);
    g_assert_cmpstr(text, ==, "a b");
    g_assert_cmpint(rmdir(empty), ==, 0);
    remove_guest(a);
    remove_guest(b);
}

static void
test_lock(void)
{
    MoseGuest *guest = make_guest("web");
    g_autofree char *holder =
        g_strdup_printf("another command (pid %d) is at work", (int)getpid());
    g_autoptr(MoseGuest) look = NULL;
    g_autoptr(MoseGuest) next = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_null(mose_guest_open("web", MOSE_GUEST_LOCK, &error));
    assert_says(error, MOSE_ERROR_BUSY, holder);
    g_clear_error(&error);
    g_assert_null(mose_guest_create("web", &error));
    assert_says(error, MOSE_ERROR_BUSY, holder);
    g_clear_error(&error);
    look = mose_guest_open("web", MOSE_GUEST_LOOK, &error);
    g_assert_no_error(error);
    mose_guest_unlock(guest);
    next = mose_guest_open("web", MOSE_GUEST_LOCK, &error);
    g_assert_no_error(error);
    remove_guest(guest);
}

/* A name is free again once its guest's process has ended, and not before. */
static void
test_name_taken(void)
{
    MoseGuest *guest = make_guest("web");
    g_autofree char *remains = mose_guest_log(guest, 1);
    g_autoptr(GError) error = NULL;

    g_assert_true(g_file_set_contents(remains, "x", -1, NULL));
    mose_guest_unlock(guest);
    g_assert_null(mose_guest_create("web", &error));
    assert_says(error, MOSE_ERROR_INVALID, "there is a guest web already");
    g_clear_error(&error);
    guest->start_time++;
    g_assert_true(mose_guest_save(guest, &error));
    mose_guest_free(guest);
    guest = mose_guest_create("web", &error);
    g_assert_no_error(error);
    g_assert_false(g_file_test(remains, G_FILE_TEST_EXISTS));
    remove_guest(guest);
}

static void
test_bad_state(void)
{
    static const struct {
        const char *text;
        MoseErrorCode code;
        const char *says;
    } cases[] = {
        { "", MOSE_ERROR_INVALID, "guest.json: not a JSON object" },
        { "\x7f"
          "ELF",
          MOSE_ERROR_INVALID, "guest.json: " },
        { "[1, 2]", MOSE_ERROR_INVALID, "guest.json: not a JSON object" },
        { "{\"format\": 1", MOSE_ERROR_INVALID, "guest.json: " },
        { "{}", MOSE_ERROR_UNSUPPORTED, "guest.json: format 0; this MOSE reads 1" },
        { "{\"format\": 2}", MOSE_ERROR_UNSUPPORTED, "format 2; this MOSE reads 1" },
        { "{\"format\": 1}", MOSE_ERROR_INVALID, "guest.json: it is not complete" },
        { "{\"format\": 1, \"spec\": {}}", MOSE_ERROR_INVALID,
          "guest.json: the guest's description is not complete" },
        { "{\"format\": 1, \"spec\": [], \"process\": 7, \"timeline\": {}, \"side\": "
          "null}",
          MOSE_ERROR_INVALID, "guest.json: it is not complete" },
    };
    MoseGuest *guest = make_guest("web");
    g_autofree char *path = g_build_filename(guest->dir, "guest.json", NULL);
    g_autoptr(GError) error = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_true(g_file_set_contents(path, cases[i].text, -1, NULL));
        g_assert_null(mose_guest_open("web", MOSE_GUEST_LOOK, &error));
        assert_says(error, cases[i].code, cases[i].says);
        g_clear_error(&error);
    }
    /* Not to be read at all: somebody else's, a pipe, too much of it. */
    unlink(path);
    g_assert_cmpint(symlink("/etc/hostname", path), ==, 0);
    g_assert_null(mose_guest_open("web", MOSE_GUEST_LOOK, &error));
    assert_says(error, MOSE_ERROR_FAILED, "cannot read ");
    g_clear_error(&error);
    unlink(path);
    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    g_assert_null(mose_guest_open("web", MOSE_GUEST_LOOK, &error));
    assert_says(error, MOSE_ERROR_INVALID, "is not a file of ours");
    g_clear_error(&error);
    unlink(path);
    g_assert_true(g_file_set_contents(path, "", 0, NULL));
    g_assert_cmpint(truncate(path, 17 << 20), ==, 0);
    g_assert_null(mose_guest_open("web", MOSE_GUEST_LOOK, &error));
    assert_says(error, MOSE_ERROR_INVALID, "of sensible size");
    remove_guest(guest);
}

static void
test_guest_dir_checked(void)
{
    MoseGuest *guest = make_guest("web");
    g_autofree char *link = g_build_filename(run, "link", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(symlink("web", link), ==, 0);
    g_assert_null(mose_guest_open("link", MOSE_GUEST_LOOK, &error));
    assert_says(error, MOSE_ERROR_INVALID, "MOSE trusts no other");
    g_clear_error(&error);
    g_assert_null(mose_guest_create("link", &error));
    assert_says(error, MOSE_ERROR_INVALID, "MOSE trusts no other");
    g_clear_error(&error);
    unlink(link);
    g_assert_cmpint(chmod(guest->dir, 0701), ==, 0);
    g_assert_null(mose_guest_open("web", MOSE_GUEST_LOOK, &error));
    assert_says(error, MOSE_ERROR_INVALID, "mode 0700");
    g_assert_cmpint(chmod(guest->dir, 0700), ==, 0);
    remove_guest(guest);
}

static void
test_timeline(void)
{
    MoseGuest *guest = make_guest("web");
    JsonObject *first;

    mose_guest_note(guest, "run", NULL);
    for (int i = 0; i < 600; i++)
        mose_guest_note(guest, "emulate", NULL);
    g_assert_cmpuint(json_array_get_length(guest->timeline), ==, 500);
    first = json_array_get_object_element(guest->timeline, 0);
    g_assert_cmpstr(mose_json_string(first, "event", NULL), ==, "run");
    remove_guest(guest);
}

/* Sockets are reached through their directory, however long its path is. */
static void
test_long_runtime_dir(void)
{
    g_autofree char *part = g_strnfill(120, 'd');
    g_autofree char *parent = g_build_filename(top, part, NULL);
    g_autofree char *longer = g_build_filename(parent, part, NULL);
    g_autofree char *path = NULL;
    g_autofree char *name = g_strnfill(108, 'n');
    g_autofree char *named = NULL;
    g_autoptr(GError) error = NULL;
    g_auto(MoseFd) listener = MOSE_FD_NONE;
    g_auto(MoseFd) again = MOSE_FD_NONE;
    g_auto(MoseFd) client = MOSE_FD_NONE;
    g_auto(MoseFd) server = MOSE_FD_NONE;
    MoseGuest *guest;
    struct stat st;

    g_assert_cmpint(mkdir(parent, 0700), ==, 0);
    g_setenv("MOSE_RUNTIME_DIR", longer, TRUE);
    guest = make_guest("web");
    path = mose_guest_monitor(guest, 0, 1);
    g_assert_cmpuint(strlen(path), >, 240);
    g_assert_cmpint(mose_unix_connect(path, &error), ==, -1);
    assert_says(error, MOSE_ERROR_CLOSED, "nobody listens at ");
    g_clear_error(&error);
    listener = mose_unix_listen(path, &error);
    g_assert_no_error(error);
    g_assert_cmpint(lstat(path, &st), ==, 0);
    g_assert_true(S_ISSOCK(st.st_mode));
    g_assert_cmpint(st.st_mode & 0777, ==, 0600);
    client = mose_unix_connect(path, &error);
    g_assert_no_error(error);
    server = accept(listener, NULL, NULL);
    g_assert_cmpint(server, >=, 0);
    /* A stale socket is told from one that is served. */
    mose_fd_close(mose_fd_steal(&listener));
    g_assert_cmpint(mose_unix_connect(path, &error), ==, -1);
    assert_says(error, MOSE_ERROR_CLOSED, "nobody listens at ");
    g_clear_error(&error);
    again = mose_unix_listen(path, &error);
    g_assert_no_error(error);

    named = g_build_filename(guest->dir, name, NULL);
    g_assert_cmpint(mose_unix_listen(named, &error), ==, -1);
    assert_says(error, MOSE_ERROR_INVALID, "is too long");
    remove_guest(guest);
    g_setenv("MOSE_RUNTIME_DIR", run, TRUE);
    remove_all(parent);
}

/* A removal that is broken off leaves a guest that can be stopped, not files alone. */
static void
test_removed_in_part(void)
{
    MoseGuest *guest = make_guest("g");
    g_autofree char *json = g_build_filename(guest->dir, "guest.json", NULL);
    g_autofree char *stuck = g_build_filename(guest->dir, "stuck", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(mkdir(stuck, 0700), ==, 0);
    g_assert_false(mose_guest_remove(guest, &error));
    assert_says(error, MOSE_ERROR_FAILED, "stuck: Is a directory");
    g_assert_true(g_file_test(json, G_FILE_TEST_EXISTS));
    g_assert_cmpint(rmdir(stuck), ==, 0);
    remove_guest(guest);
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    int ret;

    g_test_init(&argc, &argv, NULL);
    top = g_dir_make_tmp("mose-guest-XXXXXX", &error);
    g_assert_no_error(error);
    run = g_build_filename(top, "run", NULL);
    g_setenv("MOSE_RUNTIME_DIR", run, TRUE);
    g_test_add_func("/guest/names", test_names);
    g_test_add_func("/guest/runtime-dir", test_runtime_dir);
    g_test_add_func("/guest/no-xdg", test_no_xdg);
    g_test_add_func("/guest/round-trip", test_round_trip);
    g_test_add_func("/guest/list-sorted", test_list_sorted);
    g_test_add_func("/guest/lock", test_lock);
    g_test_add_func("/guest/name-taken", test_name_taken);
    g_test_add_func("/guest/bad-state", test_bad_state);
    g_test_add_func("/guest/guest-dir-checked", test_guest_dir_checked);
    g_test_add_func("/guest/timeline", test_timeline);
    g_test_add_func("/guest/removed-in-part", test_removed_in_part);
    g_test_add_func("/guest/long-runtime-dir", test_long_runtime_dir);
    ret = g_test_run();
    remove_all(top);
    g_free(run);
    g_free(top);
    return ret;
}
