/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images replaced by NBD exports in a description; see spec-nbd.h. This file finds
 * which option is which export; spec-nbd-option.c writes the option. */
#include "qemu/spec-nbd.h"

#include <string.h>

#include "qemu/optstr.h"
#include "qemu/spec-nbd-private.h"
#include "util/error.h"
#include "util/json.h"

/* What becomes of an option, by its place. */
typedef enum {
    KEEP,
    DROP, /* it was a part of an image */
    DONE, /* it names an export now */
} Fate;

typedef struct {
    MoseSpec *spec; /* the copy */
    const GPtrArray *exports;
    const MoseSpecNbd *how;
    Fate *fates;
    gboolean *used; /* exports, by their place */
} Rewrite;

/* Options that are a -drive with a place of its own (QEMU system/vl.c:qemu_init). */
static const struct {
    const char *name;
    const char *drive;
} short_drives[] = {
    { "-hda", "index=0,media=disk" },    { "-hdb", "index=1,media=disk" },
    { "-hdc", "index=2,media=disk" },    { "-hdd", "index=3,media=disk" },
    { "-cdrom", "index=2,media=cdrom" }, { "-fda", "if=floppy,index=0" },
    { "-fdb", "if=floppy,index=1" },     { "-pflash", "if=pflash" },
    { "-mtdblock", "if=mtd" },           { "-sd", "if=sd" },
};

static gboolean
refuse(GError **error, const MoseOption *option, const char *why)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED, "%s %s: %s", option->name,
                option->value ? option->value : "", why);
    return FALSE;
}

/* --- which option is which export --- */

static MoseOption *
option_at(const Rewrite *rewrite, guint i)
{
    return rewrite->spec->options->pdata[i];
}

/* The export of the -drive with @id, or, where it has none, of the image @file (QEMU
 * gives such a drive an id by its place, which depends on the machine). */
static const MoseExport *
find_drive(Rewrite *rewrite, const char *id, const char *file)
{
    g_autofree char *path =
        file ? g_canonicalize_filename(file, rewrite->spec->cwd) : NULL;

    for (guint i = 0; i < rewrite->exports->len; i++) {
        const MoseExport *export = rewrite->exports->pdata[i];

        if (*export->drive && (id ? strcmp(export->drive, id) == 0
                                  : g_strcmp0(export->file, file) == 0 ||
                                        g_strcmp0(export->file, path) == 0)) {
            rewrite->used[i] = TRUE;
            return export;
        }
    }
    return NULL;
}

static const MoseExport *
find_node(Rewrite *rewrite, const char *node)
{
    for (guint i = 0; i < rewrite->exports->len; i++) {
        const MoseExport *export = rewrite->exports->pdata[i];

        if (strcmp(export->node, node) == 0) {
            rewrite->used[i] = TRUE;
            return export;
        }
    }
    return NULL;
}

static gboolean
is_empty_drive(const GPtrArray *parts)
{
    const char *file = mose_optstr_get(parts, "file");

    if (file)
        return *file == '\0';
    for (guint i = 0; i < parts->len; i++)
        if (g_str_has_prefix(parts->pdata[i], "file."))
            return FALSE;
    return TRUE;
}

static gboolean
take_drive(Rewrite *rewrite, guint i, GError **error)
{
    MoseOption *option = option_at(rewrite, i);
    g_autoptr(GPtrArray) parts = mose_optstr_split(option->value);
    const char *file = mose_optstr_get(parts, "file");
    const MoseExport *export;

    if (is_empty_drive(parts))
        return TRUE;
    export = find_drive(rewrite, mose_optstr_get(parts, "id"),
                        file ? file : mose_optstr_get(parts, "file.filename"));
    if (!export)
        return refuse(
            error, option,
            "this image is not in the guest's drive now, and can't be offered "
            "to another host");
    mose_nbd_drive(option, export, rewrite->how);
    rewrite->fates[i] = DONE;
    return TRUE;
}

/* -hda FILE and the like, whose FILE is no option string. */
static void
spell_out(MoseOption *option)
{
    for (gsize i = 0; i < G_N_ELEMENTS(short_drives); i++) {
        if (mose_option_is(option, short_drives[i].name)) {
            g_autoptr(GPtrArray) parts = mose_optstr_split(short_drives[i].drive);

            mose_optstr_set(parts, "file", option->value);
            g_free(option->name);
            option->name = g_strdup("-drive");
            g_free(option->value);
            option->value = mose_optstr_join(parts);
            return;
        }
    }
}

static gboolean
take_drives(Rewrite *rewrite, GError **error)
{
    for (guint i = 0; i < rewrite->spec->options->len; i++) {
        spell_out(option_at(rewrite, i));
        if (mose_option_is(option_at(rewrite, i), "-drive") &&
            !take_drive(rewrite, i, error))
            return FALSE;
    }
    return TRUE;
}

/* --- nodes of -blockdev --- */

/* The place of the -blockdev whose node is called @name; FALSE where there is none. */
static gboolean
find_blockdev(const Rewrite *rewrite, const char *name, guint *ret)
{
    for (guint i = 0; i < rewrite->spec->options->len; i++) {
        const MoseOption *option = option_at(rewrite, i);
        g_autofree char *id =
            mose_option_is(option, "-blockdev") ? mose_option_id(option) : NULL;

        if (id && strcmp(id, name) == 0) {
            *ret = i;
            return TRUE;
        }
    }
    return FALSE;
}

/* Names of the nodes that @option, as the user wrote it, is made of. */
static GPtrArray *
children_of(const MoseOption *option)
{
    static const char *const keys[] = { "file", "backing", "data-file" };
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        char *name = mose_option_get(option, keys[i]);

        if (name)
            g_ptr_array_add(names, name);
    }
    return names;
}

/* Leave out the nodes called @names and what they are made of, but for disks. */
static void
drop_nodes(Rewrite *rewrite, const GPtrArray *names)
{
    for (guint n = 0; n < names->len; n++) {
        g_autoptr(GPtrArray) below = NULL;
        guint i;

        if (!find_blockdev(rewrite, names->pdata[n], &i) || rewrite->fates[i] != KEEP ||
            find_node(rewrite, names->pdata[n]))
            continue;
        rewrite->fates[i] = DROP;
        below = children_of(option_at(rewrite, i));
        drop_nodes(rewrite, below);
    }
}

static void
take_blockdevs(Rewrite *rewrite)
{
    for (guint i = 0; i < rewrite->spec->options->len; i++) {
        MoseOption *option = option_at(rewrite, i);
        g_autofree char *id =
            mose_option_is(option, "-blockdev") ? mose_option_id(option) : NULL;
        const MoseExport *export = id ? find_node(rewrite, id) : NULL;
        g_autoptr(GPtrArray) below = NULL;

        if (!export)
            continue;
        below = children_of(option);
        rewrite->fates[i] = DONE;
        drop_nodes(rewrite, below);
        mose_nbd_blockdev(option, export, rewrite->how);
    }
}

/* A -device says itself what happens when the disk of a -blockdev fails. */
static void
take_devices(Rewrite *rewrite)
{
    static const char *const drivers[] = { "virtio-blk", "ide-hd",  "ide-cd",
                                           "scsi-hd",    "scsi-cd", NULL };

    for (guint i = 0; rewrite->how->stop_on_error && i < rewrite->spec->options->len;
         i++) {
        MoseOption *option = option_at(rewrite, i);
        g_autofree char *driver = NULL, *drive = NULL;
        guint node;

        if (!mose_option_is(option, "-device"))
            continue;
        driver = mose_option_is_json(option) ? mose_option_get(option, "driver")
                                             : mose_option_head(option);
        drive = mose_option_get(option, "drive");
        if (!driver || !drive || !find_blockdev(rewrite, drive, &node) ||
            (!g_str_has_prefix(driver, "virtio-blk") &&
             !g_strv_contains(drivers, driver)))
            continue;
        for (int error = 0; error < 2; error++) {
            const char *key = error ? "rerror" : "werror";
            g_autofree char *said = mose_option_get(option, key);

            if (!said)
                mose_option_set(option, key, "stop", FALSE);
        }
    }
}

/* --- is that all? --- */

static gboolean
check(const Rewrite *rewrite, GError **error)
{
    for (guint i = 0; i < rewrite->spec->options->len; i++)
        if (mose_option_is(option_at(rewrite, i), "-blockdev") &&
            rewrite->fates[i] == KEEP)
            return refuse(error, option_at(rewrite, i),
                          "no device of the guest has this, and its image is not at "
                          "the other host");
    for (guint i = 0; i < rewrite->exports->len; i++) {
        if (rewrite->used[i])
            continue;
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "the guest has the disk %s, but its description says nothing of it",
                    ((const MoseExport *)rewrite->exports->pdata[i])->file);
        return FALSE;
    }
    return TRUE;
}

static void
leave_out(const Rewrite *rewrite)
{
    for (guint i = rewrite->spec->options->len; i-- > 0;)
        if (rewrite->fates[i] == DROP)
            g_ptr_array_remove_index(rewrite->spec->options, i);
}

MoseSpec *
mose_spec_with_nbd(const MoseSpec *spec, const GPtrArray *exports,
                   const MoseSpecNbd *how, GError **error)
{
    g_autoptr(JsonObject) text = mose_spec_to_json(spec);
    g_autoptr(MoseSpec) copy = mose_spec_from_json(text, error);
    g_autofree Fate *fates = NULL;
    g_autofree gboolean *used = g_new0(gboolean, exports->len + 1);
    Rewrite rewrite = { copy, exports, how, NULL, used };

    if (!copy)
        return NULL;
    copy->start_paused = spec->start_paused;
    rewrite.fates = fates = g_new0(Fate, copy->options->len + 1);
    if (!take_drives(&rewrite, error))
        return NULL;
    take_blockdevs(&rewrite);
    take_devices(&rewrite);
    if (!check(&rewrite, error))
        return NULL;
    leave_out(&rewrite);
    return g_steal_pointer(&copy);
}
