/* SPDX-License-Identifier: Apache-2.0 */
/* The fuzz target without a fuzzer: every file named on the command line once, or with `@LIST OUTPUT` every file that
 * is named in LIST, one a line, as an emulated core wants it. Prints "STATUS FILE" for each, before that the file's
 * name on stderr, so that whoever dies is named. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_engine.h"

static int replay(const char *name)
{
    enum { LARGEST_FILE = 1 << 18 };
    FILE *file = fopen(name, "rb");
    uint8_t *bytes = malloc(LARGEST_FILE);
    uint64_t outputs_hash;
    size_t count;
    int status;

    if (file == NULL || bytes == NULL) {
        fprintf(stderr, "replay: cannot read %s\n", name);
        return 1;
    }
    count = fread(bytes, 1, LARGEST_FILE, file);
    fclose(file);
    fprintf(stderr, "%s\n", name);
    status = fuzz_one(bytes, count, &outputs_hash);
    printf("%d %08" PRIx32 "%08" PRIx32 " %s\n", status, (uint32_t)(outputs_hash >> 32), (uint32_t)outputs_hash, name);
    free(bytes);
    return 0;
}

static int replay_list(const char *list, const char *output)
{
    char name[FILENAME_MAX];
    FILE *names = fopen(list, "r");

    if (names == NULL || freopen(output, "w", stdout) == NULL) {
        return 1;
    }
    while (fgets(name, sizeof name, names) != NULL) {
        name[strcspn(name, "\n")] = '\0';
        if (replay(name) != 0) {
            return 1;
        }
    }
    fclose(names);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;

    if (argc == 3 && argv[1][0] == '@') {
        return replay_list(argv[1] + 1, argv[2]);
    }
    for (int i = 1; i < argc && failed == 0; i++) {
        failed = replay(argv[i]);
    }
    return failed;
}
