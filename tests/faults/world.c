/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest of fault tests, and what is seen of it; see world.h. */
#include "faults/world.h"

#include <gio/gio.h>
#include <string.h>

#include "qemu/command.h"
#include "switch/resume.h"
#include "util/json.h"

#define BOOT_SECONDS 120
/* A QEMU that hangs must not hold the look at it for long. */
#define LOOK_TIMEOUT_MS 1000

World *
world_new(const char *name)
{
    World *world = g_new0(World, 1);
    const char *seed = g_getenv("MOSE_TEST_DICE");
    guint32 number = seed ? strtoul(seed, NULL, 10) : g_random_int();

    world->vm = vm_guest_new(name);
    world->dir = g_build_filename(g_getenv("MOSE_RUNTIME_DIR"), name, NULL);
    world->dice = g_rand_new_with_seed(number);
    g_test_message("MOSE_TEST_DICE=%u", number);
    return world;
}

void
world_free(World *world)
{
    if (!world)
        return;
    vm_guest_free(world->vm);
    g_free(world->dir);
    g_rand_free(world->dice);
    g_free(world);
}

gint64
world_roll(World *world, gint64 limit)
{
    return limit > 0 ? g_rand_double(world->dice) * limit : 0;
}

/* --- starting --- */

static void
make_disk(const char *path)
{
    const char *argv[] = {
        "qemu-img", "create", "-q", "-f", "qcow2", path, "64M", NULL
    };
    int status = -1;

    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL,
                 &status, NULL);
    g_assert_cmpint(status, ==, 0);
}

static void
start(World *world)
{
    g_autofree char *file = g_strdup_printf("%s.qcow2", world->vm->name);
    g_autofree char *disk = vm_path(file);
    g_autofree char *extra = g_strdup_printf(
        "-drive file=%s,format=qcow2,if=none,id=disk -device virtio-blk-pci,drive=disk",
        disk);

    make_disk(disk);
    vm_run(world->vm, NULL, extra, "mose.work=1");
    vm_wait_console(world->vm, "MOSE-GUEST READY", BOOT_SECONDS);
    world->starts++;
}

gboolean
world_begin(World *world)
{
    if (vm_why_not()) {
        g_test_skip(vm_why_not());
        return FALSE;
    }
    if (world_running_generation(world) == 0)
        start(world);
    return TRUE;
}

/* --- looking --- */

/* The file @name of process @pid, its zeros made newlines; NULL if it has gone. */
static char *
proc_text(const char *pid, const char *name)
{
    g_autofree char *path = g_build_filename("/proc", pid, name, NULL);
    char *text = NULL;
    gsize len = 0;

    if (!g_file_get_contents(path, &text, &len, NULL))
        return NULL;
    for (gsize i = 0; i < len; i++)
        if (text[i] == '\0')
            text[i] = '\n';
    return text;
}

/* The generation in "-pidfile DIR/pid.N", 0: it is no QEMU of this guest. */
static guint
qemu_generation(const World *world, const char *pid)
{
    g_autofree char *text = proc_text(pid, "cmdline");
    g_autofree char *mark = g_strdup_printf("\n-pidfile\n%s/pid.", world->dir);
    const char *at = text ? strstr(text, mark) : NULL;

    return at ? strtoul(at + strlen(mark), NULL, 10) : 0;
}

static gboolean
is_guardian(const char *pid)
{
    g_autofree char *comm = proc_text(pid, "comm");
    g_autofree char *environment = NULL;
    g_autofree char *mark =
        g_strdup_printf("MOSE_RUNTIME_DIR=%s\n", g_getenv("MOSE_RUNTIME_DIR"));

    if (!comm || strcmp(comm, "mose-guardian\n") != 0)
        return FALSE;
    environment = proc_text(pid, "environ");
    return environment && strstr(environment, mark);
}

GArray *
world_processes(const World *world, WorldKind kind)
{
    GArray *found = g_array_new(FALSE, FALSE, sizeof(WorldProcess));
    g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
    const char *name;

    while (proc && (name = g_dir_read_name(proc))) {
        WorldProcess process = { g_ascii_strtoll(name, NULL, 10), 0 };

        if (process.pid <= 0)
            continue;
        if (kind == WORLD_QEMU)
            process.generation = qemu_generation(world, name);
        if (kind == WORLD_QEMU ? process.generation > 0 : is_guardian(name))
            g_array_append_val(found, process);
    }
    return found;
}

static MoseQmp *
ask(const World *world, guint generation)
{
    g_autofree char *path =
        g_strdup_printf("%s/qmp%d.%u", world->dir, MOSE_MONITOR_QUERY, generation);
    MoseQmp *qmp = mose_qmp_connect(path, LOOK_TIMEOUT_MS, NULL);

    if (qmp)
        mose_qmp_set_timeout(qmp, LOOK_TIMEOUT_MS);
    return qmp;
}

static gboolean
runs(const World *world, guint generation)
{
    g_autoptr(MoseQmp) qmp = ask(world, generation);
    g_autoptr(JsonObject) status =
        qmp ? mose_qmp_query(qmp, "query-status", NULL, NULL) : NULL;

    return mose_json_bool(status, "running", FALSE);
}

gboolean
world_hangs(const World *world, guint generation)
{
    g_autoptr(MoseQmp) qmp = ask(world, generation);

    return qmp && mose_source_hangs(qmp);
}

guint
world_running_generation(const World *world)
{
    g_autoptr(GArray) found = world_processes(world, WORLD_QEMU);
    guint ret = 0;

    for (guint i = 0; i < found->len; i++) {
        guint generation = g_array_index(found, WorldProcess, i).generation;

        if (!runs(world, generation))
            continue;
        /* It may have been given over between the two questions. */
        if (ret && runs(world, ret))
            g_error("%s runs in two processes: generations %u and %u", world->vm->name,
                    ret, generation);
        ret = generation;
    }
    return ret;
}

guint
world_known_generation(const World *world)
{
    g_autoptr(MoseGuest) guest =
        mose_guest_open(world->vm->name, MOSE_GUEST_LOOK, NULL);

    return guest ? guest->generation : 0;
}

static gboolean
belongs(const char *name, guint generation)
{
    static const char *const always[] = { "guest.json", "lock", NULL };
    static const char *const parts[] = {
        "qmp0", "qmp1", "qmp2", "log", "plugin", "pid"
    };

    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *file = g_strdup_printf("%s.%u", parts[i], generation);

        if (strcmp(name, file) == 0)
            return TRUE;
    }
    return g_strv_contains(always, name);
}

char *
world_litter(const World *world, guint generation)
{
    g_autoptr(GString) litter = g_string_new("");
    g_autofree char *beside = g_path_get_dirname(world->vm->shell);
    const char *const dirs[] = { world->dir, beside };

    for (gsize i = 0; i < G_N_ELEMENTS(dirs); i++) {
        g_autoptr(GDir) dir = g_dir_open(dirs[i], 0, NULL);
        const char *name;

        while (dir && (name = g_dir_read_name(dir)))
            if (i == 0 ? !belongs(name, generation) : strstr(name, ".mose-") != NULL)
                g_string_append_printf(litter, "%s%s", litter->len ? ", " : "", name);
    }
    return litter->len ? g_string_free(g_steal_pointer(&litter), FALSE) : NULL;
}
