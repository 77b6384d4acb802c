/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One QEMU option of a guest's description, with its keys, whether it is written as
 * "driver,key=value" (optstr.h) or as JSON.
 */
#pragma once

#include <json-glib/json-glib.h>

typedef struct {
    char *name;  /* "-netdev" */
    char *value; /* NULL for an option without argument */
} MoseOption;

MoseOption *mose_option_new(const char *name, const char *value);
void mose_option_free(MoseOption *option);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseOption, mose_option_free)

/* Whether it is called @name ("-device"). */
gboolean mose_option_is(const MoseOption *option, const char *name);

/* It is written as JSON. */
gboolean mose_option_is_json(const MoseOption *option);

/* What comes first and has no key: the driver, the back end. "" where it has one. */
char *mose_option_head(const MoseOption *option);

/* The value of @key, which must be a string or a number if it is JSON; NULL. */
char *mose_option_get(const MoseOption *option, const char *key);

/* By which QEMU names what it makes: "node-name" of -blockdev, "id" of others; NULL. */
char *mose_option_id(const MoseOption *option);

/* Give @key a value. JSON gets a number where @value is one and @number is TRUE. */
void mose_option_set(MoseOption *option, const char *key, const char *value,
                     gboolean number);

/* Whether some key but its own name has the value @id: it uses what is called that. */
gboolean mose_option_uses(const MoseOption *option, const char *id);

/* Options in files: [["-device", "e1000,id=n"], ["-nodefaults"]]. @array may be NULL;
 * NULL where it is none. */
JsonArray *mose_options_to_json(const GPtrArray *options);
GPtrArray *mose_options_from_json(JsonArray *array);
