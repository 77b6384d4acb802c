/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each kind of record that the reader claims to know, made by a real QEMU, read,
 * rewritten, and loaded by another: once as it was, byte for byte, and once with a
 * field changed that then has the new value in the destination.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "util/error.h"
#include "util/json.h"
#include "vm/stream-pair.h"

/* A register that neither firmware nor boot sector uses: there is no paging. */
#define NEW_CR2 0x55667788

typedef struct {
    const char *name;
    const char *const *args;
    const char *const *caps;
    PairWay way;
    const char *parameters; /* of migrate-set-parameters, on both sides */
    void (*meanwhile)(Pair *pair);
    MoseRewriteFunc change; /* in place of setting CR2 */
    void (*check)(const MoseStreamInfo *info, Pair *pair);
    gboolean hold_return; /* until @meanwhile releases it */
    gboolean huge_pages;
} Case;

#define MACHINE "-machine", "pc", "-m", "32"
#define BOOT "-drive", "if=floppy,format=raw,readonly=on,file=%d/boot"

static const char *const plain_args[] = { MACHINE, BOOT, NULL };

static void
check_pages(const MoseStreamInfo *info, Pair *pair)
{
    g_assert_cmpstr(info->machine, ==, "pc-i440fx-10.0");
    g_assert_cmpuint(info->count.zero, >, 1000);
    g_assert_cmpuint(info->count.page, >, 16);
    g_assert_cmpuint(info->count.xbzrle, ==, 0);
}

static const char *const blocks_args[] = { MACHINE,   BOOT,    "-device", "VGA",
                                           "-device", "e1000", NULL };

static void
check_blocks(const MoseStreamInfo *info, Pair *pair)
{
    guint64 sum = 0;
    gboolean vga = FALSE;

    for (guint i = 0; i < info->blocks->len; i++) {
        const MoseRamBlock *block = info->blocks->pdata[i];

        sum += block->length;
        vga = vga ||
              (g_str_has_suffix(block->name, "/vga.vram") && block->length == 16 << 20);
    }
    g_assert_cmpuint(info->blocks->len, >=, 6);
    g_assert_cmpuint(sum, ==, info->ram_total);
    g_assert_true(vga);
}

static const char *const shared_args[] = {
    "-machine", "pc,memory-backend=ram0",
    "-m",       "32",
    "-object",  "memory-backend-file,id=ram0,size=32M,mem-path=%d/ram,share=on",
    BOOT,       NULL
};
static const char *const ignore_shared[] = { "x-ignore-shared", NULL };

static void
check_ignore_shared(const MoseStreamInfo *info, Pair *pair)
{
    const MoseRamBlock *block = info->blocks->pdata[0];

    g_assert_cmpstr(info->capabilities->pdata[0], ==, "x-ignore-shared");
    g_assert_cmpstr(block->name, ==, "ram0");
    /* 32 MB would be 8192 pages: only ROMs are sent. */
    g_assert_cmpuint(info->count.zero + info->count.page, <, 1000);
    g_assert_cmpuint(pair->in->len, <, 3 << 20);
}

static const char *const xbzrle[] = { "xbzrle", "return-path", "switchover-ack", NULL };

/* Wait until the source has sent such pages; only then may it end. */
static void
until_xbzrle(Pair *pair)
{
    gint64 deadline = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
    gint64 encoded = 0; /* bytes, without those of pages sent whole after all */

    while (encoded == 0) {
        g_autoptr(GError) error = NULL;
        JsonObject *reply =
            mose_qmp_query(pair->from.qmp, "query-migrate", NULL, &error);
        JsonObject *cache;

        g_assert_no_error(error);
        g_assert_cmpstr(mose_json_string(reply, "status", ""), !=, "completed");
        cache = mose_json_child(reply, "xbzrle-cache");
        if (cache)
            encoded = mose_json_int(cache, "bytes", 0) -
                      4096 * mose_json_int(cache, "overflow", 0);
        json_object_unref(reply);
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        if (encoded == 0) /* each pass is an event */
            mose_qmp_wait_event(pair->from.qmp, "MIGRATION_PASS", 1000, -1, NULL, NULL);
    }
    pair_release_return(pair);
}

static void
check_xbzrle(const MoseStreamInfo *info, Pair *pair)
{
    g_assert_cmpuint(info->count.xbzrle, >, 0);
    g_assert_cmpuint(info->count.xbzrle_bytes, >, 0);
    g_assert_cmpuint(info->count.eos, >, 3);
}

static const char *const multifd[] = { "multifd", NULL };

static void
check_multifd(const MoseStreamInfo *info, Pair *pair)
{
    g_assert_true(info->multifd);
    g_assert_cmpuint(info->count.multifd_flush, >, 0);
    /* The pages have gone from QEMU to QEMU. */
    g_assert_cmpuint(info->count.page, ==, 0);
    g_assert_cmpuint(pair->in->len, <, 1 << 20);
}

static const char *const mapped_ram[] = { "mapped-ram", NULL };
static const char *const mapped_ram_multifd[] = { "mapped-ram", "multifd", NULL };

static void
check_mapped_ram(const MoseStreamInfo *info, Pair *pair)
{
    g_assert_cmpstr(info->capabilities->pdata[0], ==, "mapped-ram");
    g_assert_cmpuint(info->count.page + info->count.zero, ==, 0);
    g_assert_cmpuint(info->count.mapped_bytes, >, info->ram_total);
}

static const char *const postcopy[] = { "postcopy-ram", NULL };

static void
check_postcopy(const MoseStreamInfo *info, Pair *pair)
{
    const MoseRamBlock *block = info->blocks->pdata[0];

    g_assert_true(info->postcopy_advised);
    g_assert_cmpuint(block->page_size, ==, 0);
}

static const char *const huge_args[] = { "-machine",
                                         "pc,memory-backend=ram0",
                                         "-m",
                                         "32",
                                         "-object",
                                         "memory-backend-memfd,id=ram0,size=32M,"
                                         "hugetlb=on,hugetlbsize=2M,prealloc=on",
                                         BOOT,
                                         NULL };

static void
check_huge_pages(const MoseStreamInfo *info, Pair *pair)
{
    const MoseRamBlock *block = info->blocks->pdata[0];

    g_assert_cmpstr(block->name, ==, "ram0");
    g_assert_cmpuint(block->page_size, ==, 2 << 20);
}

/* A subsection dropped, one added, and a section dropped and made anew. */
static gboolean
change_shape(MoseDoc *doc, gpointer data, GError **error)
{
    MoseSection *cpu = mose_doc_find(doc, "cpu", 0);
    MoseSection *speaker = mose_doc_find(doc, "pcspk", 0);
    MoseSection *made;
    guint64 on, dummy;

    g_assert_nonnull(mose_section_subsection(cpu, "cpu/poll_control_msr"));
    mose_section_drop_subsection(cpu, "cpu/poll_control_msr");
    made = mose_section_add_subsection(cpu, "cpu/tsc_khz", 1);
    mose_section_append(made, "env.tsc_khz", "int64", 8, 1000000);
    if (!mose_section_get(speaker, "data_on", &on, error) ||
        !mose_section_get(speaker, "dummy_refresh_clock", &dummy, error))
        return FALSE;
    mose_doc_drop(doc, speaker);
    made = mose_doc_add(doc, "pcspk", 0, 1);
    mose_section_append(made, "data_on", "uint8", 1, on);
    mose_section_append(made, "dummy_refresh_clock", "uint8", 1, dummy);
    return mose_section_set(cpu, "env.cr[2]", NEW_CR2, error);
}

static const char *const smp_args[] = { MACHINE,   BOOT,        "-smp",
                                        "2",       "-device",   "virtio-net-pci",
                                        "-device", "qemu-xhci", NULL };

static const Case cases[] = {
    { .name = "pages", .args = plain_args, .check = check_pages },
    { .name = "file", .args = plain_args, .way = BY_FILE, .check = check_pages },
    { .name = "blocks", .args = blocks_args, .check = check_blocks },
    { .name = "ignore-shared",
      .args = shared_args,
      .caps = ignore_shared,
      .check = check_ignore_shared },
    { .name = "xbzrle",
      .args = plain_args,
      .caps = xbzrle,
      .hold_return = TRUE,
      .meanwhile = until_xbzrle,
      .check = check_xbzrle },
    { .name = "multifd",
      .args = plain_args,
      .caps = multifd,
      .parameters = "{\"multifd-channels\": 2}",
      .check = check_multifd },
    { .name = "mapped-ram",
      .args = plain_args,
      .caps = mapped_ram,
      .way = BY_FILE,
      .check = check_mapped_ram },
    { .name = "mapped-ram-multifd",
      .args = plain_args,
      .caps = mapped_ram_multifd,
      .way = BY_FILE,
      .check = check_mapped_ram },
    { .name = "postcopy-announced",
      .args = plain_args,
      .caps = postcopy,
      .check = check_postcopy },
    { .name = "huge-pages",
      .args = huge_args,
      .caps = postcopy,
      .check = check_huge_pages,
      .huge_pages = TRUE },
    { .name = "subsections", .args = smp_args, .change = change_shape },
};

static gboolean
set_cr2(MoseDoc *doc, gpointer data, GError **error)
{
    return mose_section_set(mose_doc_find(doc, "cpu", 0), "env.cr[2]", NEW_CR2, error);
}

/*
 * Huge pages are taken as they are needed, beyond what the host has reserved: root may
 * allow that, and should a test be killed, nothing stays reserved. They cannot be had
 * before the destination loads: an announced postcopy makes it give all pages back.
 */
#define OVERCOMMIT "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages"
#define HUGE_PAGES_NEEDED 32

static guint64
read_number(const char *path)
{
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL)
               ? g_ascii_strtoull(text, NULL, 10)
               : 0;
}

static void
write_number(const char *path, guint64 number)
{
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, number);
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    if (write(fd, text, strlen(text)) < 0)
        g_test_message("%s: cannot write %s", path, text);
    close(fd);
}

static gboolean
run_once(const Case *c, MoseRewriteFunc rewrite)
{
    g_autoptr(GError) error = NULL;
    Pair *pair = pair_new(c->args, c->caps, &error);

    if (!pair) {
        g_test_skip(error->message);
        return FALSE;
    }
    if (c->parameters) {
        vm_do(&pair->from, "migrate-set-parameters", c->parameters);
        vm_do(&pair->to, "migrate-set-parameters", c->parameters);
    }
    if (c->hold_return)
        pair_hold_return(pair);
    pair_migrate(pair, c->way, rewrite, NULL, c->meanwhile);
    if (c->check)
        c->check(mose_rewriter_info(pair->rewriter), pair);
    if (rewrite) {
        g_autofree char *registers = vm_hmp(&pair->to, "info registers");

        g_assert_nonnull(strstr(registers, "CR2=55667788"));
    } else {
        g_assert_cmpmem(pair->in->data, pair->in->len, pair->out->data, pair->out->len);
    }
    pair_free(pair);
    return TRUE;
}

static void
test_case(gconstpointer data)
{
    const Case *c = data;
    guint64 before = c->huge_pages ? read_number(OVERCOMMIT) : 0;

    if (c->huge_pages) {
        write_number(OVERCOMMIT, before + HUGE_PAGES_NEEDED);
        if (read_number(OVERCOMMIT) < before + HUGE_PAGES_NEEDED) {
            g_test_skip("this user may not have 32 huge pages of 2 MB");
            return;
        }
    }
    if (run_once(c, NULL))
        run_once(c, c->change ? c->change : set_cr2);
    if (c->huge_pages)
        write_number(OVERCOMMIT, before);
}

int
main(int argc, char **argv)
{
    g_autofree char *qemu = g_find_program_in_path("qemu-system-x86_64");

    g_test_init(&argc, &argv, NULL);
    if (!qemu) {
        g_print("1..0 # SKIP qemu-system-x86_64 is not installed\n");
        return 0;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/stream/records/%s", cases[i].name);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    return g_test_run();
}
