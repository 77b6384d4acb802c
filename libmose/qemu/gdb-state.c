/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gdb client: registers and memory of the vCPU that is selected. See gdb.h. */
#include <string.h>

#include "qemu/gdb-link.h"
#include "qemu/gdb.h"
#include "util/error.h"

static gboolean
wrong_size(MoseGdb *gdb, const char *packet, gsize wanted, GError **error)
{
    g_autofree char *what =
        g_strdup_printf("the answer is not %" G_GSIZE_FORMAT " bytes in hex", wanted);

    return mose_gdb_fail(gdb, MOSE_ERROR_INVALID, packet, what, error);
}

/* @text is @len bytes in hex, and nothing else. */
static gboolean
from_hex(const GString *text, guint8 *to, gsize len)
{
    if (text->len != 2 * len)
        return FALSE;
    for (gsize i = 0; i < len; i++) {
        int high = g_ascii_xdigit_value(text->str[2 * i]);
        int low = g_ascii_xdigit_value(text->str[2 * i + 1]);

        if (high < 0 || low < 0)
            return FALSE;
        to[i] = (guint8)(high << 4 | low);
    }
    return TRUE;
}

static void
add_hex(GString *text, const guint8 *from, gsize len)
{
    for (gsize i = 0; i < len; i++)
        g_string_append_printf(text, "%02x", from[i]);
}

/* --- registers --- */

/* Where register @number is among the bytes, and its size. */
static void
locate(guint number, gsize *ret_at, gsize *ret_size)
{
    /* Runs of registers of one size, in the order of their numbers. */
    static const struct {
        guint first;
        gsize size;
    } runs[] = { { MOSE_GDB_RAX, 8 },
                 { MOSE_GDB_EFLAGS, 4 },
                 { MOSE_GDB_FS_BASE, 8 },
                 { MOSE_GDB_N_WORDS, 0 } };
    gsize at = 0, i = 0;

    for (; number >= runs[i + 1].first; i++)
        at += (runs[i + 1].first - runs[i].first) * runs[i].size;
    *ret_at = at + (number - runs[i].first) * runs[i].size;
    *ret_size = runs[i].size;
}

guint64
mose_gdb_register(const MoseGdbRegisters *registers, guint number)
{
    gsize at, size;
    guint64 value = 0;

    g_return_val_if_fail(number < MOSE_GDB_N_WORDS, 0);
    locate(number, &at, &size);
    memcpy(&value, registers->bytes + at, size);
    return GUINT64_FROM_LE(value);
}

void
mose_gdb_register_set(MoseGdbRegisters *registers, guint number, guint64 value)
{
    guint64 bytes = GUINT64_TO_LE(value);
    gsize at, size;

    g_return_if_fail(number < MOSE_GDB_N_WORDS);
    locate(number, &at, &size);
    memcpy(registers->bytes + at, &bytes, size);
    registers->changed |= G_GUINT64_CONSTANT(1) << number;
}

gboolean
mose_gdb_read_registers(MoseGdb *gdb, MoseGdbRegisters *ret, GError **error)
{
    const GString *answer = mose_gdb_ask(gdb, "g", error);

    if (!answer)
        return FALSE;
    ret->changed = 0;
    return from_hex(answer, ret->bytes, sizeof(ret->bytes)) ||
           wrong_size(gdb, "g", sizeof(ret->bytes), error);
}

static gboolean
write_one(MoseGdb *gdb, const MoseGdbRegisters *registers, guint number, GError **error)
{
    g_autoptr(GString) packet = g_string_new(NULL);
    gsize at, size;

    locate(number, &at, &size);
    g_string_printf(packet, "P%x=", number);
    add_hex(packet, registers->bytes + at, size);
    return mose_gdb_tell(gdb, packet->str, error);
}

gboolean
mose_gdb_write_registers(MoseGdb *gdb, const MoseGdbRegisters *registers,
                         GError **error)
{
    if (!mose_gdb_ask(gdb, "g", error))
        return FALSE;
    for (guint number = 0; number < MOSE_GDB_N_WORDS; number++)
        if (registers->changed >> number & 1 &&
            !write_one(gdb, registers, number, error))
            return FALSE;
    return TRUE;
}

/* --- memory --- */

static gboolean
read_some(MoseGdb *gdb, guint64 address, guint8 *to, gsize len, GError **error)
{
    g_autofree char *packet = g_strdup_printf(
        "m%" G_GINT64_MODIFIER "x,%" G_GSIZE_MODIFIER "x", address, len);
    const GString *answer = mose_gdb_ask(gdb, packet, error);

    return answer && (from_hex(answer, to, len) || wrong_size(gdb, packet, len, error));
}

gboolean
mose_gdb_read_memory(MoseGdb *gdb, guint64 address, void *to, gsize len, GError **error)
{
    for (gsize at = 0; at < len; at += MOSE_GDB_MEMORY_MAX)
        if (!read_some(gdb, address + at, (guint8 *)to + at,
                       MIN(len - at, MOSE_GDB_MEMORY_MAX), error))
            return FALSE;
    return TRUE;
}

static gboolean
write_some(MoseGdb *gdb, guint64 address, const guint8 *from, gsize len, GError **error)
{
    g_autoptr(GString) packet = g_string_new(NULL);

    g_string_printf(packet, "M%" G_GINT64_MODIFIER "x,%" G_GSIZE_MODIFIER "x:", address,
                    len);
    add_hex(packet, from, len);
    return mose_gdb_tell(gdb, packet->str, error);
}

gboolean
mose_gdb_write_memory(MoseGdb *gdb, guint64 address, const void *from, gsize len,
                      GError **error)
{
    for (gsize at = 0; at < len; at += MOSE_GDB_MEMORY_MAX)
        if (!write_some(gdb, address + at, (const guint8 *)from + at,
                        MIN(len - at, MOSE_GDB_MEMORY_MAX), error))
            return FALSE;
    return TRUE;
}

gboolean
mose_gdb_reset_mode(MoseGdb *gdb, GError **error)
{
    return mose_gdb_tell(gdb, "Qqemu.PhyMemMode:0", error);
}

gboolean
mose_gdb_write_physical(MoseGdb *gdb, guint64 address, const void *from, gsize len,
                        GError **error)
{
    gboolean done;

    if (!mose_gdb_tell(gdb, "Qqemu.PhyMemMode:1", error))
        return FALSE;
    done = mose_gdb_write_memory(gdb, address, from, len, error);
    return mose_gdb_reset_mode(gdb, done ? error : NULL) && done;
}
