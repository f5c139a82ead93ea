/* SPDX-License-Identifier: ISC */
/* checker.h - runs the real pool code through all interleavings of a scenario, up to a bound.
 *
 * Virtual workers are coroutines. A worker's turn is one action: a batch of its mail, the next step of its
 * script, or something from outside (a connect that ends, a retire order). Between turns any worker may
 * go on; within a turn the scheduler may switch at each shared access (shim.h), at most `preemptions` times in one
 * run. The search is depth first over these choices and repeats the run from the start for each. */
#ifndef TESTS_POOL_CHECKER_H
#define TESTS_POOL_CHECKER_H

#include <stdbool.h>

#define CK_WORKERS 5
#ifndef CK_SHARDS
#define CK_SHARDS 2 /* workers that take part in the pools; the others only post mail */
#endif
#define CK_POOLS 2
#define CK_CLIENTS 24
#define CK_STEPS 16

typedef enum StepKind {
    STEP_END,
    STEP_ACQUIRE,  /* client arg */
    STEP_RELEASE,  /* client arg; waits until it holds a server; nothing if it gave up or while paused */
    STEP_GIVE_UP,  /* client arg: time-out or death; cancels if it waits */
    STEP_KILL_IDLE, /* an idle server of this worker's shard dies, if there is one */
    STEP_CLOSE,    /* client arg: like release, but its server is closed */
    STEP_BLOCK,
    STEP_RESUME,
    STEP_SET_SIZE, /* pool size := arg, by RELOAD; then a kick on this worker, and an order to kick on the other */
    STEP_SET_DATABASE,
    STEP_LATER,    /* the clock passes POOL_SLACK_USEC */
    STEP_RETIRE,   /* this worker orders the pool's end */
    STEP_POST      /* a bare message to worker 0: the mailbox alone */
} StepKind;

typedef struct Step {
    StepKind kind;
    int arg;
    int pool;
} Step;

/* What happens in a storm besides clients that come and go. */
typedef enum StormKind {
    STORM_DEATHS = 1, /* of servers: idle, at work, failing their check (the client takes its place again); waiters give up */
    STORM_PAUSES = 2, /* of the first pool, worker by worker */
    STORM_SIZES = 4   /* pool sizes change */
} StormKind;

typedef struct Scenario {
    const char *name;
    int pools;
    int size[CK_POOLS];
    int database_max; /* 0: none */
    int warm[CK_POOLS][CK_WORKERS]; /* idle servers at the start */
    bool held; /* client 0 holds an idle server of held_pool on worker held_on from the start */
    int held_pool, held_on;
    int connects_may_fail, transits_may_die;
    int preemptions;  /* bound of the tests */
    int storm;        /* StormKind bits */
    bool mailbox;     /* also switch within the mailbox; else a post is one step */
    Step script[CK_WORKERS][CK_STEPS];
} Scenario;

typedef struct CheckResult {
    long runs;
    long points;         /* shared accesses over all runs */
    int most_passed;     /* by how many later ones, any waiter */
    bool complete;       /* every interleaving to the bound was run */
    const char *failure; /* what was violated, NULL: nothing */
    char detail[400];
} CheckResult;

/* Failures, by what a scenario may violate. */
#define CK_LOST_WAKEUP "lost wake-up"
#define CK_DOUBLE_GRANT "double grant"
#define CK_OVERSHOOT "limit overshoot"
#define CK_STARVATION "starvation"
#define CK_USE_AFTER_RETIRE "use after retire"
#define CK_INCONSISTENT "counters and lists differ"
#define CK_LIVELOCK "no end"
#define CK_LOST_MAIL "lost mail"

/* Draws each choice instead of trying all, and what the clients do as well (the scenario has no script): for more workers,
 * clients and servers than all interleavings could be tried of. `runs` runs, numbered from `first` on; one in `odds` shared
 * accesses preempts. Deterministic. */
CheckResult check_storm(const Scenario *scenario, long runs, long first, int odds);

/* `preemptions` < 0: the scenario's own bound. */
CheckResult check_scenario(const Scenario *scenario, int preemptions, long runs_most);

extern const Scenario scenarios[];
extern const int n_scenarios;

#endif
