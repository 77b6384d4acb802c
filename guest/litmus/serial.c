/* SPDX-License-Identifier: GPL-2.0-or-later */
/* COM1 and COM2, polled: words go out on COM1, the host's bytes come in on either. */
#include "litmus.h"

enum { DATA, IER, FCR, LCR, MCR, LSR };
enum { LSR_READY = 1 << 0, LSR_EMPTY = 1 << 5 };

void
serial_init(void)
{
    static const uint16_t ports[] = { COM1, COM2 };

    for (unsigned i = 0; i < N_ELEMENTS(ports); i++) {
        outb(ports[i] + IER, 0);
        outb(ports[i] + LCR, 0x83);
        outb(ports[i] + DATA, 1); /* 115200 */
        outb(ports[i] + IER, 0);
        outb(ports[i] + LCR, 0x03);
        outb(ports[i] + FCR, 0x07);
        outb(ports[i] + MCR, 0x03);
    }
}

void
serial_put(char c)
{
    while (!(inb(COM1 + LSR) & LSR_EMPTY))
        relax();
    outb(COM1 + DATA, (uint8_t)c);
}

static bool
take(uint16_t port)
{
    uint8_t status = inb(port + LSR);

    if (status == 0xff || !(status & LSR_READY)) /* 0xff: there is no such port */
        return false;
    inb(port + DATA);
    return true;
}

bool
serial_get(void)
{
    return take(COM2) || take(COM1);
}
