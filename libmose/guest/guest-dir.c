/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Directories, locks and whole files; see guest-dir.h. */
#include "guest/guest-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/guest.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/process.h"
#include "util/runtime-dir.h"

#define MAX_FILE (16 * 1024 * 1024)
#define MAX_NAME 64

gboolean
mose_guest_dir_check(const char *dir, GError **error)
{
    g_auto(MoseFd) fd = open(dir, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0 && errno == ENOENT) {
        g_autofree char *name = g_path_get_basename(dir);

        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "no guest %s (no directory %s)", name, dir);
        return FALSE;
    }
    if (fd < 0 || fstat(fd, &st) < 0) {
        mose_error_set_errno(error, errno, "cannot open %s", dir);
        return FALSE;
    }
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077)) {
        g_set_error(
            error, MOSE_ERROR, MOSE_ERROR_INVALID,
            "%s is not a directory of ours with mode 0700; MOSE trusts no other", dir);
        return FALSE;
    }
    return TRUE;
}

char *
mose_runtime_dir(GError **error)
{
    g_autofree char *dir = mose_runtime_path(error);

    if (!dir)
        return NULL;
    if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
        mose_error_set_errno(error, errno, "cannot make %s", dir);
        return NULL;
    }
    return mose_guest_dir_check(dir, error) ? g_steal_pointer(&dir) : NULL;
}

char *
mose_runtime_dir_look(GError **error)
{
    g_autofree char *dir = mose_runtime_path(error);
    g_autoptr(GError) cause = NULL;

    if (!dir)
        return NULL;
    if (!mose_guest_dir_check(dir, &cause) &&
        !g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return NULL;
    }
    return g_steal_pointer(&dir);
}

gboolean
mose_guest_name_valid(const char *name, GError **error)
{
    gsize len = strlen(name);
    gboolean good = len > 0 && len <= MAX_NAME && g_ascii_isalnum(*name);

    for (const char *p = name; good && *p; p++)
        good = g_ascii_isalnum(*p) || *p == '.' || *p == '_' || *p == '-';
    if (!good)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "'%s' is no name for a guest: letters, digits, '.', '_' and '-', a "
                    "letter or digit first, at most %d",
                    name, MAX_NAME);
    return good;
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **
mose_guest_names(GError **error)
{
    g_autofree char *runtime_dir = mose_runtime_dir_look(error);
    g_autoptr(GPtrArray) names = NULL;
    g_autoptr(GDir) dir = NULL;
    const char *name;

    if (!runtime_dir)
        return NULL;
    /* Nobody has started a guest yet. */
    if (!g_file_test(runtime_dir, G_FILE_TEST_EXISTS))
        return g_new0(char *, 1);
    dir = g_dir_open(runtime_dir, 0, error);
    if (!dir)
        return NULL;
    names = g_ptr_array_new();
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(runtime_dir, name, "guest.json", NULL);

        if (g_file_test(path, G_FILE_TEST_EXISTS))
            g_ptr_array_add(names, g_strdup(name));
    }
    g_ptr_array_sort(names, compare_names);
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&names), FALSE);
}

pid_t
mose_guest_dir_holder(const char *dir)
{
    g_autofree char *path = g_build_filename(dir, "lock", NULL);
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? (pid_t)atoi(text) : 0;
}

/* " (pid N)" of who holds the lock, or "": it may not have written its pid yet,
 * and that of the holder before may be in its place. */
static char *
name_holder(int fd)
{
    char text[32] = "";
    int pid = pread(fd, text, sizeof(text) - 1, 0) > 0 ? atoi(text) : 0;

    return pid > 0 && mose_process_start_time(pid) != 0
               ? g_strdup_printf(" (pid %d)", pid)
               : g_strdup("");
}

static void
set_busy(int fd, GError **error)
{
    g_autofree char *holder = name_holder(fd);

    g_set_error(error, MOSE_ERROR, MOSE_ERROR_BUSY,
                "another command%s is at work on this guest; wait for it", holder);
}

int
mose_guest_dir_lock(const char *dir, GError **error)
{
    g_autofree char *path = g_build_filename(dir, "lock", NULL);
    g_auto(MoseFd) fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    g_autofree char *holder = g_strdup_printf("%d\n", (int)getpid());
    struct stat st;

    if (fd < 0) {
        mose_error_set_errno(error, errno, "cannot open %s", path);
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            set_busy(fd, error);
        else
            mose_error_set_errno(error, errno, "cannot lock %s", path);
        return -1;
    }
    /* The guest was removed while we waited to open the file. */
    if (fstat(fd, &st) < 0 || st.st_nlink == 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "%s was just removed",
                    dir);
        return -1;
    }
    /* For people only: the lock itself is the kernel's. */
    if (ftruncate(fd, 0) < 0 || pwrite(fd, holder, strlen(holder), 0) < 0)
        g_debug("cannot write %s: %s", path, g_strerror(errno));
    return mose_fd_steal(&fd);
}

char *
mose_guest_dir_read(const char *path, GError **error)
{
    /* A FIFO in its place would make us wait. */
    g_auto(MoseFd) fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    g_autofree char *text = NULL;
    struct stat st;
    gsize done = 0;

    if (fd < 0 && errno == ENOENT) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "no file %s", path);
        return NULL;
    }
    if (fd < 0 || fstat(fd, &st) < 0) {
        mose_error_set_errno(error, errno, "cannot read %s", path);
        return NULL;
    }
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_size > MAX_FILE) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s is not a file of ours of sensible size", path);
        return NULL;
    }
    text = g_malloc0(st.st_size + 1);
    while (done < (gsize)st.st_size) {
        ssize_t n = read(fd, text + done, st.st_size - done);

        if (n <= 0)
            break;
        done += n;
    }
    return g_steal_pointer(&text);
}

gboolean
mose_guest_dir_write(const char *path, const char *text, GError **error)
{
    g_autofree char *temporary = g_strdup_printf("%s.%d.new", path, (int)getpid());
    g_auto(MoseFd) fd =
        open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0) {
        mose_error_set_errno(error, errno, "cannot make %s", temporary);
        return FALSE;
    }
    if (!mose_fd_write_all(fd, text, strlen(text), temporary, error)) {
        unlink(temporary);
        return FALSE;
    }
    if (rename(temporary, path) < 0) {
        mose_error_set_errno(error, errno, "cannot replace %s", path);
        unlink(temporary);
        return FALSE;
    }
    return TRUE;
}

void
mose_guest_dir_tidy(const char *dir)
{
    g_autoptr(GDir) list = g_dir_open(dir, 0, NULL);
    const char *name;

    while (list && (name = g_dir_read_name(list))) {
        g_autofree char *path = g_build_filename(dir, name, NULL);

        if (g_str_has_suffix(name, ".new"))
            unlink(path);
    }
}

static gboolean
remove_file(const char *dir, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);

    if (unlink(path) == 0 || errno == ENOENT)
        return TRUE;
    mose_error_set_errno(error, errno, "cannot remove %s", path);
    return FALSE;
}

gboolean
mose_guest_dir_clear(const char *dir, GError **error)
{
    g_autoptr(GDir) list = g_dir_open(dir, 0, error);
    const char *name;

    if (!list)
        return FALSE;
    while ((name = g_dir_read_name(list)))
        if (strcmp(name, "lock") != 0 && strcmp(name, "guest.json") != 0 &&
            !remove_file(dir, name, error))
            return FALSE;
    /* The last one: while there is something to clear away there is a guest to stop. */
    return remove_file(dir, "guest.json", error);
}

gboolean
mose_guest_dir_remove(const char *dir, GError **error)
{
    g_autofree char *lock = g_build_filename(dir, "lock", NULL);

    if (!mose_guest_dir_clear(dir, error))
        return FALSE;
    if (unlink(lock) < 0 || rmdir(dir) < 0) {
        mose_error_set_errno(error, errno, "cannot remove %s", dir);
        return FALSE;
    }
    return TRUE;
}

gboolean
mose_guest_dir_discard(const char *dir, GError **error)
{
    g_autoptr(GDir) list = g_dir_open(dir, 0, NULL);
    const char *name;

    while (list && (name = g_dir_read_name(list)))
        if (!remove_file(dir, name, error))
            return FALSE;
    if (rmdir(dir) == 0 || errno == ENOENT)
        return TRUE;
    mose_error_set_errno(error, errno, "cannot remove %s", dir);
    return FALSE;
}
