/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One line that is written over; see progress.h. */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>

static void
show_copy(const MoseSwitchProgress *copied)
{
    fprintf(stderr,
            "\r\033[Kcopy: round %u, %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
            " MB left, %u MB/s",
            copied->rounds, copied->left >> 20, copied->total >> 20,
            copied->megabytes_per_second);
    if (copied->throttle)
        fprintf(stderr, ", the guest slowed down by %u %%", copied->throttle);
    if (copied->rounds > 1)
        fprintf(stderr, ", it may stand still for %u ms", copied->downtime_ms);
}

void
mose_cli_show_progress(const MoseSwitchProgress *progress, gpointer data)
{
    /* The guest stands still by then, and a terminal that was stopped (Ctrl-S) would
     * keep us, and it, waiting. */
    if (strcmp(progress->phase, "commit") == 0)
        return;
    if (progress->total == 0)
        fprintf(stderr, "\r\033[K%s ...", progress->phase);
    else if (strcmp(progress->phase, "move") != 0)
        fprintf(stderr,
                "\r\033[K%s: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " MB left",
                progress->phase, progress->left >> 20, progress->total >> 20);
    else
        show_copy(progress);
}

void
mose_cli_hide_progress(void)
{
    fputs("\r\033[K", stderr);
}
