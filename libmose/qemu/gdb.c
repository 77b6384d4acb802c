/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gdb client: vCPUs, breakpoints, running and stopping. See gdb.h; registers and
 * memory: gdb-state.c; the connection: gdb-link.c. */
#include "qemu/gdb.h"

#include <string.h>

#include "qemu/gdb-link.h"
#include "util/error.h"
#include "util/fd.h"

/* More vCPUs than QEMU's machines have (hw/i386/pc.c: 4096 with q35). */
#define MAX_THREADS 8192

/* --- vCPUs --- */

static gboolean
hex_number(const char **at, guint64 *ret)
{
    const char *start = *at;

    *ret = 0;
    for (; g_ascii_isxdigit(**at) && *at - start < 16; (*at)++)
        *ret = *ret << 4 | (guint)g_ascii_xdigit_value(**at);
    return *at > start;
}

/* "pPROCESS.THREAD" or "THREAD" at *@at. */
static gboolean
parse_thread(const char **at, MoseGdbThread *ret)
{
    guint64 process = 0, thread;

    if (**at == 'p') {
        (*at)++;
        if (!hex_number(at, &process) || *(*at)++ != '.')
            return FALSE;
    }
    if (!hex_number(at, &thread) || process > G_MAXUINT || thread > G_MAXUINT)
        return FALSE;
    *ret = (MoseGdbThread){ (guint)process, (guint)thread };
    return TRUE;
}

static char *
thread_text(const MoseGdb *gdb, MoseGdbThread thread)
{
    return gdb->processes ? g_strdup_printf("p%x.%x", thread.process, thread.thread)
                          : g_strdup_printf("%x", thread.thread);
}

static gboolean
bad_answer(MoseGdb *gdb, const char *packet, const GString *answer, GError **error)
{
    g_autofree char *what = g_strdup_printf("'%.40s' is no answer", answer->str);

    return mose_gdb_fail(gdb, MOSE_ERROR_INVALID, packet, what, error);
}

/* Append the vCPUs of an answer "mID,ID"; *@ret_more is FALSE at "l", the end. */
static gboolean
add_threads(GArray *threads, const GString *answer, gboolean *ret_more)
{
    const char *at = answer->str + 1;
    MoseGdbThread thread;

    *ret_more = answer->str[0] == 'm';
    if (!*ret_more)
        return strcmp(answer->str, "l") == 0;
    do {
        if (threads->len == MAX_THREADS || !parse_thread(&at, &thread))
            return FALSE;
        g_array_append_val(threads, thread);
    } while (*at++ == ',');
    return at[-1] == '\0';
}

GArray *
mose_gdb_threads(MoseGdb *gdb, GError **error)
{
    g_autoptr(GArray) threads = g_array_new(FALSE, FALSE, sizeof(MoseGdbThread));
    const char *packet = "qfThreadInfo";

    for (gboolean more = TRUE; more; packet = "qsThreadInfo") {
        const GString *answer = mose_gdb_ask(gdb, packet, error);

        if (!answer)
            return NULL;
        if (!add_threads(threads, answer, &more)) {
            bad_answer(gdb, packet, answer, error);
            return NULL;
        }
    }
    return g_steal_pointer(&threads);
}

gboolean
mose_gdb_select(MoseGdb *gdb, MoseGdbThread thread, GError **error)
{
    g_autofree char *id = thread_text(gdb, thread);
    g_autofree char *packet = g_strconcat("Hg", id, NULL);

    return mose_gdb_tell(gdb, packet, error);
}

/* --- begin and end --- */

/*
 * Multiprocess is wished for because QEMU never forgets that a client before us wished
 * for it (gdbstub/system.c:reset_gdbserver_state): so it is known.
 */
static gboolean
negotiate(MoseGdb *gdb, GError **error)
{
    const GString *answer = mose_gdb_ask(gdb, "qSupported:multiprocess+", error);
    MoseGdbThread thread;
    const char *at;

    if (!answer)
        return FALSE;
    gdb->processes = strstr(answer->str, "multiprocess+") != NULL;
    answer = mose_gdb_ask(gdb, "qC", error);
    if (!answer)
        return FALSE;
    at = answer->str + 2;
    if (!g_str_has_prefix(answer->str, "QC") || !parse_thread(&at, &thread) || *at)
        return bad_answer(gdb, "qC", answer, error);
    gdb->process = thread.process;
    return TRUE;
}

MoseGdb *
mose_gdb_new(int fd, const char *name, int timeout_ms, GError **error)
{
    g_autoptr(MoseGdb) gdb = g_new0(MoseGdb, 1);

    gdb->fd = fd;
    gdb->name = g_strdup(name);
    gdb->timeout_ms = timeout_ms;
    mose_gdb_reader_init(&gdb->reader);
    return negotiate(gdb, error) ? g_steal_pointer(&gdb) : NULL;
}

void
mose_gdb_free(MoseGdb *gdb)
{
    if (!gdb)
        return;
    mose_fd_close(gdb->fd);
    mose_gdb_reader_clear(&gdb->reader);
    g_free(gdb->name);
    g_free(gdb);
}

gboolean
mose_gdb_detach(MoseGdb *gdb, GError **error)
{
    g_autofree char *packet =
        gdb->processes ? g_strdup_printf("D;%x", gdb->process) : g_strdup("D");

    return mose_gdb_tell(gdb, packet, error);
}

/* --- breakpoints and watchpoints --- */

static gboolean
change_point(MoseGdb *gdb, char letter, const MoseGdbPoint *point, GError **error)
{
    g_autofree char *packet =
        g_strdup_printf("%c%u,%" G_GINT64_MODIFIER "x,%x", letter, point->kind,
                        point->address, point->length);

    return mose_gdb_tell(gdb, packet, error);
}

gboolean
mose_gdb_insert(MoseGdb *gdb, const MoseGdbPoint *point, GError **error)
{
    return change_point(gdb, 'Z', point, error);
}

gboolean
mose_gdb_remove(MoseGdb *gdb, const MoseGdbPoint *point, GError **error)
{
    return change_point(gdb, 'z', point, error);
}

/* --- running --- */

gboolean
mose_gdb_continue(MoseGdb *gdb, GError **error)
{
    gdb->running = mose_gdb_hand_over(gdb, "c", error);
    return gdb->running;
}

gboolean
mose_gdb_step(MoseGdb *gdb, MoseGdbThread thread, GError **error)
{
    g_autofree char *id = thread_text(gdb, thread);
    g_autofree char *packet = g_strconcat("vCont;s:", id, NULL);

    gdb->running = mose_gdb_hand_over(gdb, packet, error);
    return gdb->running;
}

gboolean
mose_gdb_interrupt(MoseGdb *gdb, GError **error)
{
    if (gdb->running)
        return mose_gdb_send(gdb, "\003", 1, "interrupt", error);
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "gdb stub %s: interrupt: the guest does not run", gdb->name);
    return FALSE;
}

/* One "name:value" of a stop. Those that are not known may be passed over (the
 * protocol says so). */
static gboolean
parse_item(const char *item, MoseGdbStop *stop)
{
    static const struct {
        const char *name;
        MoseGdbKind kind;
    } watches[] = { { "watch:", MOSE_GDB_WRITES },
                    { "rwatch:", MOSE_GDB_READS },
                    { "awatch:", MOSE_GDB_ACCESSES } };

    if (g_str_has_prefix(item, "thread:")) {
        item += strlen("thread:");
        return parse_thread(&item, &stop->thread) && *item == '\0';
    }
    for (gsize i = 0; i < G_N_ELEMENTS(watches); i++) {
        if (!g_str_has_prefix(item, watches[i].name))
            continue;
        item += strlen(watches[i].name);
        stop->watched = TRUE;
        stop->kind = watches[i].kind;
        return hex_number(&item, &stop->address) && *item == '\0';
    }
    return TRUE;
}

/* "Tssname:value;..." or "Sss". */
static gboolean
parse_stop(const char *text, MoseGdbStop *ret)
{
    g_auto(GStrv) items = NULL;

    *ret = (MoseGdbStop){ 0 };
    if ((*text != 'T' && *text != 'S') || !g_ascii_isxdigit(text[1]) ||
        !g_ascii_isxdigit(text[2]))
        return FALSE;
    ret->signal = g_ascii_xdigit_value(text[1]) << 4 | g_ascii_xdigit_value(text[2]);
    if (*text == 'S')
        return text[3] == '\0';
    items = g_strsplit(text + 3, ";", -1);
    for (char **item = items; *item; item++)
        if (!parse_item(*item, ret))
            return FALSE;
    return TRUE;
}

/* What came instead of a stop. */
static gboolean
no_stop(MoseGdb *gdb, const GString *answer, GError **error)
{
    if (answer->str[0] == 'W' || answer->str[0] == 'X')
        return mose_gdb_fail(gdb, MOSE_ERROR_CLOSED, "stop", "QEMU has ended", error);
    return bad_answer(gdb, "stop", answer, error);
}

gboolean
mose_gdb_wait_stop(MoseGdb *gdb, int timeout_ms, int cancel_fd, MoseGdbStop *ret,
                   GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (gdb->dead)
        return mose_gdb_fail(gdb, MOSE_ERROR_CLOSED, "stop",
                             "closed after an earlier failure", error);
    if (!gdb->running) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "gdb stub %s: stop: the guest does not run", gdb->name);
        return FALSE;
    }
    if (mose_gdb_hear_packet(gdb, NULL, mose_gdb_deadline(timeout_ms), cancel_fd,
                             &cause)) {
        gdb->running = FALSE;
        return parse_stop(gdb->reader.data->str, ret) ||
               no_stop(gdb, gdb->reader.data, error);
    }
    if (!g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_TIMEOUT) &&
        !g_error_matches(cause, MOSE_ERROR, MOSE_ERROR_INTERRUPTED))
        return mose_gdb_fail(gdb, cause->code, "stop", cause->message, error);
    g_propagate_prefixed_error(error, g_steal_pointer(&cause),
                               "gdb stub %s: stop: ", gdb->name);
    return FALSE;
}
