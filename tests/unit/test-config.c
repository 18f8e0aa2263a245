#include "base/fd.h"
#include "config/config.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define BUCKET(keys) "repositories:\n  off:\n    s3: {" keys "}\n    key_file: /k\n"
#define REPOSITORY   "repositories:\n  local: {path: /srv/b, key_file: /srv/k}\n"
#define SOURCE                                                                                     \
    REPOSITORY "sources:\n  orders:\n    postgres: {connection: host=/tmp}\n    to: [local]\n"

static BkConfig *
parse(const char *text, GError **error)
{
    return bk_config_parse(text, strlen(text), "/c.yaml", error);
}

static void
test_whole(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BkConfig) config =
        parse("repositories:\n"
              "  local: {path: /srv/b/../c, key_file: /srv/k}\n"
              "  second: {path: /srv/d, key_file: /srv/k}\n"
              "sources:\n"
              "  orders:\n"
              "    postgres: {connection: 'host=/tmp port=5432 user=postgres', data: /srv/pg/}\n"
              "    to: [second, local]\n"
              "    schedule: {backup: '0 2 * * *'}\n"
              "    keep: {last: 3, daily: 7, weekly: 4, monthly: 12, yearly: 1, wal: 7d}\n"
              "    objectives: {rpo: 30s, rto: 5m}\n"
              "    workers: 2\n"
              "    compress: {method: zstd, level: 19}\n"
              "    max_rate: 100MiB\n",
              &error);
    const BkConfigSource *source;

    g_assert_no_error(error);
    g_assert_cmpstr(config->path, ==, "/c.yaml");
    g_assert_cmpuint(config->repositories->len, ==, 2);
    g_assert_cmpstr(bk_config_find_repository(config, "local")->path, ==, "/srv/c");
    g_assert_null(bk_config_find_repository(config, "other"));
    g_assert_null(bk_config_find_source(config, "other"));
    source = bk_config_find_source(config, "orders");
    g_assert_cmpstr(source->pg.connection, ==, "host=/tmp port=5432 user=postgres");
    g_assert_cmpstr(source->pg.data, ==, "/srv/pg");
    g_assert_cmpuint(source->to->len, ==, 2);
    g_assert_true(g_ptr_array_index(source->to, 0) == bk_config_find_repository(config, "second"));
    g_assert_cmpstr(source->schedule_backup, ==, "0 2 * * *");
    g_assert_true(source->keep.is_set);
    g_assert_cmpint(source->keep.last, ==, 3);
    g_assert_cmpint(source->keep.daily, ==, 7);
    g_assert_cmpint(source->keep.weekly, ==, 4);
    g_assert_cmpint(source->keep.monthly, ==, 12);
    g_assert_cmpint(source->keep.yearly, ==, 1);
    g_assert_cmpint(source->keep.wal_us, ==, 7 * 86400 * BK_USEC_PER_SEC);
    g_assert_cmpint(source->objectives.rpo_us, ==, 30 * BK_USEC_PER_SEC);
    g_assert_cmpint(source->objectives.rto_us, ==, 300 * BK_USEC_PER_SEC);
    g_assert_cmpuint(source->workers, ==, 2);
    g_assert_cmpint(source->compress.method, ==, 1);
    g_assert_cmpint(source->compress.level, ==, 19);
    g_assert_cmpuint(source->max_rate, ==, 100 * BK_MIB);
}

static void
test_files(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BkConfig) config = parse(REPOSITORY "sources:\n"
                                                  "  web:\n"
                                                  "    files:\n"
                                                  "      roots: [/etc/nginx/, /srv/./www]\n"
                                                  "      exclude: ['*.tmp', cache/]\n"
                                                  "      include: [keep.tmp]\n"
                                                  "      one_file_system: true\n"
                                                  "    to: [local]\n"
                                                  "  etc: {files: {roots: [/etc]}, to: [local]}\n",
                                       &error);
    const BkConfigSource *source;

    g_assert_no_error(error);
    source = bk_config_find_source(config, "web");
    g_assert_cmpint(source->kind, ==, BK_SOURCE_FILES);
    g_assert_null(source->pg.connection);
    g_assert_cmpuint(source->files->roots->len, ==, 2);
    g_assert_cmpstr(g_ptr_array_index(source->files->roots, 0), ==, "/etc/nginx");
    g_assert_cmpstr(g_ptr_array_index(source->files->roots, 1), ==, "/srv/www");
    g_assert_cmpuint(source->files->exclude->len, ==, 2);
    g_assert_cmpstr(g_ptr_array_index(source->files->exclude, 1), ==, "cache/");
    g_assert_cmpuint(source->files->include->len, ==, 1);
    g_assert_true(source->files->one_file_system);
    source = bk_config_find_source(config, "etc");
    g_assert_cmpuint(source->files->exclude->len, ==, 0);
    g_assert_cmpuint(source->files->include->len, ==, 0);
    g_assert_false(source->files->one_file_system);
}

static void
test_defaults(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BkConfig) config = parse(SOURCE, &error);
    const BkConfigSource *source;

    g_assert_no_error(error);
    source = bk_config_find_source(config, "orders");
    g_assert_null(source->pg.data);
    g_assert_null(source->schedule_backup);
    g_assert_false(source->keep.is_set);
    g_assert_cmpint(source->objectives.rpo_us, ==, 0);
    g_assert_cmpuint(source->workers, >=, 1);
    g_assert_cmpuint(source->workers, <=, 8);
    g_assert_cmpint(source->compress.method, ==, 1);
    g_assert_cmpint(source->compress.level, ==, 1);
    g_assert_cmpuint(source->max_rate, ==, 0);
}

/* Each mistake, and the whole complaint about it. */
static const struct {
    const char *text;
    const char *complaint;
} mistakes[] = {
    {"", "/c.yaml:1: \"repositories\" is missing"},
    {"[a]", "/c.yaml:1: must be a mapping of keys to values"},
    {"repositories: {}", "/c.yaml:1: repositories: is empty"},
    {"repositories: 3", "/c.yaml:1: repositories: must be a mapping of keys to values"},
    {"repositories:\n  local: {path: /b}\n",
     "/c.yaml:2: repositories.local: \"key_file\" is missing"},
    {"repositories:\n  local: {path: b, key_file: /k}\n",
     "/c.yaml:2: repositories.local.path: \"b\" is not an absolute path"},
    {"repositories:\n  local: {path: , key_file: /k}\n",
     "/c.yaml:2: repositories.local.path: is empty"},
    {"repositories:\n  local: {path: [/b], key_file: /k}\n",
     "/c.yaml:2: repositories.local.path: must be a single value and not a list"},
    {"repositories:\n  Local: {path: /b, key_file: /k}\n",
     "/c.yaml:2: repositories.Local: \"Local\" is not a valid name: use a to z, 0 to 9, _ and -, "
     "at most 63 characters"},
    {"repositories:\n  keys: {path: /b, key_file: /k}\n",
     "/c.yaml:2: repositories.keys: \"keys\" is reserved"},
    {"repositories:\n  off: {key_file: /k}\n",
     "/c.yaml:2: repositories.off: \"path\" or \"s3\" is missing"},
    {"repositories:\n  off: {path: /b, s3: {bucket: abc}, key_file: /k}\n",
     "/c.yaml:2: repositories.off: has both \"path\" and \"s3\": only one is allowed"},
    {"repositories:\n  off: {s3: {prefix: x}, key_file: /k}\n",
     "/c.yaml:2: repositories.off.s3: \"bucket\" is missing"},
    {BUCKET("bucket: b"), "/c.yaml:3: repositories.off.s3.bucket: is not a bucket name: "
                          "three or more of a to z, 0 to 9, . and -"},
    {BUCKET("bucket: Acme"),
     "/c.yaml:3: repositories.off.s3.bucket: contains capital letters, which a "
     "bucket name cannot: write it as the store lists it"},
    {BUCKET("bucket: abc, endpoint: 'https://host/path/'"),
     "/c.yaml:3: repositories.off.s3.endpoint: is not like \"https://host\" or "
     "\"https://host:port\""},
    {BUCKET("bucket: abc, prefix: /x"), "/c.yaml:3: repositories.off.s3.prefix: must consist of A "
                                        "to Z, a to z, 0 to 9, \".\", \"_\" and "
                                        "\"-\", separated by slashes"},
    {BUCKET("bucket: abc, endpoint: s3.example.org"),
     "/c.yaml:3: repositories.off.s3.endpoint: is not like \"https://host\" or "
     "\"https://host:port\""},
    {BUCKET("bucket: abc, endpoint: 'https://user:secret@host'"),
     "/c.yaml:3: repositories.off.s3.endpoint: is not like \"https://host\" or "
     "\"https://host:port\""},
    {BUCKET("bucket: abc, region: 'us east'"),
     "/c.yaml:3: repositories.off.s3.region: is not like \"eu-central-1\""},
    {BUCKET("bucket: abc, checksum: maybe"),
     "/c.yaml:3: repositories.off.s3.checksum: \"maybe\" is neither true nor false"},
    {BUCKET("bucket: abc, secret_key: x"),
     "/c.yaml:3: repositories.off.s3.secret_key: unknown key"},
    {BUCKET("bucket: abc, tags: [a]"),
     "/c.yaml:3: repositories.off.s3.tags: must be a mapping of names to texts"},
    {BUCKET(
         "bucket: abc, tags: {a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7, h: 8, i: 9, j: 10, k: 1}"),
     "/c.yaml:3: repositories.off.s3.tags: are more than ten"},
    {BUCKET("bucket: abc, lock: {mode: compliance}"),
     "/c.yaml:3: repositories.off.s3.lock: \"period\" is missing"},
    {BUCKET("bucket: abc, lock: {mode: compliance, period: 9999999d}"),
     "/c.yaml:3: repositories.off.s3.lock: its period is more than a hundred years"},
    {BUCKET("bucket: abc, lock: {mode: compliance, period: 5s}"),
     "/c.yaml:3: repositories.off.s3.lock: its period is less than a minute"},
    {BUCKET("bucket: abc, sse: customer"), "/c.yaml:3: repositories.off.s3.sse: sse: customer and "
                                           "customer_key_file must be used together"},
    {BUCKET("bucket: abc, kms_key: x"),
     "/c.yaml:3: repositories.off.s3.kms_key: requires sse: aws:kms"},
    {"repositories:\n  a: {s3: {bucket: abc, prefix: x}, key_file: /k}\n"
     "  b: {s3: {bucket: abc, prefix: x}, key_file: /k}\n",
     "/c.yaml:3: repositories.b.s3: is also used by \"a\""},
    {REPOSITORY "sources:\n  a:\n    postgres: {connection: host=/tmp}\n    to: [local]\n"
                "    best_effort: [other]\n",
     "/c.yaml:7: sources.a.best_effort: \"other\" is not one of those in \"to\""},
    {REPOSITORY "sources:\n  a:\n    postgres: {connection: host=/tmp}\n    to: [local]\n"
                "    best_effort: [local]\n",
     "/c.yaml:7: sources.a.best_effort: names all of \"to\": at least one must be required"},
    {REPOSITORY "  two: {path: /srv/./b, key_file: /k}\n",
     "/c.yaml:3: repositories.two.path: is also used by \"local\""},
    {REPOSITORY "  local: {path: /c, key_file: /k}\n", "/c.yaml:3: \"local\" is given twice"},
    {REPOSITORY "source: {}\n", "/c.yaml:3: source: unknown key (did you mean \"sources\"?)"},
    {REPOSITORY "zzz: {}\n", "/c.yaml:3: zzz: unknown key"},
    {REPOSITORY "sources:\n  a: {to: [local]}\n",
     "/c.yaml:4: sources.a: \"postgres\" or \"files\" is missing"},
    {REPOSITORY
     "sources:\n  a: {postgres: {connection: host=/tmp}, files: {roots: [/a]}, to: [local]}\n",
     "/c.yaml:4: sources.a: has both \"postgres\" and \"files\": it is of one kind"},
    {REPOSITORY "sources:\n  a: {files: {}, to: [local]}\n",
     "/c.yaml:4: sources.a.files: \"roots\" is missing"},
    {REPOSITORY "sources:\n  a: {files: {roots: /a}, to: [local]}\n",
     "/c.yaml:4: sources.a.files.roots: must be a list, such as [/etc]"},
    {REPOSITORY "sources:\n  a: {files: {roots: []}, to: [local]}\n",
     "/c.yaml:4: sources.a.files.roots: is empty"},
    {REPOSITORY "sources:\n  a: {files: {roots: [/a, etc]}, to: [local]}\n",
     "/c.yaml:4: sources.a.files.roots: \"etc\" is not an absolute path"},
    {REPOSITORY "sources:\n  a: {files: {roots: [/a, /a]}, to: [local]}\n",
     "/c.yaml:4: sources.a.files.roots: \"/a\" is given twice"},
    {REPOSITORY "sources:\n  a: {files: {roots: [[/a]]}, to: [local]}\n",
     "/c.yaml:4: sources.a.files.roots: must be a list of texts"},
    {REPOSITORY "sources:\n  a: {files: {roots: [/a], exclude: '*.tmp'}, to: [local]}\n",
     "/c.yaml:4: sources.a.files.exclude: must be a list, such as [\"*.tmp\"]"},
    {REPOSITORY "sources:\n  a: {files: {roots: [/a], include: ['']}, to: [local]}\n",
     "/c.yaml:4: sources.a.files.include: has an empty text"},
    {REPOSITORY "sources:\n  a: {files: {roots: [/a], one_file_system: maybe}, to: [local]}\n",
     "/c.yaml:4: sources.a.files.one_file_system: \"maybe\" is neither true nor false"},

    {REPOSITORY "sources:\n  a: {redis: {}, to: [local]}\n",
     "/c.yaml:4: sources.a.redis: not available in this version"},
    {REPOSITORY "sources:\n  a:\n    postgres: {connection: host=/tmp}\n",
     "/c.yaml:4: sources.a: \"to\" is missing"},
    {REPOSITORY "sources:\n  a:\n    postgres: {connection: host=/tmp}\n    to:\n      - locla\n",
     "/c.yaml:7: sources.a.to: there is no repository \"locla\""},
    {REPOSITORY "sources:\n  a:\n    postgres: {connection: host=/tmp}\n    to: local\n",
     "/c.yaml:6: sources.a.to: must be a list, such as [local]"},
    {REPOSITORY "sources:\n  a:\n    postgres: {connection: host=/tmp}\n    to: []\n",
     "/c.yaml:6: sources.a.to: is empty"},
    {REPOSITORY "sources:\n  a:\n    postgres: {connection: host=/tmp}\n    to: [local, local]\n",
     "/c.yaml:6: sources.a.to: \"local\" is given twice"},
    {REPOSITORY "sources:\n  a:\n    postgres: {connection: host=/tmp}\n    to: [[local]]\n",
     "/c.yaml:6: sources.a.to: must be a list of names"},
    {REPOSITORY "sources:\n  a:\n    postgres: {connection: 'host=/tmp password=swordfish'}\n",
     "/c.yaml:5: sources.a.postgres.connection: a password is not allowed here: put it into "
     "~/.pgpass or a file given by passfile="},
    {REPOSITORY "sources:\n  a:\n    postgres: {connection: 'postgresql://u:swordfish@h/d'}\n",
     "/c.yaml:5: sources.a.postgres.connection: a password is not allowed here: put it into "
     "~/.pgpass or a file given by passfile="},
    {REPOSITORY "sources:\n  a:\n    postgres: {connection: 'host=x swordfish'}\n",
     "/c.yaml:5: sources.a.postgres.connection: not a PostgreSQL connection string"},
    {REPOSITORY "sources:\n  a:\n    postgres: {connection: \"password = 'a b\"}\n",
     "/c.yaml:5: sources.a.postgres.connection: not a PostgreSQL connection string"},
    {REPOSITORY "sources:\n  a:\n    postgres: {connection: 'postgres://h/d?pass%77ord=x'}\n",
     "/c.yaml:5: sources.a.postgres.connection: a password is not allowed here: put it into "
     "~/.pgpass or a file given by passfile="},
    {SOURCE "    keep: {dayly: 7}\n",
     "/c.yaml:7: sources.orders.keep.dayly: unknown key (did you mean \"daily\"?)"},
    {SOURCE "    keep: {daily: many}\n",
     "/c.yaml:7: sources.orders.keep.daily: \"many\" is not a whole number"},
    {SOURCE "    keep: {daily: -1}\n",
     "/c.yaml:7: sources.orders.keep.daily: \"-1\" is not in the range 0 to 1000000"},
    {SOURCE "    keep: {daily: '7'}\n",
     "/c.yaml:7: sources.orders.keep.daily: must be a number without quotes"},
    {SOURCE "    keep: {wal: 7}\n", "/c.yaml:7: sources.orders.keep.wal: \"7\" is not a duration "
                                    "such as 30s, 5m, 12h or 7d"},
    {SOURCE "    schedule: {backup: '0 25 * * *'}\n",
     "/c.yaml:7: sources.orders.schedule.backup: \"0 25 * * *\" is not a schedule: \"25\" is not a "
     "valid "
     "hour"},
    {SOURCE "    workers: 0\n",
     "/c.yaml:7: sources.orders.workers: \"0\" is not in the range 1 to 256"},
    {SOURCE "    max_rate: fast\n",
     "/c.yaml:7: sources.orders.max_rate: \"fast\" is not a size such as 512k, 100MiB or 1GB"},
    {SOURCE "    compress: {method: gzip}\n",
     "/c.yaml:7: sources.orders.compress.method: \"gzip\" is not one of none, zstd, lz4"},
    {SOURCE "    compress: {method: lz4, level: 3}\n",
     "/c.yaml:7: sources.orders.compress.level: \"lz4\" has no levels"},
    {SOURCE "    compress: zstd\n",
     "/c.yaml:7: sources.orders.compress: must be a mapping of keys to values"},
    {"a: &x 1\n", "/c.yaml:1: anchors and tags are not accepted"},
    {"a: !!str 1\n", "/c.yaml:1: anchors and tags are not accepted"},
    {"a: *x\n", "/c.yaml:1: aliases are not accepted"},
    {"? [a]\n: 1\n", "/c.yaml:1: a key must be a word"},
    {"a: [[[[[[[[[[[[1]]]]]]]]]]]]\n", "/c.yaml:1: nested too deeply"},
    {"a: \"\\0\"\n", "/c.yaml:1: a text contains a zero byte"},
    {"a: 1\n---\nb: 2\n", "/c.yaml:2: a second document begins"},
    {"a: 1\n b: 2\n", "/c.yaml:2: mapping values are not allowed in this context"},
};

static void
test_mistakes(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(mistakes); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(BkConfig) config = parse(mistakes[i].text, &error);

        g_assert_null(config);
        g_assert_true(bk_error_is(error, BK_ERROR_CONFIG));
        g_assert_cmpstr(error->message, ==, mistakes[i].complaint);
        g_assert_null(strstr(error->message, "swordfish"));
    }
}

typedef struct Fixture {
    char *directory;
    char *path;
} Fixture;

static void
set_up(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    fixture->directory = g_dir_make_tmp("test-config-XXXXXX", &error);
    g_assert_no_error(error);
    fixture->path = g_build_filename(fixture->directory, "c.yaml", NULL);
}

static void
tear_down(Fixture *fixture, const void *data)
{
    (void)data;
    (void)unlink(fixture->path);
    (void)rmdir(fixture->path);
    g_assert_cmpint(rmdir(fixture->directory), ==, 0);
    g_free(fixture->path);
    g_free(fixture->directory);
}

static void
write_config(const Fixture *fixture, const void *text, size_t size, mode_t mode)
{
    g_autoptr(GError) error = NULL;
    bool ok = bk_file_write(AT_FDCWD, fixture->path, text, size, mode, BK_FILE_REPLACE, &error);

    g_assert_no_error(error);
    g_assert_true(ok);
}

static void
test_load(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BkConfig) config = NULL;

    (void)data;
    write_config(fixture, SOURCE, strlen(SOURCE), 0600);
    config = bk_config_load(fixture->path, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(config->path, ==, fixture->path);
    g_assert_cmpuint(config->sources->len, ==, 1);
}

static void
expect_refused(const Fixture *fixture, const char *format)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BkConfig) config = bk_config_load(fixture->path, &error);
    g_autoptr(GString) expected = g_string_new(format);

    (void)g_string_replace(expected, "FILE", fixture->path, 0);
    g_assert_null(config);
    g_assert_true(bk_error_is(error, BK_ERROR_CONFIG));
    g_assert_cmpstr(error->message, ==, expected->str);
}

static void
test_refuse_file(Fixture *fixture, const void *data)
{
    static const mode_t modes[] = {0640, 0604, 0644, 0620, 0601};
    g_autofree char *huge = g_strnfill(BK_MIB + 1, '\n');

    (void)data;
    expect_refused(fixture, "configuration: open \"FILE\": No such file or directory");
    for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
        write_config(fixture, SOURCE, strlen(SOURCE), modes[i]);
        expect_refused(fixture, "\"FILE\" can be read by others: chmod 600 FILE");
    }
    write_config(fixture, huge, BK_MIB + 1, 0600);
    expect_refused(fixture, "\"FILE\" is larger than 1048576 bytes");
    g_assert_cmpint(unlink(fixture->path), ==, 0);
    g_assert_cmpint(mkfifo(fixture->path, 0600), ==, 0);
    expect_refused(fixture, "\"FILE\" is not a regular file");
    g_assert_cmpint(unlink(fixture->path), ==, 0);
    g_assert_cmpint(mkdir(fixture->path, 0700), ==, 0);
    expect_refused(fixture, "\"FILE\" is not a regular file");
}

/* Every key of a bucket. */
static void
test_bucket(void)
{
    static const char text[] = "repositories:\n"
                               "  off:\n"
                               "    key_file: /k\n"
                               "    s3:\n"
                               "      bucket: acme-backups\n"
                               "      prefix: prod/a\n"
                               "      region: eu-central-1\n"
                               "      endpoint: https://s3.example.org:9000/\n"
                               "      address: virtual\n"
                               "      ca_file: /etc/ca.pem\n"
                               "      storage_class: STANDARD_IA\n"
                               "      storage_classes: {wal: STANDARD}\n"
                               "      sse: aws:kms\n"
                               "      kms_key: key-1\n"
                               "      tags: {team: 'a b', env: prod}\n"
                               "      requester_pays: true\n"
                               "      lock: {mode: compliance, period: 30d}\n"
                               "      checksum: false\n"
                               "      conditions: false\n"
                               "      retry: 2m\n"
                               "      connections: 3\n"
                               "      max_send_rate: 10MiB\n"
                               "      profile: backup\n";
    g_autoptr(GError) error = NULL;
    g_autoptr(BkConfig) config = bk_config_parse(text, strlen(text), "/c.yaml", &error);
    const BkConfigRepository *repository;
    const BkS3Options *s3;

    g_assert_no_error(error);
    repository = g_ptr_array_index(config->repositories, 0);
    s3 = &repository->s3->options;
    g_assert_null(repository->path);
    g_assert_cmpstr(s3->bucket, ==, "acme-backups");
    g_assert_cmpstr(s3->prefix, ==, "prod/a");
    g_assert_cmpstr(s3->region, ==, "eu-central-1");
    g_assert_cmpstr(s3->endpoint, ==, "https://s3.example.org:9000");
    g_assert_cmpint(s3->address, ==, BK_S3_ADDRESS_VIRTUAL);
    g_assert_cmpstr(s3->ca_file, ==, "/etc/ca.pem");
    g_assert_cmpstr(s3->storage_class[BK_OBJECT_PACK], ==, "STANDARD_IA");
    g_assert_cmpstr(s3->storage_class[BK_OBJECT_WAL], ==, "STANDARD");
    g_assert_cmpstr(s3->storage_class[BK_OBJECT_MANIFEST], ==, "STANDARD_IA");
    g_assert_cmpint(s3->sse, ==, BK_S3_SSE_KMS);
    g_assert_cmpstr(s3->kms_key, ==, "key-1");
    g_assert_cmpstr(s3->tags, ==, "team=a%20b&env=prod");
    g_assert_true(s3->requester_pays);
    g_assert_cmpint(s3->lock, ==, BK_S3_LOCK_COMPLIANCE);
    g_assert_cmpint(s3->lock_us, ==, INT64_C(30) * 86400 * BK_USEC_PER_SEC);
    g_assert_false(s3->sends_checksum || !s3->is_unconditional);
    g_assert_cmpint(s3->retry_us, ==, 120 * BK_USEC_PER_SEC);
    g_assert_cmpuint(s3->connections, ==, 3);
    g_assert_cmpuint(s3->max_send_rate, ==, 10 * BK_MIB);
    g_assert_cmpstr(s3->profile, ==, "backup");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/config/whole", test_whole);
    g_test_add_func("/config/bucket", test_bucket);
    g_test_add_func("/config/defaults", test_defaults);
    g_test_add_func("/config/files", test_files);
    g_test_add_func("/config/mistakes", test_mistakes);
    g_test_add("/config/load", Fixture, NULL, set_up, test_load, tear_down);
    g_test_add("/config/refuse-file", Fixture, NULL, set_up, test_refuse_file, tear_down);
    return g_test_run();
}
