/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which memory of a guest is meant, and where in it: the options and words that `mose
 * read` and `mose write` share. What is generic (physical memory, a vCPU's address
 * space) works on any system; what is Linux's (the kernel's addresses, processes,
 * symbols) where a Linux is found.
 */
#pragma once

#include "cli/look.h"
#include "vmi/linux/user.h"

typedef struct {
    gboolean physical;
    char *pid;       /* a pid, a process's name, a task_struct; NULL: none */
    int cpu;         /* -1: none */
    int bits;        /* of code; 0: as the target has it */
    gboolean change; /* it is to be written: no core file, and the guest's lock */
} MoseTargetOptions;

/* Rows for a command's options; @options must outlive parsing. */
#define MOSE_TARGET_ENTRIES(options)                                                   \
    { "physical",                                                                      \
      'p',                                                                             \
      0,                                                                               \
      G_OPTION_ARG_NONE,                                                               \
      &(options).physical,                                                             \
      "guest-physical addresses",                                                      \
      NULL },                                                                          \
        { "pid",                                                                       \
          0,                                                                           \
          0,                                                                           \
          G_OPTION_ARG_STRING,                                                         \
          &(options).pid,                                                              \
          "the memory of a process: its pid or its name",                              \
          "PID|COMM" },                                                                \
    {                                                                                  \
        "cpu", 0, 0, G_OPTION_ARG_INT, &(options).cpu, "as vCPU N translates now", "N" \
    }

typedef struct {
    MoseLook look;
    GError *no_linux;  /* why no Linux is known; NULL: one is, or none was needed */
    MoseSpace *space;  /* NULL: physical memory */
    gboolean borrowed; /* the space is the kernel's */
    MoseTask *task;    /* with a pid; */
    MoseUser *user;    /* its memory, whose the space is */
    gboolean has_vcpu;
    MoseVcpu vcpu; /* with a vCPU, also where one stands in for the kernel */
    guint bits;    /* of code there: 16, 32, 64 */
} MoseTarget;

/*
 * Open guest or core @name and what @options choose. A Linux is looked for unless
 * @options and @words (of places; NULL ends them) need none. Without one, and without
 * an option, it is vCPU 0's address space. Clear it also after a failure.
 */
gboolean mose_target_open(MoseTarget *target, const char *name,
                          const MoseTargetOptions *options, gboolean want_symbols,
                          const char *const *words, GError **error);
void mose_target_clear(MoseTarget *target);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MoseTarget, mose_target_clear)

/* Whether @options go together; else it is said. */
gboolean mose_target_check(const char *command, const MoseTargetOptions *options);

/* "physical", "kernel", "pid 12 (sh)", "vCPU 0"; free with g_free(). */
char *mose_target_describe(const MoseTarget *target);

/*
 * @word is an address (0x..., decimal, or sixteen hexadecimal digits), %REGISTER of the
 * vCPU, or a symbol (MODULE:NAME says whose), each with +OFFSET or -OFFSET. *@ret_size
 * (may be NULL) is the symbol's, 0 where it is not known.
 */
gboolean mose_target_place(MoseTarget *target, const char *word, guint64 *ret,
                           guint64 *ret_size, GError **error);

/* "name+0x12", or "module:name+0x12", or NULL; free with g_free(). */
char *mose_target_symbol(MoseTarget *target, guint64 address);

/* As mose_space_read(): what could be read before the first failure. */
gboolean mose_target_read(MoseTarget *target, guint64 address, void *to, gsize len,
                          gsize *ret_got, GError **error);

/* Tell people (on standard error) that no Linux is known, if so. */
void mose_target_note(const MoseTarget *target);
