/* SPDX-License-Identifier: ISC */
/* driver.c - runs a fuzz target over its corpus folder when there is no fuzzing engine.
 *
 * Each file is given whole, then cut at several places, so that every length check is met with the end
 * of its input. Each input lies in a block of exactly its size: AddressSanitizer then sees the first
 * byte read past it. An empty or missing corpus is a failure: such a test could not fail. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CUTS 16

static void run_exact(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st) != 0) {
        perror(path);
        if (f)
            fclose(f);
        return 1;
    }
    size_t size = (size_t)st.st_size;
    uint8_t *data = malloc(size ? size : 1);
    if (!data)
        abort();
    size_t got = fread(data, 1, size, f);
    fclose(f);
    if (got != size) {
        fprintf(stderr, "%s: short read\n", path);
        free(data);
        return 1;
    }
    run_exact(data, size);
    for (size_t i = 0; i < CUTS && size; i++)
        run_exact(data, size * i / CUTS);
    for (size_t i = 1; i <= CUTS && i <= size; i++)
        run_exact(data, size - i);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_DIR_OR_FILE\n", argv[0]);
        return 2;
    }
    struct stat st;
    if (stat(argv[1], &st) == 0 && S_ISREG(st.st_mode))
        return run_file(argv[1]);
    DIR *dir = opendir(argv[1]);
    if (!dir) {
        perror(argv[1]);
        return 1;
    }
    unsigned files = 0;
    int bad = 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (e->d_name[0] == '.')
            continue;
        char path[4096];
        int n = snprintf(path, sizeof(path), "%s/%s", argv[1], e->d_name);
        if (n < 0 || (size_t)n >= sizeof(path))
            continue;
        bad |= run_file(path);
        files++;
    }
    closedir(dir);
    printf("%u corpus files\n", files);
    if (files == 0) {
        fprintf(stderr, "%s: no corpus\n", argv[1]);
        return 1;
    }
    return bad;
}
