/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF objects: this very process's, as its memory has them and as their files do. What
 * there is to be found in them, the dynamic linker says.
 */
#include "vmi/linux/elf-image.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "util/error.h"
#include "util/fd.h"

static gboolean
read_fd(gpointer data, guint64 at, void *to, gsize len)
{
    return pread(*(int *)data, to, len, (off_t)at) == (ssize_t)len;
}

/* --- all objects of this process --- */

typedef struct {
    int memory;
    guint objects, symbols, versions, checked;
} Count;

static void
check_symbol(const MoseElfSymbol *symbol, gpointer data)
{
    Count *count = data;

    count->symbols++;
    g_assert_cmpuint(strlen(symbol->name), >, 0);
    if (!symbol->version)
        return;
    count->versions++;
    g_assert_cmpstr(symbol->version, !=, "?");
    /* Which the dynamic linker knows as well, if it may tell. */
    if (!strstr(symbol->version, "PRIVATE"))
        count->checked += dlvsym(RTLD_DEFAULT, symbol->name, symbol->version) != NULL;
}

static char *
linker_build_id(const struct dl_phdr_info *info)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *one = &info->dlpi_phdr[i];
        const guint8 *note = (const guint8 *)(info->dlpi_addr + one->p_vaddr);

        for (gsize at = 0; one->p_type == PT_NOTE && at + 12 < one->p_memsz;) {
            guint32 sizes[3];
            g_autoptr(GString) text = g_string_new(NULL);

            memcpy(sizes, note + at, sizeof(sizes));
            for (guint j = 0; j < sizes[1]; j++)
                g_string_append_printf(text, "%02x", note[at + 16 + j]);
            if (sizes[2] == NT_GNU_BUILD_ID && memcmp(note + at + 12, "GNU", 4) == 0)
                return g_string_free(g_steal_pointer(&text), FALSE);
            at += 12 + (sizes[0] + 3) / 4 * 4 + (sizes[1] + 3) / 4 * 4;
        }
    }
    return NULL;
}

static guint64
header_of(const struct dl_phdr_info *info)
{
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_offset == 0)
            return info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
    g_assert_not_reached();
}

static int
check_object(struct dl_phdr_info *info, size_t size, void *data)
{
    Count *count = data;
    g_autoptr(GError) error = NULL;
    g_autofree char *id = linker_build_id(info);
    g_autoptr(MoseElf) elf =
        mose_elf_new(read_fd, &count->memory, TRUE, header_of(info), &error);

    g_assert_no_error(error);
    g_assert_cmphex(elf->bias, ==, info->dlpi_addr);
    g_assert_cmpuint(elf->segments->len, ==, info->dlpi_phnum);
    g_assert_cmpstr(elf->build_id, ==, id);
    g_assert_true(elf->is_64);
    if (!mose_elf_dynamic_symbols(elf, check_symbol, count, &error)) {
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
        g_clear_error(&error);
    }
    count->objects++;
    return 0;
}

static void
test_process(void)
{
    Count count = { .memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC) };

    dl_iterate_phdr(check_object, &count);
    close(count.memory);
    g_test_message("%u objects, %u symbols, %u of other versions", count.objects,
                   count.symbols, count.versions);
    g_assert_cmpuint(count.objects, >, 3);
    g_assert_cmpuint(count.symbols, >, 2000);
    g_assert_cmpuint(count.versions, >, 10);
    g_assert_cmpuint(count.checked, >, 10);
}

/* --- libc, whose symbols dlsym() has as well --- */

typedef struct {
    void *handle;
    guint found;
    gboolean file; /* addresses are the file's: without the bias */
    guint64 bias;
} Libc;

/* An indirect function's address is not where dlsym() leads to. */
static void
check_libc_symbol(const MoseElfSymbol *symbol, gpointer data)
{
    Libc *libc = data;
    void *there;

    if (symbol->version || symbol->type == 'i' || symbol->type == 'A')
        return;
    there = dlsym(libc->handle, symbol->name);
    if (!there)
        return; /* GLIBC_PRIVATE */
    g_assert_cmphex(symbol->address + libc->bias, ==, (guintptr)there);
    libc->found++;
}

static int
find_libc(struct dl_phdr_info *info, size_t size, void *data)
{
    if (!info->dlpi_name || !strstr(info->dlpi_name, "/libc.so.6"))
        return 0;
    *(struct dl_phdr_info *)data = *info;
    return 1;
}

static void
test_libc(void)
{
    struct dl_phdr_info info;
    Libc libc = { .handle = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD) };
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC), file;
    g_autoptr(MoseElf) loaded = NULL;
    g_autoptr(MoseElf) in_file = NULL;
    g_autoptr(GError) error = NULL;
    guint n;

    g_assert_cmpint(dl_iterate_phdr(find_libc, &info), ==, 1);
    loaded = mose_elf_new(read_fd, &memory, TRUE, header_of(&info), &error);
    g_assert_no_error(error);
    g_assert_cmpstr(loaded->soname, ==, "libc.so.6");
    g_assert_true(mose_elf_dynamic_symbols(loaded, check_libc_symbol, &libc, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(libc.found, >, 1500);

    /* The same from the file. */
    n = libc.found;
    libc.found = 0;
    libc.bias = info.dlpi_addr;
    file = open(info.dlpi_name, O_RDONLY | O_CLOEXEC);
    in_file = mose_elf_new(read_fd, &file, FALSE, 0, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(in_file->build_id, ==, loaded->build_id);
    g_assert_true(mose_elf_dynamic_symbols(in_file, check_libc_symbol, &libc, &error));
    g_assert_cmpuint(libc.found, ==, n);
    close(file);
    close(memory);
    dlclose(libc.handle);
}

/* --- a table that only the file has --- */

static void
look_for_main(const MoseElfSymbol *symbol, gpointer data)
{
    if (strcmp(symbol->name, "test_table") == 0) {
        g_assert_cmpint(symbol->type, ==, 't');
        *(guint64 *)data = symbol->address;
    }
}

static int
first_object(struct dl_phdr_info *info, size_t size, void *data)
{
    *(guint64 *)data = info->dlpi_addr;
    return 1;
}

static void
test_table(void)
{
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseElf) elf = mose_elf_new(read_fd, &file, FALSE, 0, &error);
    guint64 bias, found = 0;

    g_assert_no_error(error);
    dl_iterate_phdr(first_object, &bias);
    if (!mose_elf_table_symbols(elf, bias, look_for_main, &found, &error)) {
        g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);
        g_test_skip("this program is stripped");
    } else {
        g_assert_cmphex(found, ==, (guintptr)test_table);
    }
    close(file);
}

/* --- what is none, or broken --- */

typedef struct {
    guint8 bytes[4096];
    gsize size;
} Buffer;

static gboolean
read_buffer(gpointer data, guint64 at, void *to, gsize len)
{
    Buffer *buffer = data;

    if (at > buffer->size || len > buffer->size - at)
        return FALSE;
    memcpy(to, buffer->bytes + at, len);
    return TRUE;
}

static void
make_header(Buffer *buffer)
{
    Elf64_Ehdr *header = (Elf64_Ehdr *)buffer->bytes;
    Elf64_Phdr *load = (Elf64_Phdr *)(buffer->bytes + 64);

    memset(buffer, 0, sizeof(*buffer));
    buffer->size = sizeof(buffer->bytes);
    memcpy(header->e_ident, ELFMAG, SELFMAG);
    header->e_ident[EI_CLASS] = ELFCLASS64;
    header->e_ident[EI_DATA] = ELFDATA2LSB;
    header->e_type = ET_DYN;
    header->e_phoff = 64;
    header->e_phnum = 2;
    header->e_phentsize = sizeof(Elf64_Phdr);
    load[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_filesz = 4096, .p_memsz = 4096 };
    load[1] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_vaddr = 512, .p_filesz = 24 };
}

static void
assert_refused(Buffer *buffer, int code)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(mose_elf_new(read_buffer, buffer, FALSE, 0, &error));
    g_assert_error(error, MOSE_ERROR, code);
}

static void
ignore(const MoseElfSymbol *symbol, gpointer data)
{
    g_assert_not_reached();
}

static void
test_broken(void)
{
    Buffer buffer;
    Elf64_Ehdr *header = (Elf64_Ehdr *)buffer.bytes;
    Elf64_Phdr *segments = (Elf64_Phdr *)(buffer.bytes + 64);
    g_autoptr(GError) error = NULL;
    g_autoptr(MoseElf) elf = NULL;

    make_header(&buffer);
    elf = mose_elf_new(read_buffer, &buffer, FALSE, 0, &error);
    g_assert_no_error(error);
    g_assert_null(elf->build_id);
    g_assert_false(mose_elf_dynamic_symbols(elf, ignore, NULL, &error));
    g_assert_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND);

    header->e_ident[0] = 'E';
    assert_refused(&buffer, MOSE_ERROR_INVALID);
    make_header(&buffer);
    header->e_phnum = 0xffff;
    assert_refused(&buffer, MOSE_ERROR_INVALID);
    make_header(&buffer);
    header->e_phoff = G_MAXUINT64 - 8;
    assert_refused(&buffer, MOSE_ERROR_INVALID);
    make_header(&buffer);
    header->e_phoff = sizeof(buffer.bytes) - 8;
    assert_refused(&buffer, MOSE_ERROR_NOT_FOUND);
    make_header(&buffer);
    segments[0].p_memsz = G_MAXUINT64;
    assert_refused(&buffer, MOSE_ERROR_INVALID);
    make_header(&buffer);
    segments[0].p_type = PT_NULL;
    assert_refused(&buffer, MOSE_ERROR_INVALID);
    make_header(&buffer);
    buffer.size = 40;
    assert_refused(&buffer, MOSE_ERROR_NOT_FOUND);
}

static void
test_note(void)
{
    static const guint32 sizes[] = { 4, 8, NT_GNU_BUILD_ID };
    Buffer buffer;
    g_autoptr(MoseElf) elf = NULL;
    g_autoptr(MoseElf) other = NULL;

    make_header(&buffer);
    memcpy(buffer.bytes + 512, sizes, sizeof(sizes));
    memcpy(buffer.bytes + 524, "GNU\0\x01\x23\x45\x67\x89\xab\xcd\xef", 12);
    elf = mose_elf_new(read_buffer, &buffer, FALSE, 0, NULL);
    g_assert_cmpstr(elf->build_id, ==, "0123456789abcdef");
    /* Longer than the segment. */
    buffer.bytes[516] = 9;
    other = mose_elf_new(read_buffer, &buffer, FALSE, 0, NULL);
    g_assert_null(other->build_id);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/elf-image/process", test_process);
    g_test_add_func("/elf-image/libc", test_libc);
    g_test_add_func("/elf-image/table", test_table);
    g_test_add_func("/elf-image/broken", test_broken);
    g_test_add_func("/elf-image/note", test_note);
    return g_test_run();
}
