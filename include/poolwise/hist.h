/* SPDX-License-Identifier: ISC */
/* hist.h - a latency histogram of fixed size: four sub-buckets to each power of two, in microseconds.
 *
 * Values 0..3 have a bucket each; above, a bucket spans at most a quarter of its lower bound, so a percentile is
 * off by at most 25 % (by less as a rule: it is interpolated). 2^32 us (71 minutes) and more share the last bucket.
 * Plain memory, no allocation; not thread-safe. Zeroed memory is an empty histogram. */
#ifndef POOLWISE_HIST_H
#define POOLWISE_HIST_H

#include <stdint.h>

#include "poolwise/time.h"

#define PW_HIST_BUCKETS 124

typedef struct PwHist {
    uint64_t count;
    uint64_t sum; /* exact, of the values as given (negative ones count as 0) */
    uint64_t buckets[PW_HIST_BUCKETS];
} PwHist;

/* Bucket of a value, 0 <= index < PW_HIST_BUCKETS. */
static inline unsigned pw_hist_index(PwUsec usec)
{
    if (usec < 4)
        return usec < 0 ? 0 : (unsigned)usec;
    if (usec > UINT32_MAX)
        return PW_HIST_BUCKETS - 1;
    unsigned top = 31u - (unsigned)__builtin_clz((uint32_t)usec);
    return (top - 1) * 4 + ((uint32_t)usec >> (top - 2) & 3);
}

static inline void pw_hist_add(PwHist *hist, PwUsec usec)
{
    hist->count++;
    hist->sum += usec > 0 ? (uint64_t)usec : 0;
    hist->buckets[pw_hist_index(usec)]++;
}

void pw_hist_merge(PwHist *into, const PwHist *from);

/* First value of a bucket; pw_hist_lower(i + 1) is one past its last. index <= PW_HIST_BUCKETS. */
PwUsec pw_hist_lower(unsigned index);

/* The value below which `percent` (0..100) of the values lie, interpolated inside its bucket; 0 when empty. */
PwUsec pw_hist_percentile(const PwHist *hist, double percent);

#endif
