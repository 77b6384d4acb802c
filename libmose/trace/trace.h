/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a trace of a guest's instructions holds: the words that its writer (writer.h)
 * and its reader (reader.h) share. How it is laid out in a file: docs/trace-format.md.
 *
 * A *block* is a straight piece of code. A vCPU's trace is the sequence of its blocks'
 * *executions*, each of all of the block's instructions, or of the first so many. The
 * vCPU's instructions are numbered from 0 in the order in which they were executed.
 */
#pragma once

#include <json-glib/json-glib.h>

#define MOSE_TRACE_VCPUS_MAX 256u
#define MOSE_TRACE_INSTRUCTIONS_MAX 512u   /* of a block */
#define MOSE_TRACE_INSTRUCTION_LEN_MAX 15u /* Intel SDM vol. 2, 2.3.11 */
#define MOSE_TRACE_BLOCKS_MAX (1u << 24)   /* that are defined */
#define MOSE_TRACE_TASKS_MAX (1u << 20)    /* that are defined */
#define MOSE_TRACE_NAMES_MAX (1u << 22)    /* address ranges with a name */
#define MOSE_TRACE_NAME_LEN_MAX 4096u      /* bytes of one */
#define MOSE_TRACE_ACCESSES_MAX (1u << 18) /* of one execution */
#define MOSE_TRACE_REGISTERS_MAX 256u      /* names in the description */
#define MOSE_TRACE_ACCESS_SIZE_MAX 64u     /* bytes */
#define MOSE_TRACE_VALUE_WORDS (MOSE_TRACE_ACCESS_SIZE_MAX / 8)
#define MOSE_TRACE_NO_BLOCK G_MAXUINT32
#define MOSE_TRACE_NO_TASK G_MAXUINT32

/* What is said of the whole trace. */
typedef struct {
    guint n_vcpus;
    gboolean memory;              /* accesses are there ... */
    gboolean values;              /* ... and what was read and written */
    const char *const *registers; /* their names, ended by NULL; NULL: none */
    JsonObject *about; /* guest, kernel, what was traced: anything; or NULL */
} MoseTraceInfo;

typedef struct {
    guint64 address;       /* virtual, of the first instruction */
    guint n;               /* instructions, at least one */
    const guint8 *lengths; /* @n of them */
    const guint8 *bytes;   /* of all instructions, one after the other */
} MoseTraceBlock;

typedef struct {
    guint64 address;     /* virtual */
    guint16 instruction; /* its number in the block */
    guint8 size;         /* 1, 2, 4, 8, 16, 32 or 64 bytes */
    gboolean store;
    gboolean has_value;
    /* As the guest's memory has it, least byte first; that of 8 bytes and less is in
     * the first, the rest of which is not looked at, and 0 when read. */
    guint64 value[MOSE_TRACE_VALUE_WORDS];
} MoseTraceAccess;

typedef struct {
    guint32 pid, tgid;
    guint64 address; /* of its task_struct */
    guint64 cr3;
    char name[16]; /* as in the kernel, ended by 0 where it is shorter */
} MoseTraceTask;

typedef struct {
    guint32 index; /* in the names of the description */
    guint64 value;
} MoseTraceRegister;

/* A range of addresses that has a name: a symbol, or a piece of an object (a file that
 * is mapped there), of which @name is NULL. Strings may be NULL. */
typedef struct {
    guint32 task; /* the one that it holds for; MOSE_TRACE_NO_TASK: for any */
    guint64 start, end;
    const char *name;
    const char *object;   /* "vmlinux", a module, a path */
    const char *build_id; /* of the object, in hexadecimal */
    guint64 file_offset;  /* of @start in the object */
} MoseTraceName;
