/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU plugin: how often every instruction was executed during each call of one function, and how often it jumped.
 *
 *   -plugin executions.so,out=PATH,code=HEX:HEX,site=HEX[,site=HEX...]
 *
 * code: the first address of the program and the one behind its last.
 * site: the address of a BL instruction that calls the function. As in count.c, a span begins after the BL and ends
 * before the instruction that follows it.
 * After each span its records are appended to PATH before the guest goes on, in the order of addresses, one for every
 * instruction that was executed; then one with the address END and the sum of all executions, those outside `code`
 * included. Integers are native. `jumped` counts the executions after which something else than the next instruction
 * came: a branch taken, a return, or an interrupt.
 * One core; the function does not call itself.
 */
#include "qemu_plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SITES = 64, BL_BYTES = 4, INSTRUCTION_BYTES = 2 };
static const uint64_t END = UINT64_MAX;

struct record {
    uint64_t address;
    uint64_t executed;
    uint64_t jumped;
};

/* A block of code as QEMU translated it. Made once for each translation and never freed: there are some thousands. */
struct block {
    uint64_t begins_at;
    uint64_t ends_at; /* address behind its last instruction */
    struct record *last;
};

QEMU_PLUGIN_EXPORT int qemu_plugin_version = 1;

static struct record *records; /* one for every address that may hold an instruction */
static size_t n_records;
static uint64_t code_begins_at;
static uint64_t executed; /* in this span, wherever it was */
static const struct block *previous;
static struct record outside; /* what is executed in no known place */
static uint64_t sites[MAX_SITES];
static size_t n_sites;
static bool in_span;
static int out = -1;

static void write_record(const struct record *record)
{
    if (write(out, record, sizeof *record) != (ssize_t)sizeof *record) {
        fprintf(stderr, "executions: cannot write: %s\n", strerror(errno));
        _exit(1); /* a count that is missing would be taken for another run's */
    }
}

static void on_block(unsigned int vcpu, void *user)
{
    const struct block *block = user;
    (void)vcpu;
    if (previous != NULL && previous->ends_at != block->begins_at) {
        previous->last->jumped++;
    }
    previous = block;
}

static void on_call(unsigned int vcpu, void *user)
{
    (void)vcpu;
    (void)user;
    for (size_t i = 0; i < n_records; i++) {
        records[i].executed = 0;
        records[i].jumped = 0;
    }
    executed = 0;
    in_span = true;
}

static void on_return(unsigned int vcpu, void *user)
{
    (void)vcpu;
    (void)user;
    if (!in_span || executed == 0) {
        in_span = false;
        return; /* got here without a call, or from a BL in an IT block that was not taken */
    }
    in_span = false;
    for (size_t i = 0; i < n_records; i++) {
        if (records[i].executed != 0) {
            write_record(&records[i]);
        }
    }
    const struct record end = {.address = END, .executed = executed};
    write_record(&end);
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

static struct record *record_of(uint64_t address)
{
    const uint64_t index = (address - code_begins_at) / INSTRUCTION_BYTES;
    return address >= code_begins_at && index < n_records ? &records[index] : &outside;
}

/* From its first halfword (Armv7-M ARM, A5.1). QEMU's own number is too large where it looked ahead, to see whether the
 * next instruction lies on both sides of a page's end. */
static uint64_t bytes_of(const struct qemu_plugin_insn *instruction)
{
    const uint8_t *data = qemu_plugin_insn_data(instruction);
    return (data[1] >> 3) >= 0x1d ? 4 : 2;
}

static void watch_block(struct qemu_plugin_tb *tb, size_t n)
{
    struct qemu_plugin_insn *first = qemu_plugin_tb_get_insn(tb, 0);
    const struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, n - 1);
    struct block *block = malloc(sizeof *block);
    if (block == NULL) {
        fprintf(stderr, "executions: out of memory\n");
        _exit(1);
    }
    block->begins_at = qemu_plugin_insn_vaddr(first);
    block->ends_at = qemu_plugin_insn_vaddr(last) + bytes_of(last);
    block->last = record_of(qemu_plugin_insn_vaddr(last));
    qemu_plugin_register_vcpu_insn_exec_cb(first, on_block, QEMU_PLUGIN_CB_NO_REGS, block);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    const size_t n = qemu_plugin_tb_n_insns(tb);
    (void)id;
    if (n == 0) {
        return;
    }
    watch_block(tb, n); /* before a span ends: its last instruction jumps to what follows the BL */
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(tb, i);
        const uint64_t address = qemu_plugin_insn_vaddr(instruction);
        /* The return first: one BL right behind another ends a span and begins the next one. */
        if (is_site(address - BL_BYTES)) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_return, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
        if (is_site(address)) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_call, QEMU_PLUGIN_CB_NO_REGS, NULL);
            continue; /* the BL is no part of the span */
        }
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64,
                                                   &record_of(address)->executed, 1);
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64, &executed, 1);
    }
}

/* "HEX:HEX": makes the records. */
static bool parse_code(const char *text)
{
    char *end = NULL;
    code_begins_at = strtoull(text, &end, 16);
    if (*end != ':') {
        return false;
    }
    const uint64_t code_ends_at = strtoull(end + 1, NULL, 16);
    n_records = (size_t)(code_ends_at - code_begins_at) / INSTRUCTION_BYTES;
    records = code_ends_at > code_begins_at ? calloc(n_records, sizeof *records) : NULL;
    for (size_t i = 0; records != NULL && i < n_records; i++) {
        records[i].address = code_begins_at + i * INSTRUCTION_BYTES;
    }
    return records != NULL;
}

static bool parse_argument(const char *argument)
{
    if (strncmp(argument, "out=", 4) == 0) {
        out = open(argument + 4, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        return true;
    }
    if (strncmp(argument, "code=", 5) == 0 && records == NULL) {
        return parse_code(argument + 5);
    }
    if (strncmp(argument, "site=", 5) == 0 && n_sites < MAX_SITES) {
        sites[n_sites++] = strtoull(argument + 5, NULL, 16);
        return true;
    }
    return false;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (!parse_argument(argv[i])) {
            fprintf(stderr, "executions: cannot take the argument '%s'\n", argv[i]);
            return -1;
        }
    }
    if (out < 0 || n_sites == 0 || records == NULL || !info->system_emulation || info->system.max_vcpus != 1) {
        fprintf(stderr, "executions: needs out=PATH, code=HEX:HEX, site=HEX and a machine with one core\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    return 0;
}
