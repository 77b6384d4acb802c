/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether somebody has written a guest's images since it let go of them. */
#pragma once

#include <json-glib/json-glib.h>

/* Size and time of the last change of each of @paths, as MoseFar keeps them. An image
 * that cannot be looked at is an error; UNSUPPORTED: one that is no file. */
JsonArray *mose_image_stamps(const GPtrArray *paths, GError **error);

/* FAILED, naming the image, where one is not as it was. */
gboolean mose_image_stamps_hold(JsonArray *stamps, GError **error);
