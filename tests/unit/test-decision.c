/* test-decision.c - decisions about lines: bytes, objects, and what is damaged. */
#include "source/pg/archive/decision.h"

#include "repo-fixture.h"

static void
put_decision(RepoFixture *repo, uint64_t number, BkDecisionKind kind)
{
    const BkDecision decision = {.number = number,
                                 .kind = kind,
                                 .system_id = 77,
                                 .timeline = 2,
                                 .lsn = 0x5000001,
                                 .time_us = 7,
                                 .host = "db1"};
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_decision_put(repo->source_repo, &decision, repo->op, &error));
}

static void
test_round_trip(void)
{
    g_autoptr(GArray) decisions = g_array_new(FALSE, FALSE, sizeof(BkDecision));
    g_autoptr(GPtrArray) damage = g_ptr_array_new_with_free_func(g_free);
    const BkDecision *second;
    g_autoptr(GError) error = NULL;
    RepoFixture repo;

    repo_fixture_init(&repo);
    put_decision(&repo, 1, BK_DECISION_DEAD);
    put_decision(&repo, 2, BK_DECISION_FORGET);
    EXPECT_DONE(bk_decision_list(repo.source_repo, decisions, damage, repo.op, &error));
    g_assert_cmpuint(decisions->len, ==, 2);
    g_assert_cmpuint(damage->len, ==, 0);
    second = &g_array_index(decisions, BkDecision, 1);
    g_assert_cmpuint(second->number, ==, 2);
    g_assert_cmpint(second->kind, ==, BK_DECISION_FORGET);
    g_assert_cmpuint(second->system_id, ==, 77);
    g_assert_cmpuint(second->timeline, ==, 2);
    g_assert_cmpuint(second->lsn, ==, 0x5000001);
    g_assert_cmpint(second->time_us, ==, 7);
    g_assert_cmpstr(second->host, ==, "db1");
    EXPECT_ERROR(bk_decision_put(repo.source_repo, second, repo.op, &error), BK_ERROR_EXISTS);
    repo_fixture_clear(&repo);
}

static void
put_raw(RepoFixture *repo, const char *name, const char *text)
{
    g_autofree uint8_t *bytes = g_memdup2(text, strlen(text));
    BkBuf object = {bytes, strlen(text), strlen(text)};
    g_autoptr(GError) error = NULL;

    EXPECT_DONE(bk_store_put(repo->store, name, &object, repo->op, &error));
}

/* One that is damaged, or has another one's number, hides no other one. */
static void
test_damage(void)
{
    g_autoptr(GArray) decisions = g_array_new(FALSE, FALSE, sizeof(BkDecision));
    g_autoptr(GPtrArray) damage = g_ptr_array_new_with_free_func(g_free);
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    RepoFixture repo;

    repo_fixture_init(&repo);
    put_decision(&repo, 1, BK_DECISION_DEAD);
    put_raw(&repo, "orders/decisions/0000000000000002", "nothing of ours");
    put_raw(&repo, "orders/decisions/.nfs1", "");
    EXPECT_DONE(bk_store_get(repo.store, "orders/decisions/0000000000000001", 0, SIZE_MAX, 4096,
                             &object, repo.op, &error));
    EXPECT_DONE(
        bk_store_put(repo.store, "orders/decisions/0000000000000003", &object, repo.op, &error));
    EXPECT_DONE(bk_decision_list(repo.source_repo, decisions, damage, repo.op, &error));
    g_assert_cmpuint(decisions->len, ==, 3);
    g_assert_cmpint(g_array_index(decisions, BkDecision, 0).kind, ==, BK_DECISION_DEAD);
    g_assert_cmpint(g_array_index(decisions, BkDecision, 1).kind, ==, BK_DECISION_DAMAGED);
    g_assert_cmpint(g_array_index(decisions, BkDecision, 2).kind, ==, BK_DECISION_DAMAGED);
    g_assert_cmpuint(damage->len, ==, 3);
    /* Their numbers are taken. */
    g_assert_cmpuint(bk_decision_next_number(decisions), ==, 4);
    repo_fixture_clear(&repo);
}

/* One that is damaged in a repository is taken from another one, and brought to no third one. */
static void
test_bring(void)
{
    const BkDecision dead = {.number = 1,
                             .kind = BK_DECISION_DEAD,
                             .system_id = 77,
                             .timeline = 2,
                             .lsn = 5,
                             .host = "db1"};
    const BkDecision current = {.number = 3,
                                .kind = BK_DECISION_CURRENT,
                                .system_id = 77,
                                .timeline = 3,
                                .lsn = 6,
                                .host = "db1"};
    const BkDecision damaged[] = {{.number = 1}, {.number = 2}};
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(BkDecision));
    g_autoptr(GArray) others = g_array_new(FALSE, FALSE, sizeof(BkDecision));
    g_autoptr(GArray) there = g_array_new(FALSE, FALSE, sizeof(BkDecision));
    g_autoptr(GPtrArray) damage = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    RepoFixture repo;

    g_array_append_val(all, current);
    g_array_append_vals(all, damaged, G_N_ELEMENTS(damaged));
    g_array_append_val(others, dead);
    bk_decision_join(all, others);
    g_assert_cmpuint(all->len, ==, 3);
    g_assert_cmpint(g_array_index(all, BkDecision, 0).kind, ==, BK_DECISION_DEAD);
    g_assert_cmpint(g_array_index(all, BkDecision, 1).kind, ==, BK_DECISION_DAMAGED);
    g_assert_cmpuint(bk_decision_next_number(all), ==, 4);
    repo_fixture_init(&repo);
    put_raw(&repo, "orders/decisions/0000000000000003", "nothing of ours");
    EXPECT_DONE(bk_decision_bring(all, repo.source_repo, damage, repo.op, &error));
    EXPECT_DONE(bk_decision_list(repo.source_repo, there, damage, repo.op, &error));
    g_assert_cmpuint(there->len, ==, 2);
    g_assert_cmpint(g_array_index(there, BkDecision, 0).kind, ==, BK_DECISION_DEAD);
    g_assert_cmpint(g_array_index(there, BkDecision, 1).kind, ==, BK_DECISION_DAMAGED);
    repo_fixture_clear(&repo);
}

static void
test_malformed(void)
{
    /* version, number, kind, cluster, cluster before, timeline, LSN, time, host, extensions
     */
    static const uint8_t whole[] = {2, 1, 1, 9, 0, 0, 0, 0, 0,  0, 0,   0,   0,
                                    0, 0, 0, 0, 0, 0, 2, 5, 14, 2, 'd', 'b', 0};
    static const size_t not_zero[] = {0, 1, 2, 3, 19};
    g_autoptr(GError) error = NULL;
    BkDecision decision;

    EXPECT_DONE(bk_decision_decode(whole, sizeof whole, &decision, &error));
    for (size_t size = 0; size < sizeof whole; size++)
        EXPECT_ERROR(bk_decision_decode(whole, size, &decision, &error), BK_ERROR_CORRUPT);
    for (size_t i = 0; i < G_N_ELEMENTS(not_zero); i++) {
        uint8_t copy[sizeof whole];

        memcpy(copy, whole, sizeof copy);
        copy[not_zero[i]] = 0;
        EXPECT_ERROR(bk_decision_decode(copy, sizeof copy, &decision, &error), BK_ERROR_CORRUPT);
    }
}

/* A decision about a cluster has no timeline, and names the cluster before it. */
static void
test_cluster(void)
{
    BkDecision whole = {.number = 3,
                        .kind = BK_DECISION_CLUSTER,
                        .system_id = 77,
                        .previous_id = 76,
                        .time_us = 7,
                        .host = "db1"};
    g_auto(BkBuf) bytes = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    BkDecision read;

    bk_decision_encode(&whole, &bytes);
    EXPECT_DONE(bk_decision_decode(bytes.data, bytes.size, &read, &error));
    g_assert_cmpint(read.kind, ==, BK_DECISION_CLUSTER);
    g_assert_cmpuint(read.system_id, ==, 77);
    g_assert_cmpuint(read.previous_id, ==, 76);
    whole.timeline = 1;
    bytes.size = 0;
    bk_decision_encode(&whole, &bytes);
    EXPECT_ERROR(bk_decision_decode(bytes.data, bytes.size, &read, &error), BK_ERROR_CORRUPT);
    whole.timeline = 0;
    whole.previous_id = 0;
    bytes.size = 0;
    bk_decision_encode(&whole, &bytes);
    EXPECT_ERROR(bk_decision_decode(bytes.data, bytes.size, &read, &error), BK_ERROR_CORRUPT);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/decision/round-trip", test_round_trip);
    g_test_add_func("/decision/damage", test_damage);
    g_test_add_func("/decision/bring", test_bring);
    g_test_add_func("/decision/malformed", test_malformed);
    g_test_add_func("/decision/cluster", test_cluster);
    return g_test_run();
}
