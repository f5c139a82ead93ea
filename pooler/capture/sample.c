/* SPDX-License-Identifier: ISC */
/* Executions kept with their values, only when query_log_samples asks for it. */
#include <stdlib.h>
#include <string.h>

#include "pooler/capture/capture_priv.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

size_t sample_size(const PwSample *sample)
{
    size_t n = sample->sql_len + 1 + sample->n_params * sizeof(*sample->params);
    for (unsigned i = 0; i < sample->n_params; i++)
        n += sample->params[i].value != NULL ? sample->params[i].len + 1 : 0;
    return n;
}

void entry_free_samples(QueryTable *table, QueryEntry *entry)
{
    for (unsigned i = 0; i < entry->n_samples; i++) {
        table->sample_bytes -= sample_size(&entry->samples[i]);
        pw_sample_finish(&entry->samples[i]);
    }
    if (entry->samples != NULL)
        table->sample_bytes -= table->samples * sizeof(*entry->samples);
    free(entry->samples);
    entry->samples = NULL;
    entry->n_samples = 0;
}

static char *copy_bytes(const void *bytes, size_t n)
{
    char *copy = pw_xmalloc(n + 1);
    memcpy(copy, bytes, n);
    copy[n] = '\0';
    return copy;
}

static void read_value(PwCursor *c, uint16_t format, PwSampleParam *param)
{
    uint32_t len = pw_cursor_be32(c);
    if (len == UINT32_MAX || c->bad)
        return; /* NULL */
    const uint8_t *bytes = pw_cursor_bytes(c, len);
    if (bytes == NULL)
        return;
    param->form = format == 0 ? PW_PARAM_FORM_TEXT : PW_PARAM_FORM_BINARY;
    param->truncated = len > PW_SAMPLE_VALUE_MAX;
    param->len = param->truncated ? PW_SAMPLE_VALUE_MAX : len;
    param->value = copy_bytes(bytes, param->len);
}

/* Bind: portal, statement, format codes (none: all text; one: for all; else one each), values. */
static bool read_bind(const uint8_t *bind, size_t len, PwSample *sample)
{
    PwCursor c = pw_cursor(bind, len);
    (void)pw_cursor_cstr(&c);
    (void)pw_cursor_cstr(&c);
    uint16_t n_formats = pw_cursor_be16(&c);
    const uint8_t *formats = pw_cursor_bytes(&c, 2u * n_formats);
    unsigned n = pw_cursor_be16(&c);
    if (c.bad)
        return false;
    if (n > PW_SAMPLE_PARAMS_MAX) {
        sample->truncated = true;
        n = PW_SAMPLE_PARAMS_MAX;
    }
    if (n == 0)
        return true;
    sample->n_params = n;
    sample->params = pw_xcalloc(n, sizeof(*sample->params));
    for (unsigned i = 0; i < n; i++) {
        unsigned at = n_formats == 1 ? 0 : i;
        uint16_t format = at < n_formats ? pw_be16(formats + 2 * at) : 0;
        read_value(&c, format, &sample->params[i]);
    }
    return !c.bad;
}

void query_entry_sample(QueryTable *table, QueryEntry *entry, const char *sql, size_t len, const uint8_t *bind,
                        size_t bind_len)
{
    if (PW_LIKELY(entry->n_samples >= table->samples) || entry->ident == NULL || table->sample_bytes >= SAMPLE_BUDGET)
        return;
    PwSample sample = {.truncated = len > PW_SAMPLE_TEXT_MAX};
    sample.sql_len = sample.truncated ? PW_SAMPLE_TEXT_MAX : len;
    if (bind != NULL && !read_bind(bind, bind_len, &sample)) {
        pw_sample_finish(&sample); /* the server will refuse this message */
        return;
    }
    sample.sql = copy_bytes(sql, sample.sql_len);
    if (entry->samples == NULL) {
        entry->samples = pw_xcalloc(table->samples, sizeof(*entry->samples));
        table->sample_bytes += table->samples * sizeof(*entry->samples);
    }
    entry->samples[entry->n_samples++] = sample;
    table->sample_bytes += sample_size(&sample);
    table->stats.samples_kept++;
}
