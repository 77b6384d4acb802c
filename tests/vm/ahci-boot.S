/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A boot sector that works on the first two disks through the firmware (int 0x13):
 * round n writes n into sector 1 + n % 256 of each, reads it back and compares. It
 * prints '.' on the first serial port every 64 rounds, and 'E' and stops when
 * something is wrong.
 */
#define AT(label) (label - ahci_boot + 0x7c00)
#define OUT_BUFFER 0x8000
#define IN_BUFFER 0x9000

    .section .rodata
    .globl ahci_boot
    .code16
ahci_boot:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7000, %sp
    cld
    sti
round:
    incl AT(count)
    movl AT(count), %eax
    movw $OUT_BUFFER, %di
    movw $128, %cx
    rep stosl
    movzbl AT(count), %eax
    incl %eax
    movl %eax, AT(sector)
    movb $0x80, AT(drive)
    call work
    incb AT(drive)
    call work
    testb $63, AT(count)
    jnz round
    movb $'.', %al
    call put
    jmp round

work:
    movw $OUT_BUFFER, AT(buffer)
    movw $0x4300, %ax           /* extended write */
    call disk
    movw $IN_BUFFER, AT(buffer)
    movw $0x4200, %ax           /* extended read */
    call disk
    movw $OUT_BUFFER, %si
    movw $IN_BUFFER, %di
    movw $128, %cx
    repe cmpsl
    jne bad
    ret

disk:
    movw $AT(packet), %si
    movb AT(drive), %dl
    int $0x13
    jc bad
    ret

bad:
    movb $'E', %al
    call put
    cli
    hlt

put:
    movw $0x3f8, %dx
    outb %al, %dx
    ret

count:
    .long 0
drive:
    .byte 0
packet:                         /* disk address packet */
    .byte 16, 0
    .word 1                     /* sectors */
buffer:
    .word 0, 0                  /* offset, segment */
sector:
    .quad 0

    .org ahci_boot + 510
    .word 0xaa55
    .section .note.GNU-stack, "", @progbits
