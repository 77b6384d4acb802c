/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's ELF core on its way to the file: its headers are kept until they are whole
 * (QEMU dump/dump.c:dump_begin: header, section headers since 7.2, program headers,
 * notes, memory, the sections' names), and others written for them; the memory follows
 * as it comes, and sections are left out. What QEMU writes of a guest that is not in
 * long mode is left as it is: no kernel that is known runs there.
 */
#include <elf.h>
#include <string.h>

#include "util/error.h"
#include "vmi/core-notes.h"
#include "vmi/dump-elf.h"
#include "vmi/dump-sink.h"

/* 8,192 vCPUs' notes are 7 MB. */
#define MAX_HEADERS (32u << 20)

typedef struct {
    MoseDumpSink sink;
    GByteArray *headers; /* until they are whole; then NULL */
    guint64 at;          /* where the next byte goes in the file */
    guint64 expected;    /* where the last one ends; 0: not known */
} ElfSink;

static gboolean
broken(GError **error, const char *what)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP, "QEMU's dump: %s", what);
    return FALSE;
}

static gboolean
write_bytes(ElfSink *elf, const guint8 *bytes, gsize len, GError **error)
{
    if (!mose_dump_file_write(elf->sink.file, elf->at, bytes, len, error))
        return FALSE;
    elf->at += len;
    return TRUE;
}

/* How many bytes the headers have, as far as can be said by those that are there: more
 * than those, if they are not whole. 0: they are not of the sort that is known. */
static guint64
length(const GByteArray *headers, Elf64_Phdr *ret_notes)
{
    Elf64_Ehdr header;
    guint64 end;

    if (headers->len < sizeof(header))
        return sizeof(header);
    memcpy(&header, headers->data, sizeof(header));
    end = header.e_phoff + header.e_phnum * sizeof(Elf64_Phdr);
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64 ||
        header.e_phoff < sizeof(header) || header.e_phoff > MAX_HEADERS ||
        header.e_phnum < 2 || header.e_phnum > MOSE_DUMP_MAX_PIECES ||
        header.e_phentsize != sizeof(Elf64_Phdr))
        return 0;
    if (headers->len < end)
        return end;
    memcpy(ret_notes, headers->data + header.e_phoff, sizeof(*ret_notes));
    if (ret_notes->p_type != PT_NOTE || ret_notes->p_offset != end ||
        ret_notes->p_filesz > MAX_HEADERS)
        return 0;
    return end + ret_notes->p_filesz;
}

/* The memory's pieces, which must lie one behind the other from @begin on. */
static GArray *
read_pieces(const GByteArray *headers, guint64 begin)
{
    g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(MoseDumpPiece));
    Elf64_Ehdr header;
    guint64 at = begin;

    memcpy(&header, headers->data, sizeof(header));
    for (guint i = 1; i < header.e_phnum; i++) {
        MoseDumpPiece piece;
        Elf64_Phdr load;

        memcpy(&load, headers->data + header.e_phoff + i * sizeof(load), sizeof(load));
        if (load.p_type != PT_LOAD || load.p_offset != at ||
            load.p_filesz > G_MAXINT64 - at || load.p_filesz == 0)
            return NULL;
        piece = (MoseDumpPiece){ load.p_paddr, load.p_filesz, at - begin };
        g_array_append_val(pieces, piece);
        at += load.p_filesz;
    }
    return g_steal_pointer(&pieces);
}

/* Whether QEMU had it from the guest (-device vmcoreinfo). */
static gboolean
notes_have_vmcoreinfo(const GByteArray *notes)
{
    MoseCoreNotes read;
    gboolean has;

    mose_core_notes_init(&read);
    has = mose_core_notes_parse(&read, notes->data, notes->len, 0, "", NULL) &&
          read.vmcoreinfo;
    mose_core_notes_clear(&read);
    return has;
}

static gboolean
write_own_headers(ElfSink *elf, const Elf64_Phdr *notes_header, const GArray *pieces,
                  GError **error)
{
    MoseDumpKernel kernel = *elf->sink.kernel;
    g_autoptr(GByteArray) notes = g_byte_array_new(), ours = NULL;

    g_byte_array_append(notes, elf->headers->data + notes_header->p_offset,
                        notes_header->p_filesz);
    if (notes_have_vmcoreinfo(notes)) {
        kernel.vmcoreinfo = NULL;
        elf->sink.has_vmcoreinfo = TRUE;
    }
    elf->sink.has_vmcoreinfo |= kernel.vmcoreinfo != NULL;
    ours = mose_dump_elf_headers(EM_X86_64, pieces, notes, &kernel);
    elf->expected = ours->len;
    for (guint i = 0; i < pieces->len; i++)
        elf->expected += g_array_index(pieces, MoseDumpPiece, i).size;
    return write_bytes(elf, ours->data, ours->len, error);
}

/* The headers are whole, or such that they stay as they are. */
static gboolean
end_headers(ElfSink *elf, const Elf64_Phdr *notes_header, guint64 len, GError **error)
{
    g_autoptr(GArray) pieces = len > 0 ? read_pieces(elf->headers, len) : NULL;
    gboolean good =
        pieces ? write_own_headers(elf, notes_header, pieces, error)
               : write_bytes(elf, elf->headers->data, elf->headers->len, error);

    g_clear_pointer(&elf->headers, g_byte_array_unref);
    return good;
}

static gboolean
feed(MoseDumpSink *sink, const guint8 *bytes, gsize len, GError **error)
{
    ElfSink *elf = (ElfSink *)sink;
    Elf64_Phdr notes = { 0 };

    while (elf->headers) {
        guint64 wanted = length(elf->headers, &notes);
        gsize n;

        if (wanted <= elf->headers->len) {
            if (!end_headers(elf, &notes, wanted, error))
                return FALSE;
            break;
        }
        if (len == 0)
            return TRUE;
        n = MIN(len, wanted - elf->headers->len);
        g_byte_array_append(elf->headers, bytes, n);
        bytes += n;
        len -= n;
    }
    /* Not what is behind the memory. */
    if (elf->expected)
        len = MIN(len, elf->expected - elf->at);
    return write_bytes(elf, bytes, len, error);
}

static gboolean
finish(MoseDumpSink *sink, GError **error)
{
    ElfSink *elf = (ElfSink *)sink;

    if (elf->headers)
        return broken(error, "it ends within its headers");
    if (elf->expected && elf->at != elf->expected)
        return broken(error, "its size is not what its headers say");
    return TRUE;
}

static void
sink_free(MoseDumpSink *sink)
{
    ElfSink *elf = (ElfSink *)sink;

    g_clear_pointer(&elf->headers, g_byte_array_unref);
    g_free(elf);
}

MoseDumpSink *
mose_dump_elf_sink(MoseDumpFile *file, const MoseDumpKernel *kernel)
{
    ElfSink *elf = g_new0(ElfSink, 1);

    elf->sink = (MoseDumpSink){ .feed = feed,
                                .finish = finish,
                                .free = sink_free,
                                .file = file,
                                .kernel = kernel };
    elf->headers = g_byte_array_new();
    return &elf->sink;
}

void
mose_dump_sink_free(MoseDumpSink *sink)
{
    if (sink)
        sink->free(sink);
}
