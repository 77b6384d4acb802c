/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who else has locked a guest's images; see image-locks.h. */
#include "switch/image-locks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "util/error.h"
#include "util/fd.h"

/* WRITE: bit 1 of QEMU's permissions (include/block/block-common.h:BLK_PERM_WRITE). */
enum { PERM_BASE = 100, SHARED_BASE = 200, N_PERMS = 5, WRITE = 1 };

/* How many locks there are on each byte that QEMU uses. */
typedef struct {
    char *inode; /* "08:01:1234", as the kernel writes it */
    char *path;
    guint perm[N_PERMS];
    guint shared[N_PERMS];
} Image;

static void
image_free(gpointer data)
{
    Image *image = data;

    g_free(image->inode);
    g_free(image->path);
    g_free(image);
}

static Image *
image_new(const char *inode, const char *path)
{
    Image *image = g_new0(Image, 1);

    image->inode = g_strdup(inode);
    image->path = g_strdup(path);
    return image;
}

static Image *
find(const GPtrArray *images, const char *inode)
{
    for (guint i = 0; i < images->len; i++) {
        Image *image = images->pdata[i];

        if (strcmp(image->inode, inode) == 0)
            return image;
    }
    return NULL;
}

/* Count a lock on the bytes @first to @last. */
static void
count(Image *image, guint64 first, guint64 last)
{
    for (guint n = 0; n < N_PERMS; n++) {
        image->perm[n] += first <= PERM_BASE + n && PERM_BASE + n <= last;
        image->shared[n] += first <= SHARED_BASE + n && SHARED_BASE + n <= last;
    }
}

/*
 * Read one lock, "1: OFDLCK ADVISORY  READ -1 08:01:1234 100 101" (Linux
 * fs/locks.c:lock_get_status); FALSE for another kind, and for who waits for one.
 */
static gboolean
read_lock(const char *line, char **ret_inode, guint64 *ret_first, guint64 *ret_last)
{
    g_auto(GStrv) words = g_strsplit_set(line, " \t", -1);
    const char *fields[8] = { NULL };
    guint n = 0;

    for (char **word = words; *word && n < G_N_ELEMENTS(fields); word++)
        if (**word)
            fields[n++] = *word;
    if (n < 8 || strcmp(fields[1], "OFDLCK") != 0)
        return FALSE;
    *ret_inode = g_strdup(fields[5]);
    *ret_first = g_ascii_strtoull(fields[6], NULL, 10);
    *ret_last = strcmp(fields[7], "EOF") == 0 ? G_MAXUINT64
                                              : g_ascii_strtoull(fields[7], NULL, 10);
    return TRUE;
}

/* The locks of one descriptor of the source's. */
static void
add_own(GPtrArray *images, const char *dir, const char *number)
{
    g_autofree char *file = g_strdup_printf("%s/fdinfo/%s", dir, number);
    g_autofree char *link = g_strdup_printf("%s/fd/%s", dir, number);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(file, &text, NULL, NULL))
        return;
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_autofree char *inode = NULL;
        guint64 first, last;

        if (!g_str_has_prefix(*line, "lock:") ||
            !read_lock(*line + strlen("lock:"), &inode, &first, &last))
            continue;
        if (!find(images, inode)) {
            g_autofree char *path = g_file_read_link(link, NULL);

            g_ptr_array_add(images, image_new(inode, path ? path : "an image"));
        }
        count(find(images, inode), first, last);
    }
}

static GPtrArray *
own_locks(const MoseProcess *source)
{
    GPtrArray *images = g_ptr_array_new_with_free_func(image_free);
    g_autofree char *dir = g_strdup_printf("/proc/%d", (int)source->pid);
    g_autofree char *fdinfo = g_build_filename(dir, "fdinfo", NULL);
    g_autoptr(GDir) list = g_dir_open(fdinfo, 0, NULL);
    const char *number;

    while (list && (number = g_dir_read_name(list)))
        add_own(images, dir, number);
    return images;
}

/* All locks on the same files. */
static GPtrArray *
all_locks(const GPtrArray *own)
{
    GPtrArray *images = g_ptr_array_new_with_free_func(image_free);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    for (guint i = 0; i < own->len; i++) {
        const Image *image = own->pdata[i];

        g_ptr_array_add(images, image_new(image->inode, image->path));
    }
    g_file_get_contents("/proc/locks", &text, NULL, NULL);
    lines = g_strsplit(text ? text : "", "\n", -1);
    for (char **line = lines; *line; line++) {
        g_autofree char *inode = NULL;
        guint64 first, last;

        if (read_lock(*line, &inode, &first, &last) && find(images, inode))
            count(find(images, inode), first, last);
    }
    return images;
}

/* Somebody does what the guest forbids, or forbids what it does. */
static gboolean
is_in_the_way(const Image *own, const Image *all)
{
    for (guint n = 0; n < N_PERMS; n++)
        if ((own->shared[n] && all->perm[n] > own->perm[n]) ||
            (own->perm[n] && all->shared[n] > own->shared[n]))
            return TRUE;
    return FALSE;
}

GPtrArray *
mose_image_locks_written(const MoseProcess *source)
{
    g_autoptr(GPtrArray) own = own_locks(source);
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < own->len; i++) {
        const Image *image = own->pdata[i];

        if (image->perm[WRITE] > 0)
            g_ptr_array_add(paths, g_strdup(image->path));
    }
    return paths;
}

gboolean
mose_image_locks_see(const char *path, GError **error)
{
    g_auto(MoseFd) fd = open(path, O_RDONLY | O_CLOEXEC);
    struct flock lock = { .l_type = F_WRLCK,
                          .l_whence = SEEK_SET,
                          .l_start = PERM_BASE + WRITE,
                          .l_len = 1 };

    if (fd < 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "there is no %s here (%s); where it has another name use --map",
                    path, g_strerror(errno));
        return FALSE;
    }
    if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                "the lock that the guest's QEMU has on its image %s is not seen here: "
                "it is another file, or storage without locks, and nothing would keep "
                "two hosts from writing it",
                path);
    return FALSE;
}

gboolean
mose_image_locks_check(const MoseProcess *source, gboolean overlaid, GError **error)
{
    g_autoptr(GPtrArray) own = own_locks(source);
    g_autoptr(GPtrArray) all = NULL;

    /* To read the list of all locks takes 10 ms, whatever is in it: the kernel keeps
     * all processors from locks first (Linux fs/locks.c:locks_start). */
    if (own->len == 0)
        return TRUE;
    all = all_locks(own);
    for (guint i = 0; i < own->len; i++) {
        const Image *ours = own->pdata[i], *everybodys = all->pdata[i];

        if (is_in_the_way(ours, everybodys))
            g_set_error(
                error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                "another process has locked %s, and neither side could open it after "
                "the move; end that process (`lslocks` shows it, or `fuser`)",
                ours->path);
        else if (overlaid && everybodys->perm[WRITE] > ours->perm[WRITE])
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                        "another process writes %s as well (share-rw=on): under an "
                        "overlay the two would have different disks",
                        ours->path);
        else
            continue;
        return FALSE;
    }
    return TRUE;
}
