/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Goes into unused bytes of a guest's kernel, and serves the guest's KVM hypercalls in
 * the emulator, where the instruction is an invalid opcode: the guest's IDT gate 6
 * points to MoseHypercallShim.entry (hypercall-shim.h). Position-independent. Data for
 * MOSE here: it is never executed by it.
 *
 * Interrupts are off. Only kernel mode's vmcall and vmmcall are its business; all else
 * goes on to the handler that was there. As KVM does (Linux arch/x86/kvm/x86.c:
 * kvm_emulate_hypercall), it changes RAX alone and goes on behind the instruction.
 */

/* Numbers and errors: include/uapi/linux/kvm_para.h */
#define HC_SEND_IPI 10
#define HC_SCHED_YIELD 11
#define ENOSYS 1000
#define EINVAL 22

#define MSR_APICBASE 0x1b
#define MSR_X2APIC_ICR 0x830
#define X2APIC_BIT 10
#define APIC_ICR 0x300
#define APIC_ICR2 0x310
/* Destination mode and shorthand, which this call has not; asserted. */
#define ICR_NOT_HERE 0xc0800
#define ICR_ASSERT 0x4000

/* Where the interrupt's frame is, behind RAX. */
#define NUMBER 0
#define RIP 8
#define CS 16

	.section .rodata
	.code64
	.globl mose_hypercall_shim, mose_hypercall_shim_end
	.hidden mose_hypercall_shim, mose_hypercall_shim_end
	.balign 16
mose_hypercall_shim:
magic:	.quad 0
handler: .quad 0	/* the one that was there */
apic:	.quad 0		/* where the kernel has its APIC's registers mapped; or 0 */
fill:	.quad 0

	push %rax
	testb $3, CS(%rsp)
	jnz not_ours
	mov RIP(%rsp), %rax
	cmpw $0x010f, (%rax)
	jne not_ours
	cmpb $0xc1, 2(%rax)
	je call
	cmpb $0xd9, 2(%rax)
	jne not_ours

call:	addq $3, RIP(%rsp)
	mov NUMBER(%rsp), %rax
	cmp $HC_SEND_IPI, %rax
	je send_ipi
	cmp $HC_SCHED_YIELD, %rax
	mov $-ENOSYS, %rax
	jne done
	xor %eax, %eax
done:	add $8, %rsp
	iretq

not_ours:
	pop %rax
	jmp *handler(%rip)

/*
 * RBX and RCX: a bit for each of 128 APIC ids from RDX on; RSI: the low half of the
 * ICR. RAX: how many were sent to. R8 counts, R9 is the id of RBX's lowest bit, R10 the
 * APIC's registers or, for x2APIC, 0.
 */
send_ipi:
	mov $-EINVAL, %rax
	test $ICR_NOT_HERE, %esi
	jnz done
	push %rbx
	push %rcx
	push %rdx
	push %rsi
	push %r8
	push %r9
	push %r10
	push %r11
	mov %edx, %r9d
	mov %rcx, %r11		/* the other word */
	or $ICR_ASSERT, %esi
	xor %r8d, %r8d
	xor %r10d, %r10d
	mov $MSR_APICBASE, %ecx
	rdmsr
	bt $X2APIC_BIT, %eax
	jc word
	mov $-ENOSYS, %r8
	mov apic(%rip), %r10
	test %r10, %r10
	jz sent
	xor %r8d, %r8d
	mov APIC_ICR2(%r10), %eax
	push %rax		/* an NMI may have come between a write of it and of ICR */

word:	test %rbx, %rbx
	jz next
	bsf %rbx, %rcx
	lea -1(%rbx), %rax
	and %rax, %rbx
	lea (%r9, %rcx), %edx
	inc %r8
	mov %esi, %eax
	test %r10, %r10
	jnz mmio
	mov $MSR_X2APIC_ICR, %ecx
	wrmsr
	jmp word
mmio:	shl $24, %edx
	mov %edx, APIC_ICR2(%r10)
	mov %eax, APIC_ICR(%r10)
	jmp word

next:	add $64, %r9d
	mov %r11, %rbx
	xor %r11d, %r11d
	test %rbx, %rbx
	jnz word
	test %r10, %r10
	jz sent
	pop %rax
	mov %eax, APIC_ICR2(%r10)
sent:	mov %r8, %rax
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rsi
	pop %rdx
	pop %rcx
	pop %rbx
	jmp done
mose_hypercall_shim_end:

	.section .note.GNU-stack, "", @progbits
