/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all entries of .eh_frame are made of: pointers in many forms, and what is common
 * to functions (CIE). See eh-frame.h. */
#include <dwarf.h>

#include "util/error.h"
#include "vmi/linux/eh-priv.h"

#define MAX_AUGMENTATION 16

gboolean
mose_eh_not_there(guint64 at, const char *what, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND,
                "its %s at 0x%" G_GINT64_MODIFIER "x cannot be read", what, at);
    return FALSE;
}

/* --- pointers --- */

/* LSB, "DWARF exception header encoding". */
gboolean
mose_eh_take_value(MoseEhBytes *bytes, guint8 encoding, guint64 *ret)
{
    switch (encoding & 0xf) {
    case DW_EH_PE_absptr:
    case DW_EH_PE_udata8:
    case DW_EH_PE_sdata8:
        *ret = mose_eh_number(bytes, 8);
        break;
    case DW_EH_PE_uleb128:
        *ret = mose_eh_uleb(bytes);
        break;
    case DW_EH_PE_sleb128:
        *ret = mose_eh_sleb(bytes);
        break;
    case DW_EH_PE_udata2:
        *ret = mose_eh_number(bytes, 2);
        break;
    case DW_EH_PE_sdata2:
        *ret = (gint64)(gint16)mose_eh_number(bytes, 2);
        break;
    case DW_EH_PE_udata4:
        *ret = mose_eh_number(bytes, 4);
        break;
    case DW_EH_PE_sdata4:
        *ret = (gint64)(gint32)mose_eh_number(bytes, 4);
        break;
    default:
        return FALSE;
    }
    return !bytes->broken;
}

/* @data: what is counted from in .eh_frame_hdr. */
gboolean
mose_eh_take_pointer(MoseEhBytes *bytes, guint8 encoding, guint64 data, guint64 *ret)
{
    guint64 at = bytes->address + bytes->at;

    if (encoding == DW_EH_PE_omit || (encoding & DW_EH_PE_indirect) ||
        !mose_eh_take_value(bytes, encoding, ret))
        return FALSE;
    switch (encoding & 0x70) {
    case DW_EH_PE_absptr:
        return TRUE;
    case DW_EH_PE_pcrel:
        *ret += at;
        return TRUE;
    case DW_EH_PE_datarel:
        *ret += data;
        return TRUE;
    default:
        return FALSE;
    }
}

static gboolean
take_augmentation(MoseEhBytes *bytes, const char *letters, MoseEhCommon *ret)
{
    guint64 length, end, ignored;

    ret->encoding = DW_EH_PE_absptr;
    if (letters[0] == '\0')
        return TRUE;
    if (letters[0] != 'z')
        return FALSE;
    ret->has_data = TRUE;
    length = mose_eh_uleb(bytes);
    if (bytes->broken || length > bytes->size - bytes->at)
        return FALSE;
    end = bytes->at + length;
    for (letters++; *letters; letters++) {
        guint8 encoding = *letters == 'S' ? 0 : mose_eh_number(bytes, 1);

        if (*letters == 'S')
            ret->is_signal = TRUE;
        else if (*letters == 'R')
            ret->encoding = encoding;
        else if (*letters == 'P' ? !mose_eh_take_value(bytes, encoding, &ignored)
                                 : *letters != 'L')
            return FALSE;
    }
    if (bytes->at > end)
        return FALSE;
    bytes->at = end;
    return TRUE;
}

gboolean
mose_eh_read_common(MoseEhBytes bytes, MoseEhCommon *ret, GError **error)
{
    char letters[MAX_AUGMENTATION + 1] = "";
    guint version, n = 0;

    *ret = (MoseEhCommon){ 0 };
    if (mose_eh_number(&bytes, 4) != 0)
        return mose_eh_fail(&bytes, "an entry refers to one that is not common", error);
    version = mose_eh_number(&bytes, 1);
    do
        letters[n] = mose_eh_number(&bytes, 1);
    while (letters[n] != '\0' && ++n < MAX_AUGMENTATION);
    ret->code_align = mose_eh_uleb(&bytes);
    ret->data_align = mose_eh_sleb(&bytes);
    if ((version != 1 && version != 3) || letters[n] != '\0' ||
        (version == 1 ? mose_eh_number(&bytes, 1) : mose_eh_uleb(&bytes)) !=
            MOSE_EH_RIP ||
        !take_augmentation(&bytes, letters, ret) || bytes.broken)
        return mose_eh_fail(&bytes, "an entry is of a kind that is not known", error);
    ret->instructions = bytes;
    ret->instructions.bytes += bytes.at;
    ret->instructions.address += bytes.at;
    ret->instructions.size -= bytes.at;
    ret->instructions.at = 0;
    return TRUE;
}
