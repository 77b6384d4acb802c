/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fork written to a file; see transfer.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fork/archive.h"
#include "fork/transfer.h"
#include "guest/disks.h"
#include "guest/journal.h"
#include "qemu/command.h"
#include "qemu/frozen.h"
#include "qemu/img.h"
#include "qemu/migration.h"
#include "switch/guardian.h"
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
    JsonArray *files; /* {"stream", "name"} */
    MoseGuardian *guardian;
    MoseJournal *journal;
    gboolean was_running;
    guint64 told, done;
} Export;

static void
export_clear(Export *export)
{
    mose_guardian_stop(export->guardian);
    mose_journal_free(export->journal);
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
    if (!mose_fd_is_readable(export->how->interrupt_fd))
        return FALSE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED,
                "interrupted; %s was not written", export->how->file);
    return TRUE;
}

/* --- device state --- */

/* It stands still, with all of its disks in their files. */
static gboolean
save_state(Export *export, const char *path, GError **error)
{
    static const MoseCapability capabilities[] = { { "events", TRUE },
                                                   { "x-ignore-shared", TRUE },
                                                   { "return-path", FALSE },
                                                   { "multifd", FALSE },
                                                   { "late-block-activate", FALSE } };
    g_autofree char *uri = g_strconcat("file:", path, NULL);
    MoseQmpEvent event;

    unlink(path);
    if (!mose_migration_set(export->qmp, capabilities, G_N_ELEMENTS(capabilities),
                            error) ||
        !mose_qmp_run(export->qmp, "migrate", mose_json_object("uri", "s", uri, NULL),
                      error) ||
        !mose_qmp_wait(export->qmp, mose_migration_has_ended, NULL, STATE_MS,
                       export->process->pidfd, &event, error))
        return FALSE;
    if (mose_migration_is_completed(&event))
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
flatten(const char *file, const char *from, const char *to, const char *copy,
        GError **error)
{
    const char *words[] = { "convert", "-q", "-U", "-f", from,
                            "-O",      to,   file, copy, NULL };

    if (mose_qemu_img(words, error))
        return TRUE;
    g_prefix_error(error, "cannot copy disk %s: ", file);
    return FALSE;
}

static gboolean
add_disk(Export *export, const char *image, const char *file, const char *from,
         const char *to, GError **error)
{
    g_autofree char *copy = mose_archive_scratch(export->writer, "disk");
    gboolean good =
        flatten(file, from, to, copy, error) && add_named(export, image, copy, error);

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

static char *
absolute(const char *path, const char *cwd)
{
    return *path == '/' ? g_strdup(path) : g_canonicalize_filename(path, cwd);
}

/* Names of files in a block device's JSON, however deep. */
static void
make_nodes_absolute(JsonObject *object, const char *cwd)
{
    g_autoptr(GList) members = json_object_get_members(object);

    for (GList *at = members; at; at = at->next) {
        JsonNode *node = json_object_get_member(object, at->data);

        if (JSON_NODE_HOLDS_OBJECT(node)) {
            make_nodes_absolute(json_node_get_object(node), cwd);
        } else if (strcmp(at->data, "filename") == 0 &&
                   json_node_get_value_type(node) == G_TYPE_STRING) {
            g_autofree char *path = absolute(json_node_get_string(node), cwd);

            json_object_set_string_member(object, at->data, path);
        }
    }
}

static void
make_json_absolute(MoseOption *option, const char *cwd)
{
    g_autoptr(JsonObject) object =
        mose_json_parse(option->value, -1, option->name, NULL);

    if (!object)
        return;
    make_nodes_absolute(object, cwd);
    g_free(option->value);
    option->value = mose_json_text(object, FALSE);
}

/* Each path that starts from where the guest was started, from the root on. */
static void
make_absolute(MoseSpec *spec)
{
    static const char *const keys[] = { "file", "filename", "file.filename", "data" };
    static const char *const whole[] = { "-kernel", "-initrd", "-dtb", "-shim" };

    for (guint i = 0; i < spec->options->len; i++) {
        MoseOption *option = spec->options->pdata[i];

        for (gsize k = 0; k < G_N_ELEMENTS(whole); k++)
            if (mose_option_is(option, whole[k])) {
                char *path = absolute(option->value, spec->cwd);

                g_free(option->value);
                option->value = path;
            }
        if (mose_option_is(option, "-blockdev") && mose_option_is_json(option))
            make_json_absolute(option, spec->cwd);
        for (gsize k = 0; k < G_N_ELEMENTS(keys); k++) {
            g_autofree char *value = mose_option_get(option, keys[k]);
            g_autofree char *path =
                value && *value != '/' ? absolute(value, spec->cwd) : NULL;

            /* Others are names of nodes, or of what is no file ("nbd:..."). */
            if (path && g_file_test(path, G_FILE_TEST_EXISTS))
                mose_option_set(option, keys[k], path, FALSE);
        }
    }
}

/* Whether some option names the file that @map leads to. */
static gboolean
is_named(const MoseSpec *spec, const char *map)
{
    const char *there = strstr(map, "=" MOSE_TRANSFER_FILES "/") + 1;

    for (guint i = 0; i < spec->options->len; i++) {
        const MoseOption *option = spec->options->pdata[i];

        if (option->value && strstr(option->value, there))
            return TRUE;
    }
    return FALSE;
}

/* Who makes a guest of it would find another file under that name, or this one. */
static gboolean
check_named(const Export *export, GError **error)
{
    for (guint i = 0; i + 1 < export->maps->len; i++) {
        const char *map = export->maps->pdata[i];

        if (is_named(export->spec, map))
            continue;
        g_set_error(
            error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
            "%.*s cannot be stored: the guest's description names it in another "
            "way; start the guest with its plain path",
            (int)(strstr(map, "=" MOSE_TRANSFER_FILES "/") - map), map);
        return FALSE;
    }
    return TRUE;
}

static JsonObject *
describe(Export *export, GError **error)
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
    if (!check_named(export, error))
        return NULL;
    return mose_json_object("kind", "s", "mose-fork", "format", "i", (gint64)1, "mose",
                            "s", MOSE_VERSION, "of", "s",
                            fork->fork_of ? fork->fork_of : fork->name, "time-us", "i",
                            g_get_real_time(), "machine-type", "s", fork->machine_type,
                            "spec", "o", mose_spec_to_json(export->spec), "files", "a",
                            json_array_ref(export->files), NULL);
}

/* --- all of it --- */

/* It is a switch that goes nowhere: whoever finds it unfinished lets the guest go on.
 * It never gets to the phase in which guardians end a command that takes long. */
static gboolean
begin_journal(Export *export, GError **error)
{
    MoseGuest *fork = export->fork;
    MoseJournalEntry entry = { .phase = MOSE_PHASE_PREPARE,
                               .source = fork->generation,
                               .generation = ++fork->generations,
                               .side = fork->side,
                               .was_running = export->was_running };

    if (!mose_guest_save(fork, error))
        return FALSE;
    export->guardian = mose_guardian_start(fork, error);
    if (!export->guardian)
        return FALSE;
    export->journal = mose_journal_begin(fork->dir, &entry, error);
    return export->journal != NULL;
}

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
    return begin_journal(export, error);
}

static gboolean
write_all(Export *export, MoseTransferReport *ret, GError **error)
{
    JsonObject *description;

    if (!add_state(export, error) || !add_memory(export, error) ||
        !add_files(export, error))
        return FALSE;
    ret->ram_bytes = export->fork->spec->ram_size;
    ret->files = json_array_get_length(export->files);
    description = describe(export, error);
    return description &&
           mose_archive_finish(export->writer, description, &ret->file_bytes, error);
}

/* FALSE, with what went wrong added to @error, where it stands still. */
static gboolean
go_on(Export *export, GError **error)
{
    g_autoptr(GError) trouble = NULL;
    g_autofree char *before = NULL;

    if (mose_resume_source(export->qmp, export->was_running, &trouble)) {
        mose_journal_end(export->fork->dir, NULL);
        return TRUE;
    }
    /* The guardians try as well. */
    mose_guardian_leave(export->guardian);
    export->guardian = NULL;
    before = *error ? g_strdup_printf("%s; and ", (*error)->message) : g_strdup("");
    g_clear_error(error);
    g_propagate_prefixed_error(error, g_steal_pointer(&trouble),
                               "%s%s stands still, and does not go on: ", before,
                               export->fork->name);
    return FALSE;
}

gboolean
mose_fork_export(MoseGuest *fork, MoseArchiveWriter *writer, const MoseTransfer *how,
                 MoseTransferReport *ret, GError **error)
{
    g_auto(Export) export = { .fork = fork,
                              .how = how,
                              .writer = writer,
                              .maps = g_ptr_array_new_with_free_func(g_free),
                              .files = json_array_new() };
    g_autoptr(GError) cause = NULL;
    gint64 begun_us = g_get_monotonic_time();

    *ret = (MoseTransferReport){ 0 };
    if (!begin(&export, error)) {
        if (export.journal)
            mose_journal_end(fork->dir, NULL);
        return FALSE;
    }
    write_all(&export, ret, &cause);
    ret->total_us = g_get_monotonic_time() - begun_us;
    go_on(&export, &cause);
    if (!cause)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}
