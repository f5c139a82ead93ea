/* SPDX-License-Identifier: ISC */
/* Both payloads of a SCRAM client, split at the first newline; nonce and keys are fixed (RFC 7677's example), so
 * that the corpus holds one login that is right, and mutations go deep. */
#include "pooler/auth/base64.h"
#include "pooler/auth/scram_server.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ScramVerifier *verifier(void)
{
    static ScramKeys keys;
    static const char salt64[] = "W22ZaJ0SNY7soEsUEjb6gQ==";
    uint8_t salt[16];
    size_t n;
    if (!keys.verifier.iterations &&
        (base64_decode(salt64, strlen(salt64), salt, sizeof(salt), &n) || scram_derive("pencil", salt, n, 4096, &keys)))
        abort();
    return &keys.verifier;
}

/* An exact copy: the sanitizer sees a read past the end of the payload. */
static ScramStep step_exactly(ScramServer *s, const uint8_t *bytes, size_t n, PwBuf *out)
{
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, bytes, n);
    size_t before = out->len;
    ScramStep step = scram_server_message(s, copy, n, out);
    if ((step == SCRAM_CONTINUE || step == SCRAM_OK) != (out->len > before))
        abort();
    if ((step == SCRAM_FAILED || step == SCRAM_PROTOCOL) && !*scram_server_detail(s))
        abort();
    free(copy);
    return step;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t hash[32] = {1};
    const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
    size_t first = newline ? (size_t)(newline - data) : size;
    for (int plus = 0; plus < 2; plus++) {
        ScramServer s;
        PwBuf out;
        pw_buf_init(&out);
        scram_server_init(&s, &(ScramServerSpec){.verifier = verifier(),
                                                 .nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
                                                 .endpoint_hash = plus ? hash : NULL,
                                                 .endpoint_hash_len = plus ? sizeof(hash) : 0});
        if (!scram_server_choose(&s, plus ? SCRAM_MECHANISM_PLUS : SCRAM_MECHANISM))
            abort();
        ScramStep step = step_exactly(&s, data, first, &out);
        if (step == SCRAM_CONTINUE && newline)
            step = step_exactly(&s, newline + 1, size - first - 1, &out);
        if (step != SCRAM_CONTINUE && scram_server_message(&s, data, first, &out) != SCRAM_PROTOCOL)
            abort(); /* over is over */
        pw_buf_finish(&out);
        scram_server_finish(&s);
    }
    return 0;
}
