/* expect-problem.h - problems (report/problem.h) in tests. */
#pragma once
#include "report/problem.h"

static inline const BkProblem *
problem_at(const GPtrArray *problems, guint index)
{
    g_assert_cmpuint(index, <, problems->len);
    return g_ptr_array_index(problems, index);
}

static inline const char *
problem_text(const GPtrArray *problems, guint index)
{
    return problem_at(problems, index)->text;
}
