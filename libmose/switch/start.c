/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starting and ending guests; see start.h. */
#include "switch/start.h"

#include <string.h>
#include <unistd.h>

#include "host/fitness.h"
#include "qemu/cpu.h"
#include "qemu/ram.h"
#include "guest/generation.h"
#include "switch/guardian.h"
#include "guest/journal.h"
#include "guest/launch.h"
#include "util/error.h"
#include "util/fd.h"
#include "util/json.h"

const char *
mose_choose_accel(char **ret_reason)
{
    const MoseKvmFitness *fitness = mose_kvm_fitness();

    *ret_reason = g_strdup(fitness->verdict);
    return fitness->fit ? "kvm" : "tcg";
}

static gboolean
choose_accels(MoseSpec *spec, const MoseStartOptions *options, char **ret_reason,
              GError **error)
{
    const char *accel = options->accel;

    *ret_reason = NULL;
    if (strcmp(accel, "auto") == 0) {
        accel = mose_choose_accel(ret_reason);
    } else if (strcmp(accel, "kvm") == 0) {
        if (access("/dev/kvm", R_OK | W_OK) < 0) {
            g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED, "--accel kvm: %s",
                        mose_kvm_fitness()->verdict);
            return FALSE;
        }
        *ret_reason = g_strdup("asked for");
    } else if (strcmp(accel, "tcg") == 0) {
        *ret_reason = g_strdup("asked for");
    } else {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "--accel %s: it is auto, kvm or tcg", accel);
        return FALSE;
    }
    spec->accel[MOSE_SIDE_VIRTUALIZER] = g_strdup(accel);
    spec->accel[MOSE_SIDE_EMULATOR] = g_strdup("tcg");
    return TRUE;
}

/* Whether @cpu is the model @model, with or without properties. */
static gboolean
is_model(const char *cpu, const char *model)
{
    gsize len = strlen(model);

    return strncmp(cpu, model, len) == 0 && (cpu[len] == '\0' || cpu[len] == ',');
}

static gboolean
choose_cpus(MoseSpec *spec, const MoseStartOptions *options, GError **error)
{
    gboolean with_kvm = strcmp(spec->accel[MOSE_SIDE_VIRTUALIZER], "kvm") == 0;
    const char *cpu = spec->user_cpu ? spec->user_cpu : options->cpu;
    const char *emulator_cpu = options->emulator_cpu;
    g_autoptr(MosePortableCpu) portable = NULL;

    if (spec->user_cpu && options->cpu) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_INVALID,
                    "--cpu %s and QEMU's -cpu %s: give one of them", options->cpu,
                    spec->user_cpu);
        return FALSE;
    }
    if (!cpu)
        cpu = "portable";
    if (with_kvm && is_model(cpu, "host")) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED,
                    "-cpu host: no emulator has the host's CPU, so the guest could not "
                    "be switched; use --cpu portable");
        return FALSE;
    }
    if (strcmp(cpu, "portable") == 0) {
        portable = mose_portable_cpu_new(spec->qemu, with_kvm, error);
        if (!portable)
            return FALSE;
        spec->portable_cpu = emulator_cpu == NULL;
        cpu = portable->virtualizer;
        emulator_cpu = emulator_cpu ? emulator_cpu : portable->emulator;
    }
    spec->cpu[MOSE_SIDE_VIRTUALIZER] = g_strdup(cpu);
    spec->cpu[MOSE_SIDE_EMULATOR] = g_strdup(emulator_cpu ? emulator_cpu : cpu);
    return TRUE;
}

/* The versioned machine type behind an alias: "pc" is "pc-i440fx-10.0" now. */
static gboolean
read_machine_type(MoseGuest *guest, MoseQmp *qmp, GError **error)
{
    static const char suffix[] = "-machine";
    g_autoptr(JsonNode) answer = mose_qmp_execute(
        qmp, "qom-get",
        mose_json_object("path", "s", "/machine", "property", "s", "type", NULL),
        error);
    const char *type =
        answer && JSON_NODE_HOLDS_VALUE(answer) ? json_node_get_string(answer) : NULL;

    if (!answer)
        return FALSE;
    if (!type || !g_str_has_suffix(type, suffix)) {
        g_set_error(error, MOSE_ERROR, MOSE_ERROR_QMP, "QEMU tells no machine type");
        return FALSE;
    }
    guest->machine_type = g_strndup(type, strlen(type) - strlen(suffix));
    return TRUE;
}

static MoseLaunch *
launch_first(MoseGuest *guest, const MoseStartOptions *options, GError **error)
{
    const MoseSpec *spec = guest->spec;
    g_auto(MoseFd) ram = MOSE_FD_NONE;
    MoseLaunchFor what = { .side = MOSE_SIDE_VIRTUALIZER,
                           .generation = guest->generation,
                           .ram_fd = -1,
                           .interrupt_fd = options->interrupt_fd };

    if (spec->ram_private) {
        if (!options->overcommit && !mose_ram_has_room(spec->ram_size, error))
            return NULL;
        return mose_launch(guest, &what, error);
    }
    ram = mose_ram_create(guest->name, spec->ram_size, options->overcommit, error);
    what.ram_fd = ram;
    return ram < 0 ? NULL : mose_launch(guest, &what, error);
}

static gboolean
begin_life(MoseGuest *guest, MoseLaunch *launch, GError **error)
{
    const MoseSpec *spec = guest->spec;

    guest->pid = launch->process->pid;
    guest->start_time = launch->process->start_time;
    if (!read_machine_type(guest, launch->qmp, error) ||
        !mose_launch_settle(launch->qmp, launch->line, error))
        return FALSE;
    mose_guest_note(guest, "run",
                    mose_json_object("side", "s", mose_side_name(guest->side), "accel",
                                     "s", spec->accel[guest->side], NULL));
    return mose_guest_save(guest, error) &&
           (spec->start_paused || mose_qmp_run(launch->qmp, "cont", NULL, error)) &&
           mose_journal_end(guest->dir, error);
}

/* From here on there are guardians, who know what to clear away. */
static gboolean
begin_start(MoseGuest *guest, MoseGuardian **ret, GError **error)
{
    MoseJournalEntry entry = { .phase = MOSE_PHASE_START,
                               .generation = 1,
                               .side = MOSE_SIDE_VIRTUALIZER };
    g_autoptr(MoseJournal) journal = NULL;

    guest->side = entry.side;
    guest->generation = guest->generations = entry.generation;
    /* Of a MOSE that died while it started this guest. */
    if (!mose_end_generation(guest, entry.generation, error))
        return FALSE;
    *ret = mose_guardian_start(guest, error);
    if (!*ret)
        return FALSE;
    /* Without guest.json there is no guest, whatever else is in its directory. */
    journal = mose_journal_begin(guest->dir, &entry, error);
    return journal && mose_guest_save(guest, error);
}

static gboolean
start(MoseGuest *guest, const MoseStartOptions *options, GError **error)
{
    g_autoptr(MoseLaunch) launch = NULL;
    MoseGuardian *guardian = NULL;
    gboolean good = FALSE;

    if (begin_start(guest, &guardian, error))
        launch = launch_first(guest, options, error);
    if (launch)
        good = begin_life(guest, launch, error);
    if (launch && !good) {
        mose_launch_explain(launch, error);
        mose_launch_abort(guest, launch);
    }
    if (!good)
        mose_guest_remove(guest, NULL);
    mose_guardian_stop(guardian);
    return good;
}

MoseGuest *
mose_start(const char *name, MoseSpec *spec, const MoseStartOptions *options,
           char **ret_reason, GError **error)
{
    g_autoptr(MoseSpec) owned = spec;
    g_autoptr(MoseGuest) guest = NULL;

    if (!choose_accels(spec, options, ret_reason, error) ||
        !choose_cpus(spec, options, error) || !(guest = mose_guest_create(name, error)))
        return NULL;
    spec->name = g_strdup(name);
    spec->ram_private = options->ram_private;
    guest->spec = g_steal_pointer(&owned);
    return start(guest, options, error) ? g_steal_pointer(&guest) : NULL;
}
