/* SPDX-License-Identifier: ISC */
/* A password of any bytes; preparing it twice gives the same as preparing it once. */
#include "pooler/auth/saslprep.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *password = malloc(size + 1);
    if (size)
        memcpy(password, data, size);
    password[size] = '\0';
    char *once = saslprep(password), *twice = saslprep(once);
    if (strcmp(once, twice) != 0)
        abort();
    free(twice);
    free(once);
    free(password);
    return 0;
}
