/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way into 64-bit C: of the first vCPU by PVH (Xen docs/misc/pvh.pandoc: 32-bit
 * protected mode, flat, EBX = hvm_start_info), of the others by a trampoline below
 * 1 MB, which smp.c copies there.
 */
#define PAGE 4096
#define TRAMPOLINE 0x8000
#define AT(label) (TRAMPOLINE + label - ap_trampoline)

#define CR0_START 0x80010033    /* PG WP NE ET MP PE */
#define CR4_START 0x620         /* OSXMMEXCPT OSFXSR PAE */
#define EFER 0xc0000080
#define EFER_START 0x901        /* NXE LME SCE */

#define CODE64 0x08
#define DATA 0x10
#define CODE32 0x30

    /* XEN_ELFNOTE_PHYS32_ENTRY */
    .section .note.pvh, "a", @note
    .align 4
    .long 4, 4, 18
    .asciz "Xen"
    .long start

    .section .text.boot, "ax"
    .code32
    .globl start
start:
    cli
    cld
    movl %ebx, boot_start_info
    movl $boot_stack_top, %esp
    /* Identity map of 4 GB in pages of 2 MB. */
    movl $boot_pml4, %edi
    movl $boot_pdpt + 3, (%edi)
    movl $boot_pdpt, %edi
    movl $boot_pd + 3, %eax
    movl $4, %ecx
1:  movl %eax, (%edi)
    addl $8, %edi
    addl $PAGE, %eax
    loop 1b
    movl $boot_pd, %edi
    movl $0x83, %eax
    movl $2048, %ecx
2:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x200000, %eax
    loop 2b
    lgdt boot_gdt_pointer
    call enter_long_mode
    ljmp $CODE64, $start64

/* Keeps nothing but EBX and ESP. */
enter_long_mode:
    movl $CR4_START, %eax
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $EFER, %ecx
    movl $EFER_START, %eax
    xorl %edx, %edx
    wrmsr
    movl $CR0_START, %eax
    movl %eax, %cr0
    ret

    .code64
.macro load_data_segments
    movl $DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
.endm

start64:
    load_data_segments
    movl $cpu_stacks + 0x10000, %esp
    xorl %ebp, %ebp
    call main
halt:
    cli
    hlt
    jmp halt

ap_start64:
    load_data_segments
    movl ap_stack, %esp
    xorl %ebp, %ebp
    call ap_main
    jmp halt

    .code32
ap_start32:
    movl $DATA, %eax
    movl %eax, %ds
    movl %eax, %ss
    movl ap_stack, %esp
    call enter_long_mode
    ljmp $CODE64, $ap_start64

/* Runs at TRAMPOLINE, in real mode. */
    .section .rodata
    .globl ap_trampoline, ap_trampoline_end
    .code16
ap_trampoline:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl AT(ap_gdt_pointer)
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $CODE32, $ap_start32
    .align 8
ap_gdt_pointer:
    .word 0xff
    .long gdt
ap_trampoline_end:

    .align 8
boot_gdt_pointer:
    .word 0xff
    .long gdt
    .long 0

    .section .bss
    .align PAGE
    .globl boot_pml4
boot_pml4:
    .skip PAGE
boot_pdpt:
    .skip PAGE
boot_pd:
    .skip 4 * PAGE
    .skip 256
boot_stack_top:
    .globl boot_start_info
boot_start_info:
    .skip 8
    .section .note.GNU-stack, "", @progbits
