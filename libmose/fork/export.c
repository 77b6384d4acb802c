/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fork written to a file; see transfer.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "fork/archive.h"
#include "fork/transfer.h"
#include "guest/disks.h"
#include "qemu/command.h"
#include "qemu/frozen.h"
#include "switch/resume.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

#define STATE_FILE "export-state"
#define STATE_MS 15000
/* Between two words of how far it is. */
#define TELL_BYTES ((guint64)16 << 20)

typedef struct {
    MoseGuest *fork;
    MoseSpec *spec; /* its description, as it is to be stored */
    const MoseTransfer *how;
    MoseArchiveWriter *writer;
    MoseQmp *qmp;
    MoseProcess *process;
    GPtrArray *maps;  /* "/PATH=/mose-fork-files/N", as mose_far_map() wants them */
    JsonArray *files; /* {"stream", "name", "writable"} */
    gboolean was_running;
    guint64 told, done;
} Export;

static void
export_clear(Export *export)
{
    mose_archive_writer_free(export->writer);
    mose_spec_free(export->spec);
    mose_qmp_free(export->qmp);
    mose_process_free(export->process);
    g_clear_pointer(&export->maps, g_ptr_array_unref);
    g_clear_pointer(&export->files, json_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Export, export_clear)

static gboolean
interrupted(const Export *export, GError **error)
{
    struct pollfd fd = { export->how->interrupt_fd, POLLIN, 0 };

    if (fd.fd <= 0 || poll(&fd, 1, 0) != 1)
        return FALSE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED,
                "interrupted; %s was not written", export->how->file);
    return TRUE;
}

/* --- device state --- */

static gboolean
has_ended(const MoseQmpEvent *event, gpointer data)
{
    const char *status = mose_json_string(event->data, "status", "");

    return strcmp(event->name, "MIGRATION") == 0 &&
           (strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0);
}

static gboolean
set_capabilities(MoseQmp *qmp, GError **error)
{
    const struct {
        const char *name;
        gboolean on;
    } wanted[] = { { "events", TRUE },
                   { "x-ignore-shared", TRUE },
                   { "return-path", FALSE },
                   { "multifd", FALSE },
                   { "late-block-activate", FALSE } };
    JsonArray *list = json_array_new();

    for (gsize i = 0; i < G_N_ELEMENTS(wanted); i++)
        json_array_add_object_element(list, mose_json_object("capability", "s",
                                                             wanted[i].name, "state",
                                                             "b", wanted[i].on, NULL));
    return mose_qmp_run(qmp, "migrate-set-capabilities",
                        mose_json_object("capabilities", "a", list, NULL), error);
}

/* It stands still, with all of its disks in their files. */
static gboolean
save_state(Export *export, const char *path, GError **error)
{
    g_autofree char *uri = g_strconcat("file:", path, NULL);
    MoseQmpEvent event;

    unlink(path);
    if (!set_capabilities(export->qmp, error) ||
        !mose_qmp_run(export->qmp, "migrate", mose_json_object("uri", "s", uri, NULL),
                      error) ||
        !mose_qmp_wait(export->qmp, has_ended, NULL, STATE_MS, export->process->pidfd,
                       &event, error))
        return FALSE;
    if (strcmp(mose_json_string(event.data, "status", ""), "completed") == 0)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                "its QEMU does not save its state");
    return FALSE;
}

static gboolean
add_file(Export *export, const char *stream, const char *path, GError **error)
{
    g_auto(MoseFd) fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0)
        return mose_archive_add_file(export->writer, stream, fd, error);
    mose_error_set_errno(error, errno, "cannot read %s", path);
    return FALSE;
}

static gboolean
add_state(Export *export, GError **error)
{
    g_autofree char *path = g_build_filename(export->fork->dir, STATE_FILE, NULL);
    gboolean good =
        save_state(export, path, error) && add_file(export, "state", path, error);

    unlink(path);
    return good;
}

/* --- memory --- */

static gboolean
add_piece(const void *data, guint64 len, gpointer user, GError **error)
{
    Export *export = user;
    const guint64 total = export->fork->spec->ram_size;

    if (!(data ? mose_archive_add(export->writer, data, len, error)
               : mose_archive_add_zeros(export->writer, len, error)))
        return FALSE;
    export->done += len;
    if (export->done - export->told < TELL_BYTES)
        return TRUE;
    export->told = export->done;
    if (export->how->progress)
        export->how->progress(&(MoseSwitchProgress){ .phase = "export",
                                                     .total = total,
                                                     .left = total - export->done },
                              export->how->data);
    return !interrupted(export, error);
}

static gboolean
add_memory(Export *export, GError **error)
{
    return mose_archive_begin(export->writer, "ram", error) &&
           mose_frozen_read(export->process, add_piece, export, error);
}

/* --- files --- */

/* @path, which the description names, is the next stream, with what @content holds. */
static gboolean
add_named(Export *export, const char *path, const char *content, GError **error)
{
    guint n = json_array_get_length(export->files);
    g_autofree char *base = g_path_get_basename(path);
    g_autofree char *stream = g_strdup_printf("file%u", n);
    g_autofree char *name = g_strdup_printf("%u-%s", n, base);

    if (!add_file(export, stream, content, error))
        return FALSE;
    json_array_add_object_element(
        export->files,
        mose_json_object("stream", "s", stream, "name", "s", name, NULL));
    g_ptr_array_add(export->maps,
                    g_strdup_printf("%s=" MOSE_TRANSFER_FILES "/%s", path, name));
    return !interrupted(export, error);
}

/* A disk without what is below it, in the image's own format. */
static gboolean
flatten(Export *export, const char *file, const char *from, const char *to,
        const char *copy, GError **error)
{
    const char *argv[] = { "qemu-img", "convert", "-q", "-U", "-f", from,
                           "-O",       to,        file, copy, NULL };
    g_autofree char *said = NULL;
    g_autoptr(GError) cause = NULL;
    int status = 0;

    if (!g_spawn_sync(NULL, (char **)argv, NULL,
                      G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL,
                      NULL, &said, &status, &cause)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "qemu-img copies disks, and cannot be run (%s); Debian has it in "
                    "qemu-utils",
                    cause->message);
        return FALSE;
    }
    if (status == 0)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED, "cannot copy disk %s: %s", file,
                g_strstrip(said));
    return FALSE;
}

static gboolean
add_disk(Export *export, const char *image, const char *file, const char *from,
         const char *to, GError **error)
{
    g_autofree char *copy = g_strconcat(export->how->file, ".disk", NULL);
    gboolean good = flatten(export, file, from, to, copy, error) &&
                    add_named(export, image, copy, error);

    unlink(copy);
    return good;
}

static gboolean
is_overlay(const GPtrArray *overlays, const char *path)
{
    for (guint i = 0; i < overlays->len; i++)
        if (strcmp(((const MoseOverlay *)overlays->pdata[i])->file, path) == 0)
            return TRUE;
    return FALSE;
}

/* What the fork has written over images, and other files that are its disks. */
static gboolean
add_disks(Export *export, JsonArray *block, GError **error)
{
    g_autoptr(GPtrArray) overlays =
        mose_disks_read(export->fork, export->fork->generation, error);

    for (guint i = 0; overlays && i < overlays->len; i++) {
        const MoseOverlay *overlay = overlays->pdata[i];

        if (!add_disk(export, overlay->image, overlay->file, "qcow2", overlay->format,
                      error))
            return FALSE;
    }
    for (guint i = 0; overlays && i < json_array_get_length(block); i++) {
        JsonObject *medium = mose_json_child(mose_json_element(block, i), "inserted");
        JsonObject *image = medium ? mose_json_child(medium, "image") : NULL;
        const char *path = image ? mose_json_string(image, "filename", NULL) : NULL;
        const char *format = image ? mose_json_string(image, "format", "raw") : NULL;

        if (path && *path == '/' && !is_overlay(overlays, path) &&
            !add_disk(export, path, path, format, format, error))
            return FALSE;
    }
    return overlays != NULL;
}

/* Files that QEMU reads when it starts (QEMU 10.0 qemu-options.hx). */
static gboolean
add_start_files(Export *export, GError **error)
{
    static const struct {
        const char *option, *key; /* NULL: the value is the path */
    } known[] = { { "-kernel", NULL },      { "-initrd", NULL },
                  { "-dtb", NULL },         { "-bios", NULL },
                  { "-shim", NULL },        { "-acpitable", "file" },
                  { "-acpitable", "data" }, { "-smbios", "file" },
                  { "-fw_cfg", "file" } };
    const GPtrArray *options = export->spec->options;

    for (guint i = 0; i < options->len; i++)
        for (gsize k = 0; k < G_N_ELEMENTS(known); k++) {
            const MoseOption *option = options->pdata[i];
            g_autofree char *path = NULL;

            if (!mose_option_is(option, known[k].option))
                continue;
            path = known[k].key ? mose_option_get(option, known[k].key)
                                : g_strdup(option->value);
            /* One that QEMU has itself ("bios-microvm.bin") stays as it is. */
            if (path && *path == '/' && !add_named(export, path, path, error))
                return FALSE;
        }
    return TRUE;
}

static gboolean
add_files(Export *export, GError **error)
{
    g_autoptr(JsonNode) answer =
        mose_qmp_execute(export->qmp, "query-block", NULL, error);
    JsonArray *block = answer ? mose_json_node_array(answer) : NULL;

    return block && add_disks(export, block, error) && add_start_files(export, error);
}

/* --- paths --- */

/* Each path that starts from where the guest was started, from the root on. */
static void
make_absolute(MoseSpec *spec)
{
    static const char *const keys[] = { "file", "filename", "data" };
    static const char *const whole[] = { "-kernel", "-initrd", "-dtb", "-shim" };

    for (guint i = 0; i < spec->options->len; i++) {
        MoseOption *option = spec->options->pdata[i];

        for (gsize k = 0; k < G_N_ELEMENTS(whole); k++)
            if (mose_option_is(option, whole[k])) {
                char *path = g_canonicalize_filename(option->value, spec->cwd);

                g_free(option->value);
                option->value = path;
            }
        for (gsize k = 0; k < G_N_ELEMENTS(keys); k++) {
            g_autofree char *value = mose_option_get(option, keys[k]);
            g_autofree char *path =
                value ? g_canonicalize_filename(value, spec->cwd) : NULL;

            /* Others are names of nodes, or of what is no file ("nbd:..."). */
            if (path && *value != '/' && g_file_test(path, G_FILE_TEST_EXISTS))
                mose_option_set(option, keys[k], path, FALSE);
        }
    }
}

static JsonObject *
describe(Export *export)
{
    const MoseGuest *fork = export->fork;

    g_ptr_array_add(export->maps, NULL);
    for (guint i = 0; i < export->spec->options->len; i++) {
        MoseOption *option = export->spec->options->pdata[i];
        char *value = option->value ? mose_far_map(option->value,
                                                   (char **)export->maps->pdata, FALSE)
                                    : NULL;

        g_free(option->value);
        option->value = value;
    }
    return mose_json_object(
        "kind", "s", "mose-fork", "format", "i", (gint64)1, "mose", "s", MOSE_VERSION,
        "fork", "s", fork->name, "of", "s", fork->fork_of ? fork->fork_of : fork->name,
        "time-us", "i", g_get_real_time(), "qemu-version", "i",
        (gint64)mose_qmp_version(export->qmp), "machine-type", "s", fork->machine_type,
        "running", "b", export->was_running, "spec", "o",
        mose_spec_to_json(export->spec), "files", "a", json_array_ref(export->files),
        "timeline", "a", json_array_ref(fork->timeline), NULL);
}

/* --- all of it --- */

static gboolean
begin(Export *export, GError **error)
{
    g_autoptr(JsonObject) status = NULL, object = mose_spec_to_json(export->fork->spec);

    export->spec = mose_spec_from_json(object, error);
    if (!export->spec)
        return FALSE;
    make_absolute(export->spec);
    export->process = mose_guest_process(export->fork, error);
    if (!export->process)
        return FALSE;
    export->qmp = mose_guest_connect(export->fork, MOSE_MONITOR_SWITCH, error);
    if (!export->qmp)
        return FALSE;
    status = mose_qmp_query(export->qmp, "query-status", NULL, error);
    if (!status)
        return FALSE;
    export->was_running = mose_json_bool(status, "running", FALSE);
    export->writer = mose_archive_create(
        export->how->file, export->how->level ? export->how->level : MOSE_EXPORT_LEVEL,
        error);
    return export->writer != NULL;
}

static gboolean
write_all(Export *export, MoseTransferReport *ret, GError **error)
{
    if (!add_state(export, error) || !add_memory(export, error) ||
        !add_files(export, error))
        return FALSE;
    ret->ram_bytes = export->fork->spec->ram_size;
    ret->files = json_array_get_length(export->files);
    return mose_archive_finish(export->writer, describe(export), &ret->file_bytes,
                               error);
}

gboolean
mose_fork_export(MoseGuest *fork, const MoseTransfer *how, MoseTransferReport *ret,
                 GError **error)
{
    g_auto(Export) export = { .fork = fork,
                              .how = how,
                              .maps = g_ptr_array_new_with_free_func(g_free),
                              .files = json_array_new() };
    g_autoptr(GError) trouble = NULL;
    gint64 begun_us = g_get_monotonic_time();
    gboolean good;

    *ret = (MoseTransferReport){ 0 };
    if (!begin(&export, error))
        return FALSE;
    good = write_all(&export, ret, error);
    ret->total_us = g_get_monotonic_time() - begun_us;
    if (mose_resume_source(export.qmp, export.was_running, &trouble))
        return good;
    if (good)
        g_propagate_prefixed_error(
            error, g_steal_pointer(&trouble),
            "%s is written, but the fork does not go on: ", how->file);
    return FALSE;
}
