/* fuzz-pack.c - the table of a pack, as one who has the key could write it: chunks or an error. */
#include "../repo-fixture.h"
#include "repo/pack/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first four bytes say what the manifest claims: chunks, raw size. The rest is the table. */
static bool
put_pack(RepoFixture *fixture, const uint8_t *data, size_t size, BkPackRef *ref)
{
    const BkSealAs as = bk_pack_seal_as(fixture->source_repo, "orders/packs");
    g_autoptr(BkSealer) sealer = bk_sealer_new(BK_CODEC_STORED, 0);
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_autofree char *name = NULL;
    size_t table;

    if (!bk_sealer_begin(sealer, &as, &object, NULL) ||
        !bk_sealer_add(sealer, "0123456789", 10, false, NULL))
        g_assert_not_reached();
    table = object.size;
    if (size > BK_SEAL_MAX_RAW || !bk_sealer_add(sealer, data, size, true, NULL) ||
        !bk_sealer_finish(sealer, ref->name, NULL))
        return false;
    memcpy(ref->salt, bk_sealer_salt(sealer), sizeof ref->salt);
    ref->size = object.size;
    ref->tail_size = (uint32_t)(object.size - table);
    name = bk_pack_object_name(fixture->source_repo, ref->name);
    return bk_store_put(fixture->store, name, &object, fixture->op, NULL);
}

static void
read_pack(RepoFixture *fixture, const BkPackRef *ref, bool whole)
{
    g_autoptr(BkPackReader) reader = bk_pack_reader_new();
    g_auto(BkBuf) raw = BK_BUF_INIT;
    g_autoptr(GError) error = NULL;
    size_t count;

    if (!bk_pack_reader_open(reader, fixture->source_repo, ref, whole, fixture->op, &error)) {
        g_assert(bk_error_is(error, BK_ERROR_CORRUPT) || bk_error_is(error, BK_ERROR_UNSUPPORTED));
        return;
    }
    (void)bk_pack_reader_chunks(reader, &count);
    for (size_t i = 0; i < MIN(count, 10); i++) {
        g_autoptr(GError) read_error = NULL;
        bool ok = bk_pack_reader_read(reader, i, 2, &raw, fixture->op, &read_error);

        g_assert(ok == (read_error == NULL));
    }
    if (ref->raw_size > 0 && count > 0)
        g_assert(bk_pack_reader_find(reader, ref->raw_size - 1) < count);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t none[4];
    const uint8_t *claim = size >= 4 ? data : none;
    RepoFixture fixture;
    BkPackRef ref = {.chunk_count = claim[0],
                     .raw_size = claim[1] | (uint64_t)claim[2] << 8 | (uint64_t)claim[3] << 16};

    repo_fixture_init(&fixture);
    if (put_pack(&fixture, data + MIN(size, 4), size - MIN(size, 4), &ref)) {
        read_pack(&fixture, &ref, false);
        read_pack(&fixture, &ref, true);
    }
    repo_fixture_clear(&fixture);
    return 0;
}
