/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: any text as a description. What is accepted comes out unchanged, and
 * written anew it is accepted again and then stays the same.
 */
#include <string.h>

#include "fuzz/fuzz.h"
#include "stream/vmdesc.h"

static void
touch(MoseSection *section)
{
    section->text = (MoseText){ NULL, 0 };
    for (guint i = 0; i < section->fields->len; i++) {
        MoseField *field = section->fields->pdata[i];

        field->text = (MoseText){ NULL, 0 };
        if (field->inner)
            touch(field->inner);
    }
    for (guint i = 0; i < section->subsections->len; i++)
        touch(section->subsections->pdata[i]);
}

static GString *
written_anew(MoseVmdesc *vmdesc)
{
    GString *out = g_string_new(NULL);

    for (guint i = 0; i < vmdesc->sections->len; i++)
        touch(vmdesc->sections->pdata[i]);
    mose_vmdesc_write(vmdesc, out);
    return out;
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_autoptr(MoseVmdesc) vmdesc = mose_vmdesc_parse((const char *)data, size, NULL);
    g_autoptr(MoseVmdesc) second = NULL;
    g_autoptr(GString) same = g_string_new(NULL), anew = NULL, again = NULL;

    if (!vmdesc)
        return 0;
    mose_vmdesc_write(vmdesc, same);
    FUZZ_CHECK(same->len == size && memcmp(same->str, data, size) == 0);
    anew = written_anew(vmdesc);
    second = mose_vmdesc_parse(anew->str, anew->len, NULL);
    FUZZ_CHECK(second);
    again = written_anew(second);
    FUZZ_CHECK(g_string_equal(anew, again));
    return 0;
}
