/* SPDX-License-Identifier: ISC */
/* saslprep_lines.c - prepares each line of standard input (hexadecimal bytes); for check_saslprep.py. */
#include "pooler/auth/saslprep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    while (getline(&line, &cap, stdin) > 0) {
        size_t n = strcspn(line, "\n") / 2;
        char *text = malloc(n + 1);
        for (size_t i = 0; i < n; i++) {
            unsigned byte;
            if (sscanf(line + 2 * i, "%2x", &byte) != 1)
                return 1;
            text[i] = (char)byte;
        }
        text[n] = '\0';
        char *out = saslprep(text);
        for (const char *p = out; *p; p++)
            printf("%02x", (unsigned char)*p);
        putchar('\n');
        free(out);
        free(text);
    }
    free(line);
    return 0;
}
