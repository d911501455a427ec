/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU plugin: the exact number of instructions of every call of some functions, and of their parts.
 *
 *   -plugin count.so,out=PATH,site=F:HEX[,site=F:HEX...][,observer=F:HEX,indirect=HEX[,indirect=HEX...]]
 *
 * site: the address of a BL instruction that calls function number F. A span begins after the BL and ends before the
 * instruction that follows it, so it holds the function's instructions from the first to its return, and those of
 * everything it calls. The call sites come from the ELF file and not from what runs: the instruction behind a BL may be
 * translated long before the BL (a loop entered at its test), and then it is too late to watch it.
 * A call that never returns (a reset in the middle of it) counts nothing: the next call begins a new span.
 *
 * observer: the address of a function that function number F calls between its parts, through a pointer. A part ends
 * before the observer's first instruction; the next one begins before the instruction behind the BLX that called it.
 * What the observer itself executes, and everything it calls, is in no part.
 * indirect: the address of a BLX instruction, all of them: the observer returns behind the one that was executed last.
 *
 * Records are appended to PATH, those of one span in one write, before the guest goes on: whoever has seen the guest's
 * answer to a run finds its counts in the file. (A socket would fill up and stop the guest.) Integers are native.
 * One core; no function calls itself; no two of them have an observer.
 */
#include "qemu_plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SITES = 64, MAX_FUNCTIONS = 8, MAX_INDIRECT = 4096, MAX_PARTS = 4096, BL_BYTES = 4, BLX_BYTES = 2 };

/* First the parts of a span in their order, then the span itself. */
enum record_kind { RECORD_SPAN, RECORD_PART, RECORD_OBSERVER };

struct record {
    uint32_t kind;
    uint32_t function;
    uint64_t begun_at; /* in instructions since the machine was switched on: which span lies in which */
    uint64_t instructions;
};

struct function {
    uint64_t begun_at;
    bool in_span;
};

struct site {
    uint64_t address;
    struct function *function;
};

QEMU_PLUGIN_EXPORT int qemu_plugin_version = 1;

static uint64_t executed; /* instructions so far, those of this moment not included */
static struct function functions[MAX_FUNCTIONS];
static struct site sites[MAX_SITES];
static size_t n_sites;
static uint64_t indirect[MAX_INDIRECT]; /* addresses of BLX, in order */
static size_t n_indirect;
static int out = -1;

static uint64_t observer_address;
static struct function *observed; /* NULL: no observer */
static bool observing;            /* the observer runs */
static uint64_t return_to;        /* behind the BLX that was executed last */
static uint64_t part_begun_at;
static uint64_t observer_begun_at;
static struct record parts[2 * MAX_PARTS + 1]; /* of the span that is open, and at last the span */
static size_t n_parts;

static uint32_t number_of(const struct function *function)
{
    return (uint32_t)(function - functions);
}

static struct record new_record(enum record_kind kind, const struct function *function, uint64_t begun_at)
{
    return (struct record){
        .kind = kind, .function = number_of(function), .begun_at = begun_at, .instructions = executed - begun_at};
}

static void add_record(enum record_kind kind, const struct function *function, uint64_t begun_at)
{
    if (n_parts == sizeof parts / sizeof parts[0]) {
        fprintf(stderr, "count: the observer was called more than %d times in one span\n", MAX_PARTS);
        _exit(1);
    }
    parts[n_parts++] = new_record(kind, function, begun_at);
}

static void write_records(const struct record *records, size_t count)
{
    if (write(out, records, count * sizeof *records) != (ssize_t)(count * sizeof *records)) {
        fprintf(stderr, "count: cannot write: %s\n", strerror(errno));
        _exit(1); /* a count that is missing would be taken for another run's */
    }
}

static void on_call(unsigned int vcpu, void *user)
{
    struct function *function = user;
    (void)vcpu;
    function->begun_at = executed + 1; /* the BL itself is counted after this */
    function->in_span = true;
    if (function == observed) {
        part_begun_at = function->begun_at;
        observing = false;
        n_parts = 0;
    }
}

static void on_return(unsigned int vcpu, void *user)
{
    struct function *function = user;
    (void)vcpu;
    if (!function->in_span) {
        return; /* got here without a call */
    }
    function->in_span = false;
    if (executed == function->begun_at) {
        return; /* a BL in an IT block that was not taken */
    }
    if (function == observed) {
        add_record(RECORD_SPAN, function, function->begun_at);
        write_records(parts, n_parts);
    } else {
        const struct record record = new_record(RECORD_SPAN, function, function->begun_at);
        write_records(&record, 1);
    }
}

static void on_observer(unsigned int vcpu, void *user)
{
    (void)vcpu;
    (void)user;
    if (observed->in_span && !observing) {
        add_record(RECORD_PART, observed, part_begun_at);
        observer_begun_at = executed;
        observing = true;
    }
}

/* `user` is the address behind a BLX. */
static void on_indirect_call(unsigned int vcpu, void *user)
{
    (void)vcpu;
    if (!observing) {
        return_to = (uint64_t)(uintptr_t)user;
    }
}

static void on_indirect_return(unsigned int vcpu, void *user)
{
    (void)vcpu;
    if (observing && return_to == (uint64_t)(uintptr_t)user) {
        add_record(RECORD_OBSERVER, observed, observer_begun_at);
        part_begun_at = executed;
        observing = false;
    }
}

static void watch_sites(struct qemu_plugin_insn *instruction, uint64_t address)
{
    /* The return first: one BL right behind another ends a span and begins the next one. */
    for (size_t i = 0; i < n_sites; i++) {
        if (sites[i].address == address - BL_BYTES) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_return, QEMU_PLUGIN_CB_NO_REGS, sites[i].function);
        }
    }
    for (size_t i = 0; i < n_sites; i++) {
        if (sites[i].address == address) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_call, QEMU_PLUGIN_CB_NO_REGS, sites[i].function);
        }
    }
}

static int compare_addresses(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left;
    const uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static bool is_indirect(uint64_t address)
{
    return bsearch(&address, indirect, n_indirect, sizeof indirect[0], compare_addresses) != NULL;
}

static void watch_observer(struct qemu_plugin_insn *instruction, uint64_t address)
{
    /* The return first, as above. */
    if (is_indirect(address - BLX_BYTES)) {
        qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_indirect_return, QEMU_PLUGIN_CB_NO_REGS,
                                               (void *)(uintptr_t)address);
    }
    if (is_indirect(address)) {
        qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_indirect_call, QEMU_PLUGIN_CB_NO_REGS,
                                               (void *)(uintptr_t)(address + BLX_BYTES));
    }
    if (address == observer_address) {
        qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_observer, QEMU_PLUGIN_CB_NO_REGS, NULL);
    }
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    const size_t n = qemu_plugin_tb_n_insns(block);
    (void)id;
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        const uint64_t address = qemu_plugin_insn_vaddr(instruction);
        if (observed != NULL) {
            watch_observer(instruction, address);
        }
        watch_sites(instruction, address);
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64, &executed, 1);
    }
}

/* "F:HEX". NULL when it is something else. */
static struct function *parse_place(const char *text, uint64_t *address)
{
    char *end = NULL;
    const unsigned long number = strtoul(text, &end, 10);
    if (end == text || *end != ':' || number >= MAX_FUNCTIONS) {
        return NULL;
    }
    *address = strtoull(end + 1, NULL, 16);
    return &functions[number];
}

static bool parse_argument(const char *argument)
{
    if (strncmp(argument, "out=", 4) == 0) {
        out = open(argument + 4, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        return true;
    }
    if (strncmp(argument, "site=", 5) == 0 && n_sites < MAX_SITES) {
        struct site *site = &sites[n_sites++];
        site->function = parse_place(argument + 5, &site->address);
        return site->function != NULL;
    }
    if (strncmp(argument, "observer=", 9) == 0 && observed == NULL) {
        observed = parse_place(argument + 9, &observer_address);
        return observed != NULL;
    }
    if (strncmp(argument, "indirect=", 9) == 0 && n_indirect < MAX_INDIRECT) {
        indirect[n_indirect++] = strtoull(argument + 9, NULL, 16);
        return true;
    }
    return false;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (!parse_argument(argv[i])) {
            fprintf(stderr, "count: cannot take the argument '%s'\n", argv[i]);
            return -1;
        }
    }
    if (out < 0 || n_sites == 0 || !info->system_emulation || info->system.max_vcpus != 1) {
        fprintf(stderr, "count: needs out=PATH, site=F:HEX and a machine with one core\n");
        return -1;
    }
    qsort(indirect, n_indirect, sizeof indirect[0], compare_addresses);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    return 0;
}
