/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rings as the plugin writes them, read; and as nobody should write them. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "analysis/rings.h"
#include "lib/says.h"
#include "plugin/producer.h"
#include "util/error.h"

#define WORDS MOSE_RING_MIN_WORDS
#define VCPUS 2
#define ROUNDS 20000

/* What was told, as text: one line each. */
static void tell(GString *text, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void
tell(GString *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_string_append_vprintf(text, format, args);
    va_end(args);
}

static void
told_code(gpointer data, guint32 number, guint64 address, guint n, const guint8 *sizes,
          const guint8 *bytes, gsize len)
{
    tell(data, "code %u %" G_GINT64_MODIFIER "x %u %u %zu %02x\n", number, address, n,
         sizes[0], len, bytes[len - 1]);
}

static void
told_block(gpointer data, guint vcpu, guint32 number, guint executed)
{
    tell(data, "%u block %u %u\n", vcpu, number, executed);
}

static void
told_access(gpointer data, guint vcpu, guint insn, guint shift, gboolean store,
            guint64 address, const guint64 *value)
{
    tell(data, "%u %s %u %u %" G_GINT64_MODIFIER "x %" G_GINT64_MODIFIER "x\n", vcpu,
         store ? "store" : "load", insn, shift, address, value ? value[shift > 3] : 0);
}

static void
told_lost(gpointer data, guint vcpu, guint executed, guint64 blocks)
{
    tell(data, "%u lost %u %" G_GUINT64_FORMAT "\n", vcpu, executed, blocks);
}

static void
told_end(gpointer data, guint vcpu, guint executed)
{
    tell(data, "%u end %u\n", vcpu, executed);
}

static void
told_number(gpointer data, guint vcpu, guint64 number)
{
    tell(data, "%u number %" G_GUINT64_FORMAT "\n", vcpu, number);
}

static const MoseRingSink sink = {
    .code = told_code,
    .block = told_block,
    .access = told_access,
    .lost = told_lost,
    .end = told_end,
    .task = told_number,
    .time = told_number,
};

typedef struct {
    MoseRings *rings;
    void *file; /* as the other process has it */
    GString *told;
    Producer vcpus[VCPUS], code;
} World;

static void
world_init(World *world, gint64 patience_us)
{
    g_autoptr(GError) error = NULL;

    world->rings = mose_rings_new(VCPUS, WORDS, &error);
    g_assert_no_error(error);
    world->file = mmap(NULL, mose_ring_file_size(VCPUS, WORDS), PROT_READ | PROT_WRITE,
                       MAP_SHARED, mose_rings_fd(world->rings), 0);
    g_assert_true(world->file != MAP_FAILED);
    for (guint i = 0; i < VCPUS; i++)
        producer_init(&world->vcpus[i], world->file, VCPUS, WORDS, i, patience_us);
    producer_init(&world->code, world->file, VCPUS, WORDS, VCPUS, patience_us);
    world->told = g_string_new(NULL);
    producer_recording = TRUE;
}

static void
world_clear(World *world)
{
    munmap(world->file, mose_ring_file_size(VCPUS, WORDS));
    mose_rings_free(world->rings);
    g_string_free(world->told, TRUE);
}

static void
put(Producer *ring, const guint64 *words, guint n)
{
    g_assert_true(producer_has_room(ring, n));
    for (guint i = 0; i < n; i++)
        producer_put(ring, words[i]);
}

/* A block of two instructions, of one byte and of two. */
static void
put_code(World *world)
{
    static const guint64 words[] = { MOSE_EVENT_CODE | 2 << 8 | 3 << 24, 0x1000, 0x201,
                                     0xccbbaa };

    put(&world->code, words, G_N_ELEMENTS(words));
    producer_publish(&world->code);
}

static guint64
read_all(World *world)
{
    g_autoptr(GError) error = NULL;
    guint64 n;

    g_assert_true(mose_rings_read(world->rings, &sink, world->told, &n, &error));
    g_assert_no_error(error);
    return n;
}

static void
test_told(void)
{
    static const guint64 words[] = { MOSE_EVENT_TIME,
                                     99,
                                     MOSE_EVENT_TASK,
                                     7,
                                     MOSE_EVENT_BLOCK,
                                     MOSE_EVENT_ACCESS | 1 << 8 | 3 << 24 |
                                         MOSE_EVENT_STORE | MOSE_EVENT_VALUE,
                                     0x10,
                                     0x20,
                                     MOSE_EVENT_ACCESS | 4 << 24 | MOSE_EVENT_VALUE,
                                     0x30,
                                     0x40,
                                     0x50,
                                     MOSE_EVENT_ACCESS | 5 << 24,
                                     0x60,
                                     MOSE_EVENT_BLOCK | 2 << 8,
                                     MOSE_EVENT_LOST | 1 << 8 | 5 << 24,
                                     MOSE_EVENT_END | 2 << 8 };
    World world;

    world_init(&world, 0);
    put_code(&world);
    put(&world.vcpus[1], words, G_N_ELEMENTS(words));
    g_assert_cmpuint(read_all(&world), ==, 4); /* the rest is not told of yet */
    producer_publish(&world.vcpus[1]);
    g_assert_cmpuint(read_all(&world), ==, G_N_ELEMENTS(words));
    g_assert_cmpuint(read_all(&world), ==, 0);
    g_assert_cmpstr(world.told->str, ==,
                    "code 0 1000 2 1 3 cc\n1 number 99\n1 number 7\n1 block 0 0\n"
                    "1 store 1 3 10 20\n1 load 0 4 30 50\n1 load 0 5 60 0\n"
                    "1 block 0 2\n1 lost 1 5\n1 end 2\n");
    world_clear(&world);
}

/* It goes round many times; a ring that is full has room again once it was read. */
static void
test_round(void)
{
    World world;
    guint64 written = 0, got = 0;

    world_init(&world, 0);
    put_code(&world);
    for (int i = 0; i < ROUNDS; i++) {
        while (producer_has_room(&world.vcpus[0], 1) && g_test_rand_int_range(0, 100)) {
            producer_put(&world.vcpus[0], MOSE_EVENT_BLOCK);
            producer_done(&world.vcpus[0]);
            written++;
        }
        got += read_all(&world);
        g_string_truncate(world.told, 0);
    }
    producer_publish(&world.vcpus[0]);
    got += read_all(&world);
    g_assert_cmpuint(got, ==, written + 4);
    g_assert_cmpuint(written, >, 10 * WORDS);
    world_clear(&world);
}

/* The writer waits as long as it was told, and not once nobody records any more. */
static void
test_patience(void)
{
    World world;
    gint64 start;

    world_init(&world, 200000);
    while (world.vcpus[0].head < WORDS)
        producer_put(&world.vcpus[0], MOSE_EVENT_BLOCK);
    start = g_get_monotonic_time();
    g_assert_false(producer_has_room(&world.vcpus[0], 1));
    g_assert_cmpint(g_get_monotonic_time() - start, >=, 200000);
    /* Once, and again only after somebody has read. */
    start = g_get_monotonic_time();
    for (int i = 0; i < 1000; i++)
        g_assert_false(producer_has_room(&world.vcpus[0], 1));
    g_assert_cmpint(g_get_monotonic_time() - start, <, 150000);
    put_code(&world);
    read_all(&world);
    while (world.vcpus[0].head < 2 * WORDS) {
        g_assert_true(producer_has_room(&world.vcpus[0], 1));
        producer_put(&world.vcpus[0], MOSE_EVENT_BLOCK);
    }
    start = g_get_monotonic_time();
    g_assert_false(producer_has_room(&world.vcpus[0], 1));
    g_assert_cmpint(g_get_monotonic_time() - start, >=, 200000);
    mose_ring_at(world.file, 0)->tail = 2 * WORDS;
    g_assert_true(producer_has_room(&world.vcpus[0], 1));
    while (world.vcpus[0].head < 3 * WORDS)
        producer_put(&world.vcpus[0], MOSE_EVENT_BLOCK);
    producer_recording = FALSE;
    start = g_get_monotonic_time();
    g_assert_false(producer_has_room(&world.vcpus[0], 1));
    g_assert_cmpint(g_get_monotonic_time() - start, <, 150000);
    world_clear(&world);
}

static void
refuse(const guint64 *words, guint n, const char *why)
{
    g_autoptr(GError) error = NULL;
    World world;
    guint64 read;

    world_init(&world, 0);
    put_code(&world);
    read_all(&world);
    put(&world.vcpus[0], words, n);
    producer_publish(&world.vcpus[0]);
    g_assert_false(mose_rings_read(world.rings, &sink, world.told, &read, &error));
    assert_says(error, MOSE_ERROR_INVALID, why);
    world_clear(&world);
}

static void
test_senseless(void)
{
    static const guint64 unknown_block[] = { MOSE_EVENT_BLOCK | (guint64)1 << 32 },
                         no_kind[] = { 0 }, code[] = { MOSE_EVENT_CODE },
                         cut[] = { MOSE_EVENT_TIME },
                         cut_access[] = { MOSE_EVENT_ACCESS | MOSE_EVENT_VALUE, 1 },
                         wide[] = { MOSE_EVENT_ACCESS | 5 << 24 | MOSE_EVENT_VALUE, 1,
                                    2, 3, 4 };

    refuse(unknown_block, 1, "out of place");
    refuse(no_kind, 1, "out of place");
    refuse(code, 1, "out of place");
    refuse(cut, 1, "out of place");
    refuse(cut_access, 2, "out of place");
    refuse(wide, 5, "out of place");
}

static void
test_forged_ends(void)
{
    static const guint64 heads[] = { WORDS + 1, G_MAXUINT64, G_MAXUINT64 / 2 };

    for (gsize i = 0; i < G_N_ELEMENTS(heads); i++) {
        g_autoptr(GError) error = NULL;
        World world;
        guint64 n;

        world_init(&world, 0);
        mose_ring_at(world.file, i % (VCPUS + 1))->head = heads[i];
        g_assert_false(mose_rings_read(world.rings, &sink, world.told, &n, &error));
        assert_says(error, MOSE_ERROR_INVALID, "more than fits");
        world_clear(&world);
    }
}

/* The header is the other's to write: it is not read again. */
static void
test_forged_header(void)
{
    World world;

    world_init(&world, 0);
    memset(world.file, 0xff, sizeof(MoseRingFile));
    read_all(&world);
    world_clear(&world);
}

/* Whatever lies there: an error, or some events, and never a crash. */
static void
test_random(void)
{
    for (int i = 0; i < 2000; i++) {
        World world;
        guint64 n;

        world_init(&world, 0);
        put_code(&world);
        for (guint r = 0; r <= VCPUS; r++) {
            Producer *ring = r < VCPUS ? &world.vcpus[r] : &world.code;

            for (int k = g_test_rand_int_range(0, 200); k > 0; k--)
                producer_put(ring, ((guint64)g_test_rand_int() << 32 |
                                    (guint32)g_test_rand_int()) >>
                                       g_test_rand_int_range(0, 60));
            producer_publish(ring);
        }
        mose_rings_read(world.rings, &sink, world.told, &n, NULL);
        world_clear(&world);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rings/told", test_told);
    g_test_add_func("/rings/round", test_round);
    g_test_add_func("/rings/patience", test_patience);
    g_test_add_func("/rings/senseless", test_senseless);
    g_test_add_func("/rings/forged-ends", test_forged_ends);
    g_test_add_func("/rings/forged-header", test_forged_header);
    g_test_add_func("/rings/random", test_random);
    return g_test_run();
}
