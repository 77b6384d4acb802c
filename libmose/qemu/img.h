/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qemu-img(1), which makes and copies disk images. */
#pragma once

#include <glib.h>

/* Run it with these words, the first of them its command. FAILED, with what it says, or
 * where to get it. */
gboolean mose_qemu_img(const char *const *words, GError **error);
