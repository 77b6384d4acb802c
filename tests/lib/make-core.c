/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Core files made by hand; see make-core.h. The layouts are written down anew, as the
 * reader's own could be wrong in both places. */
#include "lib/make-core.h"

#include <elf.h>
#include <string.h>

#include <lzo/lzo1x.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#define PAGE 4096u

const MakeCoreRange make_core_ranges[MAKE_CORE_RANGES] = {
    { 0, 3 * PAGE },
    { 5 * PAGE, 3 * PAGE },
    { 0x100000, 9 * PAGE },
};

guint8
make_core_byte(guint64 address)
{
    guint64 page = address / PAGE;

    if (page % 5 == 1)
        return 0;
    /* Runs that can be packed in most pages, noise in some. */
    return page % 7 == 2 ? (address * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15)) >> 32
                         : page * 3 + address / 64 % 61 + 1;
}

guint64
make_core_register(guint vcpu, guint i)
{
    return G_GUINT64_CONSTANT(0x1100000000000000) * (vcpu + 1) + i * 0x10101 + 7;
}

static void
put(GByteArray *to, gconstpointer bytes, gsize len)
{
    g_byte_array_append(to, bytes, len);
}

static void
put_number(GByteArray *to, guint64 value, gsize size)
{
    put(to, &value, size);
}

static void
pad(GByteArray *to, gsize multiple)
{
    while (to->len % multiple)
        put_number(to, 0, 1);
}

static void
put_note(GByteArray *to, const char *name, guint32 type, const GByteArray *desc)
{
    put_number(to, strlen(name) + 1, 4);
    put_number(to, desc->len, 4);
    put_number(to, type, 4);
    put(to, name, strlen(name) + 1);
    pad(to, 4);
    put(to, desc->data, desc->len);
    pad(to, 4);
}

/* Numbers 0 to 15 are rax rbx rcx rdx rsi rdi rbp rsp r8 to r15, then rip, rflags, fs
 * base, gs base, kernel's gs base, cr0, cr2, cr3, cr4, gdt, idt. */
static void
put_prstatus(GByteArray *to, guint vcpu)
{
    static const gint8 order[] = { 15, 14, 13, 12, 6,  1, 11, 10, 9,  8,  0,  2,  3, 4,
                                   5,  -1, 16, -2, 17, 7, -3, 18, 19, -1, -1, -1, -1 };
    g_autoptr(GByteArray) desc = g_byte_array_new();

    while (desc->len < 112)
        put_number(desc, 0, 8);
    for (gsize i = 0; i < G_N_ELEMENTS(order); i++)
        put_number(desc,
                   order[i] == -1   ? 0
                   : order[i] == -2 ? 0x10
                   : order[i] == -3 ? 0x18
                                    : make_core_register(vcpu, order[i]),
                   8);
    put_number(desc, 0, 8);
    put_note(to, "CORE", NT_PRSTATUS, desc);
}

static void
put_segment(GByteArray *to, guint32 selector, guint32 limit, guint32 flags,
            guint64 base)
{
    put_number(to, selector, 4);
    put_number(to, limit, 4);
    put_number(to, flags, 4);
    put_number(to, 0, 4);
    put_number(to, base, 8);
}

static void
put_qemu(GByteArray *to, guint vcpu)
{
    static const guint8 order[] = { 0, 1,  2,  3,  4,  5,  7,  6,  8,
                                    9, 10, 11, 12, 13, 14, 15, 16, 17 };
    g_autoptr(GByteArray) desc = g_byte_array_new();

    put_number(desc, 1, 4);
    put_number(desc, 440, 4);
    for (gsize i = 0; i < G_N_ELEMENTS(order); i++)
        put_number(desc, make_core_register(vcpu, order[i]), 8);
    put_segment(desc, 0x10, 0xffffffff, 0x00af9b00, 0);
    put_segment(desc, 0, 0, 0, 0);
    put_segment(desc, 0, 0, 0, 0);
    put_segment(desc, 0, 0, 0, make_core_register(vcpu, 18));
    put_segment(desc, 0, 0, 0, make_core_register(vcpu, 19));
    put_segment(desc, 0x18, 0xffffffff, 0, 0);
    put_segment(desc, 0, 0, 0, 0);
    put_segment(desc, 0x40, 0x206f, 0, 0);
    put_segment(desc, 0, 0x7f, 0, make_core_register(vcpu, 24));
    put_segment(desc, 0, 0xfff, 0, make_core_register(vcpu, 25));
    put_number(desc, 0x80050033, 8);
    put_number(desc, 0, 8);
    put_number(desc, make_core_register(vcpu, 22), 8);
    put_number(desc, make_core_register(vcpu, 23), 8);
    put_number(desc, 0x6f0, 8);
    put_number(desc, make_core_register(vcpu, 20), 8);
    put_note(to, "QEMU", 0, desc);
}

static GByteArray *
make_notes(const MakeCore *how, gboolean vmcoreinfo)
{
    GByteArray *notes = g_byte_array_new();

    for (guint i = 0; i < how->vcpus; i++)
        put_prstatus(notes, i);
    for (guint i = 0; i < how->vcpus && !how->no_qemu_notes; i++)
        put_qemu(notes, i);
    if (vmcoreinfo && how->vmcoreinfo) {
        g_autoptr(GByteArray) desc = g_byte_array_new();

        put(desc, how->vmcoreinfo, strlen(how->vmcoreinfo));
        put_note(notes, "VMCOREINFO", 0, desc);
    }
    return notes;
}

static void
put_page(GByteArray *to, guint64 address)
{
    for (guint i = 0; i < PAGE; i++)
        put_number(to, make_core_byte(address + i), 1);
}

static void
put_program_header(GByteArray *to, guint32 type, guint64 offset, guint64 address,
                   guint64 size)
{
    Elf64_Phdr header = { .p_type = type,
                          .p_offset = offset,
                          .p_vaddr = address,
                          .p_paddr = address,
                          .p_filesz = size,
                          .p_memsz = size };

    put(to, &header, sizeof(header));
}

GByteArray *
make_core_elf(const MakeCore *how)
{
    const guint n = 1 + MAKE_CORE_RANGES;
    GByteArray *core = g_byte_array_new();
    g_autoptr(GByteArray) notes = make_notes(how, TRUE);
    guint64 table = sizeof(Elf64_Ehdr) + n * sizeof(Elf64_Phdr);
    guint64 notes_at = table + (how->many_headers ? sizeof(Elf64_Shdr) : 0);
    guint64 at = notes_at + notes->len;
    Elf64_Ehdr header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB,
                                       EV_CURRENT },
                          .e_type = ET_CORE,
                          .e_machine = EM_X86_64,
                          .e_version = EV_CURRENT,
                          .e_phoff = sizeof(Elf64_Ehdr),
                          .e_ehsize = sizeof(Elf64_Ehdr),
                          .e_phentsize = sizeof(Elf64_Phdr),
                          .e_phnum = how->many_headers ? PN_XNUM : n };

    if (how->many_headers) {
        header.e_shoff = table;
        header.e_shentsize = sizeof(Elf64_Shdr);
        header.e_shnum = 1;
    }
    put(core, &header, sizeof(header));
    put_program_header(core, PT_NOTE, notes_at, 0, notes->len);
    for (guint i = 0; i < MAKE_CORE_RANGES; i++) {
        put_program_header(core, PT_LOAD, at, make_core_ranges[i].address,
                           make_core_ranges[i].size);
        at += make_core_ranges[i].size;
    }
    if (how->many_headers) {
        Elf64_Shdr section = { .sh_info = n };

        put(core, &section, sizeof(section));
    }
    put(core, notes->data, notes->len);
    for (guint i = 0; i < MAKE_CORE_RANGES; i++)
        for (guint64 page = 0; page < make_core_ranges[i].size; page += PAGE)
            put_page(core, make_core_ranges[i].address + page);
    return core;
}

/* A page packed by @how; as it is where that makes it no smaller, as makedumpfile does.
 */
static guint32
pack(guint32 how, const guint8 *page, GByteArray *to)
{
    guint8 room[2 * PAGE];
    gsize len = 0;

    if (how == 1) {
        uLongf got = sizeof(room);

        g_assert_cmpint(compress(room, &got, page, PAGE), ==, Z_OK);
        len = got;
    } else if (how == 2) {
        g_autofree guint8 *work = g_malloc(LZO1X_1_MEM_COMPRESS);
        lzo_uint got = 0;

        g_assert_cmpint(lzo1x_1_compress(page, PAGE, room, &got, work), ==, LZO_E_OK);
        len = got;
    } else if (how == 4) {
        len = sizeof(room);
        g_assert_cmpint(snappy_compress((const char *)page, PAGE, (char *)room, &len),
                        ==, SNAPPY_OK);
    } else if (how == 0x20) {
        len = ZSTD_compress(room, sizeof(room), page, PAGE, 1);
        g_assert_false(ZSTD_isError(len));
    }
    if (len == 0 || len >= PAGE) {
        put(to, page, PAGE);
        return 0;
    }
    put(to, room, len);
    return how;
}

static void
set_bit(guint8 *map, guint64 bit)
{
    map[bit / 8] |= 1u << bit % 8;
}

/* Sub header, notes and VMCOREINFO, from block 1 on. */
static GByteArray *
make_sub(const MakeCore *how, guint64 frames)
{
    GByteArray *sub = g_byte_array_new();
    g_autoptr(GByteArray) notes = make_notes(how, FALSE);
    gsize info = how->vmcoreinfo ? strlen(how->vmcoreinfo) : 0;
    guint64 notes_at = PAGE + 104;

    put_number(sub, 0x1000000, 8); /* phys_base */
    put_number(sub, 1, 4);         /* dump_level: zeros */
    put_number(sub, 0, 4);         /* split */
    put_number(sub, 0, 8);
    put_number(sub, 0, 8);
    put_number(sub, info ? notes_at + notes->len : 0, 8);
    put_number(sub, info, 8);
    put_number(sub, notes_at, 8);
    put_number(sub, notes->len, 8);
    put_number(sub, 0, 8);
    put_number(sub, 0, 8);
    put_number(sub, 0, 8);
    put_number(sub, 0, 8);
    put_number(sub, frames, 8);
    put(sub, notes->data, notes->len);
    if (info)
        put(sub, how->vmcoreinfo, info);
    pad(sub, PAGE);
    return sub;
}

static void
put_header(GByteArray *core, const MakeCore *how, guint32 sub_blocks, guint64 frames)
{
    guint32 status = 0;

    for (guint i = 0; i < how->n_packing; i++)
        status |= how->packing[i];
    put(core, "KDUMP   ", 8);
    put_number(core, how->version ? how->version : 6, 4);
    g_byte_array_set_size(core, 424);
    memset(core->data + 12, 0, 424 - 12);
    memcpy(core->data + 12 + 4 * 65, "x86_64", 6);
    put_number(core, status, 4);
    put_number(core, PAGE, 4);
    put_number(core, sub_blocks, 4);
    put_number(core, 2, 4); /* blocks of bitmaps */
    put_number(core, frames, 4);
    for (int i = 0; i < 4; i++)
        put_number(core, 0, 4);
    put_number(core, how->vcpus, 4);
    pad(core, PAGE);
}

GByteArray *
make_core_kdump(const MakeCore *how)
{
    const MakeCoreRange *last = &make_core_ranges[MAKE_CORE_RANGES - 1];
    guint64 frames = (last->address + last->size) / PAGE;
    GByteArray *core = g_byte_array_new();
    g_autoptr(GByteArray) sub = make_sub(how, frames);
    g_autoptr(GByteArray) list = g_byte_array_new(), data = g_byte_array_new();
    guint8 maps[2 * PAGE] = { 0 };
    guint64 n = 0, pages_at;

    for (guint i = 0; i < MAKE_CORE_RANGES; i++)
        for (guint64 at = 0; at < make_core_ranges[i].size; at += PAGE) {
            guint64 address = make_core_ranges[i].address + at;

            set_bit(maps, address / PAGE);
            if (how->zeros_left_out && make_core_byte(address) == 0)
                continue;
            set_bit(maps + PAGE, address / PAGE);
            n++;
        }
    put_header(core, how, sub->len / PAGE, frames);
    put(core, sub->data, sub->len);
    put(core, maps, sizeof(maps));
    pages_at = core->len + n * 24;
    for (guint64 frame = 0, k = 0; frame < frames; frame++) {
        g_autoptr(GByteArray) page = g_byte_array_new();
        gsize before = data->len;
        guint32 flags;

        if (!(maps[PAGE + frame / 8] >> frame % 8 & 1))
            continue;
        put_page(page, frame * PAGE);
        flags = pack(how->n_packing ? how->packing[k % how->n_packing] : 0, page->data,
                     data);
        k++;
        put_number(list, pages_at + before, 8);
        put_number(list, data->len - before, 4);
        put_number(list, flags, 4);
        put_number(list, 0, 8);
    }
    put(core, list->data, list->len);
    put(core, data->data, data->len);
    return core;
}

static void
put_big(GByteArray *to, guint64 value)
{
    value = GUINT64_TO_BE(value);
    put(to, &value, sizeof(value));
}

static void
put_record(GByteArray *to, const GByteArray *core, gsize offset, gsize len)
{
    put_big(to, offset);
    put_big(to, len);
    put(to, core->data + offset, len);
}

GByteArray *
make_core_flattened(const GByteArray *core, gsize piece)
{
    GByteArray *flat = g_byte_array_new();
    guint8 wrong[24];

    memset(wrong, 0x5a, sizeof(wrong));
    put(flat, "makedumpfile\0\0\0", 16);
    put_big(flat, 1);
    put_big(flat, 1);
    pad(flat, PAGE);
    for (gsize n = (core->len + piece - 1) / piece; n > 0; n--) {
        gsize offset = (n - 1) * piece;

        put_record(flat, core, offset, MIN(piece, core->len - offset));
        if (offset + piece < core->len)
            continue;
        put_big(flat, 100);
        put_big(flat, sizeof(wrong));
        put(flat, wrong, sizeof(wrong));
    }
    put_record(flat, core, 90, 60);
    put_big(flat, G_MAXUINT64);
    put_big(flat, G_MAXUINT64);
    return flat;
}
