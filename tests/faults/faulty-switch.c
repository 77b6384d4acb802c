/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * faulty-switch NAME PHASE CHANNELS: switch guest NAME to its other side, as `mose
 * emulate` and `mose virtualize` do, by copy if CHANNELS is not 0, but hold at the
 * beginning of PHASE ("ram": in the middle of the memory's copy; "stream": while the
 * source's state passes; "damage": the same, which is damaged then): a byte goes out on
 * descriptor 3, and one that comes back, or its end, lets it go on. It is the command
 * that faults befall.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "switch/recover.h"
#include "switch/switch.h"
#include "util/error.h"

#define HOLD_FD 3

static void
hold(void)
{
    char byte = 'h';

    if (write(HOLD_FD, &byte, 1) == 1)
        while (read(HOLD_FD, &byte, 1) < 0)
            ;
}

static void
at_phase(const MoseSwitchProgress *progress, gpointer data)
{
    static gboolean held;
    const char *phase = progress->total > 0 ? "ram" : progress->phase;

    if (held || strcmp(phase, data) != 0)
        return;
    held = TRUE;
    hold();
}

/* A number that every PCI bus compares with its own (QEMU hw/pci/pci.c:vmstate_pcibus):
 * the destination has loaded half of its devices by then. */
static gboolean
damage(MoseDoc *doc, GError **error)
{
    for (guint i = 0; i < mose_doc_n_sections(doc); i++) {
        MoseSection *section = mose_doc_section(doc, i);

        if (mose_section_has(section, "nirq"))
            return mose_section_set(section, "nirq", 99, error);
    }
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_NOT_FOUND, "no PCI bus in the stream");
    return FALSE;
}

static gboolean
in_stream(MoseDoc *doc, gpointer data, GError **error)
{
    gboolean damaged = strcmp(data, "damage") == 0;

    if (damaged || strcmp(data, "stream") == 0)
        hold();
    return !damaged || damage(doc, error);
}

int
main(int argc, char **argv)
{
    MoseSwitchOptions options = { .progress = at_phase, .tamper = in_stream };
    MoseSwitchReport report = { 0 };
    g_autoptr(MoseGuest) guest = NULL;
    g_autoptr(GError) error = NULL;
    MoseRecovered recovered;

    if (argc != 4) {
        fputs("usage: faulty-switch NAME PHASE CHANNELS\n", stderr);
        return 2;
    }
    options.data = argv[2];
    options.channels = atoi(argv[3]);
    options.way = options.channels ? MOSE_WAY_COPY : MOSE_WAY_IN_PLACE;
    guest = mose_guest_open(argv[1], MOSE_GUEST_LOCK, &error);
    if (guest && mose_recover(guest, &recovered, &error)) {
        options.side = guest->side == MOSE_SIDE_VIRTUALIZER ? MOSE_SIDE_EMULATOR
                                                            : MOSE_SIDE_VIRTUALIZER;
        mose_switch(guest, &options, &report, &error);
    }
    if (error)
        fprintf(stderr, "%s\n", error->message);
    mose_switch_report_clear(&report);
    return error ? 1 : 0;
}
