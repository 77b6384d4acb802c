/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two stock QEMUs, one to migrate from and one to migrate to, and between them
 * the rewriter under test. Tiny machines under TCG that run a boot sector.
 */
#pragma once

#include "qemu/qmp.h"
#include "stream/rewriter.h"
#include "util/process.h"

typedef struct {
    MoseProcess *process;
    MoseQmp *qmp;
    char *log;
} Vm;

/* How a stream goes from one to the other. */
typedef enum {
    BY_SOCKET, /* source -> rewriter -> destination, live */
    BY_FILE,   /* source -> file, rewriter, file -> destination */
} PairWay;

typedef struct {
    char *dir; /* sockets, files and logs; removed with the pair */
    Vm from;
    Vm to;
    GByteArray *in;  /* what the source sent */
    GByteArray *out; /* what the destination got */
    MoseRewriter *rewriter;
    GMutex mutex;
    GCond released;
    gboolean held; /* the return path; pair_hold_return() */
} Pair;

/*
 * Start both with @args (NULL-terminated; "%d" in one stands for the pair's
 * directory) and the capabilities @caps, and wait until the source's boot sector
 * runs. NULL with the reason when QEMU refuses that, which a test may take for a
 * reason to skip.
 */
Pair *pair_new(const char *const *args, const char *const *caps, GError **error);
void pair_free(Pair *pair);

/*
 * Keep what the destination says on the return path until it is released. With the
 * capability switchover-ack that keeps the source in its passes over RAM.
 */
void pair_hold_return(Pair *pair);
void pair_release_return(Pair *pair);

/* Run QMP @command with @json (may be NULL) on @vm; it must succeed. */
void vm_do(Vm *vm, const char *command, const char *json);

/* What HMP @line prints. */
char *vm_hmp(Vm *vm, const char *line);

/*
 * Migrate through a rewriter with @rewrite, and assert that the source reports
 * completed, and the destination completed and running. @meanwhile (may be NULL)
 * runs once the migration is under way. The rewriter stays in the pair.
 */
void pair_migrate(Pair *pair, PairWay way, MoseRewriteFunc rewrite, gpointer data,
                  void (*meanwhile)(Pair *pair));

/* A file of that name with the boot sector, which keeps 16 pages at 0x20000 changing.
 */
void pair_write_boot_sector(const char *path);
