/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest of the tests of debug sessions, and what can be seen of it from outside,
 * without `mose`, which would mend things. */
#pragma once

#include "lib/vm.h"
#include "guest/guest.h"

/* A guest that ran is running again within this time, with nobody typing. */
#define DEBUG_LIMIT_US (2 * G_USEC_PER_SEC)
/* How much longer a guardian may be there, which has nothing to do any more. */
#define DEBUG_LEAVE_US (3 * G_USEC_PER_SEC)

/* Functions of its kernel that are called all the time. */
enum { DEBUG_SCHEDULE, DEBUG_TICK, DEBUG_N_FUNCTIONS };

extern VmGuest *debug_guest;
extern guint64 debug_functions[DEBUG_N_FUNCTIONS];
extern guint64 debug_jiffies; /* data that is written all the time */
extern guint64 debug_halt;    /* the function in which an idle vCPU waits */

/* g_test_skip() and TRUE where no guest can run. Otherwise it runs, with 2 vCPUs. */
gboolean debug_cannot_run(void);

MoseGuest *debug_open(MoseGuestAccess access);
MoseQmp *debug_ask(void);

/* Whether there is a file of a session's, or of a writer that was killed. */
gboolean debug_has_file(void);

/* The guardians of this world's commands (pid_t); free with g_array_unref(). */
GArray *debug_guardians(void);

/* Nothing of a session is left within DEBUG_LIMIT_US: no stub, no file, and QEMU says
 * that its state is @wanted; and DEBUG_LEAVE_US later no guardian. Returns the
 * microseconds that the former took. */
gint64 debug_assert_healed(const char *wanted);

/* Nothing stops it again, although the functions are called all the time; and it is
 * healthy. */
void debug_assert_runs_on(void);
