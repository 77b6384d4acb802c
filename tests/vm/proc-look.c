/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking at a guest's processes between two readings of its /proc. See proc-look.h. */
#include "vm/proc-look.h"

#include <string.h>

#include "vm/proc-dump.h"

/* What the witness has not: paths and mounts of each sort. */
static const char world[] =
    "mkdir -p '/run/w/a b' /run/w/sub/dir /run/w/on /run/w/gone /run/w/over "
    "/run/w/dead /run/w/many /run/w/root /run/w/shared\n"
    "cd /run/w\n"
    "mount -t tmpfs -o nosuid,nodev,noexec,sync,mode=700 'src x' 'a b'\n"
    "mount --make-unbindable 'a b'\n"
    "mount -t tmpfs -o ro,noatime,nodiratime shared shared\n"
    "mount --make-shared shared\n"
    "mount --bind sub/dir on\n"
    "mount --bind gone over; rmdir gone\n"
    ": >ns; mount --bind /proc/self/ns/uts ns\n"
    "mount --bind / root\n"
    "unshare -m --propagation slave sleep 10000 </dev/null >/dev/null 2>&1 &\n"
    "chroot root sleep 10000 </dev/null >/dev/null 2>&1 &\n"
    "cp /bin/busybox busybox-gone\n"
    "./busybox-gone sleep 10000 </dev/null >/dev/null 2>&1 &\n"
    "odd=$(printf 'tab\\tbell\\007')\n"
    "for name in 'x y' 'back\\slash' \"$odd\" \303\244 unlinked; do\n"
    "echo word >\"$name\"; done\n"
    "( cd dead; exec 3<'../x y' 4>>'../back\\slash' 5<>../unlinked "
    "6<../\303\244 7<\"../$odd\" 8</run 9>/dev/null; read word <&3\n"
    "rm ../unlinked; rmdir ../dead; exec sleep 10000 ) </dev/null >/dev/null 2>&1 &\n"
    "i=0; while [ $i -lt 100 ]; do : >many/$i; i=$((i+1)); done\n"
    "tail -f many/* </dev/null >/dev/null 2>&1 &\n"
    "cd /; usleep 500000; rm /run/w/busybox-gone\n";

static void
make_world(const KernelsGuest *guest)
{
    static GHashTable *made;

    if (!made)
        made = g_hash_table_new(NULL, NULL);
    if (!g_hash_table_add(made, (gpointer)guest))
        return;
    vm_shell(guest->vm, world);
    /* What the readings themselves change, they have changed now. */
    g_hash_table_unref(proc_dump(guest->vm));
}

ProcLook
proc_look_begin(const KernelsGuest *guest)
{
    make_world(guest);
    return (ProcLook){ guest, proc_dump(guest->vm) };
}

/* What may not have changed in between. At most @max of those called @what did. */
GHashTable *
proc_look_end(ProcLook *seen, const char *what, guint max)
{
    g_autoptr(GHashTable) after = proc_dump(seen->guest->vm);
    GHashTable *same =
        proc_dump_common(g_hash_table_ref(seen->before), g_hash_table_ref(after));
    GHashTableIter iter;
    gpointer name;
    guint n = 0;

    g_hash_table_iter_init(&iter, after);
    while (g_hash_table_iter_next(&iter, &name, NULL))
        if (proc_dump_pid(name, what) && !g_hash_table_contains(same, name))
            n++;
    g_assert_cmpuint(n, <=, max);
    g_clear_pointer(&seen->before, g_hash_table_unref);
    return same;
}

/* What is printed of a process; NULL: it is gone. */
char *
proc_look_mose(const KernelsGuest *guest, const char *command, int pid)
{
    g_autofree char *word = g_strdup_printf("%d", pid);
    g_autofree char *out = NULL;
    g_autofree char *err = NULL;

    if (vm_mose(&out, &err, command, guest->vm->name, word, NULL) == 0)
        return g_steal_pointer(&out);
    if (!strstr(err, "no task with pid") && !strstr(err, "no user memory") &&
        !strstr(err, "has ended"))
        g_error("mose %s %s %d: %s", command, guest->vm->name, pid, err);
    return NULL;
}

void
proc_look_assert_same(const char *what, const char *name, const char *got,
                      const char *expected)
{
    if (g_strcmp0(got, expected) != 0)
        g_error("%s of %s: not\n%s\nbut\n%s", what, name, expected,
                got ? got : "nothing");
}

/* What `mose COMMAND NAME PID` prints of each process that has a "PID/what". */
GHashTable *
proc_look_at_all(const ProcLook *seen, const char *what, const char *command)
{
    GHashTable *texts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    GHashTableIter iter;
    gpointer name;

    g_hash_table_iter_init(&iter, seen->before);
    while (g_hash_table_iter_next(&iter, &name, NULL)) {
        int pid = proc_dump_pid(name, what);

        if (pid)
            g_hash_table_insert(texts, g_strdup(name),
                                proc_look_mose(seen->guest, command, pid));
    }
    return texts;
}
