/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU plugin: what the core does, for a power monitor that is to see an emulated board.
 *
 *   -plugin activity.so,socket=PATH,classes=PATH,code=HEX,pin=HEX:HEX,reset=HEX,ns=N[,slice=N]
 *
 * socket: a unix socket that listens. What is sent to it, and when, is told in energy/simulator/activity.py.
 * classes: a file with one byte for every halfword from the address `code` on: the class of the instruction there.
 * pin: the first address of the function that drives the timing pin and the one behind its last. The pin changes its
 * level with every store to a device inside it, and is high after the first one behind a reset.
 * reset: the address of the reset handler. ns: nanoseconds per instruction. slice: instructions between two records
 * when nothing else happens; 10,000.
 *
 * Every record is exact to the instruction. Under icount an access to a device ends the block of code it is in before
 * its end, and the rest is executed as another block: so the instructions of a block are not counted at its begin, but
 * in runs that end with whatever touches memory. The counts of four classes share a word, so that counting a run takes
 * one or two additions; a record is made long before 16 bits are full.
 * A core sleeps from a WFI on until the next block of code begins. When nobody reads the socket the guest waits; when
 * nobody listens any more QEMU ends. One core.
 */
#include "qemu_plugin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* As in energy/simulator/activity.py. */
enum { VERSION = 1, WORDS = 3, LANES = 4, LANE_BITS = 16, MAX_SLICE = 60000, OTHER = WORDS * LANES - 1 };
enum record_kind { RECORD_SLICE, RECORD_PIN, RECORD_SLEEP, RECORD_WAKE, RECORD_RESET };
enum { BUFFERED = 64, DEFAULT_SLICE = 10000, INSTRUCTION_BYTES = 2 };

struct header {
    char magic[8];
    uint32_t version;
    uint32_t ns;
};

struct record {
    uint32_t kind;
    uint32_t level;
    uint64_t instructions;
    uint64_t clock_ns;
    uint64_t counts[WORDS];
};

QEMU_PLUGIN_EXPORT int qemu_plugin_version = 1;

static uint64_t counts[WORDS]; /* since the last record */
static uint64_t recorded;      /* instructions up to the last record */
static uint64_t slice = DEFAULT_SLICE;
static bool asleep;
static bool level; /* of the pin, after its last change */
static struct record buffer[BUFFERED];
static size_t n_buffered;
static int out = -1;
static uint32_t ns;

static uint8_t *classes; /* of the instruction at each halfword from code_begins_at on */
static size_t n_classes;
static uint64_t code_begins_at;
static uint64_t pin_begins_at;
static uint64_t pin_ends_at;
static uint64_t reset_at;

static void send_all(const void *data, size_t bytes)
{
    const char *next = data;
    while (bytes > 0) {
        const ssize_t sent = send(out, next, bytes, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent <= 0) {
            fprintf(stderr, "activity: the virtual analyser has gone: %s\n", strerror(errno));
            _exit(1); /* the energy of a board that nobody watches would be taken for nothing */
        }
        next += sent;
        bytes -= (size_t)sent;
    }
}

static void flush(void)
{
    send_all(buffer, n_buffered * sizeof buffer[0]);
    n_buffered = 0;
}

/* Instructions since the last record: the sum of all lanes, which is under 2^16 as well. */
static uint64_t fresh(void)
{
    const uint64_t each = 0x0001000100010001;
    uint64_t sum = 0;
    for (size_t i = 0; i < WORDS; i++) {
        sum += (counts[i] * each) >> (LANE_BITS * (LANES - 1));
    }
    return sum;
}

static void add_record(enum record_kind kind)
{
    struct record *record = &buffer[n_buffered++];
    struct timespec now = {0};
    recorded += fresh();
    if (kind != RECORD_SLICE) {
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
    }
    *record = (struct record){
        .kind = kind,
        .level = level,
        .instructions = recorded,
        .clock_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
    };
    memcpy(record->counts, counts, sizeof counts);
    memset(counts, 0, sizeof counts);
    if (kind != RECORD_SLICE || n_buffered == BUFFERED) {
        flush(); /* an event before the host sees what the guest says next */
    }
}

static void on_block(unsigned int vcpu, void *user)
{
    (void)vcpu;
    (void)user;
    if (asleep) {
        asleep = false;
        add_record(RECORD_WAKE);
    } else if (fresh() >= slice) {
        add_record(RECORD_SLICE);
    }
}

/* `user` is the word of its class: a WFI is counted here, as it is executed before the sleep begins. */
static void on_sleep(unsigned int vcpu, void *user)
{
    (void)vcpu;
    counts[0] += (uint64_t)(uintptr_t)user;
    add_record(RECORD_SLEEP);
    asleep = true;
}

static void on_reset(unsigned int vcpu, void *user)
{
    (void)vcpu;
    (void)user;
    level = false; /* what is written first makes it high; whoever reads the records takes it for high at once */
    add_record(RECORD_RESET);
}

static void on_store(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *user)
{
    (void)vcpu;
    (void)user;
    struct qemu_plugin_hwaddr *place = qemu_plugin_get_hwaddr(info, address);
    if (qemu_plugin_mem_is_store(info) && place != NULL && qemu_plugin_hwaddr_is_io(place)) {
        level = !level;
        add_record(RECORD_PIN);
    }
}

static unsigned int class_of(uint64_t address)
{
    const uint64_t index = (address - code_begins_at) / INSTRUCTION_BYTES;
    return address >= code_begins_at && index < n_classes && classes[index] < OTHER ? classes[index] : OTHER;
}

/* WFI, encodings T1 and T2 (Armv7-M ARM, A7.7.262). */
static bool is_wfi(const struct qemu_plugin_insn *instruction)
{
    const uint8_t *data = qemu_plugin_insn_data(instruction);
    return (data[0] == 0x30 && data[1] == 0xbf) ||
           (data[0] == 0xaf && data[1] == 0xf3 && data[2] == 0x03 && data[3] == 0x80);
}

/* Whether an instruction may access memory, or be something unknown: the class says so. 0, 3, 4, 6, 8, 9 and 10 are
 * plain, branch, multiply, float, float_accumulate, float_divide and divide. */
static bool ends_run(unsigned int class)
{
    return ((1u << class) & (1u << 0 | 1u << 3 | 1u << 4 | 1u << 6 | 1u << 8 | 1u << 9 | 1u << 10)) == 0;
}

/* A run that is being collected. */
struct run {
    struct qemu_plugin_insn *first;
    uint64_t counts[WORDS];
};

static void finish_run(struct run *run)
{
    for (size_t i = 0; i < WORDS && run->first != NULL; i++) {
        if (run->counts[i] != 0) {
            qemu_plugin_register_vcpu_insn_exec_inline(run->first, QEMU_PLUGIN_INLINE_ADD_U64, &counts[i],
                                                       run->counts[i]);
        }
    }
    *run = (struct run){0};
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    const size_t n = qemu_plugin_tb_n_insns(block);
    struct run run = {0};
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, on_block, QEMU_PLUGIN_CB_NO_REGS, NULL);
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        const uint64_t address = qemu_plugin_insn_vaddr(instruction);
        const unsigned int class = class_of(address);
        const uint64_t one = (uint64_t)1 << (LANE_BITS * (class % LANES));
        if (address == reset_at) {
            finish_run(&run);
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_reset, QEMU_PLUGIN_CB_NO_REGS, NULL);
        }
        if (is_wfi(instruction)) {
            finish_run(&run);
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_sleep, QEMU_PLUGIN_CB_NO_REGS, (void *)(uintptr_t)1);
            continue;
        }
        if (address >= pin_begins_at && address < pin_ends_at) {
            qemu_plugin_register_vcpu_mem_cb(instruction, on_store, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_W, NULL);
        }
        if (run.first == NULL) {
            run.first = instruction;
        }
        run.counts[class / LANES] += one;
        if (ends_run(class)) {
            finish_run(&run);
        }
    }
    finish_run(&run);
}

static bool connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (out >= 0 || strlen(path) >= sizeof address.sun_path) {
        return false;
    }
    memcpy(address.sun_path, path, strlen(path));
    out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return out >= 0 && connect(out, (const struct sockaddr *)&address, sizeof address) == 0;
}

static bool read_classes(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || classes != NULL) {
        return false;
    }
    const bool whole = fseek(file, 0, SEEK_END) == 0;
    const long bytes = whole ? ftell(file) : 0;
    rewind(file);
    if (bytes > 0) {
        n_classes = (size_t)bytes;
        classes = malloc(n_classes);
    }
    const bool read = classes != NULL && fread(classes, 1, n_classes, file) == n_classes;
    fclose(file);
    return read;
}

/* "HEX:HEX" */
static bool parse_pin(const char *text)
{
    char *end = NULL;
    pin_begins_at = strtoull(text, &end, 16);
    pin_ends_at = *end == ':' ? strtoull(end + 1, NULL, 16) : 0;
    return pin_ends_at > pin_begins_at;
}

static bool parse_argument(const char *argument)
{
    if (strncmp(argument, "socket=", 7) == 0) {
        return connect_to(argument + 7);
    }
    if (strncmp(argument, "classes=", 8) == 0) {
        return read_classes(argument + 8);
    }
    if (strncmp(argument, "code=", 5) == 0) {
        code_begins_at = strtoull(argument + 5, NULL, 16);
        return true;
    }
    if (strncmp(argument, "pin=", 4) == 0) {
        return parse_pin(argument + 4);
    }
    if (strncmp(argument, "reset=", 6) == 0) {
        reset_at = strtoull(argument + 6, NULL, 16);
        return true;
    }
    if (strncmp(argument, "ns=", 3) == 0) {
        ns = (uint32_t)strtoul(argument + 3, NULL, 10);
        return ns > 0;
    }
    if (strncmp(argument, "slice=", 6) == 0) {
        slice = strtoull(argument + 6, NULL, 10);
        return slice > 0 && slice <= MAX_SLICE;
    }
    return false;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (!parse_argument(argv[i])) {
            fprintf(stderr, "activity: cannot take the argument '%s'\n", argv[i]);
            return -1;
        }
    }
    if (out < 0 || classes == NULL || ns == 0 || pin_ends_at == 0 || !info->system_emulation ||
        info->system.max_vcpus != 1) {
        fprintf(stderr, "activity: needs socket=, classes=, code=, pin=, reset=, ns= and a machine with one core\n");
        return -1;
    }
    const struct header header = {.magic = "TJACTIV", .version = VERSION, .ns = ns};
    send_all(&header, sizeof header);
    add_record(RECORD_SLEEP); /* switched on, and not yet begun */
    asleep = true;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    return 0;
}
