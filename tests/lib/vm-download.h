/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file that a guest's web server sends, and its checksum. */
#pragma once

#include <glib.h>

typedef struct {
    const char *address; /* numeric; the file is /big, at port 80 */
    gint slow;           /* atomic: take some MB a second only, while it is TRUE */
    gsize got;           /* atomic, pointer-sized: bytes so far */
} VmDownload;

/* Thread: fetch it; the SHA-256 of it, for g_free(). An error ends the test. */
gpointer vm_download(gpointer download);
