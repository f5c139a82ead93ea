/* SPDX-License-Identifier: ISC */
/* explained.h - the statement in what auto_explain logs: as text, JSON, YAML or XML (auto_explain.log_format). Pure functions. */
#ifndef ADVISOR_SOURCE_EXPLAINED_H
#define ADVISOR_SOURCE_EXPLAINED_H

#include "advisor/source/entry.h"
#include "poolwise/buf.h"

/* `plan` is what stands behind "plan:". False when it tells of no statement. The slices point into `plan` or into the buffers; *ret_params (values from
 * PostgreSQL 16 on) may be without text. */
bool adv_explained(AdvSlice plan, PwBuf *text_buf, PwBuf *params_buf, AdvSlice *ret_text, AdvSlice *ret_params);

#endif
