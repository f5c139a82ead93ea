/* SPDX-License-Identifier: ISC */
/* capture_cost.c - what observing a query costs, in instructions. A measurement, never pass or fail.
 *
 *   valgrind --tool=callgrind --toggle-collect=measure --callgrind-out-file=/dev/null capture_cost MODE
 *
 * MODE: fingerprint | cached | uncached | done | empty (the loop alone, to be taken off). Prints bytes and calls. */
#include <stdio.h>
#include <string.h>

#include "pooler/capture/capture.h"
#include "poolwise/err.h"

#define ROUNDS 1000

static const char *const texts[] = {
    "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;",
    "UPDATE pgbench_accounts SET abalance = abalance + -2719 WHERE aid = 83123;",
    "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (7, 1, 83123, -2719, CURRENT_TIMESTAMP);",
    "SELECT \"orders\".\"id\", \"orders\".\"status\", \"orders\".\"created_at\" FROM \"orders\" INNER JOIN \"customers\" ON "
    "\"customers\".\"id\" = \"orders\".\"customer_id\" WHERE \"customers\".\"email\" = 'ann@example.org' AND "
    "\"orders\".\"status\" IN ('new', 'paid', 'sent') ORDER BY \"orders\".\"created_at\" DESC LIMIT 20 OFFSET 0",
    "SELECT p.product_name, p.price, count(*) AS sold\n  FROM products p\n  JOIN order_items i ON i.product_id = p.id\n"
    " WHERE p.category = 'Electronics' AND p.brand = 'Sony'\n   AND p.price BETWEEN 500 AND 1000 -- by catalogue\n"
    " GROUP BY 1, 2\nHAVING count(*) > 10\n ORDER BY sold DESC, p.price",
    "SELECT * FROM events WHERE id IN (100001,100002,100003,100004,100005,100006,100007,100008,100009,100010,100011,"
    "100012,100013,100014,100015,100016,100017,100018,100019,100020)",
    "BEGIN",
    "COMMIT",
};

static volatile uint64_t sink;

void measure(const char *mode, QueryTable *table, QueryIdent *ident, unsigned long long *bytes, unsigned long long *calls);

/* One external function, so that callgrind can be told to count only here. */
__attribute__((noinline)) void measure(const char *mode, QueryTable *table, QueryIdent *ident, unsigned long long *bytes,
                                       unsigned long long *calls)
{
    char text[1024];
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < PW_ARRAY_LEN(texts); i++) {
            size_t n = strlen(texts[i]);
            *bytes += n;
            ++*calls;
            if (mode[0] == 'f') {
                sink += pw_fingerprint(texts[i], n, 0);
            } else if (mode[0] == 'c') {
                query_entry_drop(query_table_observe(table, ident, texts[i], n, 0));
            } else if (mode[0] == 'u') { /* a text never seen before, of a query that is known */
                memcpy(text, texts[i], n);
                int more = snprintf(text + n, sizeof(text) - n, "/*%d*/", round);
                query_entry_drop(query_table_observe(table, ident, text, n + (size_t)more, 0));
            } else if (mode[0] == 'd') {
                QueryEntry *entry = query_table_observe(table, ident, texts[i], n, 0);
                query_entry_done(entry, 250 + round, 0, 1, 80, 90, NULL);
            }
        }
    }
}

int main(int argc, char **argv)
{
    unsigned long long bytes = 0, calls = 0;
    QueryTable *table = query_table_create(1000, 0);
    QueryIdent *ident = query_ident_acquire(table, "shop", "web", "psql");
    for (size_t i = 0; i < PW_ARRAY_LEN(texts); i++)
        query_entry_drop(query_table_observe(table, ident, texts[i], strlen(texts[i]), 0));
    measure(argc > 1 ? argv[1] : "fingerprint", table, ident, &bytes, &calls);
    printf("%llu bytes, %llu calls\n", bytes, calls);
    query_ident_release(table, ident);
    query_table_destroy(table);
    return 0;
}
