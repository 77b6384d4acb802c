/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The headers of an ELF core, in the few sorts there are: QEMU's dump-guest-memory
 * (dump/dump.c), with or without paging; Linux's /proc/vmcore (fs/proc/vmcore.c).
 */
#include "vmi/core-elf.h"

#include <elf.h>
#include <string.h>

#include "util/error.h"

/* With paging QEMU writes a segment for each mapping that it finds. */
#define MAX_HEADERS (1u << 22)
#define BATCH 512

gboolean
mose_core_elf_is(const guint8 *header, gsize len)
{
    return len >= SELFMAG && memcmp(header, ELFMAG, SELFMAG) == 0;
}

static gboolean
check_header(const MoseCoreFile *file, const Elf64_Ehdr *header, GError **error)
{
    const char *wrong = NULL;
    gboolean broken = FALSE;

    if (header->e_ident[EI_CLASS] == ELFCLASS32)
        wrong = "a core of 32 bits";
    else if (header->e_ident[EI_DATA] == ELFDATA2MSB)
        wrong = "a core of a big-endian processor";
    else if (header->e_ident[EI_CLASS] != ELFCLASS64 ||
             header->e_ident[EI_DATA] != ELFDATA2LSB)
        wrong = "neither class nor byte order are known", broken = TRUE;
    else if (header->e_type != ET_CORE)
        wrong = "an ELF file, but no core";
    else if (header->e_machine != EM_X86_64 && header->e_machine != EM_386)
        wrong = "a core of another processor";
    else if (header->e_phentsize != sizeof(Elf64_Phdr))
        wrong = "the size of its program headers (at 0x36) is wrong", broken = TRUE;
    if (!wrong)
        return TRUE;
    g_set_error(error, MOSE_ERROR, broken ? MOSE_ERROR_INVALID : MOSE_ERROR_UNSUPPORTED,
                "%s: %s", mose_core_file_name(file), wrong);
    return FALSE;
}

/* How many program headers there are: more than 16 bits hold are in the first section
 * header (gABI, ch. 4: PN_XNUM). */
static gboolean
count_headers(const MoseCoreFile *file, const Elf64_Ehdr *header, guint64 *ret,
              GError **error)
{
    Elf64_Shdr section;

    *ret = header->e_phnum;
    if (header->e_phnum == PN_XNUM) {
        if (!mose_core_file_read(file, header->e_shoff, &section, sizeof(section),
                                 "the section header", error))
            return FALSE;
        *ret = section.sh_info;
    }
    if (*ret > 0 && *ret <= MAX_HEADERS)
        return TRUE;
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                "%s: %" G_GUINT64_FORMAT " program headers (at 0x38)",
                mose_core_file_name(file), *ret);
    return FALSE;
}

static gboolean
add_segment(const MoseCoreFile *file, const Elf64_Phdr *header, GArray *segments,
            GError **error)
{
    /* What is not in the file (QEMU's filter; more memory than file) is not there. */
    MoseCoreSegment segment = { header->p_paddr, header->p_filesz, header->p_offset };

    if (segment.size == 0)
        return TRUE;
    if (!mose_core_file_holds(file, segment.offset, segment.size, "a segment", error))
        return FALSE;
    if (segment.size > G_MAXUINT64 - segment.address) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "%s: the segment of 0x%" G_GINT64_MODIFIER
                    "x bytes at 0x%" G_GINT64_MODIFIER
                    "x of the file is for address 0x%" G_GINT64_MODIFIER "x",
                    mose_core_file_name(file), segment.size, segment.offset,
                    segment.address);
        return FALSE;
    }
    g_array_append_val(segments, segment);
    return TRUE;
}

static gboolean
add_notes(const MoseCoreFile *file, const Elf64_Phdr *header, MoseCoreNotes *notes,
          GError **error)
{
    gsize len = MIN(header->p_filesz, MOSE_CORE_MAX_NOTES - notes->total);
    g_autofree guint8 *bytes = NULL;

    if (!mose_core_file_holds(file, header->p_offset, header->p_filesz, "the notes",
                              error))
        return FALSE;
    bytes = g_malloc(MAX(len, 1));
    return mose_core_file_read(file, header->p_offset, bytes, len, "the notes",
                               error) &&
           mose_core_notes_parse(notes, bytes, len, header->p_offset,
                                 mose_core_file_name(file), error);
}

static gboolean
read_headers(const MoseCoreFile *file, const Elf64_Ehdr *header, guint64 n,
             GArray *segments, MoseCoreNotes *notes, GError **error)
{
    g_autofree Elf64_Phdr *batch = g_new(Elf64_Phdr, BATCH);

    if (!mose_core_file_holds(file, header->e_phoff, n * sizeof(*batch),
                              "the program headers", error))
        return FALSE;
    for (guint64 i = 0; i < n; i++) {
        const Elf64_Phdr *at = &batch[i % BATCH];

        if (i % BATCH == 0 &&
            !mose_core_file_read(file, header->e_phoff + i * sizeof(*batch), batch,
                                 MIN(n - i, BATCH) * sizeof(*batch),
                                 "the program headers", error))
            return FALSE;
        if (at->p_type == PT_LOAD && !add_segment(file, at, segments, error))
            return FALSE;
        if (at->p_type == PT_NOTE && !add_notes(file, at, notes, error))
            return FALSE;
    }
    return TRUE;
}

/* By address; of those that begin together the longest first. */
static int
compare(gconstpointer a, gconstpointer b)
{
    const MoseCoreSegment *one = a, *other = b;

    if (one->address != other->address)
        return one->address < other->address ? -1 : 1;
    return one->size > other->size ? -1 : one->size < other->size;
}

/* Memory that is mapped several times (the kernel's image in /proc/vmcore, pages in
 * QEMU's cores with paging) is the same wherever it is: once is enough. */
static GArray *
without_overlaps(GArray *segments)
{
    GArray *ret = g_array_new(FALSE, FALSE, sizeof(MoseCoreSegment));
    guint64 end = 0;

    g_array_sort(segments, compare);
    for (guint i = 0; i < segments->len; i++) {
        MoseCoreSegment segment = g_array_index(segments, MoseCoreSegment, i);
        guint64 cut = segment.address < end ? end - segment.address : 0;

        if (cut >= segment.size)
            continue;
        segment.address += cut;
        segment.offset += cut;
        segment.size -= cut;
        end = segment.address + segment.size;
        g_array_append_val(ret, segment);
    }
    return ret;
}

/* A process's core has virtual addresses alone. */
static gboolean
is_of_a_process(const GArray *segments)
{
    for (guint i = 0; i < segments->len; i++)
        if (g_array_index(segments, MoseCoreSegment, i).address != 0)
            return FALSE;
    return segments->len > 1;
}

GArray *
mose_core_elf_read(const MoseCoreFile *file, MoseCoreNotes *notes, gboolean *ret_x86_64,
                   GError **error)
{
    g_autoptr(GArray) segments = g_array_new(FALSE, FALSE, sizeof(MoseCoreSegment));
    Elf64_Ehdr header;
    guint64 n;

    if (!mose_core_file_read(file, 0, &header, sizeof(header), "the header", error) ||
        !check_header(file, &header, error) ||
        !count_headers(file, &header, &n, error) ||
        !read_headers(file, &header, n, segments, notes, error))
        return NULL;
    if (segments->len == 0 || is_of_a_process(segments)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID, "%s: %s",
                    mose_core_file_name(file),
                    segments->len > 0 ? "the core of a process, not of a guest"
                                      : "no memory is in it");
        return NULL;
    }
    *ret_x86_64 = header.e_machine == EM_X86_64;
    return without_overlaps(segments);
}
