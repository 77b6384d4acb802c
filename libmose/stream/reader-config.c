/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration: machine type and subsections (savevm.c:vmstate_configuration).
 * Its capabilities change how RAM is laid out, so unknown ones are refused.
 */
#include <string.h>

#include "stream/format.h"
#include "stream/reader-private.h"
#include "stream/wire.h"

static gboolean step_capability_length(MoseReader *reader, const guint8 *bytes,
                                       GError **error);

static gboolean
next_kind(MoseReader *reader)
{
    return mose_reader_expect(reader, 1, mose_reader_step_kind);
}

static gboolean
step_machine(MoseReader *reader, const guint8 *bytes, GError **error)
{
    g_autofree char *quoted = mose_reader_quote(bytes, reader->want);

    for (gsize i = 0; i < reader->want; i++) {
        if (!g_ascii_isgraph(bytes[i]))
            return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                    "%s is no machine type", quoted);
    }
    reader->info.machine = g_strndup((const char *)bytes, reader->want);
    reader->in_configuration = TRUE;
    return next_kind(reader);
}

gboolean
mose_reader_step_machine_length(MoseReader *reader, const guint8 *bytes, GError **error)
{
    guint32 len = (guint32)mose_wire_get(bytes, 4);

    if (len == 0 || len > MOSE_MAX_MACHINE_NAME)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "a machine type of %u bytes", len);
    return mose_reader_expect(reader, len, step_machine);
}

static gboolean
step_page_bits(MoseReader *reader, const guint8 *bytes, GError **error)
{
    reader->info.page_bits = (guint32)mose_wire_get(bytes, 4);
    if (reader->info.page_bits != MOSE_PAGE_BITS)
        return mose_reader_fail(reader, MOSE_ERROR_UNSUPPORTED, error,
                                "pages of 2^%u bytes: not an x86-64 guest",
                                reader->info.page_bits);
    return next_kind(reader);
}

static gboolean
step_uuid(MoseReader *reader, const guint8 *bytes, GError **error)
{
    GString *text = g_string_new(NULL);

    for (gsize i = 0; i < 16; i++)
        g_string_append_printf(
            text, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", bytes[i]);
    g_free(reader->info.uuid);
    reader->info.uuid = g_string_free(text, FALSE);
    return next_kind(reader);
}

static gboolean
next_capability(MoseReader *reader)
{
    if (reader->n_capabilities-- == 0)
        return next_kind(reader);
    return mose_reader_expect(reader, 1, step_capability_length);
}

static gboolean
step_capability(MoseReader *reader, const guint8 *bytes, GError **error)
{
    g_autofree char *quoted = mose_reader_quote(bytes, reader->want);

    if (strcmp(quoted, "'x-ignore-shared'") == 0)
        reader->ignore_shared = TRUE;
    else if (strcmp(quoted, "'mapped-ram'") == 0)
        reader->mapped_ram = TRUE;
    else
        return mose_reader_fail(reader, MOSE_ERROR_UNSUPPORTED, error,
                                "unknown capability %s", quoted);
    g_ptr_array_add(reader->info.capabilities,
                    g_strndup((const char *)bytes, reader->want));
    return next_capability(reader);
}

static gboolean
step_capability_length(MoseReader *reader, const guint8 *bytes, GError **error)
{
    if (bytes[0] == 0)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error,
                                "a capability without a name");
    return mose_reader_expect(reader, bytes[0], step_capability);
}

static gboolean
step_capability_count(MoseReader *reader, const guint8 *bytes, GError **error)
{
    reader->n_capabilities = (guint32)mose_wire_get(bytes, 4);
    if (reader->n_capabilities > MOSE_MAX_CAPABILITIES)
        return mose_reader_fail(reader, MOSE_ERROR_STREAM, error, "%u capabilities",
                                reader->n_capabilities);
    return next_capability(reader);
}

static const struct {
    const char *name;
    gsize want;
    MoseReaderStep step;
} subsections[] = {
    { "'configuration/target-page-bits'", 4, step_page_bits },
    { "'configuration/capabilities'", 4, step_capability_count },
    { "'configuration/uuid'", 16, step_uuid },
};

static gboolean
step_subsection_name(MoseReader *reader, const guint8 *bytes, GError **error)
{
    g_autofree char *quoted = mose_reader_quote(bytes, reader->want - 4);
    guint version = (guint)mose_wire_get(bytes + reader->want - 4, 4);

    for (gsize i = 0; i < G_N_ELEMENTS(subsections); i++) {
        if (strcmp(quoted, subsections[i].name) != 0)
            continue;
        if (version != 1)
            return mose_reader_fail(reader, MOSE_ERROR_UNSUPPORTED, error,
                                    "version %u of subsection %s", version, quoted);
        return mose_reader_expect(reader, subsections[i].want, subsections[i].step);
    }
    return mose_reader_fail(reader, MOSE_ERROR_UNSUPPORTED, error,
                            "unknown subsection %s", quoted);
}

gboolean
mose_reader_step_subsection(MoseReader *reader, const guint8 *bytes, GError **error)
{
    return mose_reader_expect(reader, bytes[0] + 4u, step_subsection_name);
}
