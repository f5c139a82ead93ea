/* SPDX-License-Identifier: ISC */
/* cputime.h - how long processes have been running on a CPU, user and system together, in seconds. */
#ifndef TESTS_PERF_CPUTIME_H
#define TESTS_PERF_CPUTIME_H

double cputime_own(void);

/* Of all threads of the process; 0 for pid 0. Ends the program when there is no such process. */
double cputime_of(long pid);

#endif
