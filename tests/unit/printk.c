/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * printk's ring buffers made out: what was written and is still there is told, whatever
 * goes round; nothing of what changes, is not finished, or is broken.
 */
#include <string.h>

#include "lib/printk-ring.h"
#include "util/error.h"

static const MosePrintkRecord *
nth(const MosePrintkLog *log, guint n)
{
    g_assert_cmpuint(n, <, log->records->len);
    return log->records->pdata[n];
}

static char *
text_of(guint n)
{
    GString *text = g_string_new(NULL);

    g_string_append_printf(text, "%u ", n);
    for (guint i = 0; i < n * 7 % 90; i++)
        g_string_append_c(text, 'a' + i % 26);
    return g_string_free(text, FALSE);
}

/* The last records without a hole, up to number @end, each as it was written. */
static void
assert_written(const MosePrintkLog *log, guint64 end)
{
    guint n = log->records->len;

    for (guint i = 0; i < n; i++) {
        const MosePrintkRecord *record = nth(log, i);
        g_autofree char *text = text_of(record->seq);

        g_assert_cmpuint(record->seq, ==, end - n + i);
        g_assert_cmpuint(record->ts_nsec, ==, record->seq * 1000);
        g_assert_cmpstr(record->text, ==, text);
    }
}

/* --- the structured one --- */

static void
test_empty(void)
{
    g_autofree Prb *prb = prb_new();
    g_autoptr(MosePrintkLog) log = prb_parse(prb, 0);

    g_assert_cmpuint(log->records->len, ==, 0);
    g_assert_cmpuint(log->unfinished, ==, 0);
    g_assert_cmpuint(log->lost, ==, 0);
}

/* As many as descriptors do not overflow: count them by their states. */
static guint
count_readable(const Prb *prb)
{
    guint n = 0;

    for (guint i = 0; i < PRB_COUNT; i++)
        n += prb_get(prb->descs, i, 0) >> 62 == 2;
    return n;
}

static void
go_round(gboolean fits_exactly)
{
    g_autofree Prb *prb = prb_new();
    guint most = 0;

    prb->fits_exactly = fits_exactly;
    for (guint i = 0; i < 1000; i++) {
        g_autofree char *text = text_of(i);
        g_autoptr(MosePrintkLog) log = NULL;

        prb_write(prb, text, strlen(text));
        log = prb_parse(prb, 0);
        g_assert_cmpuint(log->records->len, ==, count_readable(prb));
        g_assert_cmpuint(log->lost, ==, 0);
        assert_written(log, i + 1);
        most = MAX(most, log->records->len);
    }
    g_assert_cmpuint(most, >, 8);
}

static void
test_round(void)
{
    go_round(FALSE);
    go_round(TRUE);
}

/* A text that ends where the ring does; before 6.19 it went to the beginning. */
static void
test_fits_exactly(void)
{
    for (int fits = 0; fits < 2; fits++) {
        g_autofree Prb *prb = prb_new();
        g_autofree char *half = g_strnfill(PRB_SIZE / 2 - 8, 'h');
        g_autoptr(MosePrintkLog) log = NULL;

        prb->fits_exactly = fits;
        prb_write(prb, half, strlen(half));
        prb_write(prb, half, strlen(half));
        log = prb_parse(prb, 0);
        g_assert_cmpuint(log->records->len, ==, fits ? 2 : 1);
        g_assert_cmpstr(nth(log, fits)->text, ==, half);
    }
}

static void
test_members(void)
{
    g_autofree Prb *prb = prb_new();
    guint index = prb_write(prb, "one\ntwo\n\tthree \\_SB_ \033\377", 23);
    g_autoptr(MosePrintkLog) log = NULL;
    const MosePrintkRecord *record;

    memcpy(prb_info(prb, index) + 20, "\x05\0\0\x80", 4);
    strcpy((char *)prb_info(prb, index) + 24, "pci");
    memset(prb_info(prb, index) + 40, 'd', 48); /* no NUL */
    log = prb_parse(prb, 0);
    record = nth(log, 0);
    g_assert_cmpstr(record->text, ==, "one\ntwo\n\tthree \\_SB_ \\x1b\\xff");
    g_assert_cmpuint(record->facility, ==, 1);
    g_assert_cmpuint(record->level, ==, 6);
    g_assert_cmpint(record->caller_id, ==, 0x80000005);
    g_assert_cmpstr(record->dictionary[0], ==, "SUBSYSTEM=pci");
    g_assert_true(g_str_has_prefix(record->dictionary[1], "DEVICE=ddd"));
    g_assert_cmpuint(strlen(record->dictionary[1]), ==, strlen("DEVICE=") + 48);
    g_assert_null(record->dictionary[2]);
    g_assert_null(record->comm);
}

static void
test_without_text(void)
{
    g_autofree Prb *prb = prb_new();
    guint index;
    g_autoptr(MosePrintkLog) log = NULL;

    prb_write(prb, "", 0);
    index = prb_write(prb, "", 0);
    prb_set(prb->descs, index, 1, 1); /* FAILED_LPOS: there was no room */
    prb_set(prb->descs, index, 2, 1);
    log = prb_parse(prb, 0);
    g_assert_cmpuint(log->records->len, ==, 1);
    g_assert_cmpstr(nth(log, 0)->text, ==, "");
    g_assert_cmpuint(log->lost, ==, 1);
}

static Prb *
with_three(void)
{
    Prb *prb = prb_new();

    for (guint i = 0; i < 3; i++) {
        g_autofree char *text = text_of(i);

        prb_write(prb, text, strlen(text));
    }
    return prb;
}

static void
assert_seqs(const MosePrintkLog *log, const char *expected)
{
    g_autoptr(GString) seqs = g_string_new(NULL);

    for (guint i = 0; i < log->records->len; i++)
        g_string_append_printf(seqs, "%u ", (guint)nth(log, i)->seq);
    g_assert_cmpstr(seqs->str, ==, expected);
}

static void
test_since(void)
{
    g_autofree Prb *prb = with_three();
    g_autoptr(MosePrintkLog) some = prb_parse(prb, 1), none = prb_parse(prb, 3);

    assert_seqs(some, "1 2 ");
    assert_seqs(none, "");
}

static void
test_states(void)
{
    g_autofree Prb *prb = with_three();
    g_autoptr(MosePrintkLog) written = NULL, partial = NULL, gone = NULL;

    prb_set_state(prb, 1, 0);
    written = prb_parse(prb, 0);
    assert_seqs(written, "0 2 ");
    g_assert_cmpuint(written->unfinished, ==, 1);
    prb_set_state(prb, 1, 1);
    partial = prb_parse(prb, 0);
    assert_seqs(partial, "0 1 2 ");
    g_assert_true(nth(partial, 1)->partial);
    g_assert_false(nth(partial, 2)->partial);
    prb_set_state(prb, 1, 3);
    gone = prb_parse(prb, 0);
    assert_seqs(gone, "0 2 ");
    g_assert_cmpuint(gone->unfinished + gone->lost, ==, 0);
}

/* What the kernel did while the copy was made. */
static void
test_meanwhile(void)
{
    g_autofree Prb *prb = with_three();
    guint8 then[sizeof(prb->descs)];
    g_autoptr(MosePrintkLog) overwritten = NULL, finished = NULL, newer = NULL;

    memcpy(then, prb->descs, sizeof(then));
    prb->copy.descs_then = then;
    prb_set(then, 0, 0, prb_get(then, 0, 0) | (guint64)3 << 62);
    prb_set(then, 1, 0, prb_get(then, 1, 0) + PRB_COUNT);
    overwritten = prb_parse(prb, 0);
    assert_seqs(overwritten, "2 ");
    /* continued to another place; finished only */
    memcpy(then, prb->descs, sizeof(then));
    prb_set(then, 0, 2, prb_get(then, 0, 2) + 8);
    prb_set_state(prb, 1, 1);
    finished = prb_parse(prb, 0);
    assert_seqs(finished, "1 2 ");
    g_assert_true(nth(finished, 0)->partial);
    /* there are three, and were two */
    prb->copy.descs_then = prb->descs;
    prb->copy.head_id--;
    newer = prb_parse(prb, 0);
    assert_seqs(newer, "0 1 ");
}

static void
assert_lost(Prb *prb)
{
    g_autoptr(MosePrintkLog) log = prb_parse(prb, 0);

    assert_seqs(log, "0 2 ");
    g_assert_cmpuint(log->lost, ==, 1);
}

/* Of record 1 the place cannot be, or is not its own. */
static void
test_broken_places(void)
{
    static const guint64 places[][2] = {
        { 0, 8 },
        { 8, 8 },
        { 16, 8 },
        { 8, 12 },
        { 0, G_MAXUINT64 - 7 },
        { G_MAXUINT64 - 7, 0 },
        { PRB_SIZE - 8, PRB_SIZE },
        { PRB_SIZE - 8, PRB_SIZE + 8 },
        { 0, (guint64)PRB_SIZE * 2 },
        { 0, (guint64)PRB_SIZE * 3 + 16 },
        { 1, 0 },
        { 0, 3 },
    };

    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autofree Prb *prb = with_three();

        prb_set(prb->descs, 1, 1, places[i][0]);
        prb_set(prb->descs, 1, 2, places[i][1]);
        assert_lost(prb);
    }
}

static void
test_broken(void)
{
    g_autofree Prb *prb = with_three();
    g_autofree Prb *ones = prb_new();
    guint64 begin = prb_get(prb->descs, 1, 1) % PRB_SIZE;
    g_autoptr(MosePrintkLog) elsewhere = NULL, log = NULL;

    prb_info(prb, 1)[17] = 0x7f; /* text_len: longer than its block */
    assert_lost(prb);
    prb_info(prb, 1)[17] = 0;
    prb->text[begin]++; /* the block is another record's */
    assert_lost(prb);
    prb->text[begin]--;
    prb_info(prb, 1)[0] += 2; /* a number of another descriptor's */
    elsewhere = prb_parse(prb, 0);
    assert_seqs(elsewhere, "0 2 ");
    memset(ones->descs, 0xff, sizeof(ones->descs));
    memset(ones->infos, 0xff, sizeof(ones->infos));
    memset(ones->text, 0xff, sizeof(ones->text));
    log = prb_parse(ones, 0);
    g_assert_cmpuint(log->records->len, ==, 0);
}

/* --- the old one --- */

static MosePrintkLog *
old_parse(const OldLog *old, guint64 since)
{
    MosePrintkLog *log = mose_printk_log_new();
    g_autoptr(GError) error = NULL;

    g_assert_true(mose_log_parse(&old->copy, since, log, &error));
    g_assert_no_error(error);
    return log;
}

static void
test_old_round(void)
{
    g_autofree OldLog *old = old_log_new();
    guint most = 0;

    for (guint i = 0; i < 1000; i++) {
        g_autofree char *text = text_of(i);
        g_autoptr(MosePrintkLog) log = NULL;

        old_log_write(old, text, NULL, 0);
        log = old_parse(old, 0);
        g_assert_cmpuint(log->records->len, ==,
                         old->copy.next_seq - old->copy.first_seq);
        assert_written(log, i + 1);
        most = MAX(most, log->records->len);
    }
    g_assert_cmpuint(most, >, 5);
}

static void
test_old_members(void)
{
    static const char dict[] = "SUBSYSTEM=usb\0DEVICE=+usb:1-1";
    g_autofree OldLog *old = old_log_new();
    g_autoptr(MosePrintkLog) all = NULL, none = NULL;
    const MosePrintkRecord *record;

    old_log_write(old, "first", NULL, 0);
    old_log_write(old, "second\nline", dict, sizeof(dict) - 1);
    all = old_parse(old, 1);
    assert_seqs(all, "1 ");
    record = nth(all, 0);
    g_assert_cmpstr(record->text, ==, "second\nline");
    g_assert_cmpuint(record->level, ==, 4);
    g_assert_cmpint(record->caller_id, ==, -1);
    g_assert_cmpstr(record->dictionary[0], ==, "SUBSYSTEM=usb");
    g_assert_cmpstr(record->dictionary[1], ==, "DEVICE=+usb:1-1");
    g_assert_null(record->dictionary[2]);
    none = old_parse(old, 2);
    assert_seqs(none, "");
}

/* CONFIG_PRINTK_CALLER makes the header longer: what follows begins behind it. */
static void
test_old_caller(void)
{
    g_autofree OldLog *old = old_log_new();
    g_autoptr(MosePrintkLog) log = NULL;

    old_log_write(old, "\x07...text", NULL, 0);
    memcpy(old->buffer + LOG_HEADER, "\x07\0\0\0", 4);
    old->buffer[10] -= 4;
    old->copy.layout.header_size += 4;
    old->copy.layout.caller_id = (MoseMember){ .offset = LOG_HEADER, .size = 4 };
    log = old_parse(old, 0);
    g_assert_cmpint(nth(log, 0)->caller_id, ==, 7);
    g_assert_cmpstr(nth(log, 0)->text, ==, "text");
}

static void
assert_old_broken(const OldLog *old, const char *why)
{
    g_autoptr(MosePrintkLog) log = mose_printk_log_new();
    g_autoptr(GError) error = NULL;

    g_assert_false(mose_log_parse(&old->copy, 0, log, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_AGAIN);
    if (!strstr(error->message, why))
        g_error("'%s' is not in '%s'", why, error->message);
}

static void
test_old_broken(void)
{
    g_autofree OldLog *good = old_log_new();
    OldLog bad;

    old_log_write(good, "first", NULL, 0);
    old_log_write(good, "second", NULL, 0);
#define BREAK(how, why)                                                                \
    do {                                                                               \
        bad = *good;                                                                   \
        bad.copy.buffer = bad.buffer;                                                  \
        how;                                                                           \
        assert_old_broken(&bad, why);                                                  \
    } while (0)
    BREAK(bad.buffer[8] = 15, "record 0 at offset 0 of 512: its length cannot be");
    BREAK(bad.buffer[9] = 0xff, "its length cannot be");
    BREAK(bad.buffer[10] = 9, "its length cannot be");
    BREAK(bad.buffer[13] = 0xff, "its length cannot be");
    BREAK(bad.buffer[8] = 0, "it has no length");
    BREAK(bad.copy.first_idx = PRB_SIZE, "outside of the buffer");
    BREAK(bad.copy.first_idx = G_MAXUINT32, "outside of the buffer");
    BREAK(bad.copy.next_idx += 8, "the last record does not end here");
    BREAK(bad.copy.next_seq = 1, "the last record does not end here");
    BREAK(bad.copy.next_seq = G_MAXUINT64;
          memset(bad.buffer + 48, 0, 400), "the records have no end");
#undef BREAK
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/printk/empty", test_empty);
    g_test_add_func("/printk/round", test_round);
    g_test_add_func("/printk/fits-exactly", test_fits_exactly);
    g_test_add_func("/printk/members", test_members);
    g_test_add_func("/printk/without-text", test_without_text);
    g_test_add_func("/printk/since", test_since);
    g_test_add_func("/printk/states", test_states);
    g_test_add_func("/printk/meanwhile", test_meanwhile);
    g_test_add_func("/printk/broken-places", test_broken_places);
    g_test_add_func("/printk/broken", test_broken);
    g_test_add_func("/printk/old/round", test_old_round);
    g_test_add_func("/printk/old/members", test_old_members);
    g_test_add_func("/printk/old/caller", test_old_caller);
    g_test_add_func("/printk/old/broken", test_old_broken);
    return g_test_run();
}
