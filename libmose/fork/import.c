/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest made of a file; see transfer.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fork/archive.h"
#include "fork/load.h"
#include "fork/transfer.h"
#include "fork/vet.h"
#include "guest/journal.h"
#include "host/fitness.h"
#include "qemu/ram.h"
#include "qemu/spec-fork.h"
#include "switch/guardian.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

#define QEMU "qemu-system-x86_64"
/* As much of a qcow2 image's header as tells where else it leads, and the bit for a
 * file with its data. */
#define QCOW2_HEAD 80
#define QCOW2_DATA_FILE 4u
/* Of a device state; real ones have some 330 KB. */
#define STATE_MAX ((guint64)256 << 20)

typedef struct {
    const MoseTransfer *how;
    MoseArchive *archive;
    MoseGuest *guest;
    MoseGuardian *guardian;
    MoseJournal *journal;
    MoseLaunch *launch;
    MoseRam *ram;
} Import;

static void
import_clear(Import *import)
{
    mose_ram_free(import->ram);
    mose_launch_free(import->launch);
    mose_journal_free(import->journal);
    mose_guardian_stop(import->guardian);
    mose_archive_free(import->archive);
    mose_guest_free(import->guest);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Import, import_clear)

static gboolean
tell(guint64 done, guint64 total, gpointer data, GError **error)
{
    const Import *import = data;
    if (import->how->progress)
        import->how->progress(&(MoseSwitchProgress){ .phase = "import",
                                                     .total = total,
                                                     .left = total - done },
                              import->how->data);
    if (!mose_fd_is_readable(import->how->interrupt_fd))
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED,
                "interrupted; there is no new guest");
    return FALSE;
}

/* --- the description --- */

static gboolean
check_kind(const Import *import, GError **error)
{
    JsonObject *description = mose_archive_description(import->archive);

    if (strcmp(mose_json_string(description, "kind", ""), "mose-fork") == 0 &&
        mose_json_int(description, "format", 0) == 1)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                "%s is of MOSE %s, which this one cannot read", import->how->file,
                mose_json_string(description, "mose", "?"));
    return FALSE;
}

/* What may be called otherwise on this host, or not be there. */
static gboolean
adapt(MoseSpec *spec, GError **error)
{
    /* Its own path is the file's word for a program. */
    g_free(spec->qemu);
    spec->qemu = g_strdup(QEMU);
    g_free(spec->cwd);
    spec->cwd = g_strdup("/");
    if (strcmp(spec->accel[MOSE_SIDE_VIRTUALIZER], "kvm") == 0 &&
        !mose_kvm_fitness()->fit) {
        g_free(spec->accel[MOSE_SIDE_VIRTUALIZER]);
        spec->accel[MOSE_SIDE_VIRTUALIZER] = g_strdup("tcg");
        g_free(spec->cpu[MOSE_SIDE_VIRTUALIZER]);
        spec->cpu[MOSE_SIDE_VIRTUALIZER] = g_strdup(spec->cpu[MOSE_SIDE_EMULATOR]);
    }
    return mose_spec_find_qemu(spec, error);
}

/* The paths of its files as they are here. */
static void
map_files(MoseSpec *spec, const char *files)
{
    g_autofree char *map = g_strdup_printf(MOSE_TRANSFER_FILES "=%s", files);
    char *maps[] = { map, NULL };

    for (guint i = 0; i < spec->options->len; i++) {
        MoseOption *option = spec->options->pdata[i];
        char *value = option->value ? mose_far_map(option->value, maps, FALSE) : NULL;

        g_free(option->value);
        option->value = value;
    }
}

/* Whoever made the file may have written anything into it. */
static MoseSpec *
read_spec(const Import *import, GError **error)
{
    const MoseGuest *guest = import->guest;
    JsonObject *object =
        mose_json_child(mose_archive_description(import->archive), "spec");
    g_autoptr(MoseSpec) stored = object ? mose_spec_from_json(object, error) : NULL;

    if (!stored) {
        if (!object)
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                        "%s does not describe a guest", import->how->file);
        return NULL;
    }
    if (guest->files)
        map_files(stored, guest->files);
    return mose_fork_vet(stored, guest->files, error) && adapt(stored, error)
               ? mose_spec_fork(stored, guest->name, guest->dir, error)
               : NULL;
}

/* --- files --- */

static int
make_file(const char *dir, const char *name, guint64 size, GError **error)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    g_auto(MoseFd) fd =
        open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
        return mose_fd_steal(&fd);
    mose_error_set_errno(error, errno, "cannot make %s", path);
    return MOSE_FD_NONE;
}

/* Whether an image leads to further files: QEMU opens what its header names. What is
 * exported is whole. (QEMU docs/interop/qcow2.rst; block/qed.h; block/vmdk.c.) */
static gboolean
check_image(const Import *import, const char *name, int fd, GError **error)
{
    static const char *const others[] = { "QED",    "KDMV",     "COWD",
                                          "# Disk", "conectix", "vhdxfile" };
    guint8 head[QCOW2_HEAD] = { 0 };
    gboolean bad = FALSE;

    /* A shorter one is no image. */
    if (pread(fd, head, sizeof(head), 0) < 0) {
        mose_error_set_errno(error, errno, "cannot read %s", name);
        return FALSE;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(others); i++)
        bad |= g_ascii_strncasecmp((char *)head, others[i], strlen(others[i])) == 0;
    if (memcmp(head, "QFI\xfb", 4) == 0) {
        guint32 version, backing[2], features[2];

        memcpy(&version, head + 4, sizeof(version));
        memcpy(backing, head + 8, sizeof(backing));
        memcpy(features, head + 72, sizeof(features));
        bad |= GUINT32_FROM_BE(version) < 2 || backing[0] || backing[1] ||
               (GUINT32_FROM_BE(version) > 2 &&
                GUINT32_FROM_BE(features[1]) & QCOW2_DATA_FILE);
    }
    if (bad)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                    "%s: disk %s leads to further files; it may have been made to do "
                    "harm",
                    import->how->file, name);
    return !bad;
}

/* What it will take on the disk, beside what others need. */
static gboolean
has_room(const Import *import, const char *stream, const char *name, GError **error)
{
    const char *dir = import->guest->files;
    struct statvfs fs;
    guint64 need, room;

    if (!mose_archive_need(import->archive, stream, &need, error))
        return FALSE;
    if (statvfs(dir, &fs) < 0) {
        mose_error_set_errno(error, errno, "cannot use %s", dir);
        return FALSE;
    }
    room = (guint64)fs.f_bavail * fs.f_frsize;
    if (need <= room)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_RESOURCES,
                "no room for %s: %s has %" G_GUINT64_FORMAT
                " MB left, %" G_GUINT64_FORMAT
                " are needed; name another directory with --overlay-dir",
                name, dir, room >> 20, need >> 20);
    return FALSE;
}

static gboolean
extract_file(Import *import, JsonObject *file, GError **error)
{
    const char *stream = mose_json_string(file, "stream", "");
    const char *name = mose_json_string(file, "name", "");
    g_auto(MoseFd) fd = MOSE_FD_NONE;
    guint64 size;

    /* It must not lead anywhere else. */
    if (!*name || strchr(name, '/') || *name == '.') {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "%s: '%s' is no file's name",
                    import->how->file, name);
        return FALSE;
    }
    if (!mose_archive_size(import->archive, stream, &size, error) ||
        !has_room(import, stream, name, error))
        return FALSE;
    fd = make_file(import->guest->files, name, size, error);
    return fd >= 0 &&
           mose_archive_extract(import->archive, stream, fd, tell, import, error) &&
           check_image(import, name, fd, error);
}

/* Where they will be; NULL: there are none. */
static gboolean
choose_files_dir(Import *import, GError **error)
{
    JsonArray *files =
        mose_json_array(mose_archive_description(import->archive), "files");
    g_autofree char *beside = g_path_get_dirname(import->how->file);
    g_autofree char *base = g_strconcat(import->guest->name, ".files", NULL);
    g_autofree char *dir =
        g_build_filename(import->how->dir ? import->how->dir : beside, base, NULL);
    struct stat st;

    if (!files || json_array_get_length(files) == 0)
        return TRUE;
    if (lstat(dir, &st) == 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s is there already; remove it, or name another directory", dir);
        return FALSE;
    }
    import->guest->files = g_steal_pointer(&dir);
    return TRUE;
}

/* The directory is in the guest's description before it is there: who clears the guest
 * away finds it. */
static gboolean
make_files_dir(Import *import, GError **error)
{
    MoseGuest *guest = import->guest;

    if (!mose_guest_save(guest, error))
        return FALSE;
    if (!guest->files || mkdir(guest->files, 0700) == 0)
        return TRUE;
    mose_error_set_errno(error, errno, "cannot make %s", guest->files);
    /* It is somebody else's, then. */
    g_clear_pointer(&guest->files, g_free);
    mose_guest_save(guest, NULL);
    return FALSE;
}

static gboolean
extract_files(Import *import, guint *ret_n, GError **error)
{
    JsonArray *files =
        mose_json_array(mose_archive_description(import->archive), "files");

    *ret_n = files ? json_array_get_length(files) : 0;
    for (guint i = 0; i < *ret_n; i++) {
        JsonObject *file = mose_json_element(files, i);

        if (!file || !extract_file(import, file, error))
            return FALSE;
    }
    return TRUE;
}

/* --- memory and state --- */

static int
extract_memory(Import *import, GError **error)
{
    const MoseSpec *spec = import->guest->spec;
    g_auto(MoseFd) fd = MOSE_FD_NONE;
    guint64 size;

    if (!mose_archive_size(import->archive, "ram", &size, error))
        return MOSE_FD_NONE;
    if (size != spec->ram_size) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s: its memory has another size than its guest",
                    import->how->file);
        return MOSE_FD_NONE;
    }
    fd = mose_ram_create(spec->name, spec->ram_size, import->how->overcommit, error);
    if (fd < 0 ||
        !mose_archive_extract(import->archive, "ram", fd, tell, import, error))
        return MOSE_FD_NONE;
    return mose_fd_steal(&fd);
}

static int
extract_state(Import *import, GError **error)
{
    g_auto(MoseFd) fd = memfd_create("mose-state", MFD_CLOEXEC);
    guint64 size;

    if (!mose_archive_size(import->archive, "state", &size, error))
        return MOSE_FD_NONE;
    if (size > STATE_MAX) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s: its device state is too large", import->how->file);
        return MOSE_FD_NONE;
    }
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
        mose_error_set_errno(error, errno, "cannot hold the device state");
        return MOSE_FD_NONE;
    }
    return mose_archive_extract(import->archive, "state", fd, tell, import, error)
               ? mose_fd_steal(&fd)
               : MOSE_FD_NONE;
}

/* All of its disks are its own files, whatever way the description has named them. */
static gboolean
check_disks(const Import *import, GError **error)
{
    g_autoptr(JsonNode) answer =
        mose_qmp_execute(import->launch->qmp, "query-named-block-nodes",
                         mose_json_object("flat", "b", TRUE, NULL), error);
    JsonArray *nodes = answer ? mose_json_node_array(answer) : NULL;
    const char *dir = import->guest->files;
    g_autofree char *real = dir ? g_strdup_printf("%s/.", dir) : NULL;
    char *resolved = real ? realpath(real, NULL) : NULL;
    g_autofree char *files = g_strconcat(resolved ? resolved : "/none", "/", NULL);

    for (guint i = 0; nodes && i < json_array_get_length(nodes); i++) {
        const char *path = mose_json_string(mose_json_element(nodes, i), "file", "");
        char *at = realpath(path, NULL);
        gboolean own = *path == '\0' || (at && g_str_has_prefix(at, files));

        free(at);
        if (own)
            continue;
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                    "the file asks for disk %s, which is not one of its own", path);
        free(resolved);
        return FALSE;
    }
    free(resolved);
    return nodes != NULL;
}

static gboolean
launch(Import *import, GError **error)
{
    MoseGuest *guest = import->guest;
    g_auto(MoseFd) ram = extract_memory(import, error);
    g_auto(MoseFd) state = ram < 0 ? MOSE_FD_NONE : extract_state(import, error);
    const MoseLaunchFor what = { .side = guest->side,
                                 .generation = guest->generation,
                                 .ram_fd = ram,
                                 .incoming = TRUE,
                                 .open_tap = mose_fork_open_tap,
                                 .interrupt_fd = import->how->interrupt_fd };
    const char *accel = guest->spec->accel[guest->side];
    MoseForkLoad load = { .state_fd = state,
                          .direction = mose_direction(accel, accel) };

    if (state < 0)
        return FALSE;
    import->launch = mose_launch(guest, &what, error);
    if (!import->launch)
        return FALSE;
    if (!check_disks(import, error))
        return FALSE;
    load.launch = import->launch;
    load.ram = import->ram = mose_fork_load_prepare(import->launch, error);
    return load.ram && mose_fork_load(&load, error) &&
           (import->how->paused ||
            mose_qmp_run(import->launch->qmp, "cont", NULL, error)) &&
           mose_launch_settle(import->launch->qmp, import->launch->line, error);
}

/* --- all of it --- */

static gboolean
begin(Import *import, const char *name, GError **error)
{
    MoseJournalEntry entry = { .phase = MOSE_PHASE_START,
                               .generation = 1,
                               .side = MOSE_SIDE_EMULATOR };
    MoseGuest *guest = import->guest = mose_guest_create(name, error);

    if (!guest)
        return FALSE;
    guest->side = entry.side;
    guest->generation = guest->generations = entry.generation;
    guest->machine_type = g_strdup(mose_json_string(
        mose_archive_description(import->archive), "machine-type", NULL));
    import->guardian = mose_guardian_start(guest, error);
    if (!import->guardian)
        return FALSE;
    import->journal = mose_journal_begin(guest->dir, &entry, error);
    return import->journal != NULL;
}

static gboolean
make(Import *import, const char *name, MoseTransferReport *ret, GError **error)
{
    if (!check_kind(import, error) || !begin(import, name, error) ||
        !choose_files_dir(import, error))
        return FALSE;
    import->guest->spec = read_spec(import, error);
    if (!import->guest->spec)
        return FALSE;
    ret->ram_bytes = import->guest->spec->ram_size;
    return make_files_dir(import, error) && extract_files(import, &ret->files, error) &&
           launch(import, error);
}

static gboolean
settle(Import *import, GError **error)
{
    MoseGuest *guest = import->guest;

    guest->pid = import->launch->process->pid;
    guest->start_time = import->launch->process->start_time;
    mose_guest_note(
        guest, "import",
        mose_json_object(
            "reason", "s", import->how->file, "accel", "s",
            guest->spec->accel[guest->side], "of", "s",
            mose_json_string(mose_archive_description(import->archive), "of", "?"),
            NULL));
    return mose_guest_save(guest, error) && mose_journal_end(guest->dir, error);
}

MoseGuest *
mose_fork_import(const char *name, const MoseTransfer *how, MoseTransferReport *ret,
                 GError **error)
{
    g_auto(Import)
        import = { .how = how, .archive = mose_archive_open(how->file, error) };
    g_autoptr(GError) cause = NULL;
    gint64 begun_us = g_get_monotonic_time();

    *ret = (MoseTransferReport){ 0 };
    if (!import.archive)
        return NULL;
    if (make(&import, name, ret, &cause) && settle(&import, &cause)) {
        ret->total_us = g_get_monotonic_time() - begun_us;
        return g_steal_pointer(&import.guest);
    }
    if (import.launch) {
        mose_launch_explain(import.launch, &cause);
        mose_launch_abort(import.guest, import.launch);
    }
    if (import.guest && !import.guest->spec)
        g_clear_pointer(&import.guest->files, g_free);
    if (import.guest)
        mose_guest_remove(import.guest, NULL);
    g_propagate_error(error, g_steal_pointer(&cause));
    return NULL;
}
