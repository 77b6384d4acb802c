/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose write: some bytes of a guest's memory. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/table.h"
#include "cli/target.h"
#include "util/error.h"
#include "util/json.h"
#include "vmi/linux/task-write.h"

static MoseTargetOptions target_options = { .cpu = -1, .change = TRUE };
static char *text, *file, *expect;
static gboolean shared;

static const GOptionEntry entries[] = {
    MOSE_TARGET_ENTRIES(target_options),
    { "text", 0, 0, G_OPTION_ARG_STRING, &text, "write TEXT, without a NUL", "TEXT" },
    { "file", 0, 0, G_OPTION_ARG_FILENAME, &file, "write what is in FILE", "FILE" },
    { "expect", 0, 0, G_OPTION_ARG_STRING, &expect,
      "only if these bytes are there before", "HEX" },
    { "shared", 0, 0, G_OPTION_ARG_NONE, &shared,
      "with --pid: also pages that it may not write, which others may share", NULL },
    { NULL },
};

/* Hexadecimal digits, with spaces where one likes. */
static GBytes *
parse_hex(const char *word, GError **error)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    int high = -1;

    for (const char *at = word; *at; at++) {
        int digit = g_ascii_xdigit_value(*at);
        guint8 byte;

        if (g_ascii_isspace(*at) && high < 0)
            continue;
        if (digit < 0)
            break;
        if (high < 0) {
            high = digit;
            continue;
        }
        byte = high << 4 | digit;
        g_byte_array_append(bytes, &byte, 1);
        high = -1;
    }
    if (bytes->len > 0 && high < 0 &&
        word[strspn(word, "0123456789abcdefABCDEF \t\n")] == '\0')
        return g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "'%.40s' is not bytes in hexadecimal digits, two each", word);
    return NULL;
}

static GBytes *
read_file(GError **error)
{
    char *contents;
    gsize len;

    if (g_file_get_contents(file, &contents, &len, error))
        return g_bytes_new_take(contents, len);
    return NULL;
}

static GBytes *
find_bytes(const char *hex, GError **error)
{
    if (text)
        return g_bytes_new(text, strlen(text));
    return file ? read_file(error) : parse_hex(hex, error);
}

/* --- writing --- */

typedef struct {
    MoseTarget target;
    guint64 address;
    GBytes *bytes, *expect;
    MoseWritten written;
} Writing;

static gboolean
do_write(Writing *writing, GError **error)
{
    MoseTarget *target = &writing->target;
    gsize len, expect_len = 0;
    const guint8 *bytes = g_bytes_get_data(writing->bytes, &len);
    const guint8 *wanted =
        writing->expect ? g_bytes_get_data(writing->expect, &expect_len) : NULL;
    MoseWrite write = { .space = target->space,
                        .address = writing->address,
                        .bytes = bytes,
                        .len = len,
                        .expect = wanted,
                        .expect_len = expect_len };

    if (target->task)
        return mose_task_write(target->look.guest, target->look.kernel, target->task,
                               target->space, writing->address, bytes, len, wanted,
                               expect_len, shared, &writing->written, error);
    return mose_vmi_write(target->look.guest, target->look.memory, &write,
                          &writing->written, error);
}

static gboolean
run(Writing *writing, char **argv, GError **error)
{
    const char *const places[] = { argv[2], NULL };

    writing->bytes = find_bytes(argv[3], error);
    if (!writing->bytes || (expect && !(writing->expect = parse_hex(expect, error))) ||
        !mose_target_open(&writing->target, argv[1], &target_options, FALSE, places,
                          error))
        return FALSE;
    mose_target_note(&writing->target);
    return mose_target_place(&writing->target, argv[2], &writing->address, NULL,
                             error) &&
           do_write(writing, error);
}

static void
report(const Writing *writing)
{
    const MoseWritten *written = &writing->written;
    gsize len = g_bytes_get_size(writing->bytes);
    g_autofree char *of = mose_target_describe(&writing->target);
    g_autoptr(JsonObject) object = NULL;
    g_autofree char *json = NULL;

    if (!mose_cli_json()) {
        printf("guest %s: %s%" G_GSIZE_FORMAT " bytes at 0x%" G_GINT64_MODIFIER
               "x (%s)%s\n",
               writing->target.look.name, written->unchanged ? "" : "wrote ", len,
               writing->address, of, written->unchanged ? " are there already" : "");
        return;
    }
    object = mose_json_object("guest", "s", writing->target.look.name, "space", "s", of,
                              "length", "i", (gint64)len, "unchanged", "b",
                              written->unchanged, "by", "s",
                              written->by_stub ? "gdb stub" : "memory", "stopped-us",
                              "i", written->stop_us, NULL);
    mose_table_set_hex(object, "address", writing->address);
    json = mose_json_text(object, TRUE);
    puts(json);
}

int
mose_cmd_write(int argc, char **argv)
{
    Writing writing = { 0 };
    g_autoptr(GError) error = NULL;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 2, 3, &ret))
        return ret;
    if ((argc == 4) + (text != NULL) + (file != NULL) != 1) {
        fprintf(stderr, "mose write: what? bytes in hex, --text or --file\n");
        return MOSE_EXIT_USAGE;
    }
    if (!mose_target_check("write", &target_options))
        return MOSE_EXIT_USAGE;
    /* It is done in milliseconds, in which the guest stands still: neither Ctrl-C nor
     * Ctrl-Z comes in between. */
    mose_cli_catch_interrupts();
    if (run(&writing, argv, &error)) {
        report(&writing);
        ret = MOSE_EXIT_DONE;
    } else {
        ret = mose_look_fail(&writing.target.look, error);
    }
    mose_target_clear(&writing.target);
    g_clear_pointer(&writing.bytes, g_bytes_unref);
    g_clear_pointer(&writing.expect, g_bytes_unref);
    return ret;
}
