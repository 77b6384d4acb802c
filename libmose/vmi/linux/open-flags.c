/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a file was opened, and what it is, in words. See open-files.h. */
#include "vmi/linux/open-files.h"

/* include/uapi/asm-generic/fcntl.h; the bits of several come before those of one. */
static const struct {
    guint64 bits;
    const char *word;
} words[] = {
    { 020200000, "tmpfile" }, { 04010000, "sync" },    { 010000000, "path" },
    { 02000, "append" },      { 04000, "nonblock" },   { 010000, "dsync" },
    { 020000, "async" },      { 040000, "direct" },    { 0100000, "largefile" },
    { 0200000, "directory" }, { 0400000, "nofollow" }, { 01000000, "noatime" },
    { 02000000, "cloexec" },  { 040, "exec" }, /* the last is the kernel's own */
};

char *
mose_open_flags_text(guint64 flags)
{
    static const char *const access[] = { "r", "w", "rw", "-" };
    GString *text = g_string_new(access[flags & 3]);

    flags &= ~(guint64)3;
    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        if ((flags & words[i].bits) == words[i].bits) {
            g_string_append_printf(text, ",%s", words[i].word);
            flags &= ~words[i].bits;
        }
    if (flags)
        g_string_append_printf(text, ",0%" G_GINT64_MODIFIER "o", flags);
    return g_string_free(text, FALSE);
}

const char *
mose_open_file_type(const MoseOpenFile *file)
{
    /* include/uapi/linux/stat.h: the four bits of S_IFMT */
    static const char *const types[16] = {
        [1] = "FIFO", [2] = "CHR",  [4] = "DIR",   [6] = "BLK",
        [8] = "REG",  [10] = "LNK", [12] = "SOCK",
    };
    const char *type = types[file->file.inode.mode >> 12 & 15];

    return type ? type : "-";
}
