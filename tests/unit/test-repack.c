/* test-repack.c - the packs that a backup gives up: lost, sparse or old ones, and how many a day.
 */
#include "source/pg/backup/repack.h"

#include "repo-fixture.h"

#define PACKS  12u
#define DAY    (INT64_C(86400) * BK_USEC_PER_SEC)
#define NOW    (20000 * DAY)
#define PERIOD (30 * DAY)

typedef struct Fixture {
    RepoFixture repo;
    GPtrArray *source_repos;
    BkSnapshot *parent;
    uint64_t live[PACKS];
    BkRepackRequest request;
    bool *is_given_up;
} Fixture;

static void
put_pack(Fixture *self, const BkSourceRepo *source_repo, const BkPackRef *ref, size_t size)
{
    g_autofree char *name = bk_pack_object_name(source_repo, ref->name);
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    bk_buf_extend(&object, size);
    EXPECT_DONE(
        bk_store_put(bk_source_repo_store(source_repo), name, &object, self->repo.op, &error));
}

/* Packs of a day each, the first as old as 12 days, wholly in use, in both repositories. */
static void
set_up(Fixture *self, const void *data)
{
    (void)data;
    *self = (Fixture){.source_repos = g_ptr_array_new(), .parent = bk_snapshot_new()};
    repo_fixture_init(&self->repo);
    repo_fixture_add_second(&self->repo);
    g_ptr_array_add(self->source_repos, self->repo.source_repo);
    g_ptr_array_add(self->source_repos, self->repo.second);
    for (uint32_t i = 0; i < PACKS; i++) {
        BkPackRef ref = {
            .size = 100 + i, .raw_size = 1000, .created_us = NOW - (int64_t)(PACKS - i) * DAY};

        ref.name[0] = (uint8_t)(i + 1);
        (void)bk_snapshot_add_pack(self->parent, &ref);
        put_pack(self, self->repo.source_repo, &ref, ref.size);
        put_pack(self, self->repo.second, &ref, ref.size);
        self->live[i] = 1000;
    }
    self->request = (BkRepackRequest){
        .source_repos = self->source_repos,
        .parent = self->parent,
        .live = self->live,
        .now_us = NOW,
    };
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    g_free(self->is_given_up);
    bk_snapshot_free(self->parent);
    g_ptr_array_unref(self->source_repos);
    repo_fixture_clear(&self->repo);
}

/* The chosen packs as a string of 0 and 1. */
static const char *
choose(Fixture *self, char text[PACKS + 1])
{
    g_autoptr(GError) error = NULL;

    g_free(self->is_given_up);
    self->is_given_up = bk_repack_choose(&self->request, self->repo.op, &error);
    g_assert_no_error(error);
    g_assert_nonnull(self->is_given_up);
    for (size_t i = 0; i < PACKS; i++)
        text[i] = self->is_given_up[i] ? '1' : '0';
    text[PACKS] = 0;
    return text;
}

#define EXPECT_CHOSEN(expected)                                                                    \
    do {                                                                                           \
        char text_[PACKS + 1];                                                                     \
                                                                                                   \
        g_assert_cmpstr(choose(self, text_), ==, (expected));                                      \
    } while (0)

static void
test_none(Fixture *self, const void *data)
{
    (void)data;
    EXPECT_CHOSEN("000000000000");
}

static void
test_lost(Fixture *self, const void *data)
{
    size_t count;
    const BkPackRef *packs = bk_snapshot_packs(self->parent, &count);
    g_autofree char *third = bk_pack_object_name(self->repo.source_repo, packs[2].name);
    g_autofree char *fifth = bk_pack_object_name(self->repo.second, packs[4].name);
    g_autofree char *sixth = bk_pack_object_name(self->repo.second, packs[5].name);
    g_autoptr(GError) error = NULL;

    (void)data;
    EXPECT_DONE(bk_store_delete(self->repo.store, third, self->repo.op, &error));
    EXPECT_CHOSEN("001000000000");
    EXPECT_DONE(
        bk_store_delete(bk_source_repo_store(self->repo.second), fifth, self->repo.op, &error));
    EXPECT_CHOSEN("001010000000");
    EXPECT_DONE(
        bk_store_delete(bk_source_repo_store(self->repo.second), sixth, self->repo.op, &error));
    put_pack(self, self->repo.second, &packs[5], packs[5].size - 1); /* cut short */
    EXPECT_CHOSEN("001011000000");
}

static void
test_not_listed(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    bk_store_fault_arm(self->repo.store, BK_STORE_OPERATION_LIST, 1, BK_ERROR_STORE, false);
    g_assert_null(bk_repack_choose(&self->request, self->repo.op, &error));
    g_assert_error(error, BK_ERROR, BK_ERROR_STORE);
}

static void
test_sparse(Fixture *self, const void *data)
{
    (void)data;
    self->live[1] = 500; /* half is enough */
    self->live[3] = 499;
    self->live[7] = 0;
    EXPECT_CHOSEN("000100010000");
}

/* Packs of a day each are spread evenly over twelve days: nothing need go before that. */
static void
test_spread_already(Fixture *self, const void *data)
{
    (void)data;
    self->request.period_us = 24 * DAY;
    EXPECT_CHOSEN("000000000000");
    self->request.period_us = 12 * DAY + 1;
    EXPECT_CHOSEN("000000000000");
    self->request.now_us = NOW - 100 * DAY; /* clocks may be wrong */
    EXPECT_CHOSEN("000000000000");
}

/* What has reached the period goes, whatever that costs. */
static void
test_period_is_over(Fixture *self, const void *data)
{
    (void)data;
    self->request.period_us = 5 * DAY;
    EXPECT_CHOSEN("111111110000");
    self->request.period_us = 5 * DAY + 1;
    EXPECT_CHOSEN("111111100000");
    self->request.period_us = 12 * DAY;
    EXPECT_CHOSEN("100000000000");
    self->request.period_us = 0; /* none */
    EXPECT_CHOSEN("000000000000");
}

/* A pack of a cluster that lives for long. */
typedef struct Pack {
    int64_t created_us;
    uint64_t live;
} Pack;

/* Asks what a backup at `now_us` gives up of `packs`. */
static bool *
choose_of(Fixture *self, const GArray *packs, int64_t now_us)
{
    g_autoptr(BkSnapshot) parent = bk_snapshot_new();
    g_autofree uint64_t *live = g_new0(uint64_t, packs->len + 1);
    g_autoptr(GError) error = NULL;
    BkRepackRequest request = self->request;
    bool *is_given_up;

    for (guint i = 0; i < packs->len; i++) {
        const Pack *pack = &g_array_index(packs, Pack, i);
        const BkPackRef ref = {.raw_size = pack->live, .created_us = pack->created_us};

        (void)bk_snapshot_add_pack(parent, &ref);
        live[i] = pack->live;
    }
    request.parent = parent;
    request.live = live;
    request.period_us = PERIOD;
    request.now_us = now_us;
    is_given_up = bk_repack_choose(&request, self->repo.op, &error);
    g_assert_no_error(error);
    return is_given_up;
}

/* Stores anew what is given up; returns how many bytes that are. */
static uint64_t
back_up(Fixture *self, GArray *packs, int64_t now_us)
{
    g_autofree bool *is_given_up = choose_of(self, packs, now_us);
    uint64_t anew = 0;

    for (guint i = packs->len; i > 0; i--) {
        if (!is_given_up[i - 1])
            continue;
        anew += g_array_index(packs, Pack, i - 1).live;
        g_array_remove_index(packs, i - 1);
    }
    for (uint64_t left = anew; left > 0; left -= MIN(left, 1000)) {
        const Pack pack = {now_us, MIN(left, 1000)};

        g_array_append_val(packs, pack);
    }
    return anew;
}

/* All was stored on the first day. From then on a backup each `step_us`: nothing that is in use
 * when one has ended is as old as the period, and none of them costs much more than its share. */
static void
check_pace(Fixture *self, int64_t step_us, uint64_t limit)
{
    g_autoptr(GArray) packs = g_array_new(FALSE, FALSE, sizeof(Pack));
    const Pack first = {NOW, 1000};
    uint64_t most = 0, sum = 0;

    g_ptr_array_set_size(self->source_repos, 0); /* so that none counts as lost */
    for (unsigned i = 0; i < 100; i++)
        g_array_append_val(packs, first);
    for (int64_t now_us = NOW + step_us; now_us <= NOW + 3 * PERIOD; now_us += step_us) {
        uint64_t anew = back_up(self, packs, now_us);

        most = MAX(most, anew);
        sum += anew;
        for (guint i = 0; i < packs->len; i++)
            g_assert_cmpint(now_us - g_array_index(packs, Pack, i).created_us, <, PERIOD);
    }
    g_assert_cmpuint(sum, >, 200000);
    g_assert_cmpuint(sum, <, 450000);
    g_assert_cmpuint(most, <, limit);
}

static void
test_backup_each_day(Fixture *self, const void *data)
{
    (void)data;
    check_pace(self, DAY, 6000);
}

/* Its share of everything is less than a pack. */
static void
test_backup_each_hour(Fixture *self, const void *data)
{
    (void)data;
    check_pace(self, DAY / 24, 3000);
}

#define TEST(name, function) g_test_add(name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("/repack/none", test_none);
    TEST("/repack/lost", test_lost);
    TEST("/repack/not-listed", test_not_listed);
    TEST("/repack/sparse", test_sparse);
    TEST("/repack/spread-already", test_spread_already);
    TEST("/repack/period-is-over", test_period_is_over);
    TEST("/repack/backup-each-day", test_backup_each_day);
    TEST("/repack/backup-each-hour", test_backup_each_hour);
    return g_test_run();
}
