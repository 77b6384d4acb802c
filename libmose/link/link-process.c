/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a link process leaves the command that it was forked from; see link-process.h. */
#include "link/link-process.h"

#include <unistd.h>

#include "util/detach.h"

/* What ends the command must not end the link before the command has used it for the
 * last time; and other channels' ends would hide its end from those who wait for it. */
void
mose_link_process_main(const MoseMuxSetup *setup)
{
    int keep[] = { setup->in,          setup->out,         setup->words,
                   setup->transport,   setup->life,        setup->channels[0],
                   setup->channels[1], setup->channels[2], setup->channels[3] };

    G_STATIC_ASSERT(MOSE_LINK_N_CHANNELS == 4);
    mose_detach("mose-link", keep, G_N_ELEMENTS(keep));
    mose_mux_run(setup);
    _exit(0);
}
