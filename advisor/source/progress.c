/* SPDX-License-Identifier: ISC */
#include "advisor/source/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "poolwise/time.h"

#define FIRST_USEC (PW_USEC_PER_SEC / 2)
#define EVERY_USEC (PW_USEC_PER_SEC / 5)

void adv_progress_start(AdvProgress *p)
{
    *p = (AdvProgress){.start = pw_time_mono()};
}

static int columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

static void format_left(double seconds, char *out, size_t size)
{
    if (seconds < 90)
        snprintf(out, size, "%.0f s left", seconds < 1 ? 1 : seconds);
    else if (seconds < 5400)
        snprintf(out, size, "%.0f min left", seconds / 60);
    else
        snprintf(out, size, "%.1f h left", seconds / 3600);
}

void adv_progress_show(AdvProgress *p, uint64_t done, uint64_t all)
{
    int64_t now = pw_time_mono();
    if (now - p->start < FIRST_USEC || now - p->last < EVERY_USEC)
        return;
    p->last = now;
    double seconds = (double)(now - p->start) / PW_USEC_PER_SEC, rate = (double)done / seconds;
    char text[256], left[32], bar[41] = "";
    if (all > 0 && done <= all && rate > 0) {
        size_t full = (size_t)((double)done / (double)all * (double)(sizeof(bar) - 1));
        memset(bar, ' ', sizeof(bar) - 1);
        memset(bar, '#', full);
        format_left((double)(all - done) / rate, left, sizeof(left));
        snprintf(text, sizeof(text), "[%s] %3.0f %%  %.0f MB/s  %s", bar, 100 * (double)done / (double)all, rate / 1e6, left);
    } else {
        snprintf(text, sizeof(text), "%.0f MB read  %.0f MB/s", (double)done / 1e6, rate / 1e6);
    }
    int n = columns() - 1;
    fprintf(stderr, "\r%-*.*s", p->shown < n ? p->shown : n, n, text);
    p->shown = (int)strlen(text) < n ? (int)strlen(text) : n;
    fflush(stderr);
}

void adv_progress_end(AdvProgress *p)
{
    if (p->shown > 0)
        fprintf(stderr, "\r%*s\r", p->shown, "");
    fflush(stderr);
}
