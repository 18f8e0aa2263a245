/* problem.h - what a command finds to be wrong: values with a code, for text, JSON and alerts.
 *
 * The problems there are, with their sentences and what to do about them, are in
 * meta/problems.yaml. Threads: a list belongs to one thread. */
#pragma once
#include "report/field.h"

#include "problem-codes.h" /* generated */

typedef enum BkSeverity {
    BK_SEVERITY_CRITICAL, /* something cannot be restored, or soon will not be */
    BK_SEVERITY_WARNING,
    BK_SEVERITY_INFO, /* nobody needs to do anything */
} BkSeverity;

typedef struct BkProblem {
    BkProblemCode code;
    const char *code_name;
    BkSeverity severity;
    struct {
        const char *kind; /* "repository", "snapshot", "server" ... */
        char *name;
    } object;
    char *text;   /* one line */
    char *action; /* what the operator does; one line */
} BkProblem;

/* code, severity, object (kind, name), text, action. */
extern const BkField bk_problem_fields[];

/* A new list of BkProblem *. */
GPtrArray *bk_problem_list_new(void);

/* Adds a problem. The values that its sentence, action and object mention, such as
 * `.source = name`, are copied. */
#define bk_problem_add(list, problem_code, ...)                                                    \
    bk_problem_add_values((list), (problem_code), &(const BkProblemValues){__VA_ARGS__})
void bk_problem_add_values(GPtrArray *list, BkProblemCode code, const BkProblemValues *values);

/* Adds copies of the problems of another list. */
void bk_problem_add_all(GPtrArray *list, const GPtrArray *others);

/* Puts "PREFIX: " before the text. */
void bk_problem_prefix(BkProblem *self, const char *prefix);

/* How many there are, not counting those of severity info. */
size_t bk_problem_count(const GPtrArray *list);

/* Logs the text of each as a warning. */
void bk_problem_log(const GPtrArray *list);
