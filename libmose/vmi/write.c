/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writing a guest's memory. See write.h. */
#include "vmi/write.h"

#include <string.h>

#include "guest/forks.h"
#include "guest/journal.h"
#include "qemu/command.h"
#include "qemu/frozen.h"
#include "qemu/ram.h"
#include "switch/debug-stub.h"
#include "switch/debug.h"
#include "util/error.h"
#include "util/json.h"

#define PAGE 4096
#define HEX G_GINT64_MODIFIER "x"

typedef struct {
    guint64 physical;
    gsize at, len; /* of the bytes */
} Piece;

typedef struct {
    MoseGuest *guest;
    MoseMemory *memory;
    const MoseWrite *write;
    MoseGdb *gdb; /* one of these two */
    MoseRam *ram;
    GArray *pieces; /* Piece */
    guint8 *before; /* what was there */
    MoseWriteTell tell;
    gpointer tell_data;
} Work;

static void
say(const Work *work, const char *step)
{
    if (work->tell)
        work->tell(step, work->tell_data);
}

/* --- whether it may be --- */

static gboolean
busy(const MoseGuest *guest, const char *why, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_BUSY,
                "guest %s cannot be written now: %s", guest->name, why);
    return FALSE;
}

static gboolean
has_no_journal(const MoseGuest *guest, GError **error)
{
    g_autoptr(GError) cause = NULL;
    MoseJournalEntry entry;

    if (mose_journal_read(guest->dir, &entry, &cause))
        return busy(guest, "a switch is under way", error);
    if (g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_NOT_FOUND))
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

/* Also one that is not MOSE's. */
static gboolean
has_no_migration(const MoseGuest *guest, MoseQmp *qmp, GError **error)
{
    static const char *const over[] = { "",       "none",      "completed",
                                        "failed", "cancelled", NULL };
    g_autoptr(JsonObject) state = mose_qmp_query(qmp, "query-migrate", NULL, error);

    if (!state)
        return FALSE;
    return g_strv_contains(over, mose_json_string(state, "status", "")) ||
           busy(guest, "QEMU is migrating it", error);
}

/* A fork sees what is written to a shared memory until it has a page of its own. As
 * long as there are forks, MOSE keeps it private (fork/fork.h). */
static gboolean
has_no_reader(const MoseGuest *guest, const MoseFrozen *state, GError **error)
{
    g_auto(GStrv) forks = NULL;

    if (!state->shared || state->frozen)
        return TRUE;
    forks = mose_guest_forks(guest->name, error);
    return forks && (!*forks || busy(guest, "its forks have its memory", error));
}

static gboolean
check_arguments(const MoseGuest *guest, const MoseWrite *write, GError **error)
{
    if (guest->lock_fd < 0)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "guest %s is not locked: it cannot be written", guest->name);
    else if (write->len == 0 || write->len > MOSE_WRITE_MAX ||
             write->expect_len > MOSE_WRITE_MAX)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "from 1 byte to %" G_GSIZE_FORMAT " MB can be written at once",
                    MOSE_WRITE_MAX >> 20);
    else if (write->len - 1 > G_MAXUINT64 - write->address)
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "there are not so many bytes behind 0x%" HEX, write->address);
    else
        return TRUE;
    return FALSE;
}

/* --- where it goes --- */

static gboolean
page_of(const Work *work, guint64 address, guint64 *ret, GError **error)
{
    const MoseWrite *write = work->write;
    MosePageWalk walk;

    if (!write->space) {
        *ret = address;
        return TRUE;
    }
    if (!mose_space_translate(write->space, address, ret, error))
        return FALSE;
    return !write->page || (mose_space_page(write->space, address, &walk) &&
                            write->page(&walk, address, write->data, error));
}

/* Read what is there; only RAM is ever written. */
static gboolean
add_piece(Work *work, gsize at, gsize len, GError **error)
{
    Piece piece = { 0, at, len };

    if (!page_of(work, work->write->address + at, &piece.physical, error) ||
        !mose_memory_read(work->memory, piece.physical, work->before + at, len, error))
        return FALSE;
    g_array_append_val(work->pieces, piece);
    return TRUE;
}

static gboolean
find_pieces(Work *work, GError **error)
{
    const MoseWrite *write = work->write;

    for (gsize at = 0; at < write->len;) {
        gsize step = MIN(write->len - at, PAGE - (write->address + at) % PAGE);

        step = MIN(step, MOSE_GDB_MEMORY_MAX);
        if (!add_piece(work, at, step, error))
            return FALSE;
        at += step;
    }
    return TRUE;
}

static gboolean
read_any(const Work *work, guint64 address, guint8 *to, gsize len, GError **error)
{
    return work->write->space
               ? mose_space_read(work->write->space, address, to, len, NULL, error)
               : mose_memory_read(work->memory, address, to, len, error);
}

static gboolean
is_expected(const Work *work, GError **error)
{
    const MoseWrite *write = work->write;
    g_autofree guint8 *there = g_malloc(write->expect_len + 1);
    g_autoptr(GString) text = g_string_new(NULL);

    if (!write->expect)
        return TRUE;
    if (!read_any(work, write->address, there, write->expect_len, error))
        return FALSE;
    if (memcmp(there, write->expect, write->expect_len) == 0)
        return TRUE;
    for (gsize i = 0; i < write->expect_len && i < 32; i++)
        g_string_append_printf(text, "%02x", there[i]);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                "at 0x%" HEX " is %s%s, which is not what is expected: nothing was "
                "written",
                write->address, text->str, write->expect_len > 32 ? "..." : "");
    return FALSE;
}

/* --- writing --- */

static gboolean
put_piece(Work *work, const Piece *piece, const guint8 *bytes, GError **error)
{
    return work->gdb ? mose_gdb_write_physical(work->gdb, piece->physical,
                                               bytes + piece->at, piece->len, error)
                     : mose_ram_write(work->ram, piece->physical, bytes + piece->at,
                                      piece->len, error);
}

/* By another way than the one it was written by. */
static gboolean
is_there(Work *work, const Piece *piece, const guint8 *bytes, GError **error)
{
    guint8 there[MOSE_GDB_MEMORY_MAX];

    mose_memory_forget(work->memory);
    if (!mose_memory_read(work->memory, piece->physical, there, piece->len, error))
        return FALSE;
    if (memcmp(there, bytes + piece->at, piece->len) == 0)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                "what was written to physical 0x%" HEX " is not there",
                piece->physical);
    return FALSE;
}

static gboolean
put_all(Work *work, guint *ret_n, GError **error)
{
    for (*ret_n = 0; *ret_n < work->pieces->len; (*ret_n)++) {
        const Piece *piece = &g_array_index(work->pieces, Piece, *ret_n);

        if (!put_piece(work, piece, work->write->bytes, error))
            return FALSE;
        say(work, "written");
        if (!is_there(work, piece, work->write->bytes, error))
            return FALSE;
    }
    return TRUE;
}

/* The piece that failed may be there in part. */
static void
put_back(Work *work, guint n, GError **error)
{
    for (guint i = 0; i <= n && i < work->pieces->len; i++) {
        const Piece *piece = &g_array_index(work->pieces, Piece, i);
        g_autoptr(GError) cause = NULL;

        if (put_piece(work, piece, work->before, &cause) &&
            is_there(work, piece, work->before, &cause))
            continue;
        g_prefix_error(error,
                       "(and what was there before at physical 0x%" HEX
                       " could not be put back: %s) ",
                       piece->physical, cause->message);
        return;
    }
}

static gboolean
do_it(Work *work, MoseWritten *ret, GError **error)
{
    const MoseWrite *write = work->write;
    guint n;

    if (write->space)
        mose_space_forget(write->space);
    mose_memory_forget(work->memory);
    if ((write->check && !write->check(write->data, error)) ||
        !find_pieces(work, error) || !is_expected(work, error))
        return FALSE;
    ret->unchanged = memcmp(work->before, write->bytes, write->len) == 0;
    if (ret->unchanged)
        return TRUE;
    if (!put_all(work, &n, error)) {
        put_back(work, n, error);
        return FALSE;
    }
    say(work, "verified");
    return TRUE;
}

/* --- the two ways --- */

static gboolean
write_by_stub(Work *work, gboolean live, MoseWritten *ret, GError **error)
{
    gint64 begin = g_get_monotonic_time();
    MoseDebug *debug =
        mose_debug_begin(work->guest, work->tell, work->tell_data, error);
    g_autoptr(GError) late = NULL;
    gboolean done;

    if (!debug)
        return FALSE;
    work->gdb = mose_debug_gdb(debug);
    done = do_it(work, ret, error);
    work->gdb = NULL;
    if (!mose_debug_end(debug, &late) && done) {
        g_propagate_prefixed_error(error, g_steal_pointer(&late),
                                   "it is written, but the session did not end: ");
        done = FALSE;
    }
    ret->by_stub = TRUE;
    ret->stop_us = live ? g_get_monotonic_time() - begin : 0;
    return done;
}

static gboolean
write_in_place(Work *work, const MoseProcess *process, MoseQmp *qmp, MoseWritten *ret,
               GError **error)
{
    gboolean done;

    work->ram = mose_ram_of(process, qmp, error);
    done = work->ram && do_it(work, ret, error);
    g_clear_pointer(&work->ram, mose_ram_free);
    return done;
}

static gboolean
write_somehow(Work *work, MoseWritten *ret, GError **error)
{
    MoseGuest *guest = work->guest;
    g_autoptr(MoseProcess) process = mose_guest_process(guest, error);
    g_autoptr(MoseQmp) qmp = process ? mose_debug_monitor(guest, error) : NULL;
    g_autofree char *run_state = NULL;
    gboolean live = FALSE;
    MoseFrozen state;

    if (!qmp || !has_no_migration(guest, qmp, error) ||
        !mose_frozen_look(process, FALSE, &state, error) ||
        !has_no_reader(guest, &state, error))
        return FALSE;
    run_state = mose_debug_run_state(qmp, &live, error);
    if (!run_state)
        return FALSE;
    if (!live && state.shared && !state.frozen &&
        strcmp(guest->spec->accel[guest->side], "kvm") == 0)
        return write_in_place(work, process, qmp, ret, error);
    /* The session has that monitor to itself. */
    g_clear_pointer(&qmp, mose_qmp_free);
    return write_by_stub(work, live, ret, error);
}

gboolean
mose_vmi_write_told(MoseGuest *guest, MoseMemory *memory, const MoseWrite *write,
                    MoseWriteTell tell, gpointer tell_data, MoseWritten *ret,
                    GError **error)
{
    Work work = { .guest = guest,
                  .memory = memory,
                  .write = write,
                  .tell = tell,
                  .tell_data = tell_data };
    gboolean done;

    *ret = (MoseWritten){ 0 };
    if (!check_arguments(guest, write, error) || !has_no_journal(guest, error))
        return FALSE;
    work.before = g_malloc(write->len);
    work.pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
    done = write_somehow(&work, ret, error);
    g_array_unref(work.pieces);
    g_free(work.before);
    return done;
}

gboolean
mose_vmi_write(MoseGuest *guest, MoseMemory *memory, const MoseWrite *write,
               MoseWritten *ret, GError **error)
{
    return mose_vmi_write_told(guest, memory, write, NULL, NULL, ret, error);
}
