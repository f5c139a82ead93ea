/* SPDX-License-Identifier: ISC */
/* Logs of all forms: any text is read to its end without a crash, counts stay sane, a summary of it reads back, and reading it in two halves loses nothing
 * that reading it whole has (but for the record in the middle). */
#include <stdint.h>
#include <stdlib.h>

#include "advisor/source/fill.h"
#include "advisor/source/gather.h"
#include "advisor/source/prefix.h"
#include "advisor/source/summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_back(const AdvTally *tally)
{
    AdvTally *again = adv_tally_create();
    PwBuf first, second;
    pw_buf_init(&first);
    pw_buf_init(&second);
    adv_summary_write(tally, false, &first);
    if (adv_summary_read(again, (const char *)first.data, first.len, NULL))
        abort();
    adv_summary_write(again, false, &second);
    if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0)
        abort();
    pw_buf_finish(&first);
    pw_buf_finish(&second);
    adv_tally_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 65536)
        return 0;
    const char *text = (const char *)data;
    AdvFilterOptions options = {.from = "2000-01-01", .prefix = "%m [%p] %q%u@%d "};
    AdvFilter *filter;
    char *why;
    AdvGather *whole = adv_gather_create(NULL, 1, false);
    if (adv_gather_text(whole, text, size) == PW_OK) {
        const AdvTally *tally = adv_gather_tally(whole);
        if (adv_tally_counts_const(tally)->timed > adv_tally_counts_const(tally)->statements + size)
            abort();
        read_back(tally);
    }
    if (adv_filter_create(&options, &filter, &why))
        abort();
    AdvGather *some = adv_gather_create(filter, 1, false);
    PwErr err = adv_gather_text(some, text, size);
    if (!err && adv_tally_counts(adv_gather_tally(some))->messages > adv_tally_counts(adv_gather_tally(whole))->messages)
        abort();
    adv_gather_destroy(some);
    adv_filter_destroy(filter);
    adv_gather_destroy(whole);
    /* The values of a DETAIL line, with a text that has some of them. */
    PwBuf out;
    pw_buf_init(&out);
    if (adv_fill(&out, "SELECT $1, $2", 13, text, size) && out.len > size + 32)
        abort();
    pw_buf_finish(&out);
    AdvEntry entry = {0};
    adv_prefix_match("%t:%r:%u@%d:[%p]:%-5l %8a%q%c", (AdvSlice){text, size}, &entry);
    adv_prefix_guess((AdvSlice){text, size}, &entry);
    return 0;
}
