/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The step machine, the header, sections and commands; see reader-private.h. */
#include "stream/reader.h"

#include <string.h>

#include "stream/format.h"
#include "stream/reader-private.h"
#include "stream/wire.h"

static gboolean step_header(MoseReader *reader, const guint8 *bytes, GError **error);

static void
ram_block_free(gpointer data)
{
    MoseRamBlock *block = data;

    g_free(block->name);
    g_free(block);
}

MoseReader *
mose_reader_new(void)
{
    MoseReader *reader = g_new0(MoseReader, 1);

    reader->info.capabilities = g_ptr_array_new_with_free_func(g_free);
    reader->info.blocks = g_ptr_array_new_with_free_func(ram_block_free);
    reader->info.page_bits = MOSE_PAGE_BITS;
    reader->blocks_by_name = g_hash_table_new(g_str_hash, g_str_equal);
    reader->where = "header";
    mose_reader_expect(reader, 8, step_header);
    return reader;
}

void
mose_reader_free(MoseReader *reader)
{
    if (!reader)
        return;
    g_hash_table_unref(reader->blocks_by_name);
    g_ptr_array_unref(reader->info.capabilities);
    g_ptr_array_unref(reader->info.blocks);
    g_free(reader->info.machine);
    g_free(reader->info.uuid);
    mose_tail_free(reader->tail);
    mose_doc_free(reader->doc);
    g_free(reader);
}

gboolean
mose_reader_fail(MoseReader *reader, MoseErrorCode code, GError **error,
                 const char *format, ...)
{
    g_autofree char *reason = NULL;
    va_list args;

    va_start(args, format);
    reason = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, MOSE_ERROR, code,
                "%s, stream offset 0x%" G_GINT64_MODIFIER "x: %s", reader->where,
                reader->offset, reason);
    return FALSE;
}

char *
mose_reader_quote(const guint8 *bytes, gsize len)
{
    g_autofree char *raw = g_strndup((const char *)bytes, len);
    g_autofree char *escaped = g_strescape(raw, NULL);

    return g_strdup_printf("'%s'", escaped);
}

static gboolean
next_kind(MoseReader *reader)
{
    return mose_reader_expect(reader, 1, mose_reader_step_kind);
}

/* The header. */

static gboolean
step_first_kind(MoseReader *reader, const guint8 *bytes, GError **error)
{
    if (bytes[0] != MOSE_VM_CONFIGURATION)
        return mose_reader_fail(reader, MOSE_ERROR_UNSUPPORTED, error,
                                "no configuration (machine with "
                                "send-configuration=off?)");
    reader->where = "configuration";
    return mose_reader_expect(reader, 4, mose_reader_step_machine_length);
}

static gboolean
step_header(MoseReader *reader, const guint8 *bytes, GError **error)
{
    if (mose_wire_get(bytes, 4) != MOSE_VM_MAGIC)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "not a QEMU migration stream (begins with %08x)",
                                (guint)mose_wire_get(bytes, 4));
    if (mose_wire_get(bytes + 4, 4) != MOSE_VM_VERSION)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "migration stream version %u, not %u",
                                (guint)mose_wire_get(bytes + 4, 4), MOSE_VM_VERSION);
    return mose_reader_expect(reader, 1, step_first_kind);
}

/* Commands. */

/* Indexed by command. @len is what must follow; only with @taken MOSE takes it. */
static const struct {
    const char *name;
    guint len;
    gboolean taken;
} commands[MOSE_CMD_LAST + 1] = {
    [0] = { "INVALID" },
    [MOSE_CMD_OPEN_RETURN_PATH] = { "OPEN_RETURN_PATH", 0, TRUE },
    [MOSE_CMD_PING] = { "PING", 4, TRUE },
    [MOSE_CMD_POSTCOPY_ADVISE] = { "POSTCOPY_ADVISE", 16, TRUE },
    [MOSE_CMD_POSTCOPY_LISTEN] = { "POSTCOPY_LISTEN" },
    [MOSE_CMD_POSTCOPY_RUN] = { "POSTCOPY_RUN" },
    [MOSE_CMD_POSTCOPY_RAM_DISCARD] = { "POSTCOPY_RAM_DISCARD" },
    [MOSE_CMD_PACKAGED] = { "PACKAGED" },
    [MOSE_CMD_ENABLE_COLO] = { "ENABLE_COLO" },
    [MOSE_CMD_POSTCOPY_RESUME] = { "POSTCOPY_RESUME" },
    [MOSE_CMD_RECV_BITMAP] = { "RECV_BITMAP" },
    [MOSE_CMD_SWITCHOVER_START] = { "SWITCHOVER_START", 0, TRUE },
};

static gboolean
step_command_data(MoseReader *reader, const guint8 *bytes, GError **error)
{
    if (reader->command == MOSE_CMD_POSTCOPY_ADVISE) {
        reader->postcopy_sizes = mose_wire_get(bytes, 8);
        if (reader->ignore_shared || reader->mapped_ram)
            return mose_reader_fail(reader, MOSE_ERROR_UNSUPPORTED, error,
                                    "postcopy together with x-ignore-shared or "
                                    "mapped-ram");
    }
    return next_kind(reader);
}

static gboolean
step_command(MoseReader *reader, const guint8 *bytes, GError **error)
{
    guint command = (guint)mose_wire_get(bytes, 2);
    guint len = (guint)mose_wire_get(bytes + 2, 2);

    if (command > MOSE_CMD_LAST || command == 0)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error, "unknown command %u",
                                command);
    if (!commands[command].taken)
        return mose_reader_fail(reader, MOSE_ERROR_UNSUPPORTED, error,
                                "command %s is not supported", commands[command].name);
    reader->command = (guint16)command;
    if (command == MOSE_CMD_POSTCOPY_ADVISE)
        reader->info.postcopy_advised = TRUE;
    if (command == MOSE_CMD_OPEN_RETURN_PATH)
        reader->info.return_path = TRUE;
    /* Without postcopy-ram the announcement carries nothing. */
    if (len == 0 && command == MOSE_CMD_POSTCOPY_ADVISE)
        return next_kind(reader);
    if (len != commands[command].len)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "command %s with %u bytes, not %u",
                                commands[command].name, len, commands[command].len);
    return len == 0 ? next_kind(reader)
                    : mose_reader_expect(reader, len, step_command_data);
}

/* Sections. */

gboolean
mose_reader_step_footer(MoseReader *reader, const guint8 *bytes, GError **error)
{
    if (bytes[0] != MOSE_VM_FOOTER || mose_wire_get(bytes + 1, 4) != reader->ram_id)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "no footer where the records end");
    reader->ram_ended = reader->kind == MOSE_VM_SECTION_END;
    return next_kind(reader);
}

static gboolean
begin_ram(MoseReader *reader)
{
    reader->where = "section 'ram'";
    return mose_reader_expect(reader, 8, mose_reader_step_record);
}

/* Of START, and of FULL before RAM: name, instance, version. */
static gboolean
step_section_name(MoseReader *reader, const guint8 *bytes, GError **error)
{
    gsize len = reader->want - 8;
    guint instance = (guint)mose_wire_get(bytes + len, 4);
    guint version = (guint)mose_wire_get(bytes + len + 4, 4);
    g_autofree char *quoted = mose_reader_quote(bytes, len);

    if (reader->kind == MOSE_VM_SECTION_FULL)
        return mose_reader_fail(reader, MOSE_ERROR_UNSUPPORTED, error,
                                "section %s comes before RAM: not supported", quoted);
    if (strcmp(quoted, "'" MOSE_RAM_SECTION "'") != 0)
        return mose_reader_fail(reader, MOSE_ERROR_UNSUPPORTED, error,
                                "iterable section %s is not supported", quoted);
    if (reader->ram_started || instance != 0)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error, "a second section %s",
                                quoted);
    if (version != MOSE_RAM_VERSION)
        return mose_reader_fail(reader, MOSE_ERROR_UNSUPPORTED, error,
                                "version %u of section %s", version, quoted);
    reader->ram_started = TRUE;
    return begin_ram(reader);
}

static gboolean
step_section_start(MoseReader *reader, const guint8 *bytes, GError **error)
{
    reader->ram_id = (guint32)mose_wire_get(bytes, 4);
    if (bytes[4] == 0)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "a section without a name");
    return mose_reader_expect(reader, bytes[4] + 8u, step_section_name);
}

static gboolean
step_section_part(MoseReader *reader, const guint8 *bytes, GError **error)
{
    guint32 id = (guint32)mose_wire_get(bytes, 4);

    if (!reader->ram_started || reader->ram_ended || id != reader->ram_id)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "part of section %u, which is not open", id);
    return begin_ram(reader);
}

static gboolean
keep(MoseReader *reader, const guint8 *data, gsize len, GError **error)
{
    MoseDoc *doc;

    if (!mose_tail_push(reader->tail, data, len, &doc, error))
        return FALSE;
    if (doc) {
        reader->doc = doc;
        mose_doc_reserve_id(doc, reader->ram_id);
    }
    return TRUE;
}

/* The byte @bytes[0] is the first of the device part. */
static gboolean
begin_device_part(MoseReader *reader, const guint8 *bytes, GError **error)
{
    reader->info.device_offset = reader->offset;
    reader->tail = mose_tail_new(reader->offset);
    return keep(reader, bytes, 1, error);
}

gboolean
mose_reader_step_kind(MoseReader *reader, const guint8 *bytes, GError **error)
{
    gboolean in_configuration = reader->in_configuration;

    if (bytes[0] == MOSE_VM_SUBSECTION && in_configuration)
        return mose_reader_expect(reader, 1, mose_reader_step_subsection);
    reader->in_configuration = FALSE;
    reader->where = "section";
    reader->kind = bytes[0];
    switch (bytes[0]) {
    case MOSE_VM_COMMAND:
        reader->where = "command";
        return mose_reader_expect(reader, 4, step_command);
    case MOSE_VM_SECTION_START:
        return mose_reader_expect(reader, 5, step_section_start);
    case MOSE_VM_SECTION_PART:
    case MOSE_VM_SECTION_END:
        return mose_reader_expect(reader, 4, step_section_part);
    case MOSE_VM_SECTION_FULL:
        if (!reader->ram_ended)
            return mose_reader_expect(reader, 5, step_section_start);
        return begin_device_part(reader, bytes, error);
    case MOSE_VM_EOF:
        if (!reader->ram_ended)
            return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                    "end of the stream before the end of RAM");
        return begin_device_part(reader, bytes, error);
    default:
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "0x%02x where a section or command should begin",
                                bytes[0]);
    }
}

/* The machine. */

/* Pass over payload; returns how much of @len that is. */
static gsize
skip(MoseReader *reader, gsize len)
{
    gsize n = (gsize)MIN(reader->skip, len);

    reader->skip -= n;
    reader->offset += n;
    return n;
}

/* Give the step its bytes once they are together; *@ret_used is what was taken. */
static gboolean
advance(MoseReader *reader, const guint8 *data, gsize len, gsize *ret_used,
        GError **error)
{
    const guint8 *bytes = data;
    gsize want = reader->want, n = MIN(want - reader->n_partial, len);

    *ret_used = n;
    if (n < want) {
        memcpy(reader->partial + reader->n_partial, data, n);
        reader->n_partial += n;
        if (reader->n_partial < want)
            return TRUE;
        bytes = reader->partial;
    }
    reader->n_partial = 0;
    if (!reader->step(reader, bytes, error))
        return FALSE;
    reader->offset += want;
    return TRUE;
}

/* What comes before the device part; *@ret_used is how much of @len that was, and the
 * device part's first byte, which tells it, is not counted in *@ret_pass. */
static gboolean
run(MoseReader *reader, const guint8 *data, gsize len, gsize *ret_used, gsize *ret_pass,
    GError **error)
{
    gsize at = 0;

    while (at < len && !reader->tail) {
        gsize used;

        *ret_pass = at;
        if (reader->skip > 0)
            used = skip(reader, len - at);
        else if (!advance(reader, data + at, len - at, &used, error))
            return FALSE;
        at += used;
    }
    if (!reader->tail)
        *ret_pass = at;
    *ret_used = at;
    return TRUE;
}

gboolean
mose_reader_push(MoseReader *reader, const guint8 *data, gsize len, gsize *ret_pass,
                 GError **error)
{
    gsize used;

    *ret_pass = 0;
    if (reader->failed)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error, "failed before");
    if (!run(reader, data, len, &used, ret_pass, error) ||
        (reader->tail && !keep(reader, data + used, len - used, error))) {
        reader->failed = TRUE;
        return FALSE;
    }
    reader->info.length += len;
    return TRUE;
}

MoseDoc *
mose_reader_doc(const MoseReader *reader)
{
    return reader->failed ? NULL : reader->doc;
}

const MoseStreamInfo *
mose_reader_info(const MoseReader *reader)
{
    return &reader->info;
}

gboolean
mose_reader_finish(MoseReader *reader, GError **error)
{
    if (reader->failed)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error, "failed before");
    if (reader->doc)
        return TRUE;
    reader->failed = TRUE;
    if (reader->tail) {
        mose_tail_explain(reader->tail, error);
        return FALSE;
    }
    reader->offset += reader->n_partial;
    return mose_reader_fail(reader, MOSE_ERROR_STREAM, error, "truncated");
}
