/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The litmus guest (guest/litmus) comes to the same verdicts whether it stays where it
 * is or is switched between its rounds' arming and checking.
 */
#include <fcntl.h>
#include <string.h>

#include "lib/litmus.h"
#include "util/fd.h"

/* How a guest goes about. */
typedef enum {
    STAY,  /* it is not switched */
    THERE, /* each round there; back with nothing armed */
    BACK,  /* there with nothing armed; each round back */
    BOTH,  /* there in one round, back in the next */
} Way;

typedef struct {
    const char *path;
    const char *accel, *machine;
    guint vcpus;
    guint rounds; /* 0: one an exclusive */
    Way way;
    gboolean slow; /* in the long form alone */
} Case;

static void
go_about(Litmus *litmus, Way way)
{
    g_autoptr(GHashTable) verdicts = NULL;

    if (way == BACK)
        litmus_switch(litmus, NULL, NULL);
    while (litmus_arm(litmus)) {
        g_clear_pointer(&verdicts, g_hash_table_unref);
        if (way != STAY)
            litmus_switch(litmus, NULL, NULL);
        verdicts = litmus_check(litmus);
        litmus_assert_no_failure(verdicts);
        if (way == THERE || way == BACK)
            litmus_switch(litmus, NULL, NULL);
    }
}

static gboolean
cannot_run(const Case *what)
{
    g_auto(MoseFd) kvm = -1;

    if (vm_cannot_run())
        return TRUE;
    if (strcmp(what->accel, "kvm") != 0)
        return FALSE;
    kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0)
        g_test_skip("/dev/kvm does not open");
    return kvm < 0;
}

static void
run(gconstpointer data)
{
    const Case *what = data;
    g_autoptr(Litmus) litmus = NULL;

    if (cannot_run(what))
        return;
    litmus = litmus_start(&(LitmusSetup){
        .accel = what->accel,
        .machine = what->machine,
        .vcpus = what->vcpus,
        .rounds = what->rounds,
    });
    go_about(litmus, what->way);
}

static const Case cases[] = {
    { "/litmus/tcg/alone", "tcg", "pc", 2, 0, STAY },
    { "/litmus/tcg/switched", "tcg", "pc", 2, 0, BOTH },
    { "/litmus/kvm/alone", "kvm", "pc", 2, 0, STAY },
    { "/litmus/kvm/there", "kvm", "pc", 2, 0, THERE },
    { "/litmus/kvm/back", "kvm", "pc", 2, 0, BACK },
};

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_setup();
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        if (!cases[i].slow || g_test_slow())
            g_test_add_data_func(cases[i].path, &cases[i], run);
    return vm_run_tests();
}
