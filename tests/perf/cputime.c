/* SPDX-License-Identifier: ISC */
#include "cputime.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>

#include "sock.h"

double cputime_own(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* schedstat counts nanoseconds, stat only clock ticks. */
double cputime_of(long pid)
{
    char path[300];
    double sum = 0;
    if (!pid)
        return 0;
    snprintf(path, sizeof(path), "/proc/%ld/task", pid);
    DIR *dir = opendir(path);
    if (!dir)
        die(path);
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        unsigned long long ns;
        snprintf(path, sizeof(path), "/proc/%ld/task/%.20s/schedstat", pid, entry->d_name);
        FILE *f = fopen(path, "re");
        if (!f)
            continue; /* the thread has ended */
        if (fscanf(f, "%llu", &ns) == 1)
            sum += (double)ns / 1e9;
        fclose(f);
    }
    closedir(dir);
    return sum;
}
