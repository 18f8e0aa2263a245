/* fuzz-wal-head.c - the head of a WAL object, as one who has the key could write it: what it says
 * of the file, its summary and its WAL is believed within bounds, or an error. */
#include "../repo-fixture.h"
#include "../wal-builder.h"
#include "source/pg/archive/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAME   "000000010000000000000001"
#define OBJECT "orders/wal/" WAL_SYSTEM_DIGITS "/00000001/0000000100000000/" NAME

static bool
is_expected(const GError *error)
{
    return bk_error_is(error, BK_ERROR_CORRUPT) || bk_error_is(error, BK_ERROR_UNSUPPORTED);
}

static void
read_object(RepoFixture *fixture)
{
    g_auto(BkBuf) content = BK_BUF_INIT;
    g_auto(BkWalInfo) info = {0};
    g_auto(BkWalInfo) again = {0};
    g_auto(BkWalBlocks) blocks = {0};
    g_autoptr(GError) error = NULL;
    BkWalName parsed;

    if (!bk_wal_name_parse(NAME, &parsed))
        g_assert_not_reached();
    g_assert(bk_archive_get_info(fixture->source_repo, WAL_SYSTEM, NAME, &parsed, &info,
                                 fixture->op, &error) ||
             is_expected(error));
    g_clear_error(&error);
    g_assert(bk_archive_get_blocks(fixture->source_repo, WAL_SYSTEM, NAME, &parsed, &again, &blocks,
                                   fixture->op, &error) ||
             is_expected(error));
    g_clear_error(&error);
    g_assert(bk_archive_get(fixture->source_repo, WAL_SYSTEM, NAME, &parsed, &content, fixture->op,
                            &error) ||
             is_expected(error));
    g_assert(error != NULL || content.size <= 20);
}

/* The head by itself, whatever file it is of. */
static void
decode_input(const uint8_t *data, size_t size)
{
    g_autofree uint8_t *exact = g_memdup2(data, size);
    const BkBuf raw = {exact, size, size};
    g_auto(BkArchiveHead) head = {.size = 0};
    g_autoptr(GError) error = NULL;

    g_assert(bk_archive_head_decode(&raw, &head, &error) || is_expected(error));
    g_assert(error != NULL || strlen(head.name) < sizeof head.name);
}

/* The first frame is the input: a head. A summary and a file of ten bytes follow. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(BkSealer) sealer = bk_sealer_new(BK_CODEC_STORED, 0);
    g_auto(BkBuf) object = BK_BUF_INIT;
    BkSealAs as = {.kind = BK_SEAL_WAL_SEGMENT, .name = OBJECT};
    RepoFixture fixture;

    if (size > BK_SEAL_MAX_RAW)
        return 0;
    repo_fixture_init(&fixture);
    as.keys = bk_source_repo_keys(fixture.source_repo);
    if (!bk_sealer_begin(sealer, &as, &object, NULL) ||
        !bk_sealer_add(sealer, data, size, false, NULL) ||
        !bk_sealer_add(sealer, "no summary", 10, false, NULL) ||
        !bk_sealer_add(sealer, "0123456789", 10, true, NULL) ||
        !bk_sealer_finish(sealer, NULL, NULL) ||
        !bk_store_put(fixture.store, OBJECT, &object, fixture.op, NULL))
        g_assert_not_reached();
    read_object(&fixture);
    decode_input(data, size);
    repo_fixture_clear(&fixture);
    return 0;
}
