/* SPDX-License-Identifier: GPL-2.0-or-later */
/* .eh_frame of this program and its libraries: what is unwound by it is what the C
 * library finds. */
#include <elf.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include "util/error.h"
#include "vmi/linux/eh-frame.h"

enum { MAX_FRAMES = 64 };

/* By the kernel, which knows what cannot be read. */
static gboolean
read_self(gpointer data, guint64 at, void *to, gsize len)
{
    struct iovec local = { to, len };
    struct iovec remote = { (void *)at, len };

    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)len;
}

typedef struct {
    guint64 ip, header;
} Wanted;

static int
look_for(struct dl_phdr_info *info, size_t size, void *data)
{
    Wanted *wanted = data;
    guint64 header = 0;
    gboolean has_ip = FALSE;

    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        guint64 at = info->dlpi_addr + segment->p_vaddr;

        if (segment->p_type == PT_GNU_EH_FRAME)
            header = at;
        if (segment->p_type == PT_LOAD && wanted->ip - at < segment->p_memsz)
            has_ip = TRUE;
    }
    if (has_ip)
        wanted->header = header;
    return has_ip;
}

static guint64
header_of(guint64 ip)
{
    Wanted wanted = { .ip = ip };

    dl_iterate_phdr(look_for, &wanted);
    return wanted.header;
}

static void
take_context(const ucontext_t *context, MoseEhRegisters *ret)
{
    static const int from[MOSE_EH_N] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI,
                                         REG_RDI, REG_RBP, REG_RSP, REG_R8,  REG_R9,
                                         REG_R10, REG_R11, REG_R12, REG_R13, REG_R14,
                                         REG_R15, REG_RIP };

    for (guint i = 0; i < MOSE_EH_N; i++)
        ret->values[i] = context->uc_mcontext.gregs[from[i]];
    ret->known = (1u << MOSE_EH_N) - 1;
}

/* The places from that of @registers on; how many. */
static guint
unwind(MoseEhRegisters registers, const GArray *index, guint64 *places)
{
    gboolean exact = TRUE, outermost = FALSE;
    guint n = 0;

    while (n < MAX_FRAMES) {
        guint64 ip = registers.values[MOSE_EH_RIP];
        gboolean signal;
        g_autoptr(GError) error = NULL;

        places[n++] = ip;
        if (!mose_eh_step(read_self, NULL, header_of(ip - !exact), index, exact,
                          &registers, &outermost, &signal, &error)) {
            g_test_message("%s", error->message);
            break;
        }
        if (outermost)
            break;
        exact = signal;
        index = NULL;
    }
    g_assert_true(outermost);
    return n;
}

/* The C library's list begins where it was asked, and ours where the context was taken:
 * the frames of their callers are the same. */
static void
compare(const guint64 *ours, guint n, void *const *theirs, int n_theirs, guint skip)
{
    g_assert_cmpuint(n, >, 3);
    g_assert_cmpint(n_theirs, ==, (int)n);
    for (guint i = skip; i < n; i++)
        g_assert_cmphex(ours[i], ==, (guint64)theirs[i]);
}

__attribute__((noinline)) static void
check_here(void)
{
    void *theirs[MAX_FRAMES];
    guint64 ours[MAX_FRAMES];
    int n_theirs = backtrace(theirs, MAX_FRAMES);
    MoseEhRegisters registers;
    ucontext_t context;

    getcontext(&context);
    take_context(&context, &registers);
    compare(ours, unwind(registers, NULL, ours), theirs, n_theirs, 1);
}

/* Frames of several shapes: by rbp for what has no fixed size, with saved registers. */
__attribute__((noinline)) static gsize
through_rbp(guint n)
{
    char *piece = __builtin_alloca(n);

    memset(piece, 1, n);
    check_here();
    return strnlen(piece, n);
}

__attribute__((noinline)) static guint
through_many(guint a, guint b, guint c, guint d, guint e, guint f)
{
    guint sum = (guint)through_rbp(a * 100 + 7);

    return sum + a * b + c * d + e * f;
}

static void
test_calls(void)
{
    g_assert_cmpuint(through_many(1, 2, 3, 4, 5, 6), ==, 107 + 2 + 12 + 30);
}

static int
by_value(const void *a, const void *b)
{
    static gboolean checked;

    if (!checked)
        check_here();
    checked = TRUE;
    return *(const int *)a - *(const int *)b;
}

/* Through the C library's own frames. */
static void
test_library(void)
{
    int numbers[] = { 3, 2, 1 };

    qsort(numbers, 3, sizeof(*numbers), by_value);
    g_assert_cmpint(numbers[0], ==, 1);
}

static gboolean handled;

static void
handler(int number, siginfo_t *info, void *context)
{
    check_here();
    handled = TRUE;
}

/* Through the frame that the kernel made, and what was interrupted. */
static void
test_signal(void)
{
    struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

    g_assert_cmpint(sigaction(SIGUSR1, &action, NULL), ==, 0);
    raise(SIGUSR1);
    g_assert_true(handled);
}

/* --- without .eh_frame_hdr --- */

/* .eh_frame of this program, by its file's section headers. */
static gboolean
find_section(guint64 bias, guint64 *ret_at, guint64 *ret_size)
{
    g_autofree char *file = NULL;
    gsize len;
    const Elf64_Ehdr *header;
    const Elf64_Shdr *sections;

    g_assert_true(g_file_get_contents("/proc/self/exe", &file, &len, NULL));
    header = (const Elf64_Ehdr *)file;
    sections = (const Elf64_Shdr *)(file + header->e_shoff);
    for (guint i = 0; i < header->e_shnum; i++) {
        const char *name =
            file + sections[header->e_shstrndx].sh_offset + sections[i].sh_name;

        if (strcmp(name, ".eh_frame") == 0) {
            *ret_at = bias + sections[i].sh_addr;
            *ret_size = sections[i].sh_size;
            return TRUE;
        }
    }
    return FALSE;
}

static int
first_bias(struct dl_phdr_info *info, size_t size, void *data)
{
    *(guint64 *)data = info->dlpi_addr;
    return 1;
}

static GArray *
own_index(void)
{
    guint64 bias = 0, at = 0, size = 0;
    g_autoptr(GError) error = NULL;
    GArray *index;

    dl_iterate_phdr(first_bias, &bias);
    g_assert_true(find_section(bias, &at, &size));
    index = mose_eh_index(read_self, NULL, at, size, &error);
    g_assert_no_error(error);
    return index;
}

static void
test_index(void)
{
    g_autoptr(GArray) index = own_index();
    guint64 with[MAX_FRAMES], without[MAX_FRAMES];
    MoseEhRegisters registers;
    ucontext_t context;
    guint n, found = 0;

    getcontext(&context);
    take_context(&context, &registers);
    n = unwind(registers, NULL, with);
    g_assert_cmpuint(unwind(registers, index, without), ==, n);
    g_assert_cmpmem(with, n * 8, without, n * 8);
    for (guint i = 0; i < index->len; i++) {
        const MoseEhFunction *function = &g_array_index(index, MoseEhFunction, i);

        found += (guint64)test_index == function->begin;
        g_assert_true(i == 0 || function->begin >= function[-1].begin);
    }
    g_assert_cmpuint(found, ==, 1);
}

static void
test_index_wrong(void)
{
    static const guint8 wrong[][12] = {
        { 8, 0, 0, 0, 4, 0, 0, 0 },             /* of a common one that is itself */
        { 8, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f }, /* before the beginning */
    };
    g_autoptr(GError) missing = NULL;
    g_autoptr(GError) large = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(mose_eh_index(read_self, NULL, (guint64)wrong[i],
                                    sizeof(wrong[i]), &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    }
    g_assert_null(mose_eh_index(read_self, NULL, 4096, 64, &missing));
    g_assert_error(missing, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
    g_assert_null(mose_eh_index(read_self, NULL, 4096, 1ull << 40, &large));
    g_assert_error(large, MOSE_ERROR, MOSE_ERROR_INVALID);
}

/* Code that is in no table. */
static void
test_missing(void)
{
    MoseEhRegisters registers = { .known = (1u << MOSE_EH_N) - 1 };
    guint64 header = header_of((guint64)test_missing);
    gboolean outermost, signal;
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) unreadable = NULL;

    registers.values[MOSE_EH_RIP] = 16;
    g_assert_false(mose_eh_step(read_self, NULL, header, NULL, TRUE, &registers,
                                &outermost, &signal, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
    g_assert_false(mose_eh_step(read_self, NULL, 4096, NULL, TRUE, &registers,
                                &outermost, &signal, &unreadable));
    g_assert_error(unreadable, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/eh-frame/calls", test_calls);
    g_test_add_func("/eh-frame/library", test_library);
    g_test_add_func("/eh-frame/signal", test_signal);
    g_test_add_func("/eh-frame/index", test_index);
    g_test_add_func("/eh-frame/index-wrong", test_index_wrong);
    g_test_add_func("/eh-frame/missing", test_missing);
    return g_test_run();
}
