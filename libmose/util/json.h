/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON objects in one call, and members read without trusting their type.
 * Parsing and printing are json-glib's.
 */
#pragma once

#include <json-glib/json-glib.h>

/*
 * A new object from triples of name, kind and value, ended by NULL:
 *   "s" const char *   "i" gint64   "b" gboolean   "f" double
 *   "o" JsonObject *, "a" JsonArray *, "n" JsonNode * (all taken over)
 */
JsonObject *mose_json_object(const char *name, ...) G_GNUC_NULL_TERMINATED;

/* A member of @object as the wanted type, or the fallback where it is absent or
 * of another type. Strings, objects and arrays are borrowed. */
const char *mose_json_string(JsonObject *object, const char *name,
                             const char *fallback);
gint64 mose_json_int(JsonObject *object, const char *name, gint64 fallback);
double mose_json_double(JsonObject *object, const char *name, double fallback);
gboolean mose_json_bool(JsonObject *object, const char *name, gboolean fallback);
JsonObject *mose_json_child(JsonObject *object, const char *name);
JsonArray *mose_json_array(JsonObject *object, const char *name);

/* @node's array, and the object at @i of @array: NULL where it is none. */
JsonArray *mose_json_node_array(JsonNode *node);
JsonObject *mose_json_element(JsonArray *array, guint i);

/* The text of @object; @pretty for people. */
char *mose_json_text(JsonObject *object, gboolean pretty);

/* Parse one object of at most 64 MB; @what names the source in the error
 * (INVALID). */
JsonObject *mose_json_parse(const char *text, gssize len, const char *what,
                            GError **error);
