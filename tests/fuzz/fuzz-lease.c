/* fuzz-lease.c - the state of a lease, as one who has the key could write it: read, or an error. */
#include "../repo-fixture.h"
#include "repo/lease.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(BkSealer) sealer = bk_sealer_new(BK_CODEC_STORED, 0);
    g_auto(BkBuf) object = BK_BUF_INIT;
    g_auto(BkLeaseInfo) info = {0};
    g_autoptr(GError) error = NULL;
    BkSealAs as = {.kind = BK_SEAL_LEASE, .name = "orders/lease/0000000000000001"};
    RepoFixture fixture;
    bool ok;

    repo_fixture_init(&fixture);
    as.keys = bk_source_repo_keys(fixture.source_repo);
    if (!bk_seal(sealer, &as, data, size, &object, NULL) ||
        !bk_store_put(fixture.store, as.name, &object, fixture.op, NULL))
        g_assert_not_reached();
    ok = bk_lease_read(fixture.source_repo, &info, fixture.op, &error);
    g_assert(ok == (error == NULL));
    g_assert(ok || bk_error_is(error, BK_ERROR_CORRUPT) ||
             bk_error_is(error, BK_ERROR_UNSUPPORTED));
    g_assert(!ok || (info.epoch == 1 && info.holder != NULL));
    repo_fixture_clear(&fixture);
    return 0;
}
