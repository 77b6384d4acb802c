/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one error domain of MOSE.
 *
 * A library function that can fail takes a GError ** as its last argument. The
 * text says where (section and offset, QMP command, pid, path); the code says
 * what kind of failure it is, for callers that act on it and for `--json`.
 */
#pragma once

#include <glib.h>

#define MOSE_ERROR (mose_error_quark())

typedef enum {
    MOSE_ERROR_FAILED,      /* it did not work; the text says why */
    MOSE_ERROR_INVALID,     /* input that makes no sense: an option, a file */
    MOSE_ERROR_UNSUPPORTED, /* makes sense, but MOSE or this host cannot */
    MOSE_ERROR_STREAM,      /* a migration stream that cannot be trusted */
    MOSE_ERROR_QMP,         /* QEMU answered a command with an error */
    MOSE_ERROR_TIMEOUT,     /* no answer within the time limit */
    MOSE_ERROR_CLOSED,      /* the other side went away */
    MOSE_ERROR_BUSY,        /* another command holds the guest */
    MOSE_ERROR_NOT_FOUND,   /* no such guest, file, section or field */
    MOSE_ERROR_REFUSED,     /* a discrepancy that no rule resolves */
    MOSE_ERROR_RESOURCES,   /* no memory, no disk space, no descriptor */
    MOSE_ERROR_ENDED,       /* the guest has ended with its QEMU */
    MOSE_ERROR_INTERRUPTED, /* the user wants no more of it */
    MOSE_ERROR_AGAIN,       /* not at this moment; a little later it may work */
    MOSE_ERROR_AWAY,        /* the guest is on another host */
} MoseErrorCode;

GQuark mose_error_quark(void);

/* A word for @code, as `--json` prints it: "failed", "invalid", ... */
const char *mose_error_code_name(int code);

/*
 * Set @error to the text followed by ": " and strerror(@saved_errno). The code
 * is RESOURCES for ENOMEM, ENOSPC, EDQUOT, EFBIG, EMFILE and ENFILE, else FAILED.
 */
void mose_error_set_errno(GError **error, int saved_errno, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
