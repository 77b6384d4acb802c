/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mose dmesg: a guest's kernel log, from outside; which records of it, and how they are
 * shown. How new ones are waited for: dmesg-follow.c. */
#include "cli/dmesg.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "util/json.h"

static gboolean follow, raw, callers;
static char *level_words, *facility_words;
static gint64 first_seq;

static const GOptionEntry entries[] = {
    { "follow", 'w', 0, G_OPTION_ARG_NONE, &follow,
      "go on with new records as they come, until Ctrl-C", NULL },
    { "raw", 'r', 0, G_OPTION_ARG_NONE, &raw, "with <N> of facility and level", NULL },
    { "level", 'l', 0, G_OPTION_ARG_STRING, &level_words,
      "these alone: emerg,alert,crit,err,warn,notice,info,debug; err+: and graver",
      "LIST" },
    { "facility", 'f', 0, G_OPTION_ARG_STRING, &facility_words,
      "these alone: kern,user,mail,daemon,auth,syslog,...", "LIST" },
    { "callers", 0, 0, G_OPTION_ARG_NONE, &callers,
      "the thread (T) or CPU (C) that wrote it", NULL },
    { "from", 0, 0, G_OPTION_ARG_INT64, &first_seq,
      "begin at the record with this number", "SEQ" },
    { NULL },
};

/* Linux include/linux/kern_levels.h; syslog(3)'s names, as dmesg(1) has them */
static const char *const level_names[] = { "emerg", "alert",  "crit", "err",
                                           "warn",  "notice", "info", "debug" };
static const char *const facility_names[] = {
    "kern",   "user",   "mail",     "daemon", "auth",   "syslog", "lpr",    "news",
    "uucp",   "cron",   "authpriv", "ftp",    "res0",   "res1",   "res2",   "res3",
    "local0", "local1", "local2",   "local3", "local4", "local5", "local6", "local7",
};

/* --- which are wanted --- */

static guint32 levels, facilities; /* bits */

static int
index_of(const char *word, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(word, names[i]) == 0)
            return i;
    return -1;
}

/* A '+' behind a level: it and all graver ones; before it: it and all lesser ones, as
 * dmesg(1) of util-linux has them. */
static gboolean
parse_list(const char *list, const char *const *names, int n, gboolean ordered,
           guint32 *ret)
{
    g_auto(GStrv) words = g_strsplit(list, ",", -1);

    *ret = 0;
    for (char **word = words; *word; word++) {
        gsize len = strlen(*word);
        gboolean lesser = ordered && **word == '+';
        gboolean graver = ordered && !lesser && len > 0 && (*word)[len - 1] == '+';
        int i;

        if (graver)
            (*word)[len - 1] = '\0';
        i = index_of(*word + lesser, names, n);
        if (i < 0) {
            fprintf(stderr, "%s: '%s' is no %s\n", g_get_prgname(), *word,
                    ordered ? "level" : "facility");
            return FALSE;
        }
        for (int k = graver ? 0 : i; k <= (lesser ? n - 1 : i); k++)
            *ret |= 1u << k;
    }
    return TRUE;
}

static gboolean
parse_lists(void)
{
    levels = facilities = G_MAXUINT32;
    return (!level_words || parse_list(level_words, level_names,
                                       G_N_ELEMENTS(level_names), TRUE, &levels)) &&
           (!facility_words ||
            parse_list(facility_words, facility_names, G_N_ELEMENTS(facility_names),
                       FALSE, &facilities));
}

static gboolean
is_wanted(const MosePrintkRecord *record)
{
    /* Beyond those with a name, as /dev/kmsg lets a process write. */
    guint32 facility =
        record->facility < 32 ? 1u << record->facility : facilities == G_MAXUINT32;

    return levels >> record->level & 1 && facilities & facility;
}

/* --- how they are shown --- */

static char *
caller_of(const MosePrintkRecord *record)
{
    return g_strdup_printf("%c%" G_GINT64_FORMAT,
                           record->caller_id >> 31 & 1 ? 'C' : 'T',
                           record->caller_id & G_MAXINT32);
}

static JsonObject *
to_json(const MosePrintkRecord *record)
{
    JsonObject *row = mose_json_object(
        "seq", "i", (gint64)record->seq, "ts_nsec", "i", (gint64)record->ts_nsec,
        "facility", "i", (gint64)record->facility, "level", "i", (gint64)record->level,
        "text", "s", record->text, NULL);
    JsonArray *dictionary;

    if (record->caller_id >= 0) {
        g_autofree char *caller = caller_of(record);

        json_object_set_string_member(row, "caller", caller);
    }
    if (record->comm)
        json_object_set_string_member(row, "comm", record->comm);
    if (record->partial)
        json_object_set_boolean_member(row, "partial", TRUE);
    if (!record->dictionary)
        return row;
    dictionary = json_array_new();
    for (char **word = record->dictionary; *word; word++)
        json_array_add_string_element(dictionary, *word);
    json_object_set_array_member(row, "dictionary", dictionary);
    return row;
}

/* As the kernel does it: each line of a record begins alike (kernel/printk/printk.c:
 * record_print_text). */
static void
print_text(const MosePrintkRecord *record)
{
    g_auto(GStrv) lines = g_strsplit(record->text, "\n", -1);
    static char *const no_text[] = { (char *)"", NULL };

    for (char *const *line = *lines ? lines : no_text; *line; line++) {
        if (raw)
            printf("<%u>", record->facility << 3 | record->level);
        printf("[%5" G_GUINT64_FORMAT ".%06u]", record->ts_nsec / 1000000000,
               (guint)(record->ts_nsec % 1000000000 / 1000));
        if (callers && record->caller_id >= 0) {
            g_autofree char *caller = caller_of(record);

            printf("[%8s]", caller);
        }
        printf(" %s\n", *line);
    }
}

void
mose_dmesg_show(const MosePrintkRecord *record)
{
    g_autoptr(JsonObject) row = NULL;
    g_autofree char *text = NULL;

    if (!is_wanted(record))
        return;
    if (!mose_cli_json()) {
        print_text(record);
        return;
    }
    row = to_json(record);
    text = mose_json_text(row, FALSE);
    puts(text);
}

static void
print_json(const MosePrintkLog *log, guint retries)
{
    JsonArray *records = json_array_new();
    g_autoptr(JsonObject) object = mose_json_object(
        "records", "a", records, "unfinished", "i", (gint64)log->unfinished, "lost",
        "i", (gint64)log->lost, "retries", "i", (gint64)retries, NULL);
    g_autofree char *text = NULL;

    for (guint i = 0; i < log->records->len; i++)
        if (is_wanted(log->records->pdata[i]))
            json_array_add_object_element(records, to_json(log->records->pdata[i]));
    text = mose_json_text(object, TRUE);
    puts(text);
}

static void
print_all(const MosePrintkLog *log)
{
    for (guint i = 0; i < log->records->len; i++)
        mose_dmesg_show(log->records->pdata[i]);
    if (log->unfinished)
        fprintf(stderr, "%s: %u more are just being written\n", g_get_prgname(),
                log->unfinished);
    if (log->lost)
        fprintf(stderr, "%s: %u more have lost their text\n", g_get_prgname(),
                log->lost);
}

int
mose_cmd_dmesg(int argc, char **argv)
{
    g_auto(MoseLook) look = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(MosePrintkLog) log = NULL;
    guint retries;
    int ret;

    if (!mose_cli_parse(&argc, &argv, entries, 1, 1, &ret))
        return ret;
    if (!parse_lists())
        return MOSE_EXIT_USAGE;
    if (follow && strchr(argv[1], '/')) {
        fprintf(stderr, "%s: nothing is added to a core file\n", g_get_prgname());
        return MOSE_EXIT_USAGE;
    }
    if (follow)
        return mose_dmesg_follow(argv[1], MAX(first_seq, 0));
    if (!mose_look_open_linux(&look, argv[1], &error) ||
        !(log = mose_printk_read(look.kernel, MAX(first_seq, 0), &retries, &error)))
        return mose_look_fail(&look, error);
    if (mose_cli_json())
        print_json(log, retries);
    else
        print_all(log);
    return MOSE_EXIT_DONE;
}
