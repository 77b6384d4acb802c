/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A known world inside the guest, for tests of what is seen from outside: made, told
 * line by line on standard output, and then left as it is. Each line is a kind and
 * words name=value without blanks; README.md beside the guest's recipe lists them.
 *
 * The parts are made in main.c's order; each tells what it has made. What cannot be
 * made ends the program.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { WITNESS_PAGE = 4096 };

/* What the 8-byte word at @index of contents made with @seed is. */
static inline uint64_t
witness_word(uint64_t seed, uint64_t index)
{
    return seed ^ ((index + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

/* main.c: end with "WITNESS ERROR what: why" (of errno). It does not return. */
__attribute__((noreturn)) void witness_die(const char *what);

/* The same, unless @ok. */
void witness_check(int ok, const char *what);

/* Path of @name in the directory of the witness's files; of that directory for NULL.
 * Static, good until the next call. */
const char *witness_path(const char *name);

/* task-state.c: wait until the task @pid of this system is in @state (a letter of
 * /proc/PID/stat). */
void witness_wait_state(pid_t pid, char state);

/* The same for a thread of this process that is in system call @number. */
void witness_wait_syscall(pid_t tid, long number);

/* fork(): the child is called @name, dies with this process, and does not flush what
 * this one has still to tell. */
pid_t witness_fork(const char *name);

/* memory.c, files.c, sockets.c, threads.c, faults.c, tasks.c, namespaces.c, log.c */
void witness_fill(void *memory, size_t size, uint64_t seed);
void witness_make_memory(void);
void witness_make_files(void);
void witness_make_sockets(void);
void witness_make_threads(void);
void witness_make_faults(void);
void witness_make_tasks(unsigned long more);
void witness_make_namespaces(void);
void witness_make_log(void);
