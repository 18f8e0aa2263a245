/* The promises of store/store.h, held against every driver. */
#include "s3-fixture.h"
#include "store/posix.h"
#include "store/testing/fault-store.h"
#include "store/testing/mem.h"
#include "temp-dir.h"

#include <pthread.h>
#include <string.h>

#define NO_LIMIT SIZE_MAX

typedef struct Fixture {
    char *dir; /* NULL for drivers that need none */
    BkStore *store;
    BkOp *op;
    BkBuf out;
} Fixture;

typedef BkStore *(*Open)(Fixture *fixture);

static BkStore *
open_mem(Fixture *fixture)
{
    (void)fixture;
    return bk_store_mem_new();
}

static BkStore *
open_fault(Fixture *fixture)
{
    (void)fixture;
    return bk_store_fault_new(bk_store_mem_new());
}

static BkStore *
open_posix(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    BkStore *store;

    fixture->dir = temp_dir_new();
    store = bk_store_posix_open(fixture->dir, false, &error);
    g_assert_no_error(error);
    return store;
}

static S3Server server;

/* A bucket of its own for each test. */
static BkStore *
open_bucket(const char *prefix)
{
    static unsigned number;
    g_autofree char *bucket = g_strdup_printf("contract-%u", number++);
    BkS3Options options = s3_fixture_options(&server, bucket);
    BkStore *store;

    options.prefix = prefix;
    store = s3_fixture_open(&options);
    s3_fixture_make_bucket(store);
    return store;
}

static BkStore *
open_s3(Fixture *fixture)
{
    (void)fixture;
    return open_bucket("some/prefix");
}

static BkStore *
open_s3_with_versions(Fixture *fixture)
{
    BkStore *store = open_bucket("");

    (void)fixture;
    s3_fixture_keep_versions(store);
    return store;
}

static const struct {
    const char *name;
    Open open;
} drivers[] = {
    {"posix", open_posix},
    {"mem", open_mem},
    {"fault", open_fault},
    {"s3", open_s3},
    {"s3-versions", open_s3_with_versions},
};

static void
set_up(Fixture *self, const void *data)
{
    const size_t *driver = data;

    self->op = bk_op_new(NULL);
    self->store = drivers[*driver].open(self);
    self->out = BK_BUF_INIT;
}

static void
tear_down(Fixture *self, const void *data)
{
    (void)data;
    bk_store_free(self->store);
    bk_op_free(self->op);
    bk_buf_clear(&self->out);
    g_clear_pointer(&self->dir, temp_dir_free);
}

static void
put(const Fixture *self, const char *name, const void *data, size_t size)
{
    g_auto(BkBuf) buf = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    bool done;

    bk_buf_append(&buf, data, size);
    done = bk_store_put(self->store, name, &buf, self->op, &error);
    g_assert_no_error(error);
    g_assert_true(done);
}

static void
put_text(const Fixture *self, const char *name, const char *text)
{
    put(self, name, text, strlen(text));
}

static void
get_range(Fixture *self, const char *name, uint64_t offset, size_t size)
{
    g_autoptr(GError) error = NULL;
    bool done =
        bk_store_get(self->store, name, offset, size, NO_LIMIT, &self->out, self->op, &error);

    g_assert_no_error(error);
    g_assert_true(done);
}

/* g_assert_cmpmem counts in int. */
static void
assert_bytes(const BkBuf *buf, const void *data, size_t size)
{
    g_assert_cmpuint(buf->size, ==, size);
    g_assert_true(size == 0 || memcmp(buf->data, data, size) == 0);
}

static void
assert_text(Fixture *self, const char *name, const char *text)
{
    get_range(self, name, 0, SIZE_MAX);
    assert_bytes(&self->out, text, strlen(text));
}

static void
assert_failed(bool done, GError **error, BkErrorCode code)
{
    g_assert_false(done);
    g_assert_error(*error, BK_ERROR, (int)code);
    g_clear_error(error);
}

static void
assert_absent(Fixture *self, const char *name)
{
    g_autoptr(GError) error = NULL;
    uint64_t size = 0;

    assert_failed(
        bk_store_get(self->store, name, 0, SIZE_MAX, NO_LIMIT, &self->out, self->op, &error),
        &error, BK_ERROR_ABSENT);
    assert_failed(bk_store_stat(self->store, name, &size, self->op, &error), &error,
                  BK_ERROR_ABSENT);
}

/* Names in the order of their visits, each followed by a newline. */
static void
test_settle(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    assert_failed(bk_store_ensure_durable(self->store, "a/b", self->op, &error), &error,
                  BK_ERROR_ABSENT);
    put_text(self, "a/b", "x");
    assert_failed(bk_store_ensure_durable(self->store, "a/c", self->op, &error), &error,
                  BK_ERROR_ABSENT);
    g_assert_true(bk_store_ensure_durable(self->store, "a/b", self->op, &error));
    g_assert_no_error(error);
}

static bool
note_name(const BkStoreEntry *entry, void *data, GError **error)
{
    GString *names = data;

    (void)error;
    g_string_append(names, entry->name);
    g_string_append_c(names, '\n');
    return true;
}

static void
assert_list(const Fixture *self, const char *prefix, const char *after, const char *expected)
{
    g_autoptr(GString) names = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    bool done = bk_store_list(self->store, prefix, after, note_name, names, self->op, &error);

    g_assert_no_error(error);
    g_assert_true(done);
    g_assert_cmpstr(names->str, ==, expected);
}

static void
test_whole(Fixture *self, const void *data)
{
    const size_t sizes[] = {0, 1, 4096, 9 * BK_MIB + 17};

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autofree char *name = g_strdup_printf("src/packs/%zu", sizes[i]);
        g_autofree uint8_t *content = g_malloc(sizes[i] + 1);
        uint64_t size = 0;
        bool done;

        for (size_t j = 0; j < sizes[i]; j++)
            content[j] = (uint8_t)(j * 31 + j / 4093);
        put(self, name, content, sizes[i]);
        get_range(self, name, 0, SIZE_MAX);
        assert_bytes(&self->out, content, sizes[i]);
        done = bk_store_stat(self->store, name, &size, self->op, NULL);
        g_assert_true(done);
        g_assert_cmpuint(size, ==, sizes[i]);
    }
}

static void
test_durable_over_reopening(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    put_text(self, "a/b/c", "kept");
    if (self->dir != NULL) {
        bk_store_free(self->store);
        self->store = bk_store_posix_open(self->dir, false, &error);
        g_assert_no_error(error);
    }
    assert_text(self, "a/b/c", "kept");
}

static void
test_first(Fixture *self, const void *data)
{
    g_auto(BkBuf) second = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)data;
    put_text(self, "snapshots/one", "first");
    bk_buf_append(&second, "second", 6);
    assert_failed(bk_store_put(self->store, "snapshots/one", &second, self->op, &error), &error,
                  BK_ERROR_EXISTS);
    assert_text(self, "snapshots/one", "first");
    assert_list(self, "", NULL, "snapshots/one\n");
}

#define RACERS 8
#define ROUNDS 20

typedef struct Racer {
    const Fixture *fixture;
    pthread_barrier_t *start;
    pthread_t thread;
    const char *name;
    GError *error;
    uint8_t mark;
    bool has_won;
} Racer;

static void *
run_racer(void *data)
{
    Racer *self = data;
    g_auto(BkBuf) content = BK_BUF_INIT;

    memset(bk_buf_extend(&content, 3 * BK_KIB), self->mark, 3 * BK_KIB);
    (void)pthread_barrier_wait(self->start);
    self->has_won =
        bk_store_put(self->fixture->store, self->name, &content, self->fixture->op, &self->error);
    return NULL;
}

/* Marks of the winners of one race, of which there must be one. */
static uint8_t
run_race(const Fixture *fixture, const char *name)
{
    pthread_barrier_t start;
    Racer racers[RACERS] = {0};
    uint8_t winner = 0;
    unsigned winners = 0;

    (void)pthread_barrier_init(&start, NULL, RACERS);
    for (uint8_t i = 0; i < RACERS; i++) {
        racers[i] = (Racer){.fixture = fixture, .start = &start, .mark = (uint8_t)('a' + i)};
        racers[i].name = name;
        g_assert_cmpint(pthread_create(&racers[i].thread, NULL, run_racer, &racers[i]), ==, 0);
    }
    for (uint8_t i = 0; i < RACERS; i++) {
        (void)pthread_join(racers[i].thread, NULL);
        if (racers[i].has_won) {
            winner = racers[i].mark;
            winners++;
        } else {
            assert_failed(false, &racers[i].error, BK_ERROR_EXISTS);
        }
    }
    (void)pthread_barrier_destroy(&start);
    g_assert_cmpuint(winners, ==, 1);
    return winner;
}

static void
test_first_of_many_threads(Fixture *self, const void *data)
{
    (void)data;
    for (unsigned round = 0; round < ROUNDS; round++) {
        g_autofree char *name = g_strdup_printf("race/%u/%u/object", round % 3, round);
        uint8_t winner = run_race(self, name);

        get_range(self, name, 0, SIZE_MAX);
        g_assert_cmpuint(self->out.size, ==, 3 * BK_KIB);
        for (size_t i = 0; i < self->out.size; i++)
            g_assert_cmpuint(self->out.data[i], ==, winner);
    }
}

static bool
check_entry(const BkStoreEntry *entry, void *data, GError **error)
{
    unsigned *count = data;
    int64_t age_us = g_get_real_time() - entry->modified_us;

    (void)error;
    (*count)++;
    g_assert_cmpuint(entry->size, ==, strlen(entry->name));
    g_assert_cmpint(ABS(age_us), <, 600 * BK_USEC_PER_SEC);
    return true;
}

static void
test_listed(Fixture *self, const void *data)
{
    const unsigned objects = 1203;
    g_autoptr(GString) expected = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    unsigned count = 0;
    bool done;

    (void)data;
    for (unsigned i = objects; i-- > 0;) {
        g_autofree char *name = g_strdup_printf("many/%u/%04u", i / 500, i);

        put_text(self, name, name);
    }
    for (unsigned i = 0; i < objects; i++)
        g_string_append_printf(expected, "many/%u/%04u\n", i / 500, i);
    assert_list(self, "", NULL, expected->str);
    done = bk_store_list(self->store, "many/", NULL, check_entry, &count, self->op, &error);
    g_assert_no_error(error);
    g_assert_true(done);
    g_assert_cmpuint(count, ==, objects);
    assert_list(self, "many/2/", "many/2/1200", "many/2/1201\nmany/2/1202\n");
    assert_list(self, "many/0/000", "many/0/0007", "many/0/0008\nmany/0/0009\n");
}

/* '-' and '.' are less than '/', digits and letters greater. */
static void
test_list_order(Fixture *self, const void *data)
{
    const char *const sorted[] = {
        "A", "a-b-/x", "a-b/x", "a.b", "a/-", "a/b", "a/b-c/d", "a/b.c", "a0", "aB", "a_/z",
    };
    g_autoptr(GString) expected = g_string_new(NULL);

    (void)data;
    for (size_t i = G_N_ELEMENTS(sorted); i-- > 0;)
        put_text(self, sorted[i], "x");
    for (size_t i = 0; i < G_N_ELEMENTS(sorted); i++)
        g_string_append_printf(expected, "%s\n", sorted[i]);
    assert_list(self, "", NULL, expected->str);
    assert_list(self, "", "", expected->str);
    assert_list(self, "", "a/b-c", "a/b-c/d\na/b.c\na0\naB\na_/z\n");
    assert_list(self, "", "a/b-c/d", "a/b.c\na0\naB\na_/z\n");
    assert_list(self, "", "a/", "a/-\na/b\na/b-c/d\na/b.c\na0\naB\na_/z\n");
}

static void
assert_directory(const Fixture *self, const char *directory, const char *expected)
{
    g_autoptr(GString) names = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    bool done = bk_store_list_directory(self->store, directory, note_name, names, self->op, &error);

    g_assert_no_error(error);
    g_assert_true(done);
    g_assert_cmpstr(names->str, ==, expected);
}

/* One level, each directory once however much it holds, and the order is that of the names. */
static void
test_list_directory(Fixture *self, const void *data)
{
    const char *const names[] = {"A",       "a-b/x",     "a.b",   "a/-",
                                 "a/b-c/d", "a/b-c/e/f", "a/b.c", "b/1/2"};
    g_autoptr(GString) many = g_string_new(NULL);

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        put_text(self, names[i], "x");
    assert_directory(self, "", "A\na-b/\na.b\na/\nb/\n");
    assert_directory(self, "a/", "a/-\na/b-c/\na/b.c\n");
    assert_directory(self, "a/b-c/", "a/b-c/d\na/b-c/e/\n");
    assert_directory(self, "b/", "b/1/\n");
    assert_directory(self, "nothing/", "");
    for (unsigned i = 0; i < 1100; i++) { /* more than a page of a bucket */
        g_autofree char *name = g_strdup_printf("many/%04u/x", i);

        put_text(self, name, "x");
        g_string_append_printf(many, "many/%04u/\n", i);
    }
    assert_directory(self, "many/", many->str);
}

static void
test_list_prefix_and_after(Fixture *self, const void *data)
{
    (void)data;
    put_text(self, "src/wal/1/0000", "x");
    put_text(self, "src/wal/1/0001", "x");
    put_text(self, "src/wal/10/0002", "x");
    put_text(self, "src2/wal/1/0003", "x");
    assert_list(self, "src/wal/1", NULL, "src/wal/1/0000\nsrc/wal/1/0001\nsrc/wal/10/0002\n");
    assert_list(self, "src/wal/1/", NULL, "src/wal/1/0000\nsrc/wal/1/0001\n");
    assert_list(self, "src/w", "src/wal/1/0000", "src/wal/1/0001\nsrc/wal/10/0002\n");
    assert_list(self, "src/wal/1/0001", NULL, "src/wal/1/0001\n");
    assert_list(self, "src/wal/1/0001/", NULL, "");
    assert_list(self, "src/wal/1/0001", "src/wal/1/0001", "");
    assert_list(self, "src", "zzz", "");
    assert_list(self, "sr", "a",
                "src/wal/1/0000\nsrc/wal/1/0001\nsrc/wal/10/0002\n"
                "src2/wal/1/0003\n");
    assert_list(self, "nothing/here", NULL, "");
    assert_list(self, "../", NULL, "");
    assert_list(self, "/", NULL, "");
    assert_list(self, "src//", NULL, "");
    assert_list(self, "src/./wal", NULL, "");
    assert_list(self, "src/*", NULL, "");
}

static bool
stop_at_second(const BkStoreEntry *entry, void *data, GError **error)
{
    unsigned *count = data;

    if (++*count < 2)
        return true;
    return bk_throw(error, BK_ERROR_NOT_FOUND, "enough at %s", entry->name);
}

static void
test_list_ends_with_visitor(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    unsigned count = 0;

    (void)data;
    put_text(self, "a/1", "x");
    put_text(self, "a/2", "x");
    put_text(self, "a/3", "x");
    g_assert_false(
        bk_store_list(self->store, "a/", NULL, stop_at_second, &count, self->op, &error));
    g_assert_error(error, BK_ERROR, BK_ERROR_NOT_FOUND);
    g_assert_cmpstr(error->message, ==, "enough at a/2");
    g_assert_cmpuint(count, ==, 2);
}

static bool
delete_entry(const BkStoreEntry *entry, void *data, GError **error)
{
    const Fixture *fixture = data;

    return bk_store_delete(fixture->store, entry->name, fixture->op, error);
}

static void
test_list_visitor_may_delete(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    bool done;

    (void)data;
    put_text(self, "a/1", "x");
    put_text(self, "a/2", "x");
    put_text(self, "b/3", "x");
    done = bk_store_list(self->store, "a/", NULL, delete_entry, self, self->op, &error);
    g_assert_no_error(error);
    g_assert_true(done);
    assert_list(self, "", NULL, "b/3\n");
}

static void
test_ranges(Fixture *self, const void *data)
{
    static const struct {
        uint64_t offset;
        size_t size;
        const char *expected;
    } cases[] = {
        {0, 10, "0123456789"}, {0, 0, ""},  {3, 4, "3456"},     {8, 10, "89"},
        {9, SIZE_MAX, "9"},    {10, 1, ""}, {11, SIZE_MAX, ""}, {UINT64_MAX, 5, ""},
    };

    (void)data;
    put_text(self, "r", "0123456789");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        get_range(self, "r", cases[i].offset, cases[i].size);
        assert_bytes(&self->out, cases[i].expected, strlen(cases[i].expected));
    }
}

static void
test_limit(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;
    bool done;

    (void)data;
    put_text(self, "r", "0123456789");
    done = bk_store_get(self->store, "r", 0, SIZE_MAX, 10, &self->out, self->op, NULL);
    g_assert_true(done);
    done = bk_store_get(self->store, "r", 4, SIZE_MAX, 6, &self->out, self->op, NULL);
    g_assert_true(done);
    done = bk_store_get(self->store, "r", 0, 3, 3, &self->out, self->op, NULL);
    g_assert_true(done);
    assert_failed(bk_store_get(self->store, "r", 0, SIZE_MAX, 9, &self->out, self->op, &error),
                  &error, BK_ERROR_CORRUPT);
    g_assert_cmpuint(self->out.size, ==, 0);
}

static void
test_absent(Fixture *self, const void *data)
{
    (void)data;
    assert_absent(self, "nothing");
    assert_absent(self, "no/such/directory");
    put_text(self, "a/file", "x");
    assert_absent(self, "a/other");
    assert_absent(self, "a/file/below");
}

static void
test_delete(Fixture *self, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    put_text(self, "d/one", "x");
    put_text(self, "d/two", "y");
    for (unsigned i = 0; i < 2; i++) {
        bool done = bk_store_delete(self->store, "d/one", self->op, &error);

        g_assert_no_error(error);
        g_assert_true(done);
    }
    g_assert_true(bk_store_delete(self->store, "no/such/directory", self->op, &error));
    assert_absent(self, "d/one");
    assert_list(self, "", NULL, "d/two\n");
    put_text(self, "d/one", "again");
    assert_text(self, "d/one", "again");
}

static void
test_every_legal_character(Fixture *self, const void *data)
{
    const char *const names[] = {
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "abcdefghijklmnopqrstuvwxyz",
        "0123456789",
        "x/.hidden",
        "x/...",
        "-",
        "_",
        "-._/_.-",
    };
    g_autofree char *longest = g_strnfill(512, 'n');

    (void)data;
    longest[200] = '/';
    longest[400] = '/';
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        put_text(self, names[i], names[i]);
        assert_text(self, names[i], names[i]);
    }
    put_text(self, longest, "long");
    assert_text(self, longest, "long");
}

static void
test_cancelled(Fixture *self, const void *data)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(BkOp) op = bk_op_new(NULL);
    g_autoptr(GString) names = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    uint64_t size;

    (void)data;
    put_text(self, "there", "x");
    bk_op_cancel(op);
    assert_failed(bk_store_put(self->store, "new", &content, op, &error), &error,
                  BK_ERROR_CANCELLED);
    assert_failed(bk_store_get(self->store, "there", 0, 1, 1, &self->out, op, &error), &error,
                  BK_ERROR_CANCELLED);
    assert_failed(bk_store_stat(self->store, "there", &size, op, &error), &error,
                  BK_ERROR_CANCELLED);
    assert_failed(bk_store_list(self->store, "", NULL, note_name, names, op, &error), &error,
                  BK_ERROR_CANCELLED);
    assert_failed(bk_store_delete(self->store, "there", op, &error), &error, BK_ERROR_CANCELLED);
    assert_list(self, "", NULL, "there\n");
}

static void
test_errors_name_object_and_store(Fixture *self, const void *data)
{
    g_autofree char *expected =
        g_strdup_printf("get \"a/b\" from %s: no such object", bk_store_describe(self->store));
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_false(bk_store_get(self->store, "a/b", 0, 1, 1, &self->out, self->op, &error));
    g_assert_cmpstr(error->message, ==, expected);
}

static void
test_is_name(void)
{
    static const char *const bad[] = {
        "",     ".",   "..",  "/",   "/a",   "a/",  "a//b",     "a/./b", "a/../b", "../a",
        "a/..", "a b", "a\n", "a+b", "a\\b", "a:b", "\xc3\xa4", "a*",    "~",
    };
    static const char *const good[] = {"a", "...", "a/...", ".a", "..a", "a.", "a/b/c", "-", "_"};
    g_autofree char *longest = g_strnfill(512, 'a');
    g_autofree char *too_long = g_strnfill(513, 'a');

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(bk_store_is_name(bad[i]));
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
        g_assert_true(bk_store_is_name(good[i]));
    g_assert_true(bk_store_is_name(longest));
    g_assert_false(bk_store_is_name(too_long));
}

static void
test_bad_name_is_a_mistake(void)
{
    if (g_test_subprocess()) {
        g_autoptr(BkStore) store = bk_store_mem_new();
        g_autoptr(BkOp) op = bk_op_new(NULL);
        uint64_t size;

        g_assert_true(bk_store_stat(store, "../passwd", &size, op, NULL));
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_stderr("*bk_store_is_name*");
}

static void
test_fault_before_effect(Fixture *self, const void *data)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)data;
    bk_store_fault_arm(self->store, BK_STORE_OPERATION_PUT, 2, BK_ERROR_NO_SPACE, false);
    put_text(self, "a", "x");
    assert_failed(bk_store_put(self->store, "b", &content, self->op, &error), &error,
                  BK_ERROR_NO_SPACE);
    assert_absent(self, "b");
    put_text(self, "b", "x");
    assert_list(self, "", NULL, "a\nb\n");
}

static void
test_fault_after_effect(Fixture *self, const void *data)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;

    (void)data;
    bk_store_fault_arm(self->store, BK_STORE_OPERATION_PUT, 1, BK_ERROR_STORE, true);
    bk_store_fault_arm(self->store, BK_STORE_OPERATION_DELETE, 1, BK_ERROR_TIMEOUT, true);
    assert_failed(bk_store_put(self->store, "a", &content, self->op, &error), &error,
                  BK_ERROR_STORE);
    assert_text(self, "a", "");
    assert_failed(bk_store_delete(self->store, "a", self->op, &error), &error, BK_ERROR_TIMEOUT);
    assert_absent(self, "a");
}

static const struct {
    const char *name;
    void (*run)(Fixture *fixture, const void *data);
} tests[] = {
    {"whole", test_whole},
    {"durable/reopened", test_durable_over_reopening},
    {"first", test_first},
    {"first/of-many-threads", test_first_of_many_threads},
    {"listed", test_listed},
    {"settle", test_settle},
    {"list/order", test_list_order},
    {"list/directory", test_list_directory},
    {"list/prefix-and-after", test_list_prefix_and_after},
    {"list/ends-with-visitor", test_list_ends_with_visitor},
    {"list/visitor-may-delete", test_list_visitor_may_delete},
    {"ranges", test_ranges},
    {"limit", test_limit},
    {"absent", test_absent},
    {"delete", test_delete},
    {"names/every-legal-character", test_every_legal_character},
    {"cancelled", test_cancelled},
    {"errors-name-object-and-store", test_errors_name_object_and_store},
};

static const size_t indexes[] = {0, 1, 2, 3, 4};
#define FAULT_DRIVER (&indexes[2])

int
main(int argc, char **argv)
{
    int status;

    G_STATIC_ASSERT(G_N_ELEMENTS(indexes) == G_N_ELEMENTS(drivers));
    g_test_init(&argc, &argv, NULL);
    for (size_t d = 0; d < G_N_ELEMENTS(drivers); d++)
        for (size_t t = 0; t < G_N_ELEMENTS(tests); t++) {
            g_autofree char *path = g_strdup_printf("/store/%s/%s", drivers[d].name, tests[t].name);

            g_test_add(path, Fixture, &indexes[d], set_up, tests[t].run, tear_down);
        }
    g_test_add_func("/store/names/is-name", test_is_name);
    g_test_add_func("/store/names/bad-is-a-mistake", test_bad_name_is_a_mistake);
    g_test_add("/store/fault/before-effect", Fixture, FAULT_DRIVER, set_up,
               test_fault_before_effect, tear_down);
    g_test_add("/store/fault/after-effect", Fixture, FAULT_DRIVER, set_up, test_fault_after_effect,
               tear_down);
    s3_server_start(&server);
    status = g_test_run();
    s3_server_stop(&server);
    return status;
}
