/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU plugin: the exact number of instructions of every call of one function.
 *
 *   -plugin count.so,out=PATH,site=HEX[,site=HEX...]
 *
 * site: the address of a BL instruction that calls the function. A span begins after the BL and ends before the
 * instruction that follows it, so it holds the function's instructions from the first to its return, and those of
 * everything it calls. The call sites come from the ELF file and not from what runs: the instruction behind a BL may be
 * translated long before the BL (a loop entered at its test), and then it is too late to watch it.
 * Each span is appended to PATH as a native 64-bit integer, in one write, before the guest goes on: whoever has seen
 * the guest's answer to a run finds its count in the file. (A socket would fill up and stop the guest.)
 * A call that never returns (a reset in the middle of it) counts nothing: the next call begins a new span.
 * One core; the function does not call itself.
 */
#include "qemu_plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SITES = 64, BL_BYTES = 4 };

QEMU_PLUGIN_EXPORT int qemu_plugin_version = 1;

static uint64_t executed; /* instructions so far, those of this moment not included */
static uint64_t begun_at;
static bool in_span;
static uint64_t sites[MAX_SITES];
static size_t n_sites;
static int out = -1;

static void on_call(unsigned int vcpu, void *user)
{
    (void)vcpu;
    (void)user;
    begun_at = executed + 1; /* the BL itself is counted after this */
    in_span = true;
}

static void on_return(unsigned int vcpu, void *user)
{
    (void)vcpu;
    (void)user;
    uint64_t count = executed - begun_at;
    if (!in_span) {
        return; /* got here without a call */
    }
    in_span = false;
    if (count == 0) {
        return; /* a BL in an IT block that was not taken */
    }
    if (write(out, &count, sizeof count) != (ssize_t)sizeof count) {
        fprintf(stderr, "count: cannot write: %s\n", strerror(errno));
        _exit(1); /* a count that is missing would be taken for another run's */
    }
}

static bool is_site(uint64_t address)
{
    for (size_t i = 0; i < n_sites; i++) {
        if (sites[i] == address) {
            return true;
        }
    }
    return false;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    size_t n = qemu_plugin_tb_n_insns(block);
    (void)id;
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        uint64_t address = qemu_plugin_insn_vaddr(instruction);
        /* The return first: one BL right behind another ends a span and begins the next one. */
        if (is_site(address - BL_BYTES)) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_return, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
        if (is_site(address)) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_call, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64, &executed, 1);
    }
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0) {
            out = open(argv[i] + 4, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        } else if (strncmp(argv[i], "site=", 5) == 0 && n_sites < MAX_SITES) {
            sites[n_sites++] = strtoull(argv[i] + 5, NULL, 16);
        } else {
            fprintf(stderr, "count: cannot take the argument '%s'\n", argv[i]);
            return -1;
        }
    }
    if (out < 0 || n_sites == 0 || !info->system_emulation || info->system.max_vcpus != 1) {
        fprintf(stderr, "count: needs out=PATH, site=HEX and a machine with one core\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    return 0;
}
