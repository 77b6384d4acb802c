/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Core files read: those that are whole, and those with each field damaged. */
#include <elf.h>
#include <string.h>
#include <unistd.h>

#include "lib/make-core.h"
#include "util/error.h"
#include "vmi/memory.h"

#define PAGE 4096u
#define INFO "OSRELEASE=6.1.0\nPAGESIZE=4096\n"

static const guint32 all_packings[] = { 1, 0, 2, 4, 0x20 };

/* The file as memory. */
static MoseMemory *
open_bytes(const guint8 *bytes, gsize len, GError **error)
{
    g_autofree char *path = NULL;
    MoseMemory *memory;
    int fd = g_file_open_tmp("mose-core-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, bytes, len), ==, len);
    close(fd);
    memory = mose_memory_of_core(path, error);
    unlink(path);
    return memory;
}

static void
assert_read(MoseMemory *memory, guint64 address, gsize len)
{
    g_autofree guint8 *bytes = g_malloc(len);

    g_assert_true(mose_memory_peek(memory, address, bytes, len));
    for (gsize i = 0; i < len; i++)
        if (bytes[i] != make_core_byte(address + i))
            g_error("0x%02x at 0x%" G_GINT64_MODIFIER "x, not 0x%02x", bytes[i],
                    address + i, make_core_byte(address + i));
}

static void
assert_memory(MoseMemory *memory)
{
    const GArray *ranges = mose_memory_ranges(memory);
    guint8 byte;

    g_assert_cmpuint(ranges->len, ==, MAKE_CORE_RANGES);
    for (guint i = 0; i < ranges->len; i++) {
        const MoseMemoryRange *range = &g_array_index(ranges, MoseMemoryRange, i);

        g_assert_cmphex(range->address, ==, make_core_ranges[i].address);
        g_assert_cmphex(range->size, ==, make_core_ranges[i].size);
        assert_read(memory, range->address, range->size);
        for (guint64 at = 0; at + 24 <= range->size; at += 1000)
            assert_read(memory, range->address + at, 24);
        g_assert_false(
            mose_memory_peek(memory, range->address + range->size, &byte, 1));
        g_assert_false(
            mose_memory_peek(memory, range->address + range->size - 1, &byte, 2));
    }
    g_assert_false(mose_memory_peek(memory, G_MAXUINT64, &byte, 1));
    g_assert_false(mose_memory_is_alive(memory));
}

static void
assert_vcpus(MoseMemory *memory, guint n, gboolean whole)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) vcpus = mose_memory_vcpus(memory, TRUE, &error);

    if (n == 0) {
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
        return;
    }
    g_assert_no_error(error);
    g_assert_cmpuint(vcpus->len, ==, n);
    for (guint v = 0; v < n; v++) {
        const MoseVcpu *vcpu = &g_array_index(vcpus, MoseVcpu, v);

        g_assert_cmpuint(vcpu->index, ==, v);
        for (guint i = 0; i < MOSE_N_GENERAL; i++)
            g_assert_cmphex(vcpu->general[i], ==, make_core_register(v, i));
        g_assert_cmphex(vcpu->rip, ==, make_core_register(v, 16));
        g_assert_cmphex(vcpu->rflags, ==, make_core_register(v, 17));
        g_assert_cmphex(vcpu->cs, ==, 0x10);
        g_assert_cmphex(vcpu->ss, ==, 0x18);
        g_assert_cmphex(vcpu->fs_base, ==, make_core_register(v, 18));
        g_assert_cmphex(vcpu->gs_base, ==, make_core_register(v, 19));
        if (!whole) {
            g_assert_cmphex(vcpu->paging.cr3, ==, 0);
            continue;
        }
        g_assert_cmphex(vcpu->kernel_gs_base, ==, make_core_register(v, 20));
        g_assert_cmphex(vcpu->cr2, ==, make_core_register(v, 22));
        g_assert_cmphex(vcpu->paging.cr0, ==, 0x80050033);
        g_assert_cmphex(vcpu->paging.cr3, ==, make_core_register(v, 23));
        g_assert_cmphex(vcpu->paging.cr4, ==, 0x6f0);
        g_assert_cmpint(mose_paging_levels(&vcpu->paging), ==, 4);
        g_assert_cmphex(vcpu->gdt_base, ==, make_core_register(v, 24));
        g_assert_cmphex(vcpu->idt_base, ==, make_core_register(v, 25));
        g_assert_cmphex(vcpu->idt_limit, ==, 0xfff);
    }
}

static void
assert_whole(const GByteArray *core, const MakeCore *how)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseMemory) memory = open_bytes(core->data, core->len, &error);

    g_assert_no_error(error);
    assert_memory(memory);
    assert_vcpus(memory, how->vcpus, !how->no_qemu_notes);
    g_assert_cmpstr(mose_memory_vmcoreinfo(memory), ==, how->vmcoreinfo);
}

static void
test_elf(void)
{
    static const MakeCore hows[] = {
        { .vcpus = 2, .vmcoreinfo = INFO },
        { .vcpus = 1, .no_qemu_notes = TRUE },
        { .vcpus = 0, .vmcoreinfo = INFO },
        { .vcpus = 3, .many_headers = TRUE },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(hows); i++) {
        g_autoptr(GByteArray) core = make_core_elf(&hows[i]);

        assert_whole(core, &hows[i]);
    }
}

static void
test_kdump(void)
{
    static const MakeCore hows[] = {
        { .vcpus = 2, .vmcoreinfo = INFO, .packing = all_packings, .n_packing = 1 },
        { .vcpus = 1, .packing = all_packings, .n_packing = 5, .zeros_left_out = TRUE },
        { .vcpus = 12, .vmcoreinfo = INFO },
        { .vcpus = 1, .version = 5, .vmcoreinfo = INFO },
        { .vcpus = 0, .version = 3, .vmcoreinfo = INFO },
        { .vcpus = 0, .version = 1, .packing = all_packings, .n_packing = 2 },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(hows); i++) {
        g_autoptr(GByteArray) core = make_core_kdump(&hows[i]);

        assert_whole(core, &hows[i]);
    }
}

static void
test_flattened(void)
{
    const MakeCore how = {
        .vcpus = 2, .vmcoreinfo = INFO, .packing = all_packings, .n_packing = 5
    };
    g_autoptr(GByteArray) kdump = make_core_kdump(&how), elf = make_core_elf(&how);

    for (gsize piece = 777; piece < 40000; piece = piece * 2 + 1) {
        g_autoptr(GByteArray) one = make_core_flattened(kdump, piece);
        g_autoptr(GByteArray) other = make_core_flattened(elf, piece);

        assert_whole(one, &how);
        assert_whole(other, &how);
    }
}

/* What makedumpfile leaves out besides zeros is not there: it must not look like zeros.
 */
static void
test_excluded(void)
{
    const MakeCore how = { .vcpus = 1, .zeros_left_out = TRUE };
    g_autoptr(GByteArray) core = make_core_kdump(&how);
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseMemory) memory = NULL;
    guint8 byte;

    core->data[PAGE + 8] = 31;
    memory = open_bytes(core->data, core->len, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(make_core_byte(PAGE), ==, 0);
    g_assert_false(mose_memory_peek(memory, PAGE, &byte, 1));
    assert_read(memory, 2 * PAGE, PAGE);
    assert_read(memory, 0, PAGE);
}

/* The kernel's image of /proc/vmcore, and what is mapped twice in a core of QEMU's with
 * paging: a segment over the others, of the same memory. */
static void
test_overlapping(void)
{
    const MakeCore how = { .vcpus = 1 };
    g_autoptr(GByteArray) core = make_core_elf(&how);
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseMemory) memory = NULL;
    Elf64_Phdr headers[1 + MAKE_CORE_RANGES];

    memcpy(headers, core->data + sizeof(Elf64_Ehdr), sizeof(headers));
    headers[1] = headers[3];
    headers[1].p_vaddr = 0xffffffff81000000;
    headers[1].p_paddr += 2 * PAGE;
    headers[1].p_offset += 2 * PAGE;
    headers[1].p_filesz = headers[1].p_memsz = 5 * PAGE;
    memcpy(core->data + sizeof(Elf64_Ehdr), headers, sizeof(headers));
    memory = open_bytes(core->data, core->len, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(mose_memory_ranges(memory)->len, ==, 2);
    assert_read(memory, make_core_ranges[2].address, make_core_ranges[2].size);
    assert_read(memory, make_core_ranges[1].address, make_core_ranges[1].size);
}

/* One field set to something else, and the words of the error. */
typedef struct {
    gsize offset, size;
    guint64 value;
    int code;
    const char *says;
} Damage;

static void
assert_refused(const GByteArray *core, const Damage *damage)
{
    g_autofree guint8 *bytes = g_memdup2(core->data, core->len);
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseMemory) memory = NULL;

    memcpy(bytes + damage->offset, &damage->value, damage->size);
    memory = open_bytes(bytes, core->len, &error);
    if (memory)
        g_error("nothing is wrong at 0x%zx", damage->offset);
    g_assert_error(error, MOSE_ERROR, damage->code);
    if (!strstr(error->message, damage->says))
        g_error("0x%zx: %s, not: %s", damage->offset, error->message, damage->says);
}

#define INVALID MOSE_ERROR_INVALID
#define UNSUPPORTED MOSE_ERROR_UNSUPPORTED
#define PHDR(n, member)                                                                \
    (sizeof(Elf64_Ehdr) + (n) * sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, member))

static void
test_broken_elf(void)
{
    static const Damage damages[] = {
        { 0, 1, 0, INVALID, "neither an ELF core" },
        { EI_CLASS, 1, ELFCLASS32, UNSUPPORTED, "32 bits" },
        { EI_CLASS, 1, 9, INVALID, "class" },
        { EI_DATA, 1, ELFDATA2MSB, UNSUPPORTED, "big-endian" },
        { EI_DATA, 1, 0, INVALID, "byte order" },
        { offsetof(Elf64_Ehdr, e_type), 2, ET_EXEC, UNSUPPORTED, "no core" },
        { offsetof(Elf64_Ehdr, e_machine), 2, EM_AARCH64, UNSUPPORTED, "processor" },
        { offsetof(Elf64_Ehdr, e_phoff), 8, G_MAXUINT64 - 8, INVALID, "headers" },
        { offsetof(Elf64_Ehdr, e_phoff), 8, 1u << 30, INVALID, "headers" },
        { offsetof(Elf64_Ehdr, e_phentsize), 2, 32, INVALID, "0x36" },
        { offsetof(Elf64_Ehdr, e_phnum), 2, 0, INVALID, "0x38" },
        { offsetof(Elf64_Ehdr, e_phnum), 2, 0xfffe, INVALID, "headers" },
        { PHDR(0, p_offset), 8, G_MAXUINT64, INVALID, "the notes" },
        { PHDR(0, p_filesz), 8, 1u << 30, INVALID, "the notes" },
        { PHDR(0, p_offset), 8, 0, INVALID, "note at 0x" },
        { PHDR(2, p_offset), 8, 1u << 30, INVALID, "a segment" },
        { PHDR(2, p_offset), 8, G_MAXUINT64, INVALID, "a segment" },
        { PHDR(2, p_filesz), 8, G_MAXUINT64, INVALID, "a segment" },
        { PHDR(2, p_paddr), 8, G_MAXUINT64, INVALID, "for address" },
    };
    const MakeCore how = { .vcpus = 1, .vmcoreinfo = INFO };
    g_autoptr(GByteArray) core = make_core_elf(&how);
    g_autoptr(GByteArray) many = NULL;
    Damage section = { 0, 4, 0, INVALID, "program headers" };

    for (gsize i = 0; i < G_N_ELEMENTS(damages); i++)
        assert_refused(core, &damages[i]);
    g_byte_array_set_size(core, core->len - 1);
    assert_refused(core, &(Damage){ 0, 1, 0x7f, INVALID, "a segment" });

    many = make_core_elf(&(MakeCore){ .vcpus = 1, .many_headers = TRUE });
    section.offset =
        sizeof(Elf64_Ehdr) + 4 * sizeof(Elf64_Phdr) + offsetof(Elf64_Shdr, sh_info);
    assert_refused(many, &section);
    section.value = G_MAXUINT32;
    assert_refused(many, &section);
    assert_refused(many, &(Damage){ offsetof(Elf64_Ehdr, e_shoff), 8, G_MAXUINT64,
                                    INVALID, "section header" });
}

static void
test_process(void)
{
    const MakeCore how = { .vcpus = 1 };
    g_autoptr(GByteArray) core = make_core_elf(&how);
    const guint64 zero = 0;

    for (guint i = 1; i < 3; i++)
        memcpy(core->data + PHDR(i, p_paddr), &zero, sizeof(zero));
    assert_refused(core,
                   &(Damage){ PHDR(3, p_paddr), 8, 0, INVALID, "core of a process" });
}

/* In the file of the fields below: a header of 464 bytes, the sub header at 4096. */
static void
test_broken_kdump(void)
{
    static const Damage damages[] = {
        { 3, 1, 'm', INVALID, "neither an ELF core" },
        { 8, 4, 7, UNSUPPORTED, "version 7" },
        { 8, 4, 0, UNSUPPORTED, "version 0" },
        { 424, 4, 0x40, UNSUPPORTED, "not known" },
        { 428, 4, 8192, INVALID, "0x1ac" },
        { 428, 4, 0, INVALID, "0x1ac" },
        { 432, 4, 0, INVALID, "0x1b0" },
        { 432, 4, G_MAXUINT32, INVALID, "the bitmaps" },
        { 436, 4, 0, INVALID, "0x1b4" },
        { 436, 4, G_MAXUINT32, INVALID, "the bitmaps" },
        { 4096 + 12, 4, 1, UNSUPPORTED, "split" },
        { 4096 + 32, 8, 1u << 30, INVALID, "VMCOREINFO" },
        { 4096 + 40, 8, G_MAXUINT64, INVALID, "VMCOREINFO" },
        { 4096 + 40, 8, 1u << 20, INVALID, "VMCOREINFO" },
        { 4096 + 48, 8, G_MAXUINT64, INVALID, "the notes" },
        { 4096 + 56, 8, G_MAXUINT64, INVALID, "the notes" },
        { 4096 + 48, 8, 4096 + 104 + 20, INVALID, "note at 0x" },
        { 4096 + 96, 8, 0, INVALID, "page frames" },
        { 4096 + 96, 8, G_MAXUINT64, INVALID, "page frames" },
        { 4096 + 96, 8, 1 << 20, INVALID, "too small" },
    };
    const MakeCore how = { .vcpus = 1, .vmcoreinfo = INFO };
    g_autoptr(GByteArray) core = make_core_kdump(&how);
    g_autoptr(GByteArray) old = make_core_kdump(&(MakeCore){ .version = 5 });

    for (gsize i = 0; i < G_N_ELEMENTS(damages); i++)
        assert_refused(core, &damages[i]);
    assert_refused(old, &(Damage){ 440, 4, 0, INVALID, "page frames (at 0x1b8)" });
    /* The block size of one of 32 bits is elsewhere. */
    core->data[416 + 1] = 0x10;
    assert_refused(core, &(Damage){ 428, 4, 0, UNSUPPORTED, "32 bits" });
    core->data[416 + 1] = 0;
    g_byte_array_set_size(core, 4 * PAGE + 100);
    assert_refused(core, &(Damage){ 8, 4, 6, INVALID, "the list of pages" });
    g_byte_array_set_size(core, 3 * PAGE + 100);
    assert_refused(core, &(Damage){ 8, 4, 6, INVALID, "the bitmaps" });
    g_byte_array_set_size(core, 100);
    assert_refused(core, &(Damage){ 8, 4, 6, INVALID, "the header" });
    g_byte_array_set_size(core, 20);
    assert_refused(core, &(Damage){ 8, 4, 6, INVALID, "20 bytes" });
}

/* A page's own entry: the file opens, and that page alone cannot be read. */
static void
test_broken_pages(void)
{
    static const struct {
        gsize offset, size;
        guint64 value;
    } damages[] = {
        { 0, 8, G_MAXUINT64 }, { 0, 8, 1u << 30 }, { 8, 4, 0 },
        { 8, 4, G_MAXUINT32 }, { 8, 4, 4095 },     { 8, 4, 3 },
        { 12, 4, 0x21 },       { 12, 4, 0x20 },    { 12, 4, 2 },
        { 12, 4, 4 },          { 12, 4, 0 },       { 0, 8, 0 },
    };
    const MakeCore how = { .vcpus = 1, .packing = all_packings, .n_packing = 1 };
    g_autoptr(GByteArray) core = make_core_kdump(&how);
    const gsize list = 4 * PAGE;

    for (gsize i = 0; i < G_N_ELEMENTS(damages); i++) {
        g_autofree guint8 *bytes = g_memdup2(core->data, core->len);
        g_autoptr(GError) error = NULL;
        g_autoptr(MoseMemory) memory = NULL;
        guint8 byte;

        /* The one of page 0, which zlib makes smaller. */
        memcpy(bytes + list + damages[i].offset, &damages[i].value, damages[i].size);
        memory = open_bytes(bytes, core->len, &error);
        g_assert_no_error(error);
        g_assert_false(mose_memory_peek(memory, 100, &byte, 1));
        g_assert_false(mose_memory_read(memory, 100, &byte, 1, &error));
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
        assert_read(memory, PAGE, 2 * PAGE);
    }
}

static void
test_broken_flattened(void)
{
    const guint64 huge = GUINT64_TO_BE(G_MAXINT64);
    const MakeCore how = { .vcpus = 1 };
    g_autoptr(GByteArray) core = make_core_kdump(&how);
    g_autoptr(GByteArray) flat = make_core_flattened(core, 5000);

    assert_refused(flat, &(Damage){ 16, 1, 9, INVALID, "neither an ELF core" });
    assert_refused(flat, &(Damage){ PAGE, 8, huge, INVALID, "record at 0x1000" });
    assert_refused(flat, &(Damage){ PAGE + 8, 8, huge, INVALID, "record at 0x1000" });
    g_byte_array_set_size(flat, flat->len - 1);
    assert_refused(flat, &(Damage){ 0, 1, 'm', INVALID, "cut short" });
    g_byte_array_set_size(flat, PAGE - 1);
    assert_refused(flat, &(Damage){ 0, 1, 'm', INVALID, "within its header" });
}

static void
test_not_a_core(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(mose_memory_of_core("/nonexistent/core", &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
    g_clear_error(&error);
    g_assert_null(mose_memory_of_core("/dev/null", &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_null(mose_memory_of_core("/", &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_INVALID);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/core/elf", test_elf);
    g_test_add_func("/core/kdump", test_kdump);
    g_test_add_func("/core/flattened", test_flattened);
    g_test_add_func("/core/excluded", test_excluded);
    g_test_add_func("/core/overlapping", test_overlapping);
    g_test_add_func("/core/process", test_process);
    g_test_add_func("/core/broken/elf", test_broken_elf);
    g_test_add_func("/core/broken/kdump", test_broken_kdump);
    g_test_add_func("/core/broken/pages", test_broken_pages);
    g_test_add_func("/core/broken/flattened", test_broken_flattened);
    g_test_add_func("/core/not-a-core", test_not_a_core);
    return g_test_run();
}
