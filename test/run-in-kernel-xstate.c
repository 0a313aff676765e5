/*
 * For user-mode Linux on a processor with more vector registers than it knows
 * (AMX, APX). Up to 6.12 it keeps 2696 bytes of them for each process and gives
 * those back with PTRACE_SETREGSET; Linux takes nothing less than all it has
 * (xstateregs_set in arch/x86/kernel/fpu/regset.c), so the guest dies at its
 * first process with "ptrace set fp regs failed". Here what is missing is filled
 * up with what the process has, which is never used in the guest.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

long ptrace(enum __ptrace_request request, ...)
{
	static long (*next)(enum __ptrace_request, ...);
	static char all[1 << 16];
	va_list args;
	va_start(args, request);
	int pid = va_arg(args, int);
	void *addr = va_arg(args, void *);
	void *data = va_arg(args, void *);
	va_end(args);

	if (!next)
		next = dlsym(RTLD_NEXT, "ptrace");
	if (request == PTRACE_SETREGSET && addr == (void *)NT_X86_XSTATE) {
		struct iovec *some = data, full = { all, sizeof(all) };
		if (next(PTRACE_GETREGSET, pid, addr, &full) == 0 && full.iov_len > some->iov_len) {
			memcpy(all, some->iov_base, some->iov_len);
			return next(request, pid, addr, &full);
		}
	}
	return next(request, pid, addr, data);
}
