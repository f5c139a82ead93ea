/* SPDX-License-Identifier: ISC */
/* fuzz_startup.c - what reads messages of unknown senders: start-up parameters, error fields, tags, the cursor.
 * Every string that is handed out is read to its end and must lie inside the input. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "poolwise/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Input {
    const uint8_t *data;
    size_t size, params, text;
} Input;

static void inside(const Input *in, const char *text)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t n = strlen(text);
    if (p < in->data || p + n >= in->data + in->size)
        abort();
}

static PwErr on_param(void *arg, const char *key, const char *value)
{
    Input *in = arg;
    inside(in, key);
    inside(in, value);
    if (!*key)
        abort();
    in->params++;
    in->text += strlen(key) + strlen(value) + 2;
    return PW_OK;
}

/* Numbers, strings and stretches in an order that the input itself chooses. */
static void walk(const uint8_t *data, size_t size)
{
    PwCursor c = pw_cursor(data, size);
    while (!c.bad) {
        size_t left = pw_cursor_left(&c);
        switch (pw_cursor_u8(&c) % 5) {
        case 0:
            pw_cursor_be16(&c);
            break;
        case 1:
            pw_cursor_be32(&c);
            break;
        case 2:
            (void)strlen(pw_cursor_cstr(&c));
            break;
        case 3:
            pw_cursor_bytes(&c, pw_cursor_u8(&c));
            break;
        default:
            break;
        }
        if (c.p > c.end || (!c.bad && pw_cursor_left(&c) >= left))
            abort();
    }
    if (pw_cursor_u8(&c) || pw_cursor_be32(&c) || pw_cursor_bytes(&c, 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input in = {.data = data, .size = size};
    PwErr err = pw_startup_params(data, size, on_param, &in);
    if (err == PW_OK && in.text + 1 != size) /* every byte is accounted for */
        abort();
    if (err != PW_OK && err != PW_ERR_PROTOCOL)
        abort();
    for (unsigned field = 0; field < 256; field++) {
        const char *text = pw_error_field(data, size, (char)field);
        if (text)
            inside(&in, text);
    }
    if (pw_tag_rows((const char *)data, size) && (data[size - 1] < '0' || data[size - 1] > '9'))
        abort();
    walk(data, size);
    return 0;
}
