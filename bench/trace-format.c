/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a trace costs: processor time of all threads together, as on one core, and bytes
 * an instruction; reading it, too.
 *
 * The guest is made up, like an interpreter: a program of bytecodes goes round in a
 * loop, each of them is a call into a graph of some thousand functions. A function
 * saves registers on its stack, runs straight pieces, goes through a part of an array,
 * follows a list, branches by what it has read, calls others, and restores its
 * registers. Loads give what was stored. All of it is in memory before the clock
 * starts. Real kernels and programs under TCG are easier: they repeat themselves more.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bench/result.h"
#include "trace/reader.h"
#include "trace/writer.h"
#include "util/fd.h"

#define ROUNDS 7
#define FUNCTIONS 4000u
#define PARTS 6u          /* of a function */
#define CODE_OF_A_PART 3u /* blocks */
#define BLOCKS (FUNCTIONS * PARTS * CODE_OF_A_PART)
#define PROGRAM 400u    /* bytecodes */
#define OPERATIONS 100u /* that there are */
#define DEPTH 6u
#define HEAP_WORDS (1u << 18)
#define STEPS 6000000u
#define HEAP G_GUINT64_CONSTANT(0x55550000a000)
#define STACK G_GUINT64_CONSTANT(0x7ffdaabb0000)
#define NS_PER_S 1e9

typedef enum { STRAIGHT, ARRAY, LIST, BRANCH, CALL } PartKind;

typedef struct {
    PartKind kind;
    guint number; /* times, or which function */
    guint place;  /* in the heap, words */
} Part;

typedef struct {
    guint64 address, value;
    guint16 instruction;
    gboolean store;
} Access;

/* Where a function is that has called another. */
typedef struct {
    guint function, part;
} Frame;

static struct {
    GRand *random;
    Part parts[FUNCTIONS][PARTS];
    guint program[PROGRAM];
    guint lengths[BLOCKS]; /* instructions */
    guint64 heap[HEAP_WORDS];
    Frame frames[DEPTH];
    guint depth;
    /* What it did. */
    GArray *steps;    /* guint32: block */
    GArray *ends;     /* guint32: where the accesses of a step end */
    GArray *accesses; /* Access */
    guint64 instructions;
} guest;

/* --- the guest --- */

static guint
below(guint n)
{
    return (guint)g_rand_int_range(guest.random, 0, (gint32)n);
}

static void
make_guest(void)
{
    static const PartKind kinds[] = { STRAIGHT, STRAIGHT, ARRAY, LIST,
                                      BRANCH,   BRANCH,   CALL,  CALL };

    guest.random = g_rand_new_with_seed(1);
    guest.steps = g_array_new(FALSE, FALSE, sizeof(guint32));
    guest.ends = g_array_new(FALSE, FALSE, sizeof(guint32));
    guest.accesses = g_array_new(FALSE, FALSE, sizeof(Access));
    for (guint f = 0; f < FUNCTIONS; f++) {
        for (guint i = 0; i < PARTS; i++) {
            Part *part = &guest.parts[f][i];

            part->kind = kinds[below(G_N_ELEMENTS(kinds))];
            part->number = part->kind == CALL ? below(FUNCTIONS) : 1 + below(12);
            part->place = below(HEAP_WORDS);
        }
    }
    for (guint i = 0; i < PROGRAM; i++)
        guest.program[i] = below(OPERATIONS) * (FUNCTIONS / OPERATIONS);
    for (guint i = 0; i < BLOCKS; i++)
        guest.lengths[i] = 2 + below(8);
    /* Some numbers are small, others are places in the heap. */
    for (guint i = 0; i < HEAP_WORDS; i++)
        guest.heap[i] = i % 3 ? below(256) : HEAP + 8 * (guint64)below(HEAP_WORDS);
}

static void
step(guint function, guint part, guint block)
{
    guint32 id = (function * PARTS + part) * CODE_OF_A_PART + block;
    guint32 end = guest.accesses->len;

    if (guest.steps->len > 0)
        g_array_append_val(guest.ends, end);
    g_array_append_val(guest.steps, id);
    guest.instructions += guest.lengths[id];
}

static void
touch(guint64 address, guint64 value, guint16 instruction, gboolean store)
{
    Access access = { address, value, instruction, store };

    g_array_append_val(guest.accesses, access);
}

static guint64
load(guint place)
{
    guint64 value = guest.heap[place % HEAP_WORDS];

    touch(HEAP + 8 * (guint64)(place % HEAP_WORDS), value, 0, FALSE);
    return value;
}

static void
store(guint place, guint64 value)
{
    guest.heap[place % HEAP_WORDS] = value;
    touch(HEAP + 8 * (guint64)(place % HEAP_WORDS), value, 1, TRUE);
}

/* Saved at its beginning, restored at its end. */
static void
save(guint function, gboolean restore)
{
    guint64 sp = STACK - guest.depth * 64;

    touch(sp, 0x401000 + 16 * (guint64)function, 0, !restore);
    touch(sp - 8, STACK - (guest.depth + 1) * 64, 1, !restore);
}

static void
run_part(guint function, guint number)
{
    Part *part = &guest.parts[function][number];
    guint place = part->place;

    switch (part->kind) {
    case STRAIGHT:
        step(function, number, 0);
        load(place);
        break;
    case ARRAY:
        for (guint i = 0; i < part->number; i++) {
            step(function, number, 0);
            store(place + i, load(place + i) + 1);
        }
        break;
    case LIST:
        for (guint i = 0; i < part->number; i++) {
            step(function, number, 0);
            place = (guint)(load(place / 3 * 3) / 8);
        }
        break;
    case BRANCH:
        step(function, number, 0);
        step(function, number, load(place + below(2)) % 8 ? 1 : 2);
        break;
    case CALL:
        step(function, number, 0);
        break;
    }
}

static void
call(guint function)
{
    step(function, 0, 1);
    save(function, FALSE);
    guest.frames[guest.depth++] = (Frame){ function, 0 };
}

static void
run_bytecode(guint function)
{
    call(function);
    while (guest.depth > 0) {
        Frame *frame = &guest.frames[guest.depth - 1];
        const Part *part = &guest.parts[frame->function][frame->part];

        if (frame->part == PARTS) {
            guest.depth--;
            step(frame->function, PARTS - 1, 2);
            save(frame->function, TRUE);
            continue;
        }
        run_part(frame->function, frame->part++);
        if (part->kind == CALL && guest.depth < DEPTH)
            call(part->number);
    }
}

static void
run_guest(void)
{
    guint32 end;

    for (guint i = 0; guest.steps->len < STEPS; i++)
        run_bytecode(guest.program[i % PROGRAM]);
    end = guest.accesses->len;
    g_array_append_val(guest.ends, end);
}

/* --- what is measured --- */

static double
now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / NS_PER_S;
}

static void
define_all(MoseTraceWriter *writer)
{
    guint8 lengths[16], bytes[64];

    for (guint i = 0; i < BLOCKS; i++) {
        MoseTraceBlock block = { 0x401000 + 48 * (guint64)i, guest.lengths[i], lengths,
                                 bytes };

        for (guint k = 0; k < guest.lengths[i]; k++)
            lengths[k] = (guint8)(1 + below(6));
        for (gsize k = 0; k < sizeof(bytes); k++)
            bytes[k] = (guint8)(below(4) ? below(16) : below(256));
        mose_trace_writer_define(writer, &block);
    }
}

static void
write_accesses(MoseTraceWriter *writer, guint from, guint end)
{
    const Access *accesses = (const Access *)(gpointer)guest.accesses->data;

    for (guint i = from; i < end; i++) {
        MoseTraceAccess access = {
            accesses[i].address,  accesses[i].instruction, 8, accesses[i].store, TRUE,
            { accesses[i].value }
        };

        mose_trace_writer_access(writer, 0, &access);
    }
}

/* Seconds that all of it takes into @fd; what the code takes is not measured. */
static double
write_trace(int fd, gboolean memory)
{
    const MoseTraceInfo info = { .n_vcpus = 1, .memory = memory, .values = memory };
    const guint32 *steps = (const guint32 *)(gpointer)guest.steps->data;
    const guint32 *ends = (const guint32 *)(gpointer)guest.ends->data;
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseTraceWriter) writer =
        mose_trace_writer_new(fd, "bench", &info, 1, &error);
    guint64 bytes;
    double begin;

    g_assert_no_error(error);
    define_all(writer);
    begin = now();
    for (guint i = 0; i < guest.steps->len; i++) {
        mose_trace_writer_block(writer, 0, steps[i]);
        if (memory)
            write_accesses(writer, i ? ends[i - 1] : 0, ends[i]);
    }
    mose_trace_writer_finish(writer, &bytes, &error);
    g_assert_no_error(error);
    return now() - begin;
}

static double
read_trace(int fd)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseTrace) trace = mose_trace_open(path, &error);
    g_autoptr(MoseTraceCursor) cursor = NULL;
    MoseTraceStep read;
    double begin;
    guint n = 0;

    g_assert_no_error(error);
    cursor = mose_trace_cursor_new(trace, 0);
    begin = now();
    while (mose_trace_cursor_next(cursor, &read, &error))
        n++;
    g_assert_no_error(error);
    g_assert_cmpuint(n, ==, guest.steps->len);
    return now() - begin;
}

static void
tell(const char *figure, const char *what, const char *unit, double goal, double floor,
     GArray *values)
{
    bench_result(&(BenchResult){ figure, what, unit, goal, values, floor });
    g_array_unref(values);
}

/* @n events, in millions a second. */
static void
measure(gboolean memory, guint n)
{
    GArray *written = bench_values_new(), *read = bench_values_new();
    GArray *size = bench_values_new();

    for (int round = 0; round < ROUNDS; round++) {
        g_auto(MoseFd) fd = memfd_create("trace", MFD_CLOEXEC);

        bench_add(written, n / 1e6 / write_trace(dup(fd), memory));
        bench_add(read, n / 1e6 / read_trace(fd));
        bench_add(size, (double)lseek(fd, 0, SEEK_END) / (double)guest.instructions);
    }
    if (memory) {
        tell("trace-format/accesses", "accesses with values written", "M/s", 0, 20,
             written);
        tell("trace-format/accesses-read", "... and read", "M/s", 0, 0, read);
        tell("trace-format/memory-size", "an instruction with them", "bytes", 4, 0,
             size);
    } else {
        tell("trace-format/blocks", "blocks written", "M/s", 0, 50, written);
        tell("trace-format/blocks-read", "... and read", "M/s", 0, 0, read);
        tell("trace-format/size", "an instruction", "bytes", 1, 0, size);
    }
}

int
main(int argc, char **argv)
{
    bench_begin_alone(&argc, &argv);
    make_guest();
    run_guest();
    measure(FALSE, guest.steps->len);
    measure(TRUE, guest.accesses->len);
    return 0;
}
