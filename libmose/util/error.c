/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The error domain, its words, and errno turned into it. */
#include "util/error.h"

#include <errno.h>

G_DEFINE_QUARK(mose - error - quark, mose_error)

static const char *const code_names[] = {
    [MOSE_ERROR_FAILED] = "failed",
    [MOSE_ERROR_INVALID] = "invalid",
    [MOSE_ERROR_UNSUPPORTED] = "unsupported",
    [MOSE_ERROR_STREAM] = "stream",
    [MOSE_ERROR_QMP] = "qmp",
    [MOSE_ERROR_TIMEOUT] = "timeout",
    [MOSE_ERROR_CLOSED] = "closed",
    [MOSE_ERROR_BUSY] = "busy",
    [MOSE_ERROR_NOT_FOUND] = "not-found",
    [MOSE_ERROR_REFUSED] = "refused",
    [MOSE_ERROR_RESOURCES] = "resources",
    [MOSE_ERROR_ENDED] = "ended",
    [MOSE_ERROR_INTERRUPTED] = "interrupted",
    [MOSE_ERROR_AGAIN] = "again",
    [MOSE_ERROR_AWAY] = "away",
};

const char *
mose_error_code_name(int code)
{
    if (code < 0 || (gsize)code >= G_N_ELEMENTS(code_names))
        return "failed";
    return code_names[code];
}

void
mose_error_set_errno(GError **error, int saved_errno, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;
    gboolean resources = saved_errno == ENOMEM || saved_errno == ENOSPC ||
                         saved_errno == EDQUOT || saved_errno == EFBIG ||
                         saved_errno == EMFILE || saved_errno == ENFILE;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, MOSE_ERROR, resources ? MOSE_ERROR_RESOURCES : MOSE_ERROR_FAILED,
                "%s: %s", text, g_strerror(saved_errno));
}
