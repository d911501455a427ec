/* SPDX-License-Identifier: Apache-2.0 */
/* Serves one engine's loads and runs over stdin and stdout, so that one process, built with sanitizers, answers a whole
 * test session. Everything is little-endian u32 unless said otherwise.
 *
 * request:  model bytes, arena bytes, model skew, arena skew, runs, input bytes | model | runs * input
 * reply:    status (i32), text bytes, arena bytes used, tensor input bytes, tensor output bytes | text | runs * output
 *
 * Model and arena are allocated at their exact size (plus skew, which misaligns them), so that the address sanitizer
 * sees the first byte read or written outside.
 */
#define _POSIX_C_SOURCE 200112L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

struct request {
    uint32_t model_bytes, arena_bytes, model_skew, arena_skew, runs, input_bytes;
};

struct reply {
    int32_t status;
    uint32_t text_bytes, arena_used, input_bytes, output_bytes;
};

static void die(const char *why)
{
    fprintf(stderr, "engine_harness: %s\n", why);
    exit(2);
}

static uint8_t *allocate(size_t bytes, size_t skew)
{
    void *memory;

    if (posix_memalign(&memory, ENGINE_ALIGN_BYTES, bytes + skew + (bytes + skew == 0)) != 0) {
        die("out of memory");
    }
    return memory;
}

static void read_all(void *to, size_t bytes)
{
    if (fread(to, 1, bytes, stdin) != bytes) {
        die("request ends early");
    }
}

static void write_all(const void *from, size_t bytes)
{
    if (fwrite(from, 1, bytes, stdout) != bytes) {
        die("cannot reply");
    }
}

static void check_text(const struct engine_error *error)
{
    if (memchr(error->text, '\0', sizeof error->text) == NULL || error->text[0] == '\0') {
        die("error text is empty or has no end");
    }
    for (const char *c = error->text; *c != '\0'; c++) {
        if (*c < 0x20 || *c > 0x7e || *c == '[' || *c == ']') {
            die("error text is not printable");
        }
    }
}

static void run_all(struct engine *engine, const struct request *request)
{
    const struct engine_tensor *input = engine_input(engine);
    const struct engine_tensor *output = engine_output(engine);
    uint8_t *bytes = allocate(request->input_bytes, 0);

    for (uint32_t i = 0; i < request->runs; i++) {
        size_t used = input->bytes < request->input_bytes ? input->bytes : request->input_bytes;

        read_all(bytes, request->input_bytes);
        memcpy(input->data, bytes, used);
        if (engine_run(engine) != ENGINE_OK) {
            die("engine_run() failed");
        }
        if (memcmp(input->data, bytes, used) != 0) {
            die("engine_run() changed its input");
        }
        write_all(output->data, output->bytes);
    }
    free(bytes);
}

static void serve(const struct request *request)
{
    struct engine_error error = {ENGINE_OK, "not written"};
    struct reply reply = {0};
    struct engine *engine = NULL;
    uint8_t *model = allocate(request->model_bytes, request->model_skew);
    uint8_t *arena = allocate(request->arena_bytes, request->arena_skew);
    uint8_t *skip;

    read_all(model + request->model_skew, request->model_bytes);
    memset(arena, 0xa5, request->arena_bytes + request->arena_skew); /* an arena is never zero on a real start */
    reply.status = engine_load(&engine, model + request->model_skew, request->model_bytes, arena + request->arena_skew,
                               request->arena_bytes, &error);
    if (reply.status == ENGINE_OK) {
        reply.arena_used = (uint32_t)engine_arena_bytes(engine);
        reply.input_bytes = (uint32_t)engine_input(engine)->bytes;
        reply.output_bytes = (uint32_t)engine_output(engine)->bytes;
        write_all(&reply, sizeof reply);
        run_all(engine, request);
    } else {
        if (engine != NULL || (int32_t)error.status != reply.status) {
            die("a failed load left an engine or another status");
        }
        check_text(&error);
        reply.text_bytes = (uint32_t)strlen(error.text);
        write_all(&reply, sizeof reply);
        write_all(error.text, reply.text_bytes);
        skip = allocate(request->input_bytes, 0);
        for (uint32_t i = 0; i < request->runs; i++) {
            read_all(skip, request->input_bytes);
        }
        free(skip);
    }
    fflush(stdout);
    free(model);
    free(arena);
}

/* With two file names, requests and replies are there: a Cortex-M4 in QEMU has files, but no binary stdin. */
int main(int argc, char **argv)
{
    struct request request;

    if (argc == 3 && (freopen(argv[1], "rb", stdin) == NULL || freopen(argv[2], "wb", stdout) == NULL)) {
        die("cannot open the files");
    }
    while (fread(&request, sizeof request, 1, stdin) == 1) {
        serve(&request);
    }
    return 0;
}
