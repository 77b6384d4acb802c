/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the plugin does, and how that is changed; see core.h. */
#include "plugin/core.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "plugin/flow.h"

static qemu_plugin_id_t own_id;
static GMutex lock;
static Plan *wanted;  /* under the lock */
static gboolean open; /* it is to be done, under the lock; read without */
static Plan *done;    /* that of translated code */
static gboolean overrun;
static int settled_fd;

static void begin_callbacks(qemu_plugin_id_t id);

/* No vCPU runs, and no code is translated. A second vCPU that came by just when the
 * first was done asks for nothing new. */
static void
on_reset(qemu_plugin_id_t id)
{
    Plan *old = NULL;

    begin_callbacks(id);
    g_mutex_lock(&lock);
    if (open) {
        old = done;
        done = g_steal_pointer(&wanted);
        overrun = FALSE;
    }
    flow_begin(id, done);
    /* What the last plan has still to say waits for nobody. */
    if (open) {
        __atomic_store_n(&producer_recording, done != NULL, __ATOMIC_RELEASE);
        __atomic_store_n(&open, FALSE, __ATOMIC_RELEASE);
    }
    g_mutex_unlock(&lock);
    plan_free(old);
    eventfd_write(settled_fd, 1);
}

void
core_settle(void)
{
    if (__atomic_load_n(&open, __ATOMIC_ACQUIRE))
        qemu_plugin_reset(own_id, on_reset);
}

static void
on_idle(qemu_plugin_id_t id, unsigned int vcpu)
{
    flow_flush(vcpu);
    core_settle();
}

static void
on_resume(qemu_plugin_id_t id, unsigned int vcpu)
{
    core_settle();
}

static void
begin_callbacks(qemu_plugin_id_t id)
{
    qemu_plugin_register_vcpu_idle_cb(id, on_idle);
    qemu_plugin_register_vcpu_resume_cb(id, on_resume);
}

void
core_begin(qemu_plugin_id_t id)
{
    own_id = id;
    settled_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    flow_init();
    begin_callbacks(id);
}

void
core_want(Plan *plan)
{
    g_mutex_lock(&lock);
    __atomic_store_n(&producer_recording, FALSE, __ATOMIC_RELEASE);
    plan_free(wanted);
    wanted = plan;
    __atomic_store_n(&open, TRUE, __ATOMIC_RELEASE);
    g_mutex_unlock(&lock);
}

gboolean
core_is_settled(void)
{
    return !__atomic_load_n(&open, __ATOMIC_ACQUIRE);
}

int
core_settled_fd(void)
{
    return settled_fd;
}

void
core_acknowledge(void)
{
    eventfd_t n;

    (void)eventfd_read(settled_fd, &n);
}

void
core_overrun(void)
{
    __atomic_store_n(&overrun, TRUE, __ATOMIC_RELAXED);
    __atomic_store_n(&producer_recording, FALSE, __ATOMIC_RELEASE);
}

gboolean
core_was_overrun(void)
{
    return __atomic_load_n(&overrun, __ATOMIC_RELAXED);
}
