/* SPDX-License-Identifier: ISC */
/* RowDescription and ParameterDescription: whatever a server sends as one, nothing is read past it, and two of the same bytes have one
 * shape. */
#include <stdlib.h>
#include <string.h>

#include "pooler/session/prepared.h"
#include "pooler/session/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1); /* to its end and no further */
    memcpy(copy, data, size);
    uint64_t types, again;
    if (shape_of_rows(copy, size) != shape_of_rows(data, size))
        abort();
    unsigned n = shape_of_types(copy, size, &types);
    if (n != shape_of_types(data, size, &again) || types != again || (types && size != 2 + (size_t)n * 4))
        abort();
    ClientStatements names = {0};
    Statement *st = statement_intern((const uint8_t *)"SELECT $1\0\0", 12, 0, 0);
    ClientStatement *c = client_statements_add(&names, "s", st);
    client_statement_tell_types(c, data, size);
    if (c->types)
        statement_unref(statement_with_types(st, c->types, c->n_types, 0));
    client_statements_finish(&names);
    free(copy);
    return 0;
}
