/* SPDX-License-Identifier: ISC */
#include "poolwise/hist.h"

void pw_hist_merge(PwHist *into, const PwHist *from)
{
    into->count += from->count;
    into->sum += from->sum;
    for (unsigned i = 0; i < PW_HIST_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

PwUsec pw_hist_lower(unsigned index)
{
    if (index < 4)
        return (PwUsec)index;
    return (PwUsec)(4 + index % 4) << (index / 4 - 1);
}

PwUsec pw_hist_percentile(const PwHist *hist, double percent)
{
    if (hist->count == 0)
        return 0;
    if (!(percent > 0)) /* also NaN */
        percent = 0;
    if (percent > 100)
        percent = 100;
    double rank = (double)hist->count * percent / 100;
    double below = 0;
    unsigned last = 0;
    for (unsigned i = 0; i < PW_HIST_BUCKETS; i++) {
        if (hist->buckets[i] == 0)
            continue;
        last = i;
        double here = (double)hist->buckets[i];
        if (below + here >= rank) {
            double width = (double)(pw_hist_lower(i + 1) - pw_hist_lower(i));
            if (width <= 1)
                return pw_hist_lower(i);
            return pw_hist_lower(i) + (PwUsec)(width * ((rank - below) / here));
        }
        below += here;
    }
    return pw_hist_lower(last + 1); /* count says more than the buckets hold: a merged, foreign histogram */
}
