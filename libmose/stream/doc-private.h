/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a document is made of, for the files of this layer that work on it. */
#pragma once

#include "stream/doc.h"
#include "stream/vmdesc.h"

struct MoseDoc {
    MoseVmdesc *vmdesc; /* the sections, in stream order, with their bytes */
    guint32 reserved_id;
};
