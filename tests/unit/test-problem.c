/* test-problem.c - problems are made from meta/problems.yaml. */
#include "expect-problem.h"
#include "report/json-fields.h"

#include <string.h>

static void
test_texts(void)
{
    g_autoptr(GPtrArray) problems = bk_problem_list_new();
    const BkProblem *problem;

    bk_problem_add(problems, BK_PROBLEM_SNAPSHOT_WAL_MISSING, .source = "orders",
                   .snapshot = "20261128T000000Z-00000001", .repository = "main",
                   .is_best_effort = true, .first = "000000010000000000000005");
    problem = problem_at(problems, 0);
    g_assert_cmpstr(problem->code_name, ==, "snapshot_wal_missing");
    g_assert_cmpint(problem->severity, ==, BK_SEVERITY_CRITICAL);
    g_assert_cmpstr(problem->object.kind, ==, "snapshot");
    g_assert_cmpstr(problem->object.name, ==, "20261128T000000Z-00000001");
    g_assert_cmpstr(
        problem->text, ==,
        "snapshot 20261128T000000Z-00000001 in repository \"main\" (best effort) cannot "
        "be recovered: its WAL segment 000000010000000000000005 is missing");
    g_assert_nonnull(strstr(problem->action, "\"backstay wal push orders FILE\""));
}

/* The message of a server has several lines. */
static void
test_one_line(void)
{
    g_autoptr(GPtrArray) problems = bk_problem_list_new();

    bk_problem_add(problems, BK_PROBLEM_REPOSITORY_UNUSABLE, .repository = "main",
                   .cause = "first\n\tsecond\n");
    g_assert_cmpstr(problem_text(problems, 0), ==,
                    "repository \"main\" cannot be used: first second");
}

/* Those that nobody needs to do anything about do not make a command fail. */
static void
test_count(void)
{
    g_autoptr(GPtrArray) problems = bk_problem_list_new();
    g_autoptr(GPtrArray) copies = bk_problem_list_new();

    bk_problem_add(problems, BK_PROBLEM_UPLOAD_INCOMPLETE, .object = "x");
    g_assert_cmpuint(bk_problem_count(problems), ==, 0);
    bk_problem_add(problems, BK_PROBLEM_NO_SNAPSHOT, .source = "orders");
    bk_problem_add(problems, BK_PROBLEM_SERVER_IS_STANDBY, .source = "orders");
    g_assert_cmpuint(bk_problem_count(problems), ==, 2);
    bk_problem_add_all(copies, problems);
    g_ptr_array_set_size(problems, 0);
    bk_problem_prefix(g_ptr_array_index(copies, 1), "cluster 7");
    g_assert_cmpstr(problem_text(copies, 1), ==, "cluster 7: there is no snapshot yet");
}

static void
test_json(void)
{
    g_autoptr(GPtrArray) problems = bk_problem_list_new();
    g_autoptr(BkJson) json = bk_json_new();

    bk_problem_add(problems, BK_PROBLEM_NO_SNAPSHOT, .source = "orders");
    bk_json_add_object(json, NULL, bk_problem_fields, problem_at(problems, 0));
    g_assert_cmpstr(bk_json_text(json), ==,
                    "{\n  \"code\": \"no_snapshot\",\n  \"severity\": \"critical\",\n"
                    "  \"object\": {\n    \"kind\": \"source\",\n    \"name\": \"orders\"\n  },\n"
                    "  \"text\": \"there is no snapshot yet\",\n"
                    "  \"action\": \"run \\\"backstay backup orders\\\"\"\n}\n");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/problem/texts", test_texts);
    g_test_add_func("/problem/one-line", test_one_line);
    g_test_add_func("/problem/count", test_count);
    g_test_add_func("/problem/json", test_json);
    return g_test_run();
}
