/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one description of a guest from which both its QEMUs are started.
 *
 * It is made from the QEMU options the user gave. Options that make sense in
 * one process only (a monitor, a terminal, a fixed port) are refused here, in
 * words, since the guest will run in several processes during its life.
 */
#pragma once

#include "qemu/option.h"

/* The two roles a QEMU process can have for a guest. */
typedef enum {
    MOSE_SIDE_VIRTUALIZER, /* KVM, or TCG where KVM cannot serve */
    MOSE_SIDE_EMULATOR,    /* TCG, to be analysed */
    MOSE_N_SIDES,
} MoseSide;

const char *mose_side_name(MoseSide side); /* "virtualizer", "emulator" */
gboolean mose_side_from_name(const char *name, MoseSide *ret);

typedef struct {
    char *name;                /* the guest's name */
    char *qemu;                /* absolute path of the QEMU binary */
    char *cwd;                 /* directory that relative paths start from */
    char *machine;             /* value of -machine, without memory-backend */
    guint64 ram_size;          /* bytes */
    gboolean ram_private;      /* QEMU's own memory: a switch has to copy it */
    char *user_cpu;            /* the user's -cpu, or NULL */
    gboolean start_paused;     /* -S */
    GPtrArray *options;        /* MoseOption *, in the user's order */
    char *accel[MOSE_N_SIDES]; /* "kvm" or "tcg" */
    char *cpu[MOSE_N_SIDES];   /* value of -cpu, */
    gboolean portable_cpu;     /* which MOSE chose (cpu.h) */
} MoseSpec;

/*
 * Read the QEMU options @argv. Errors are INVALID or UNSUPPORTED, name the
 * option, and say what to do instead. accel and cpu stay NULL.
 */
MoseSpec *mose_spec_parse(const char *const *argv, GError **error);

/*
 * The same for what is plugged into a guest that runs: back ends and devices alone,
 * each with a name of its own (id=, of -blockdev node-name=). Only the options of the
 * result count.
 */
MoseSpec *mose_spec_parse_plug(const char *const *argv, GError **error);

/* The QEMU of the description, or the one of that name here (PATH). NOT_FOUND. */
gboolean mose_spec_find_qemu(MoseSpec *spec, GError **error);

MoseSpec *mose_spec_new(void);
void mose_spec_free(MoseSpec *spec);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MoseSpec, mose_spec_free)

/* Add one option at the end; both strings are copied, @value may be NULL. */
void mose_spec_add_option(MoseSpec *spec, const char *name, const char *value);

/* To and from the guest's description file. */
JsonObject *mose_spec_to_json(const MoseSpec *spec);
MoseSpec *mose_spec_from_json(JsonObject *object, GError **error);
