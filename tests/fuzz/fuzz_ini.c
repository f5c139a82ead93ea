/* SPDX-License-Identifier: ISC */
/* fuzz_ini.c - the ini lexer, with every string it hands out read to its end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "poolwise/ini.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Seen {
    size_t bytes, calls;
    int last_line;
    int errors;
} Seen;

static void look(Seen *seen, PwIniPlace at, const char *text)
{
    if (at.line < seen->last_line) /* without %include lines only go up */
        abort();
    seen->last_line = at.line;
    seen->bytes += strlen(text);
    seen->calls++;
}

static void on_section(void *arg, PwIniPlace at, const char *section)
{
    look(arg, at, section);
}

static void on_key(void *arg, PwIniPlace at, const char *section, const char *key,
                   const char *value)
{
    if (key[0] == '\0')
        abort();
    look(arg, at, section);
    look(arg, at, key);
    look(arg, at, value);
}

static void on_error(void *arg, PwIniPlace at, const char *text)
{
    Seen *seen = arg;
    seen->errors++;
    look(seen, at, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Seen seen = {0};
    const PwIniHandler handler = {&seen, on_section, on_key, on_error};
    PwErr err = pw_ini_read_text("fuzz", (const char *)data, size, &handler);
    if ((err == PW_OK) != (seen.errors == 0))
        abort();
    return 0;
}
