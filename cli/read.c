/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose read: a guest's memory, in several forms. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/read-show.h"
#include "cli/table.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"
#include "vmi/disassemble.h"

/* What is shown is held in memory as a whole; --raw is not. */
#define MAX_SHOWN ((guint64)256 << 20)
#define PIECE ((gsize)1 << 20)
enum { LEN_HEX = 256, LEN_CODE = 64, LEN_WORDS = 128, LEN_STRINGS = 4096 };

static MoseTargetOptions target_options = { .cpu = -1 };
static gboolean strings, code, words, raw, pages;
static int min_length = 4;
static char *output;

static const GOptionEntry entries[] = {
    MOSE_TARGET_ENTRIES(target_options),
    { "strings", 's', 0, G_OPTION_ARG_NONE, &strings, "text in it", NULL },
    { "min", 0, 0, G_OPTION_ARG_INT, &min_length,
      "with --strings: characters that make one (4)", "N" },
    { "disassemble", 'd', 0, G_OPTION_ARG_NONE, &code, "instructions", NULL },
    { "bits", 0, 0, G_OPTION_ARG_INT, &target_options.bits,
      "with --disassemble: 16, 32 or 64 instead of what runs there", "N" },
    { "words", 'w', 0, G_OPTION_ARG_NONE, &words, "words of 8 bytes, with symbols",
      NULL },
    { "pages", 0, 0, G_OPTION_ARG_NONE, &pages, "how the address translates", NULL },
    { "raw", 0, 0, G_OPTION_ARG_NONE, &raw, "the bytes themselves", NULL },
    { "output", 'o', 0, G_OPTION_ARG_FILENAME, &output,
      "with --raw: write them to FILE", "FILE" },
    { NULL },
};

typedef struct {
    MoseTarget target;
    guint64 address, len;
    MoseShow show;
    JsonObject *object;
} Reading;

static gboolean
find_show(MoseShow *ret)
{
    raw = raw || output;
    if (strings + code + words + raw + pages > 1)
        fprintf(stderr, "mose read: one form at a time\n");
    else if (raw && mose_cli_json())
        fprintf(stderr, "mose read: --raw is not JSON\n");
    else if (pages && target_options.physical)
        fprintf(stderr, "mose read: physical addresses are not translated\n");
    else if (min_length < 1 || min_length > 4096)
        fprintf(stderr, "mose read: --min takes 1 to 4096\n");
    else {
        *ret = strings ? MOSE_SHOW_STRINGS
               : code  ? MOSE_SHOW_CODE
               : words ? MOSE_SHOW_WORDS
               : raw   ? MOSE_SHOW_RAW
               : pages ? MOSE_SHOW_PAGES
                       : MOSE_SHOW_HEX;
        return TRUE;
    }
    return FALSE;
}

/* --- how much --- */

static guint64
usual_length(MoseShow show, guint64 symbol_size)
{
    switch (show) {
    case MOSE_SHOW_CODE:
        return symbol_size && symbol_size <= 65536 ? symbol_size : LEN_CODE;
    case MOSE_SHOW_WORDS:
        return LEN_WORDS;
    case MOSE_SHOW_STRINGS:
        return LEN_STRINGS;
    case MOSE_SHOW_PAGES:
        return 1;
    default:
        return symbol_size && symbol_size < LEN_HEX ? symbol_size : LEN_HEX;
    }
}

/* A number of bytes, with K, M or G. */
static gboolean
parse_length(const char *word, guint64 *ret)
{
    char *end;
    guint64 unit = 1;
    gboolean hex = g_str_has_prefix(word, "0x");

    *ret = g_ascii_strtoull(word, &end, hex ? 16 : 10);
    if (!g_ascii_isdigit(*word) || end == word)
        return FALSE;
    if (*end == 'K' || *end == 'M' || *end == 'G') {
        unit = *end == 'K' ? 1 << 10 : *end == 'M' ? 1 << 20 : 1 << 30;
        end++;
    }
    if (*end != '\0' || *ret == 0 || *ret > G_MAXINT64 / unit)
        return FALSE;
    *ret *= unit;
    return TRUE;
}

static gboolean
find_place(Reading *reading, const char *place, const char *length, GError **error)
{
    guint64 size;

    if (!mose_target_place(&reading->target, place, &reading->address, &size, error))
        return FALSE;
    reading->len = usual_length(reading->show, size);
    if (length && !parse_length(length, &reading->len)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s is no length: bytes, or with K, M or G", length);
        return FALSE;
    }
    if (reading->show == MOSE_SHOW_RAW || reading->len <= MAX_SHOWN)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "%s is more than is shown at once (%" G_GUINT64_FORMAT
                " MB): write it to a file with --output",
                length, MAX_SHOWN >> 20);
    return FALSE;
}

/* --- raw --- */

static gboolean
write_all(int fd, const guint8 *bytes, gsize len, GError **error)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n < 0) {
            mose_error_set_errno(error, errno, "cannot write %s",
                                 output ? output : "to standard output");
            return FALSE;
        }
        bytes += n;
        len -= n;
    }
    return TRUE;
}

/* What comes before a failure is written. */
static gboolean
copy(Reading *reading, int fd, GError **error)
{
    g_autofree guint8 *piece = g_malloc(PIECE);

    for (guint64 at = 0; at < reading->len;) {
        g_autoptr(GError) cause = NULL;
        gsize got = 0;

        mose_target_read(&reading->target, reading->address + at, piece,
                         MIN(PIECE, reading->len - at), &got, &cause);
        if (!write_all(fd, piece, got, error))
            return FALSE;
        if (cause) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        }
        at += got;
    }
    return TRUE;
}

static gboolean
read_raw(Reading *reading, GError **error)
{
    g_auto(MoseFd) fd = MOSE_FD_NONE;
    gboolean good;

    if (!output)
        return copy(reading, STDOUT_FILENO, error);
    fd = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        mose_error_set_errno(error, errno, "cannot write %s", output);
        return FALSE;
    }
    good = copy(reading, fd, error);
    if (close(mose_fd_steal(&fd)) < 0 && good) {
        mose_error_set_errno(error, errno, "cannot write %s", output);
        return FALSE;
    }
    return good;
}

/* --- shown --- */

static gboolean
show(Reading *reading, const guint8 *bytes, gsize got, GError **error)
{
    guint64 len = MIN(got, reading->len);

    switch (reading->show) {
    case MOSE_SHOW_STRINGS:
        mose_show_strings(reading->address, bytes, len, min_length, reading->object);
        return TRUE;
    case MOSE_SHOW_WORDS:
        mose_show_words(&reading->target, reading->address, bytes, len,
                        reading->object);
        return TRUE;
    case MOSE_SHOW_CODE:
        return mose_show_code(&reading->target, reading->address, bytes, got, len,
                              reading->object, error);
    default:
        mose_show_hex(reading->address, bytes, len, reading->object);
        return TRUE;
    }
}

/* What lies behind the wanted bytes is only for the last instruction, and may not be
 * there. */
static gboolean
read_shown(Reading *reading, GError **error)
{
    gsize len = reading->len + (code ? MOSE_MAX_INSTRUCTION : 0), got = 0;
    g_autofree guint8 *bytes = g_malloc(len);
    g_autoptr(GError) cause = NULL;

    mose_target_read(&reading->target, reading->address, bytes, len, &got, &cause);
    json_object_set_int_member(reading->object, "length",
                               (gint64)MIN(got, reading->len));
    if (!show(reading, bytes, got, error))
        return FALSE;
    if (got >= reading->len)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

/* --- the command --- */

static void
begin_object(Reading *reading)
{
    g_autofree char *of = mose_target_describe(&reading->target);

    reading->object = mose_json_object("space", "s", of, NULL);
    mose_table_set_hex(reading->object, "address", reading->address);
    if (reading->target.no_linux)
        json_object_set_string_member(reading->object, "no-linux",
                                      reading->target.no_linux->message);
}

/* What was read is told even where it ended too early; then why. */
static int
report(Reading *reading, const GError *error)
{
    g_autofree char *text = NULL;

    fflush(stdout);
    if (!mose_cli_json() || !reading->object)
        return error ? mose_look_fail(&reading->target.look, error) : MOSE_EXIT_DONE;
    if (error)
        json_object_set_object_member(reading->object, "error",
                                      mose_cli_error_json(error, NULL));
    text = mose_json_text(reading->object, TRUE);
    puts(text);
    return error ? MOSE_EXIT_FAILED : MOSE_EXIT_DONE;
}

static gboolean
run(Reading *reading, GError **error)
{
    begin_object(reading);
    if (reading->show == MOSE_SHOW_RAW)
        return read_raw(reading, error);
    if (reading->show != MOSE_SHOW_PAGES)
        return read_shown(reading, error);
    mose_show_pages(&reading->target, reading->address, reading->object);
    return TRUE;
}

static int
run_and_report(Reading *reading, char **argv)
{
    g_autoptr(GError) error = NULL;
    const char *const places[] = { argv[2], NULL };
    gboolean symbols = code || words;

    if (mose_target_open(&reading->target, argv[1], &target_options, symbols, places,
                         &error)) {
        mose_target_note(&reading->target);
        if (find_place(reading, argv[2], argv[3], &error))
            run(reading, &error);
    }
    return report(reading, error);
}

int
mose_cmd_read(int argc, char **argv)
{
    Reading reading = { 0 };
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 2, 3, &ret))
        return ret;
    if (!find_show(&reading.show) || !mose_target_check("read", &target_options))
        return MOSE_EXIT_USAGE;
    ret = run_and_report(&reading, argv);
    mose_target_clear(&reading.target);
    g_clear_pointer(&reading.object, json_object_unref);
    return ret;
}
