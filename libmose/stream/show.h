/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams laid out for people, and the same facts as JSON for programs. Appends to
 * strings and builders; prints nothing.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "stream/compare.h"
#include "stream/reader.h"

/* What the stream consists of: machine, RAM, the table of its sections. */
void mose_show_stream(const MoseReader *reader, GString *out);

/* Every field of every section called @name, of all instances. FALSE if there is
 * none. */
gboolean mose_show_section(const MoseReader *reader, const char *name, GString *out);

/* The members "machine", "capabilities", "ram", "sections" of the object that
 * @builder has open. With @name only the sections called so, with their "fields". */
void mose_show_json(const MoseReader *reader, const char *name, JsonBuilder *builder);

/* Differences (MoseDifference) of two streams, one block a section. */
void mose_show_differences(const GPtrArray *differences, GString *out);

/* The member "differences" of the object that @builder has open. */
void mose_show_differences_json(const GPtrArray *differences, JsonBuilder *builder);
