/* SPDX-License-Identifier: ISC */
#include "advisor/source/file.h"

#include <stdlib.h>

#include "advisor/source/decoder.h"
#include "poolwise/buf.h"
#include "poolwise/mem.h"

#define FILE_MAX ((size_t)256 * 1024 * 1024)

static bool read_all(AdvDecoder *decoder, PwBuf *text)
{
    ssize_t n;
    do {
        pw_buf_reserve(text, 65536);
        n = adv_decoder_read(decoder, (char *)text->data + text->len, text->cap - text->len);
        text->len += n > 0 ? (size_t)n : 0;
    } while (n > 0 && text->len <= FILE_MAX);
    return n >= 0 && !adv_decoder_why(decoder);
}

char *adv_file_read(AdvArena *arena, const char *path, const char **ret_why)
{
    static const char bom[] = "\xef\xbb\xbf"; /* some editors put it in front */
    AdvDecoder *decoder;
    PwBuf text;
    char *why;
    if (adv_decoder_open(path, NULL, &decoder, &why)) {
        *ret_why = adv_arena_strdup(arena, why);
        free(why);
        return NULL;
    }
    pw_buf_init(&text);
    char *result = NULL;
    size_t skip = 0;
    if (!read_all(decoder, &text))
        *ret_why = adv_arena_printf(arena, "cannot read %s: %s", path, adv_decoder_why(decoder));
    else if (text.len > FILE_MAX)
        *ret_why = adv_arena_printf(arena, "%s is larger than %zu MB", path, FILE_MAX >> 20);
    else if (memchr(text.data, '\0', text.len))
        *ret_why = adv_arena_printf(arena, "%s holds binary data, not text", path);
    else {
        skip = text.len >= strlen(bom) && memcmp(text.data, bom, strlen(bom)) == 0 ? strlen(bom) : 0;
        result = pw_xstrndup((const char *)text.data + skip, text.len - skip);
    }
    pw_buf_finish(&text);
    adv_decoder_close(decoder);
    return result;
}
