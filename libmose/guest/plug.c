/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plugging and unplugging as a transaction; see plug.h. */
#include "guest/plug.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "qemu/command.h"
#include "qemu/hotplug.h"
#include "qemu/tap.h"
#include "guest/disks.h"
#include "guest/forks.h"
#include "guest/guest-dir.h"
#include "guest/launch.h"
#include "guest/plug-describe.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

/* --- the file -------------------------------------------------------------- */

static char *
file_path(const MoseGuest *guest)
{
    return g_build_filename(guest->dir, "plug", NULL);
}

static gboolean
file_begin(const MoseGuest *guest, const GPtrArray *changed, GError **error)
{
    g_autofree char *path = file_path(guest);
    g_autoptr(JsonObject) object =
        mose_json_object("options", "a", mose_options_to_json(changed), NULL);
    g_autofree char *text = mose_json_text(object, FALSE);

    return mose_guest_dir_write(path, text, error);
}

static gboolean
file_end(const MoseGuest *guest, GError **error)
{
    g_autofree char *path = file_path(guest);

    if (unlink(path) == 0 || errno == ENOENT)
        return TRUE;
    mose_error_set_errno(error, errno, "cannot end %s", path);
    return FALSE;
}

static GPtrArray *
file_read(const MoseGuest *guest, GError **error)
{
    g_autofree char *path = file_path(guest);
    g_autofree char *text = mose_guest_dir_read(path, error);
    g_autoptr(JsonObject) object = text ? mose_json_parse(text, -1, path, error) : NULL;
    GPtrArray *changed;

    if (!object)
        return NULL;
    changed = mose_options_from_json(mose_json_array(object, "options"));
    if (!changed)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "%s: no options", path);
    return changed;
}

gboolean
mose_plug_is_open(const MoseGuest *guest)
{
    g_autofree char *path = file_path(guest);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static char *
names_of(const GPtrArray *options)
{
    GString *names = g_string_new(NULL);

    for (guint i = 0; i < options->len; i++) {
        g_autofree char *id = mose_option_id(options->pdata[i]);

        g_string_append_printf(names, "%s%s", i ? " " : "", id);
    }
    return g_string_free(names, FALSE);
}

/* Describe what is there now, and tell the timeline that @event, or its failure by
 * @cause (may be NULL), is why. */
static gboolean
conclude(MoseGuest *guest, MoseQmp *qmp, const GPtrArray *changed, const char *event,
         const GError *cause, GError **error)
{
    g_autofree char *names = names_of(changed);

    if (!mose_plug_describe(guest, qmp, changed, error))
        return FALSE;
    if (cause)
        mose_guest_note(guest, "failed",
                        mose_json_object("operation", "s", event, "reason", "s",
                                         cause->message, NULL));
    else
        mose_guest_note(guest, event,
                        mose_json_object("side", "s", mose_side_name(guest->side),
                                         "names", "s", names, NULL));
    return mose_guest_save(guest, error) && file_end(guest, error);
}

/* The same at the end of a command: the first error counts. */
static gboolean
conclude_command(MoseGuest *guest, MoseQmp *qmp, const GPtrArray *changed,
                 const char *event, GError *cause, GError **error)
{
    gboolean good = conclude(guest, qmp, changed, event, cause, cause ? NULL : error);

    if (cause)
        g_propagate_error(error, cause);
    return good && !cause;
}

gboolean
mose_plug_recover(MoseGuest *guest, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GPtrArray) changed = file_read(guest, &cause);
    g_autoptr(MoseProcess) process = mose_guest_process(guest, NULL);
    g_autoptr(MoseQmp) qmp = NULL;

    if (g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_NOT_FOUND))
        return TRUE;
    if (!process)
        return file_end(guest, error);
    if (changed)
        qmp = mose_guest_connect(guest, MOSE_MONITOR_GUARDIAN, &cause);
    if (qmp && conclude(guest, qmp, changed, "plug-after-death", NULL, &cause))
        return TRUE;
    g_propagate_prefixed_error(error, g_steal_pointer(&cause),
                               "cannot see what became of the devices that a command "
                               "was changing when it died: ");
    return FALSE;
}

/* --- plugging -------------------------------------------------------------- */

static gboolean
is_free(const MoseGuest *guest, MoseQmp *qmp, const GPtrArray *options, guint i,
        GError **error)
{
    g_autoptr(GPtrArray) before = g_ptr_array_new();
    g_autofree char *id = mose_option_id(options->pdata[i]);
    gboolean taken;

    for (guint k = 0; k < i; k++)
        g_ptr_array_add(before, options->pdata[k]);
    if (!mose_hotplug_present(qmp, options->pdata[i], &taken, error))
        return FALSE;
    if (!taken && !mose_plug_has(guest->spec->options, options->pdata[i]) &&
        !mose_plug_has(before, options->pdata[i]))
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "%s: there is a %s already",
                ((const MoseOption *)options->pdata[i])->name, id);
    return FALSE;
}

static gboolean
add_one(const MoseGuest *guest, MoseQmp *qmp, const MoseOption *option, GError **error)
{
    MoseCommandFor what = { guest->side, guest->generation, FALSE, "", NULL };
    g_autoptr(MoseCommandLine) line =
        mose_command_build_option(guest->spec, &what, option, error);
    g_auto(MoseFd) tap_fd = MOSE_FD_NONE;

    if (!line)
        return FALSE;
    if (line->taps->len > 0) {
        const MoseTap *tap = line->taps->pdata[0];

        tap_fd = mose_tap_open(tap->ifname, tap->vnet_hdr, error);
        if (tap_fd < 0)
            return FALSE;
    }
    return mose_hotplug_add(qmp, option, line->argv->pdata[1], tap_fd, error) &&
           mose_launch_settle(qmp, line, error);
}

/* The last that came goes first. What does not go is described all the same. */
static void
take_back(MoseQmp *qmp, const GPtrArray *options)
{
    for (guint i = options->len; i-- > 0;) {
        gboolean present = FALSE;

        if (mose_hotplug_present(qmp, options->pdata[i], &present, NULL) && present)
            mose_hotplug_remove(qmp, options->pdata[i], MOSE_UNPLUG_TIMEOUT_MS, -1,
                                NULL);
    }
}

/* What is plugged in beside overlays would be written; what is unplugged would leave
 * its data in one. */
static gboolean
has_no_overlays(const MoseGuest *guest, GError **error)
{
    g_autoptr(GPtrArray) overlays = mose_disks_read(guest, guest->generation, error);

    if (overlays && overlays->len > 0)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                    "guest %s works on overlays of its disks; `mose virtualize` it "
                    "first: its devices can be changed then",
                    guest->name);
    return overlays && overlays->len == 0;
}

/* Home keeps the description by which the guest will come back to its disks. */
static gboolean
has_its_home(const MoseGuest *guest, GError **error)
{
    if (!mose_guest_hangs_on_home(guest))
        return TRUE;
    g_set_error(
        error, MOSE_ERROR, MOSE_ERROR_REFUSED,
        "guest %s still hangs on %s, its home; nothing is plugged in or out until "
        "it is there again",
        guest->name, mose_far_label(guest->far));
    return FALSE;
}

static MoseQmp *
open_monitor(const MoseGuest *guest, GError **error)
{
    g_autoptr(MoseProcess) process = mose_guest_process(guest, error);

    return process && mose_guest_may_change(guest, "given other devices", error) &&
                   has_no_overlays(guest, error) && has_its_home(guest, error)
               ? mose_guest_connect(guest, MOSE_MONITOR_SWITCH, error)
               : NULL;
}

gboolean
mose_plug(MoseGuest *guest, const MoseSpec *addition, GError **error)
{
    const GPtrArray *options = addition->options;
    g_autoptr(MoseQmp) qmp = open_monitor(guest, error);
    g_autoptr(GError) cause = NULL;

    if (!qmp)
        return FALSE;
    for (guint i = 0; i < options->len; i++)
        if (!is_free(guest, qmp, options, i, error))
            return FALSE;
    if (!file_begin(guest, options, error))
        return FALSE;
    for (guint i = 0; i < options->len && !cause; i++)
        add_one(guest, qmp, options->pdata[i], &cause);
    if (cause)
        take_back(qmp, options);
    return conclude_command(guest, qmp, options, "plug", g_steal_pointer(&cause),
                            error);
}

/* --- unplugging ------------------------------------------------------------ */

static gboolean
is_kind(const MoseOption *option)
{
    static const char *const kinds[] = { "-device",  "-drive",  "-blockdev", "-netdev",
                                         "-chardev", "-object", NULL };

    return g_strv_contains(kinds, option->name);
}

static gboolean
is_called(const MoseOption *option, const char *id)
{
    g_autofree char *name = is_kind(option) ? mose_option_id(option) : NULL;

    return g_strcmp0(name, id) == 0;
}

/* Add to @going all that is called @id, devices first; one that somebody has plugged
 * in without MOSE, too. */
static gboolean
collect(const MoseGuest *guest, MoseQmp *qmp, const char *id, GPtrArray *going,
        GError **error)
{
    const GPtrArray *options = guest->spec->options;
    g_autofree char *value = g_strdup_printf(MOSE_PLUG_UNKNOWN ",id=%s", id);
    g_autoptr(MoseOption) unknown = mose_option_new("-device", value);
    guint before = going->len;
    gboolean present = FALSE;

    for (int devices = 1; devices >= 0; devices--) {
        for (guint i = 0; i < options->len; i++) {
            const MoseOption *option = options->pdata[i];

            if (is_called(option, id) && mose_option_is(option, "-device") == devices)
                g_ptr_array_add(going, mose_option_new(option->name, option->value));
        }
    }
    if (going->len > before)
        return TRUE;
    if (!mose_hotplug_present(qmp, unknown, &present, error))
        return FALSE;
    if (present)
        g_ptr_array_add(going, g_steal_pointer(&unknown));
    else
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                    "guest %s has nothing called %s (id=, or node-name= of -blockdev)",
                    guest->name, id);
    return present;
}

/* QEMU would take a drive or a network away from under a device. */
static gboolean
is_unused(const MoseGuest *guest, const GPtrArray *going, GError **error)
{
    const GPtrArray *options = guest->spec->options;

    for (guint g = 0; g < going->len; g++) {
        g_autofree char *id = mose_option_id(going->pdata[g]);

        for (guint i = 0; i < options->len; i++) {
            const MoseOption *option = options->pdata[i];
            g_autofree char *user = NULL;

            if (mose_option_is(going->pdata[g], "-device") || !option->value ||
                !mose_option_uses(option, id) || mose_plug_has(going, option))
                continue;
            user = mose_option_id(option);
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED, "%s is used by %s %s%s",
                        id, option->name, user ? user : option->value,
                        user ? "; unplug that, too, before it"
                             : ", which has no name to be unplugged by");
            return FALSE;
        }
    }
    return TRUE;
}

/* What is gone is gone, whoever asked for it, and whatever QEMU said last. */
static gboolean
remove_one(MoseQmp *qmp, const MoseOption *option, int timeout_ms, int interrupt_fd,
           GError **error)
{
    g_autoptr(GError) cause = NULL;
    gboolean present = FALSE;

    if (!mose_hotplug_present(qmp, option, &present, error))
        return FALSE;
    if (!present ||
        mose_hotplug_remove(qmp, option, timeout_ms, interrupt_fd, &cause) ||
        (mose_hotplug_present(qmp, option, &present, NULL) && !present))
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

static gboolean
remove_all(MoseQmp *qmp, const GPtrArray *going, int timeout_ms, int interrupt_fd,
           GError **error)
{
    for (guint i = 0; i < going->len; i++)
        if (!remove_one(qmp, going->pdata[i], timeout_ms, interrupt_fd, error))
            return FALSE;
    return TRUE;
}

/* A wait that the user has ended. */
static void
explain_interrupt(int interrupt_fd, GError **error)
{
    if (!mose_fd_is_readable(interrupt_fd))
        return;
    g_clear_error(error);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INTERRUPTED,
                "interrupted; the guest may still let go of it");
}

static gboolean
prepare(MoseGuest *guest, MoseQmp *qmp, const char *const *ids, GPtrArray *going,
        GError **error)
{
    for (; *ids; ids++)
        if (!collect(guest, qmp, *ids, going, error))
            return FALSE;
    if (!is_unused(guest, going, error))
        return FALSE;
    for (guint i = 0; i < going->len; i++) {
        g_autofree char *id = mose_option_id(going->pdata[i]);

        if (mose_option_is(going->pdata[i], "-device") &&
            !mose_plug_fix_places(guest, qmp, id, error))
            return FALSE;
    }
    return file_begin(guest, going, error);
}

gboolean
mose_unplug(MoseGuest *guest, const char *const *ids, int timeout_ms, int interrupt_fd,
            GError **error)
{
    g_autoptr(MoseQmp) qmp = open_monitor(guest, error);
    g_autoptr(GPtrArray) going =
        g_ptr_array_new_with_free_func((GDestroyNotify)mose_option_free);
    g_autoptr(GError) cause = NULL;

    if (!qmp || !prepare(guest, qmp, ids, going, error))
        return FALSE;
    if (!remove_all(qmp, going, timeout_ms, interrupt_fd > 0 ? interrupt_fd : -1,
                    &cause))
        explain_interrupt(interrupt_fd, &cause);
    return conclude_command(guest, qmp, going, "unplug", g_steal_pointer(&cause),
                            error);
}
