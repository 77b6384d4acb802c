/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: any text as that of QEMU's `info registers -a`. */
#include "fuzz/fuzz.h"
#include "vmi/vcpu.h"

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) vcpus = mose_vcpus_parse(text, &error);

    FUZZ_CHECK(!vcpus == !!error);
    FUZZ_CHECK(!vcpus || vcpus->len > 0);
    return 0;
}
