/* SPDX-License-Identifier: ISC */
/* Records in JSON that are not one a line: wherever the blocks end, the same comes out; and the summary of it reads back. The first byte says where they end. */
#include <stdint.h>
#include <stdlib.h>

#include "advisor/source/reader.h"
#include "advisor/source/summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void summary_of(const char *text, size_t len, size_t block, PwBuf *out)
{
    AdvReader r;
    adv_reader_init(&r, NULL);
    for (size_t at = 0; at < len; at += block)
        adv_form_json_array.read(&r, text + at, len - at < block ? len - at : block);
    adv_form_json_array.finish(&r);
    AdvTallyCounts *c = adv_tally_counts(r.tally);
    c->first[0] = c->last[0] = '\0'; /* of one message in so many of a block */
    pw_buf_init(out);
    adv_summary_write(r.tally, false, out);
    adv_reader_finish(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 65536)
        return 0;
    const char *text = (const char *)data + 1;
    PwBuf whole, parts, again;
    summary_of(text, size - 1, size, &whole);
    summary_of(text, size - 1, 1 + data[0] % 64, &parts);
    if (whole.len != parts.len || memcmp(whole.data, parts.data, whole.len) != 0)
        abort();
    AdvTally *tally = adv_tally_create();
    if (adv_summary_read(tally, (const char *)whole.data, whole.len, NULL))
        abort();
    pw_buf_init(&again);
    adv_summary_write(tally, false, &again);
    if (whole.len != again.len || memcmp(whole.data, again.data, whole.len) != 0)
        abort();
    adv_tally_destroy(tally);
    pw_buf_finish(&whole);
    pw_buf_finish(&parts);
    pw_buf_finish(&again);
    adv_form_json_array.is(text, size - 1);
    return 0;
}
