/* SPDX-License-Identifier: GPL-2.0-or-later */
/* zstd streams in pieces; see squeeze.h. */
#include "link/squeeze.h"

#include <zstd.h>

#include "util/error.h"

/* 1 MiB: what 128 KiB pieces gain from a larger one is little, and each channel has two
 * of them. */
#define WINDOW_LOG 20
#define LEVEL_MAX 19

struct MoseSqueeze {
    guint level;
    ZSTD_CCtx *packer; /* made when they are first needed */
    ZSTD_DCtx *unpacker;
    guint8 *unpacked;
};

MoseSqueeze *
mose_squeeze_new(guint level)
{
    MoseSqueeze *squeeze = g_new0(MoseSqueeze, 1);

    squeeze->level = CLAMP(level, 1, LEVEL_MAX);
    return squeeze;
}

void
mose_squeeze_free(MoseSqueeze *squeeze)
{
    if (!squeeze)
        return;
    ZSTD_freeCCtx(squeeze->packer);
    ZSTD_freeDCtx(squeeze->unpacker);
    g_free(squeeze->unpacked);
    g_free(squeeze);
}

static gboolean
make_packer(MoseSqueeze *squeeze)
{
    if (squeeze->packer)
        return TRUE;
    squeeze->packer = ZSTD_createCCtx();
    return squeeze->packer &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(
               squeeze->packer, ZSTD_c_compressionLevel, (int)squeeze->level)) &&
           !ZSTD_isError(
               ZSTD_CCtx_setParameter(squeeze->packer, ZSTD_c_windowLog, WINDOW_LOG));
}

gsize
mose_squeeze_pack(MoseSqueeze *squeeze, const guint8 *data, gsize len, guint8 *out,
                  gsize size, GError **error)
{
    ZSTD_inBuffer from = { data, len, 0 };
    ZSTD_outBuffer to = { out, size, 0 };

    if (!make_packer(squeeze) ||
        ZSTD_compressStream2(squeeze->packer, &to, &from, ZSTD_e_flush) != 0) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_FAILED,
                    "cannot compress what goes over the link");
        return 0;
    }
    return to.pos;
}

static gboolean
make_unpacker(MoseSqueeze *squeeze)
{
    if (squeeze->unpacker)
        return TRUE;
    squeeze->unpacker = ZSTD_createDCtx();
    /* One more, so that what is too long shows. */
    squeeze->unpacked = g_malloc(MOSE_SQUEEZE_UNPACKED_MAX + 1);
    return squeeze->unpacker &&
           !ZSTD_isError(ZSTD_DCtx_setParameter(squeeze->unpacker, ZSTD_d_windowLogMax,
                                                WINDOW_LOG));
}

const guint8 *
mose_squeeze_unpack(MoseSqueeze *squeeze, const guint8 *data, gsize len, gsize *ret_len,
                    GError **error)
{
    ZSTD_inBuffer from = { data, len, 0 };
    ZSTD_outBuffer to = { NULL, MOSE_SQUEEZE_UNPACKED_MAX + 1, 0 };
    const char *trouble = make_unpacker(squeeze) ? NULL : "no memory";

    to.dst = squeeze->unpacked;
    while (!trouble && from.pos < from.size && to.pos < to.size) {
        size_t rc = ZSTD_decompressStream(squeeze->unpacker, &to, &from);

        if (ZSTD_isError(rc))
            trouble = ZSTD_getErrorName(rc);
    }
    if (!trouble && to.pos > MOSE_SQUEEZE_UNPACKED_MAX)
        trouble = "too long";
    if (!trouble && to.pos == 0)
        trouble = "empty";
    if (trouble) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "the other side of the link sends a piece that cannot be unpacked: "
                    "%s",
                    trouble);
        return NULL;
    }
    *ret_len = to.pos;
    return squeeze->unpacked;
}
