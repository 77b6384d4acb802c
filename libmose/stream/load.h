/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole stream from a file, or from any descriptor that can be read to its end. */
#pragma once

#include "stream/reader.h"

/* Read the stream in the file at @path ("-": standard input). Returns a reader that
 * has its document. Errors are the reader's, with the path; RAM is read once and not
 * kept. */
MoseReader *mose_stream_load(const char *path, GError **error);
