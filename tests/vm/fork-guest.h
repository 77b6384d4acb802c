/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests and their forks, asked by their own shells: each has a file in memory (the
 * root file system is one) and a disk full of bytes of its own, whose checksums are
 * taken inside.
 */
#pragma once

#include "lib/vm.h"
#include "util/process.h"

/* Hexadecimal digits of an MD5, which is the quickest there. */
#define FORK_SUM 32
#define FORK_SMALL_MB 8

typedef struct {
    char memory[FORK_SUM + 1], disk[FORK_SUM + 1];
} ForkSums;

/* A demo guest at its shells. With @image as its disk it leaves that alone; without one
 * (NULL) it has its worker. */
VmGuest *fork_start(const char *name, const char *image);

/* An empty image of a disk; the caller's. */
char *fork_disk(const char *name);

/* Fork it, with @option (or NULL); end a fork. Both must succeed. */
void fork_make(const VmGuest *guest, const char *name, const char *option);
void fork_discard(const char *name);
void fork_assert_ok(int status, const char *err);

/* The fork as a guest that can be asked, by the second serial port. */
VmGuest *fork_as_guest(const char *name);

MoseProcess *fork_process(const char *name);
gboolean fork_is_there(const char *name);
/* How its process has its memory. */
gboolean fork_is_frozen(const char *name);
gboolean fork_is_shared(const char *name);

/* Fill the file with @megabytes, and the disk, with bytes that nobody else has; sums of
 * both, read anew. */
ForkSums fork_write(const VmGuest *guest, guint megabytes);
ForkSums fork_sums(const VmGuest *guest);
void fork_assert_same(const ForkSums *a, const ForkSums *b);
void fork_assert_differ(const ForkSums *a, const ForkSums *b);

/* What the host finds on the image when nobody has it. */
void fork_assert_image(const char *path, const char *sum);

/* Nothing of forks is left of @vm: no frozen memory, no overlay, no state. */
void fork_assert_whole(const VmGuest *vm, const char *image);

/* `mose` with these words is refused, and says @words. */
void fork_assert_no(int status, const char *err, const char *words);
#define FORK_REFUSED(words, ...)                                                       \
    G_STMT_START                                                                       \
    {                                                                                  \
        g_autofree char *refusal = NULL;                                               \
        int status_ = vm_mose(NULL, &refusal, __VA_ARGS__, NULL);                      \
                                                                                       \
        fork_assert_no(status_, refusal, words);                                       \
    }                                                                                  \
    G_STMT_END
